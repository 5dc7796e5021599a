import { expect, test } from "vitest";
import { allChars } from "#foretoken/generate/constraint/automata/char-set.js";
import { both, labelOf, listed, textsOf, without } from "#foretoken/generate/constraint/automata/dfa.js";
import { dfaOf } from "#foretoken/generate/constraint/automata/from-regex.js";
import { anywhere, parseRegex } from "#foretoken/generate/constraint/automata/parse-regex.js";

const patterns = [
  "",
  "a",
  "^a",
  "a$",
  "^a|b$",
  "^(a|b)*c$",
  "^[a-c]{2,3}$",
  "^$",
  "^[^a-c\\s]+$",
  "\\d{3}-\\d{2}",
  "^(?:ab?){2,}$",
  "^\\u{1f600}é.$",
  "^[\\w.+-]+@[a-z]+\\.(com|org)$",
  "^.{0,3}$",
  "a^b",
  "(^|,)x($|,)",
  "^\\p{Lu}+$",
];
const texts = [
  "",
  "a",
  "b",
  "ab",
  "ba",
  "abc",
  "aab",
  "aabc",
  "cc",
  "12",
  "123-45",
  "x123-456",
  "😀éa",
  "a.b@c.com",
  "x",
  "a,x",
  "x,b",
  "ax",
  "ÄB",
  "\n",
  "  ",
  "abab",
  "aba",
];

test.each(patterns)("an automaton matches what RegExp matches: %j", (pattern) => {
  const dfa = dfaOf(anywhere(parseRegex(pattern, "pattern")), "pattern");
  const expression = new RegExp(pattern, "u");
  for (const text of texts) expect([text, labelOf(dfa, text) === 0]).toEqual([text, expression.test(text)]);
});

test("automata are joined and subtracted", () => {
  const words = listed(["a", "ab", "b"]);
  const short = dfaOf(parseRegex("[ab]", "pattern"), "pattern");
  expect(labelOf(both(words, short, "x"), "b")).toBe(2);
  expect(labelOf(both(words, short, "x"), "ab")).toBe(-1);
  expect(labelOf(without(words, short, "x"), "ab")).toBe(1);
  expect(labelOf(without(textsOf(allChars), words, "x"), "ab")).toBe(-1);
  expect(labelOf(without(textsOf(allChars), words, "x"), "abc")).toBe(0);
  expect(without(words, textsOf(allChars), "x").start).toBe(-1);
});

test.each([
  "a**",
  "a{2}*",
  "\\A",
  "a\\Z",
  "\\-",
  "a{",
  "{1}",
  "]",
  "}",
  "[\\w-z]",
  "\\u{110000}",
  "\\x1",
  "(?<a>.)(?<a>.)",
  "(?<1>.)",
  "\\01",
  "\\c1",
  "+",
])("what is no expression of JavaScript is refused: %j", (pattern) => {
  expect(() => new RegExp(pattern, "u")).toThrow();
  expect(() => parseRegex(pattern, "here")).toThrow(/^here: must be a regular expression of [^\n]+; got [^\n]+$/u);
});

test.each([
  ["x[a-z", 'must have a ] for the [ at character 2; got no ] after "[a-z"'],
  ["a(b", 'must have a ) for the ( at character 2; got no ) after "(b"'],
  ["(?<name", 'must have a > for the < at character 3; got no > after "<name"'],
  ["\\u{12", 'must have a } for the { at character 3; got no } after "{12"'],
  ["a\\", 'must have a character after its last backslash; got "a\\\\"'],
  ["ab)", 'got a ) without a ( at character 3 of "ab)"'],
  ["ab[z-a]", 'got a range with its end before its beginning at character 6 of "ab[z-a]"'],
  ["ab\\y", 'got \\y at character 3 of "ab\\\\y"'],
  ["+", 'got + behind nothing at character 1 of "+"'],
])("a broken expression is refused with the place and what is missing: %j", (pattern, words) => {
  expect(() => parseRegex(pattern, "here")).toThrow(words);
});

test("patterns of schemas may have a backslash before signs, as without the flag u, but not before letters", () => {
  const dfa = dfaOf(parseRegex("[\\w\\-]+\\@\\_", "here", "lenient"), "here");
  expect(labelOf(dfa, "a-b@_")).toBe(0);
  for (const pattern of ["\\A", "a**", "\\07"])
    expect(() => parseRegex(pattern, "here", "lenient")).toThrow(/^here: /u);
});
