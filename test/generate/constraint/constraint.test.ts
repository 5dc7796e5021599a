import { describe, expect, it } from "vitest";
import { compileConstraint } from "#foretoken/generate/constraint/compile.js";
import type { Constraint } from "#foretoken/generate/constraint/constraint.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { byteTokenizer } from "../../support/byte-tokenizer.ts";
import { accepts, allowedIds, jsonTokenizer, matcherOf, randomText } from "../../support/constrained.ts";

const schema = (value: unknown): Constraint => ({ kind: "jsonSchema", schema: value });
const refusal = (constraint: Constraint, tokenizer = byteTokenizer()): string => {
  try {
    compileConstraint(constraint, tokenizer);
  } catch (error) {
    return String(error);
  }
  return "";
};

/** Objects with a required property. */
const needs = (name: string) => ({ type: "object", required: [name] }) as const;

describe("a constraint", () => {
  it("accepts JSON in any order of properties, compact and with indentation", () => {
    const person = schema({
      type: "object",
      properties: { name: { type: "string", minLength: 1 }, age: { type: "integer", minimum: 0, maximum: 150 } },
      required: ["name"],
      additionalProperties: false,
    });
    for (const value of [{ name: 'Jürgen "J" 😀\n' }, { age: 7, name: "x" }, { name: "x", age: 150 }]) {
      expect(accepts(person, JSON.stringify(value))).toBe(true);
      expect(accepts(person, JSON.stringify(value, null, 2))).toBe(true);
      expect(accepts(person, JSON.stringify(value, null, "\t"))).toBe(true);
    }
    for (const value of [
      {},
      { name: "" },
      { name: "x", age: 151 },
      { name: "x", age: 1.5 },
      { name: "x", other: 1 },
      [],
    ]) {
      expect([value, accepts(person, JSON.stringify(value))]).toEqual([value, false]);
    }
    expect(accepts(person, '{"name":"x","name":"y"}')).toBe(false);
  });

  it("is any object or array with json", () => {
    for (const text of ['{"a":[1,-2.5e3,null,{"b":"c"}]}', "[]", "[[[]]]"])
      expect(accepts({ kind: "json" }, text)).toBe(true);
    for (const text of ["1", "{", "[1,]", '{"a"}', "[01]"]) expect(accepts({ kind: "json" }, text)).toBe(false);
  });

  it("is a regular expression that matches the whole text", () => {
    const date: Constraint = { kind: "regex", pattern: "(19|20)\\d\\d-[01]\\d(-[0-3]\\d)?" };
    for (const text of ["1999-12", "2024-02-29"]) expect(accepts(date, text)).toBe(true);
    for (const text of ["1899-12", "2024-2", " 2024-02", "2024-02-"]) expect(accepts(date, text)).toBe(false);
  });

  it("is one of some texts, of which one may begin another", () => {
    const choice: Constraint = { kind: "choice", choices: ["yes", "yes please", "no"] };
    for (const text of ["yes", "yes please", "no"]) expect(accepts(choice, text)).toBe(true);
    for (const text of ["", "ye", "yes p", "non"]) expect(accepts(choice, text)).toBe(false);
  });

  it("is a grammar with recursion", () => {
    const sums: Constraint = {
      kind: "grammar",
      grammar: `# sums
        root ::= term ((" + " | " - ") term)*
        term ::= number | "(" root ")"
        number ::= "0" | [1-9] [0-9]{0,2}`,
    };
    for (const text of ["1", "(1 + 20) - 300", "((0))"]) expect(accepts(sums, text)).toBe(true);
    for (const text of ["", "01", "(1", "1 +", "1000"]) expect(accepts(sums, text)).toBe(false);
    const nested: Constraint = { kind: "grammar", grammar: 'root ::= "a" root? "b"' };
    for (const text of ["ab", "aaabbb"]) expect(accepts(nested, text)).toBe(true);
    expect(accepts(nested, "aab")).toBe(false);
  });

  it("allows the end of the text exactly where it is complete", () => {
    const tokenizer = byteTokenizer();
    const end = tokenizer.endOfText ?? -1;
    const matcher = matcherOf({ kind: "choice", choices: ["a", "ab"] }, tokenizer);
    expect(allowedIds(matcher)).toEqual([97]);
    expect(matcher.accept(end)).toBe(false);
    expect(matcher.accept(97)).toBe(true);
    expect(allowedIds(matcher)).toEqual([98, end]);
    expect([matcher.isComplete, matcher.isOver]).toEqual([true, false]);
    expect(matcher.accept(98)).toBe(true);
    expect([allowedIds(matcher), matcher.isOver]).toEqual([[end], true]);
    matcher.rollback(1);
    expect(matcher.accept(end)).toBe(true);
    expect([allowedIds(matcher), matcher.accept(98)]).toEqual([[], false]);
    matcher.rollback(2);
    expect(allowedIds(matcher)).toEqual([97]);
  });

  it("tells what must follow", () => {
    const tokenizer = byteTokenizer("colour", 3);
    const matcher = matcherOf(
      schema({
        type: "object",
        properties: { colour: { enum: ["red"] } },
        required: ["colour"],
        additionalProperties: false,
      }),
      tokenizer,
    );
    expect(matcher.forced(10)).toEqual(Array.from(tokenizer.encode("{")));
    for (const id of tokenizer.encode('{"')) expect(matcher.accept(id)).toBe(true);
    expect(tokenizer.decode(matcher.forced(10))).toBe('colour":');
    // The forced tokens equal the tokens into which the tokenizer splits this text.
    expect(matcher.forced(10)).toEqual(Array.from(tokenizer.encode('colour":')));
    expect(matcher.forced(1).length).toBe(1);
  });

  it("has masks of exactly those tokens that are accepted", () => {
    const tokenizer = jsonTokenizer();
    const constraint = schema({ type: "object", properties: { name: { maxLength: 4 }, id: { type: "integer" } } });
    for (const text of ["", "{", '{"na', '{"name": "ab', '{"name": "😀', '{"id": 1', '{"x": [1', '{"a":"\\']) {
      const matcher = matcherOf(constraint, tokenizer);
      for (const byte of new TextEncoder().encode(text)) expect([text, matcher.accept(byte)]).toEqual([text, true]);
      const allowed = new Set(allowedIds(matcher));
      for (let id = 0; id < tokenizer.vocabSize; id++)
        expect([text, id, allowed.has(id)]).toEqual([text, id, matcher.allows(id)]);
    }
  });

  it("writes with a vocabulary of characters what those can spell, and refuses the rest", () => {
    const digits = charTokenizer([...'{}[]:,"0123456789ab']);
    const list = schema({ type: "array", items: { enum: [1, "a", "ä", "b"] }, maxItems: 2 });
    for (let seed = 0; seed < 20; seed++) expect(randomText(list, seed, digits)).toMatch(/^\[((1|"a"|"b"),?){0,2}\]$/u);
    expect(refusal(schema({ enum: ["ä"] }), digits)).toMatch(/this vocabulary can write/u);
    expect(refusal({ kind: "regex", pattern: "c+" }, digits)).toMatch(/this vocabulary can write/u);
    expect(refusal({ kind: "choice", choices: ["a", "c"] }, digits)).toMatch(
      /constraint\.choices "c": must allow a text/u,
    );
    expect(refusal({ kind: "grammar", grammar: 'root ::= "c"' }, digits)).toMatch(/this vocabulary can write/u);
  });

  it.each([
    [{ type: "string", maxLenght: 3 }, "#/maxLenght: must be a keyword"],
    [{ properties: { a: { format: "colour" } } }, "#/properties/a/format: must be a known format"],
    [{ unevaluatedProperties: false }, "#/unevaluatedProperties: must be a keyword"],
    [{ type: "strin" }, "#/type: must be one of"],
    [{ $ref: "other.json" }, "#/$ref: must name a part of the same schema"],
    [{ $ref: "#" }, "must not refer to itself"],
    [{ pattern: "(?=a)b" }, "#/pattern: must be a regular expression"],
    [{ pattern: "(a)\\1" }, "got \\1"],
    [{ type: "array", items: {}, uniqueItems: true }, "#/uniqueItems: must apply to an array"],
    [{ multipleOf: 0.01 }, "must be a whole number from 1 to 2000"],
    [{ else: {} }, '#/else: must come with an "if"'],
    [false, "must allow a value"],
    [{ type: "string", minLength: 3, maxLength: 2 }, "must allow a value"],
    [{ type: "object", properties: { a: { $ref: "#" } }, required: ["a"] }, "#/properties/a: must allow a value"],
    [
      {
        ...needs("a"),
        properties: { a: { ...needs("b"), properties: { b: { type: "integer", minimum: 5, maximum: 3 } } } },
      },
      "schema: #/properties/a/properties/b: must allow a value",
    ],
    [{ ...needs("a"), properties: {}, additionalProperties: false }, '#/required: "a": must allow a value'],
    [{ type: "array", items: [true, { enum: [] }], minItems: 2 }, "#/items/1: must allow a value"],
    [
      {
        ...needs("a"),
        properties: { a: { $ref: "#/$defs/none" } },
        $defs: { none: { type: "array", items: false, minItems: 1 } },
      },
      "#/$defs/none/items: must allow a value",
    ],
    [
      {
        anyOf: [
          { ...needs("a"), properties: { a: false } },
          { type: "string", minLength: 2, maxLength: 1 },
        ],
      },
      "#/anyOf/0/properties/a: must allow a value",
    ],
    [{ const: 2 ** 53 }, "#/const: must have numbers below 2^53"],
    [{ enum: [1, -(2 ** 60)] }, "#/enum: must have numbers below 2^53"],
    [{ const: { a: [2 ** 53] } }, "must have numbers below 2^53"],
    [3, "must be a JSON Schema"],
    [{ minLength: -1 }, "#/minLength: must be a whole number"],
  ])("refuses %j in one line", (value, message) => {
    expect(refusal(schema(value))).toContain(message);
    expect(refusal(schema(value))).not.toContain("\n");
  });

  it.each([
    ['start ::= "a"', "must have a rule named root"],
    ["root ::= other", "must use only rules of the grammar"],
    ['root ::= root "a" | "a"', "left recursion"],
    ['root ::= "a', "line 1: must have rules"],
    ['root ::= ("a"', "a group must end"],
    ['root ::= "a"\nroot ::= "b"', "line 2: a rule must be defined only once"],
    ['root ::= "a" root', "this vocabulary can write"],
    ['root ::= (root?)* "a"', "must not"],
  ])("refuses the grammar %j", (grammar, message) => {
    expect(refusal({ kind: "grammar", grammar })).toContain(message);
  });
});
