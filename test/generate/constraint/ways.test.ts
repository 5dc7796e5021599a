/** Ambiguous texts: their alternatives differ only near the end, at any depth. */
import { describe, expect, it } from "vitest";
import { randomKey, randomStream } from "#foretoken/core/random.js";
import type { Constraint } from "#foretoken/generate/constraint/constraint.js";
import { byteTokenizer } from "../../support/byte-tokenizer.ts";
import { accepts as acceptsWith, allowedIds, jsonTokenizer, matcherOf } from "../../support/constrained.ts";

const list = <T>(length: number, of: (i: number) => T): T[] => Array.from({ length }, (_, i) => of(i));
const tokenizer = byteTokenizer();
const accepts = (constraint: Constraint, text: string): boolean => acceptsWith(constraint, text, tokenizer);
const grammar = (text: string): Constraint => ({ kind: "grammar", grammar: text });

describe.each([14, 50, 200])("%d levels of alternatives that differ at their ends", (depth) => {
  it("of a grammar", () => {
    const marks = grammar('root ::= "(" root ")+" | "(" root ")-" | "x"');
    const text = `${"(".repeat(depth)}x${list(depth, (i) => `)${"+-"[i % 2]}`).join("")}`;
    expect(accepts(marks, text)).toBe(true);
    for (const wrong of [text.slice(0, -1), `${text}+`, text.replace(")-", ")*")])
      expect(accepts(marks, wrong)).toBe(false);
  });

  it("of a schema", () => {
    const part = (op: string, most: number) => ({
      type: "object",
      properties: { of: { type: "array", items: { $ref: "#" }, minItems: 1, maxItems: most }, op: { const: op } },
      required: ["of", "op"],
      additionalProperties: false,
    });
    const schema = { anyOf: [part("and", 9), part("or", 9), part("not", 1), { enum: ["a", "b"] }] };
    const ops = list(depth, (i) => ["or", "not", "and"][i % 3]);
    const tree = (inside: string): string =>
      `${'{"of":['.repeat(depth)}${inside}${ops.map((op) => `],"op":"${op}"}`).join("")}`;
    const all = [tree('"b","a"'), tree('"a"'), tree('{"of":["a"],"op":"not"},"a"')];
    for (const text of depth > 50 ? all.slice(0, 1) : all) {
      expect(accepts({ kind: "jsonSchema", schema }, text)).toBe(true);
      // The text decides the outermost alternative last.
      expect(accepts({ kind: "jsonSchema", schema }, text.replace(/"\w+"\}$/u, '"nor"}'))).toBe(false);
    }
    if (depth > 50) return;
    for (const wrong of [tree('"c"'), tree('{"of":["a","b"],"op":"not"}'), tree('"b","a"').replace('"or"', '"not"')])
      expect(accepts({ kind: "jsonSchema", schema }, wrong)).toBe(false);
  });
});

it("alternatives of which some end where others go on are all kept, in a long text, too", () => {
  const letters = grammar('root ::= "a" root "b" | "a" root "c" | "a" root | "a"');
  expect(accepts(letters, `${"a".repeat(300)}${"bc".repeat(149)}`)).toBe(true);
  expect(accepts(letters, `${"a".repeat(300)}${"bc".repeat(149)}bb`)).toBe(false);
  const optional = grammar('root ::= "a" root "b"? | "a"');
  expect(accepts(optional, `${"a".repeat(900)}${"b".repeat(899)}`)).toBe(true);
  expect(accepts(optional, `${"a".repeat(900)}${"b".repeat(900)}`)).toBe(false);
  // The text is so long that the cache deletes states, which are computed again.
  const pairs = grammar('root ::= "a" root "b" | "a" root "c" | "a"');
  expect(accepts(pairs, `${"a".repeat(3000)}${"b".repeat(2999)}`)).toBe(true);
  expect(accepts(pairs, `${"a".repeat(3000)}${"b".repeat(3000)}`)).toBe(false);
});

/** A part of a rule: a character or another rule. The part occurs once, at most once, or any number of times. */
interface Part {
  readonly char: string | null;
  readonly rule: number;
  readonly sign: "" | "?" | "*";
}
type Rules = readonly (readonly (readonly Part[])[])[];

/** Each alternative begins with a character, so that no rule begins with itself. */
const randomRules = (seed: number): Rules => {
  const random = randomStream(randomKey(seed, "sampling"));
  const below = (n: number): number => Math.floor(random.uniform() * n);
  const char = (): Part => ({ char: "ab"[below(2)] ?? "a", rule: 0, sign: "" });
  const rule = (): Part => ({ char: null, rule: below(3), sign: (["", "?", "*"] as const)[below(3)] ?? "" });
  return list(3, () => [
    [char()],
    ...list(1 + below(3), () => [char(), ...list(below(4), () => (below(3) === 0 ? char() : rule()))]),
  ]);
};

const written = (rules: Rules): string =>
  [
    "root ::= r0",
    ...rules.map((options, i) => {
      const parts = options.map((option) =>
        option.map(({ char, rule, sign }) => (char === null ? `r${rule}${sign}` : `"${char}"`)),
      );
      return `r${i} ::= ${parts.map((option) => option.join(" ")).join(" | ")}`;
    }),
  ].join("\n");

/** Whether the first rule matches a text. Tries every possibility at each position. */
const isText = (rules: Rules, text: string): boolean => {
  const known = new Map<string, ReadonlySet<number>>();
  const endsOf = (rule: number, from: number): ReadonlySet<number> => {
    const key = `${rule},${from}`;
    const found = known.get(key) ?? new Set((rules[rule] ?? []).flatMap((option) => [...endsOfParts(option, from)]));
    known.set(key, found);
    return found;
  };
  const endsOfParts = (parts: readonly Part[], from: number): ReadonlySet<number> => {
    let places = new Set([from]);
    for (const { char, rule, sign } of parts) {
      const next = new Set(sign === "" ? [] : places);
      if (char !== null) {
        for (const at of places) if (text[at] === char) next.add(at + 1);
      } else {
        const open = [...places];
        for (let at = open.pop(); at !== undefined; at = open.pop()) {
          for (const end of endsOf(rule, at)) {
            if (sign === "*" && !next.has(end)) open.push(end);
            next.add(end);
          }
        }
      }
      places = next;
    }
    return places;
  };
  return endsOf(0, 0).has(text.length);
};

it("random grammars allow exactly their texts", () => {
  const [a = -1, b = -1] = tokenizer.encode("ab");
  let allowed = 0;
  for (let seed = 0; seed < 20; seed++) {
    const rules = randomRules(seed);
    const matcher = matcherOf(grammar(written(rules)), tokenizer);
    /** Whether a valid text begins with this prefix. Tries all texts of up to 7 characters. */
    const look = (text: string): boolean => {
      const isOwn = isText(rules, text);
      if (matcher.isComplete !== isOwn) expect([written(rules), text, matcher.isComplete]).toEqual([]);
      if (isOwn) allowed++;
      if (text.length === 7) return isOwn;
      let isBeginning = isOwn;
      for (const [id, char] of [
        [a, "a"],
        [b, "b"],
      ] as const) {
        const isAccepted = matcher.accept(id);
        // If the constraint refuses a prefix, no valid text of up to 7 characters begins with this prefix.
        const begins = isAccepted ? look(text + char) : isText(rules, text + char);
        if (!isAccepted && begins) expect([written(rules), text + char]).toEqual([]);
        if (isAccepted) matcher.rollback(1);
        isBeginning ||= begins;
      }
      return isBeginning;
    };
    look("");
  }
  expect(allowed).toBeGreaterThan(300);
});

it("masks have exactly the tokens that are accepted, among ways that were put together", () => {
  const pieces = jsonTokenizer();
  const value = (more: object) => ({
    type: "object",
    properties: { x: { $ref: "#" }, of: { type: "array", items: { $ref: "#" } }, ...more },
    required: ["x"],
    additionalProperties: false,
  });
  const schema = { anyOf: [value({ on: { const: true } }), value({ id: { type: "string" } }), { type: "null" }] };
  for (const text of [
    "",
    '{"x": {"x": nu',
    '{"x": {"of": [',
    '{"x":{"x":null},',
    '{"x":{"of":[],"x":null},"o',
    '{"id":"a',
  ]) {
    const matcher = matcherOf({ kind: "jsonSchema", schema }, pieces);
    for (const byte of new TextEncoder().encode(text)) expect([text, matcher.accept(byte)]).toEqual([text, true]);
    const own = new Set(allowedIds(matcher));
    for (let id = 0; id < pieces.vocabSize; id++)
      expect([text, id, own.has(id)]).toEqual([text, id, matcher.allows(id)]);
  }
});
