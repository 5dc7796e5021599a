/** Constraints that would take minutes. Such constraints are refused early, with an error of one line. */
import { describe, expect, it } from "vitest";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { within } from "#foretoken/generate/constraint/budget.js";
import { compileConstraint } from "#foretoken/generate/constraint/compile.js";
import type { Constraint } from "#foretoken/generate/constraint/constraint.js";
import { byteTokenizer } from "../../support/byte-tokenizer.ts";
import { accepts, allowedIds, matcherOf } from "../../support/constrained.ts";

const tokenizer = byteTokenizer();
const list = <T>(length: number, of: (i: number) => T): T[] => Array.from({ length }, (_, i) => of(i));
const schema = (value: unknown): Constraint => ({ kind: "jsonSchema", schema: value });
const regex = (pattern: string): Constraint => ({ kind: "regex", pattern });
const grammar = (text: string): Constraint => ({ kind: "grammar", grammar: text });

/** A schema in which each definition refers twice to the previous definition. */
const doubled = (keyword: string, first: unknown): Constraint => {
  const $defs = Object.fromEntries(
    list(40, (i) => {
      const before = { $ref: `#/$defs/d${i - 1}` };
      return [`d${i}`, i === 0 ? first : { [keyword]: [before, before] }];
    }),
  );
  return schema({ $defs, $ref: "#/$defs/d39" });
};

const nested = (levels: number): unknown => {
  let inside: unknown = {};
  for (let i = 0; i < levels; i++) inside = { items: inside };
  return inside;
};

const states = "must fit into an automaton of at most 60000 states";
const simple = "must be simple enough to be computed within a second";
const deep = "must be nested less deeply";

/** This constraint uses the whole budget of steps. */
const whole = "references that double";

const hostile: Readonly<Record<string, readonly [Constraint, string]>> = {
  "a pattern and a length of a thousand million": [schema({ pattern: "a", maxLength: 1e9 }), states],
  "names of a thousand million characters": [schema({ propertyNames: { maxLength: 1e9 } }), states],
  "patterns that must all be found": [
    schema({ allOf: list(16, (i) => ({ pattern: String.fromCharCode(97 + i) })) }),
    states,
  ],
  [whole]: [doubled("allOf", { pattern: "a" }), simple],
  "alternatives that double and allow nothing": [doubled("anyOf", false), simple],
  "alternatives each of which excludes all others": [
    schema({ oneOf: list(390, (i) => ({ type: "object", properties: { a: { const: i } }, required: ["a"] })) }),
    simple,
  ],
  "different items of a long list": [schema({ items: { enum: list(8000, (i) => i) }, uniqueItems: true }), simple],
  "a name of many different characters": [
    schema({ properties: { [list(8000, (i) => String.fromCodePoint(0x4e00 + i)).join("")]: {} } }),
    simple,
  ],
  "numbers that are left out": [schema({ type: "number", not: { enum: list(4000, (i) => i * 1.25) } }), simple],
  "an expression whose states are sets of places": [regex("[ab]*a[ab]{5000}"), states],
  "nested quantifiers": [regex("(((a|ab|b){1,60}){1,60}){1,60}"), "must have at most 480000 parts"],
  "a repetition of nothing": [regex("(((){99999}){99999}){99999}"), simple],
  "gaps that overlap": [regex("(.*a.*b){2000}"), simple],
  "classes that overlap": [regex(list(2000, (i) => `[一-${String.fromCodePoint(0x4e00 + i)}]`).join("")), simple],
  "groups in groups": [regex(`${"(".repeat(20_000)}a${")".repeat(20_000)}`), deep],
  "rules that double": [
    grammar(`${list(60, (i) => `r${i} ::= r${i + 1} r${i + 1}`).join("\n")}\nr60 ::= "a"\nroot ::= r0`),
    simple,
  ],
  "groups of a grammar in groups": [grammar(`root ::= ${"(".repeat(20_000)}"a"${")".repeat(20_000)}`), deep],
};

/**
 * After this number of steps, it is certain that the budget will stop the work. If each test used the whole budget, it
 * would take a second.
 */
const someSteps = 1_000_000;

describe("a constraint that is too much is refused in one line", () => {
  it.each(Object.entries(hostile))("%s", (name, [constraint, must]) => {
    expect(JSON.stringify(constraint).length).toBeLessThan(65_536);
    const compile = () => compileConstraint(constraint, tokenizer);
    let thrown: unknown;
    try {
      if (must === simple && name !== whole) within(someSteps, "test", compile);
      else compile();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ConfigError);
    const { message } = thrown as ConfigError;
    expect(message).toContain(must);
    expect(message).toMatch(/^[^\n]+; got [^\n]+; try [^\n]+$/u);
  });
});

describe("a constraint that is large, but no more than that, is not refused", () => {
  it.each<[string, Constraint, string]>([
    ["a length without a pattern", schema({ maxLength: 1e9 }), '"abc"'],
    ["a hundred levels", schema(nested(100)), `${"[".repeat(99)}1${"]".repeat(99)}`],
    [
      "a thousand properties",
      schema({ properties: Object.fromEntries(list(1000, (i) => [`k${i}`, {}])) }),
      '{"k999":1}',
    ],
    ["ten thousand values", schema({ enum: list(10_000, (i) => `v${i}`) }), '"v9999"'],
    ["an expression of a thousand alternatives", regex(list(1000, (i) => `${i}x`).join("|")), "999x"],
    [
      "sixty alternatives",
      schema({ oneOf: list(60, (i) => ({ type: "object", properties: { k: { const: i } }, required: ["k"] })) }),
      '{"k":59}',
    ],
  ])("%s", (_, constraint, text) => {
    expect(accepts(constraint, text, tokenizer)).toBe(true);
  });
});

it("a text that can be read in too many ways ends with one line, and is as it was before", () => {
  // All alternatives and all nested alternatives begin with an "a".
  const options = list(80, (i) => `"a" inside "${i}"`);
  const matcher = matcherOf(grammar(`root ::= "(" inside\ninside ::= ${options.join(" | ")} | "b"`), tokenizer);
  const [open = -1, a = -1, b = -1] = tokenizer.encode("(ab");
  expect(matcher.accept(open)).toBe(true);
  expect(() => within(300_000, "test", () => matcher.accept(a))).toThrow(
    /^constraint: must be simple enough to be computed within a second; got [^\n]+; try [^\n]+$/u,
  );
  expect([matcher.isComplete, matcher.allows(b)]).toEqual([false, true]);
  matcher.rollback(1);
  expect(allowedIds(matcher)).toEqual([open]);
});
