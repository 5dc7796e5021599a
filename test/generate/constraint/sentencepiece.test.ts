/** Vocabularies in the style of SentencePiece: ▁ stands for a space, and bytes have tokens such as <0x0A>. */
import { describe, expect, it } from "vitest";
import { compileConstraint } from "#foretoken/generate/constraint/compile.js";
import type { Constraint } from "#foretoken/generate/constraint/constraint.js";
import { loadTokenizer } from "#foretoken/tokenizer/registry.js";
import { accepts, allowedIds, matcherOf, randomText } from "../../support/constrained.ts";
import { fixture } from "../../tokenizer/fixture.js";

const tokenizer = await loadTokenizer(fixture.others.llama2.json);
const ids = Array.from({ length: tokenizer.vocabSize }, (_, id) => id);
const byteToken = (byte: number): number =>
  ids.find((id) => tokenizer.bytes(id).length === 1 && tokenizer.bytes(id)[0] === byte) ?? -1;
const schema = {
  type: "object",
  properties: { name: { type: "string", maxLength: 6 }, on: { type: "boolean" }, of: { enum: ["so", "the 😀"] } },
  required: ["name", "of"],
  additionalProperties: false,
};

describe("a vocabulary with ▁ and tokens of bytes", () => {
  it("has masks of exactly those tokens that are accepted", () => {
    const constraints: readonly Constraint[] = [
      { kind: "jsonSchema", schema },
      { kind: "regex", pattern: "the [a-z ]+\\n😀?" },
      { kind: "choice", choices: ["the time", " the time", "é\n"] },
    ];
    for (const constraint of constraints) {
      const matcher = matcherOf(constraint, tokenizer);
      for (let step = 0; step < 12 && !matcher.isOver; step++) {
        const allowed = allowedIds(matcher);
        expect(allowed).toEqual(ids.filter((id) => matcher.allows(id)));
        // Each draw chooses another token, so that many kinds of tokens are tested.
        expect(matcher.accept(allowed[(step * 7) % allowed.length] ?? -1)).toBe(true);
      }
    }
  });

  it("takes a space at the beginning only where the constraint has one", () => {
    const [first = -1] = tokenizer.encode("the");
    expect(new TextDecoder().decode(tokenizer.bytes(first)).startsWith(" ")).toBe(true);
    expect(matcherOf({ kind: "regex", pattern: "the.*" }, tokenizer).allows(first)).toBe(false);
    expect(matcherOf({ kind: "regex", pattern: " the.*" }, tokenizer).allows(first)).toBe(true);
  });

  it("writes characters without a token by their bytes, and nothing else in between", () => {
    const matcher = matcherOf({ kind: "choice", choices: ["🦔\n"] }, tokenizer);
    for (const byte of new TextEncoder().encode("🦔\n")) {
      const id = byteToken(byte);
      expect(allowedIds(matcher)).toContain(id);
      expect(allowedIds(matcher).every((other) => tokenizer.bytes(other)[0] === byte)).toBe(true);
      expect(matcher.accept(id)).toBe(true);
    }
    expect(matcher.isOver).toBe(true);
    expect(tokenizer.decode(matcherOf({ kind: "choice", choices: ["🦔\n"] }, tokenizer).forced(10))).toBe("🦔\n");
  });

  it("writes values of a schema", () => {
    for (let seed = 0; seed < 10; seed++) {
      const text = randomText({ kind: "jsonSchema", schema }, seed, tokenizer) ?? "";
      expect([text, accepts({ kind: "jsonSchema", schema }, text)]).toEqual([text, true]);
      expect(JSON.parse(text)).toMatchObject({ name: expect.any(String), of: expect.stringMatching(/^(so|the 😀)$/u) });
    }
  });
});

it("a vocabulary without tokens of bytes is refused what it cannot spell", async () => {
  const pieces = await loadTokenizer(fixture.others.unigram.json);
  expect(() => compileConstraint({ kind: "choice", choices: ["🦔"] }, pieces)).toThrow(
    /that this vocabulary can write/u,
  );
  const matcher = matcherOf({ kind: "regex", pattern: " ?the [a-z ]{1,9}" }, pieces);
  const allowed = allowedIds(matcher);
  expect(allowed.map((id) => pieces.token(id))).toContain("the");
  expect(allowed).toEqual(Array.from({ length: pieces.vocabSize }, (_, id) => id).filter((id) => matcher.allows(id)));
});
