import { describe, expect, it } from "vitest";
import { compileConstraint } from "#foretoken/generate/constraint/compile.js";
import type { Constraint } from "#foretoken/generate/constraint/constraint.js";
import { asField } from "#foretoken/generate/constraint/fields.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { byteTokenizer } from "../../support/byte-tokenizer.ts";
import { accepts, allowedIds, jsonTokenizer, matcherOf, randomText } from "../../support/constrained.ts";

const text = (value: string): Constraint => ({ kind: "choice", choices: [value] });
const object = (properties: Record<string, unknown>): Constraint => ({
  kind: "jsonSchema",
  schema: { type: "object", properties, required: Object.keys(properties), additionalProperties: false },
});
const call: Constraint = {
  kind: "sequence",
  parts: [
    text("<"),
    {
      kind: "either",
      options: [
        { kind: "sequence", parts: [text("a:"), object({ x: { type: "integer" } })] },
        { kind: "sequence", parts: [text("ab:"), { kind: "regex", pattern: "[0-9]*" }] },
      ],
    },
    {
      kind: "repeat",
      part: { kind: "sequence", parts: [text(";"), { kind: "grammar", grammar: 'root ::= "(" root? ")"' }] },
    },
    text(">"),
  ],
};

describe("constraints that are put together", () => {
  it("allow exactly what their parts allow, one after the other", () => {
    for (const good of ['<a:{"x":12}>', "<ab:>", "<ab:07;(());()>", '<a:{\n    "x": 1\n};()>']) {
      expect([good, accepts(call, good)]).toEqual([good, true]);
    }
    for (const bad of [
      "",
      "<",
      '<a:{"x":1}',
      "<ab:x>",
      "<ab:1;>",
      "<ab:1;(()>",
      '<ab:{"x":1}>',
      '<a:{\n        "x": 1\n}>',
    ]) {
      expect([bad, accepts(call, bad)]).toEqual([bad, false]);
    }
  });

  it("can be written by tokens that go across their parts", () => {
    const tokenizer = jsonTokenizer();
    for (let seed = 0; seed < 10; seed++) {
      const written = randomText(call, seed, tokenizer);
      if (written !== null) expect(accepts(call, written)).toBe(true);
    }
  });

  it("name a part that cannot be", () => {
    const refusal = (constraint: Constraint): string => {
      try {
        compileConstraint(constraint, byteTokenizer());
      } catch (error) {
        return String(error);
      }
      return "";
    };
    expect(refusal({ kind: "repeat", part: { kind: "regex", pattern: "a*" } })).toMatch(
      /constraint\.part: a repeated part must not allow the empty text/u,
    );
    expect(refusal({ kind: "token", name: "<|no|>" })).toMatch(
      /constraint\.name: must be the name of a special token; got "<\|no/u,
    );
    expect(refusal({ kind: "sequence", parts: [{ kind: "trigger", marker: "a", rest: text("b") }] })).toMatch(
      /constraint\.parts\.0: a trigger must be the whole constraint/u,
    );
    expect(refusal({ kind: "sequence", parts: [object({ x: { type: "integer", minimun: 1 } })] })).toMatch(
      /^ConfigError: constraint\.parts\.0\.schema: #\/properties\/x\/minimun: must be a keyword/u,
    );
    const options = [text("a"), { kind: "grammar", grammar: "start ::= 1" } as const];
    expect(refusal({ kind: "repeat", part: { kind: "either", options } })).toMatch(
      /^ConfigError: constraint\.part\.options\.1\.grammar: line 1: must have rules/u,
    );
    const named = (): unknown =>
      asField("--json-schema $&.json", () =>
        compileConstraint({ kind: "jsonSchema", schema: { x: 1 } }, byteTokenizer()),
      );
    expect(named).toThrow("--json-schema $&.json: #/x: must be a keyword");
    const deep: Constraint = { kind: "regex", pattern: `${"(".repeat(20_000)}${")".repeat(20_000)}` };
    expect(refusal({ kind: "sequence", parts: [deep] })).toMatch(
      /^ConfigError: constraint\.parts\.0\.pattern: must be nested less deeply/u,
    );
  });
});

describe("a trigger", () => {
  const anywhere: Constraint = { kind: "trigger", marker: "<<a", rest: text("b>") };
  const first: Constraint = { kind: "trigger", marker: "{", atStart: true, rest: text("b}") };

  it("lets any text be until its marker comes", () => {
    for (const good of ["", "so be it", "<<", "<<b", "é<<<ab>", "a <<ab>"]) {
      expect([good, accepts(anywhere, good)]).toEqual([good, true]);
    }
    for (const bad of ["<<a", "<<ac", "x<<<<ab", "<<ab> and", "<<ab><<ab>"]) {
      expect([bad, accepts(anywhere, bad)]).toEqual([bad, false]);
    }
  });

  it("counts at the beginning alone, if it is told so", () => {
    for (const good of ["", " \n", "a {", "  {b}", "{b}"]) expect([good, accepts(first, good)]).toEqual([good, true]);
    for (const bad of ["{", " {a", "{b}."]) expect([bad, accepts(first, bad)]).toEqual([bad, false]);
  });

  it("is a special token of its name, too, and no other special token is in the text", () => {
    const tokenizer = charTokenizer([..."abc[]"], ["<end>", "[a]", "<x>"]);
    const [end = -1, mark = -1, other = -1] = tokenizer.specialTokens.map(({ id }) => id);
    const constraint: Constraint = {
      ...{ kind: "trigger", marker: "[a]" },
      rest: { kind: "sequence", parts: [text("b"), { kind: "token", name: "<x>" }] },
    };
    const matcher = compileConstraint(constraint, tokenizer).matcher([end]);
    const [a = -1, b = -1] = tokenizer.encode("ab");
    expect(allowedIds(matcher)).toEqual(expect.arrayContaining([a, b, end, mark]));
    expect(allowedIds(matcher)).not.toContain(other);
    expect(matcher.accept(a) && matcher.accept(mark)).toBe(true);
    expect(allowedIds(matcher)).toEqual([b]);
    expect(matcher.accept(mark)).toBe(false);
    expect(matcher.accept(b)).toBe(true);
    expect(allowedIds(matcher)).toEqual([other]);
    expect(matcher.forced(3)).toEqual([]);
    expect(matcher.accept(other) && matcher.isOver).toBe(true);
    matcher.rollback(2);
    expect(allowedIds(matcher)).toEqual([b]);
    const spelt = matcherOf(constraint, tokenizer);
    for (const id of tokenizer.encode("c[a]")) expect(spelt.accept(id)).toBe(true);
    expect(spelt.isComplete).toBe(false);
  });
});
