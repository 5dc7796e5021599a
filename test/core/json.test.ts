import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonLimits, parseJson } from "#foretoken/core/checks/json.js";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const parse = (text: string | Uint8Array, limits: Parameters<typeof parseJson>[1] = jsonLimits.config): unknown =>
  parseJson(
    typeof text === "string" ? bytesOf(text) : text,
    limits,
    ({ must, got }) => new Error(`refused: ${must}; got ${got}`),
  );

describe("JSON from elsewhere", () => {
  it("is parsed as JSON.parse does", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), fc.nat(3), (text, spaces) => {
        const value: unknown = JSON.parse(text);
        if (text.includes("__proto__")) return;
        expect(parse(JSON.stringify(value, null, spaces))).toEqual(value);
      }),
      { numRuns: 500 },
    );
  });

  it("may begin with a byte order mark, which some editors write", () => {
    expect(parse('\ufeff{"a":1}')).toEqual({ a: 1 });
  });

  it.each([
    ["a list in lists", "[".repeat(65) + "]".repeat(65), /nested at most 64 deep; got more at byte 64/u],
    ["an object in objects", `${'{"a":'.repeat(65)}1${"}".repeat(65)}`, /nested at most 64 deep/u],
    ["brackets that are never closed", "[".repeat(1_000_000), /nested at most 64 deep/u],
    ["brackets after a string that looks closed", `"\\"${"[".repeat(70)}`, /must be JSON in UTF-8; got /u],
    ["more bytes than it may have", `"${"a".repeat(2 ** 20)}"`, /the file must be at most 1048576 bytes; got 1048578/u],
    ["half a text", '{"a":', /the file must be JSON in UTF-8; got Unexpected end of JSON input/u],
    ["nothing", "", /the file must be JSON in UTF-8/u],
    ["a key twice", '{"a":1,"b":2,"a":3}', /every key of an object in the file must be unique; got "a" twice/u],
    ["an escaped key twice", '{"a":{"b":1,"\\u0062":2}}', /unique; got "b" twice/u],
    ["__proto__", '{"model":{"__proto__":{"nLayer":2}}}', /every key must be a known one; got "__proto__"/u],
    ["__proto__ in other letters", '{"\\u005f_proto__":1}', /every key must be a known one; got "__proto__"/u],
  ])("is refused with %s", (_, text, message) => {
    expect(() => parse(text)).toThrow(message);
    expect(() => parse(text)).toThrow(/^refused: [^\n]{1,250}$/u);
  });

  it("is refused where it is not UTF-8", () => {
    expect(() => parse(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(
      /must be JSON in UTF-8; got bytes that are not UTF-8/u,
    );
  });

  it("may be 64 deep, and have brackets, colons and commas in strings", () => {
    expect(() => parse("[".repeat(64) + "]".repeat(64))).not.toThrow();
    const strange = { [`"[[[[{{{{::,,\\`.repeat(50)]: ["]]]", '\\"', ":,"] };
    expect(parse(JSON.stringify(strange), { maxBytes: 1e6, maxValues: 6, maxKeys: 1 })).toEqual(strange);
  });

  it("has its values and keys counted before it is parsed", () => {
    const limits = { maxBytes: 1e6, maxValues: 6, maxKeys: 3 };
    expect(() => parse("[0,0,0,0,0]", limits)).not.toThrow();
    expect(() => parse("[0,0,0,0,0,0]", limits)).toThrow(/must hold at most 6 values; got more/u);
    expect(() => parse('{"a":{"b":{"c":1}}}', limits)).not.toThrow();
    expect(() => parse('{"a":{"b":{"c":1,"d":2}}}', limits)).toThrow(/must hold at most 3 keys; got more/u);
  });

  it("may have any key where keys are data", () => {
    const value = parse('{"__proto__":{"a":1},"constructor":2}', { maxBytes: 1e3, anyKey: true });
    expect(Object.keys(value as object)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  it("is refused or parsed, whatever was changed in it", () => {
    const whole = bytesOf(JSON.stringify({ a: [1, { b: "c" }], d: { e: null, f: [[]] }, g: "\u00e9\ud83d\ude00" }));
    const change = fc.record({
      at: fc.nat(whole.length - 1),
      to: fc.oneof(fc.nat(255), fc.constantFrom(...'{}[]",:\\'.split("").map((c) => c.charCodeAt(0)))),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const bytes = whole.slice();
        for (const { at, to } of changes) bytes[at] = to;
        try {
          parse(bytes);
        } catch (error) {
          expect((error as Error).message).toMatch(/^refused: /u);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
