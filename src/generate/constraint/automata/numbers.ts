import { ConfigError } from "../../../core/errors/errors.ts";
import { charsOf } from "./char-set.ts";
import { both, type Dfa, explore, without } from "./dfa.ts";
import { dfaOf } from "./from-regex.ts";
import { parseRegex } from "./parse-regex.ts";
import { partitionOf } from "./partition.ts";

/** Numbers as a schema describes them. */
export interface NumberRange {
  readonly integer: boolean;
  /** None that is whole. */
  readonly fraction: boolean;
  readonly minimum: number;
  readonly maximum: number;
  readonly exclusiveMinimum: number;
  readonly exclusiveMaximum: number;
  readonly multiples: readonly number[];
}

export const allNumbers: NumberRange = {
  integer: false,
  fraction: false,
  minimum: Number.NEGATIVE_INFINITY,
  maximum: Number.POSITIVE_INFINITY,
  exclusiveMinimum: Number.NEGATIVE_INFINITY,
  exclusiveMaximum: Number.POSITIVE_INFINITY,
  multiples: [],
};

// Digits are limited so that every text is a finite number: JavaScript writes up to 21 of an integer, 17 that count.
const whole = "(0|[1-9][0-9]{0,20})";
const exponent = "([eE][-+]?(0|[1-9][0-9]?))";

/** The most automata that are kept, to be used again. */
const mostKept = 500;
const compiled = new Map<string, Dfa>();

const ofPattern = (pattern: string): Dfa => {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const made = dfaOf(parseRegex(pattern, "number"), "number");
  if (compiled.size >= mostKept) compiled.clear();
  compiled.set(pattern, made);
  return made;
};

/** The digits of a number without its sign: before and behind the point. */
const digitsOf = (value: number): readonly [string, string] => {
  const [, before = "", behind = "", power = "0"] =
    /^(\d+)(?:\.(\d+))?(?:e([-+]\d+))?$/u.exec(`${Math.abs(value)}`) ?? [];
  const shift = Number(power);
  const all = before + behind;
  const point = before.length + shift;
  const padded = point <= 0 ? "0".repeat(1 - point) + all : all.padEnd(point, "0");
  const place = Math.max(point, 1);
  return [padded.slice(0, place).replace(/^0+(?=\d)/u, ""), padded.slice(place).replace(/0+$/u, "")];
};

/** A pattern for numbers without a sign that are above a bound, or equal to it. */
const abovePattern = (value: number, orEqual: boolean): string => {
  const [before, behind] = digitsOf(value);
  const fraction = "(\\.[0-9]+)?";
  const options: string[] = [];
  if (before.length < 21) options.push(`[1-9][0-9]{${before.length},20}${fraction}`);
  for (let i = 0; i < before.length; i++) {
    const digit = Number(before[i]) + 1;
    if (digit <= 9) options.push(`${before.slice(0, i)}[${digit}-9][0-9]{${before.length - i - 1}}${fraction}`);
  }
  for (let i = 0; i < behind.length; i++) {
    const digit = Number(behind[i]) + 1;
    if (digit <= 9) options.push(`${before}\\.${behind.slice(0, i)}[${digit}-9][0-9]*`);
  }
  if (behind === "") options.push(orEqual ? `${before}${fraction}` : `${before}\\.0*[1-9][0-9]*`);
  else options.push(orEqual ? `${before}\\.${behind}[0-9]*` : `${before}\\.${behind}0*[1-9][0-9]*`);
  return options.join("|");
};

const unsigned = `${whole}(\\.[0-9]{1,20})?`;

/** The numbers of a pattern, and those of another pattern with a minus sign. */
const signed = (positive: string, negative: string): Dfa => ofPattern(`${positive}|-(${negative})`);

/** Numbers from a bound on. */
const fromBound = (bound: number): Dfa => {
  if (bound > 0) return ofPattern(abovePattern(bound, true));
  if (bound === 0) return ofPattern(unsigned);
  return without(signed(unsigned, unsigned), ofPattern(`-(${abovePattern(bound, false)})`), "number");
};

/** Numbers up to a bound. */
const toBound = (bound: number): Dfa => {
  if (bound < 0) return ofPattern(`-(${abovePattern(bound, true)})`);
  if (bound === 0) return signed("0(\\.0{1,20})?", unsigned);
  return without(signed(unsigned, unsigned), ofPattern(abovePattern(bound, false)), "number");
};

/** The number in memory after or before another one. */
const neighbour = (value: number, step: 1n | -1n): number => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  view.setBigInt64(0, view.getBigInt64(0) + (value > 0 ? step : -step));
  return view.getFloat64(0);
};

/** Whole numbers that a whole number divides, by the remainder of the digits so far. */
const multiplesOf = (divisor: number, where: string): Dfa => {
  if (!Number.isInteger(divisor) || divisor < 1 || divisor > 2000) {
    throw new ConfigError({ where, must: "multipleOf must be a whole number from 1 to 2000", got: `${divisor}` });
  }
  const { partition, members } = partitionOf(Array.from("0123456789-", (char) => charsOf(char)));
  const [minus = 0, ...classes] = members.map(([c]) => c ?? 0).toReversed();
  classes.reverse();
  const remainders = explore(partition, "0", where, (key) => {
    const targets: (string | null)[] = new Array(partition.count).fill(null);
    targets[minus] = key;
    classes.forEach((c, digit) => {
      targets[c] = String((Number(key) * 10 + digit) % divisor);
    });
    return { label: key === "0" ? 0 : -1, targets };
  });
  // With 15 digits all are exact in binary.
  return both(remainders, ofPattern("0|-?[1-9][0-9]{0,14}"), where);
};

const known = new Map<string, Dfa>();

/**
 * The texts of the numbers of a range.
 * @param where what a refusal names.
 */
export const numbersDfa = (range: NumberRange, where: string): Dfa => {
  const key = JSON.stringify(Object.values(range).map((value) => (typeof value === "number" ? `${value}` : value)));
  const made = known.get(key);
  if (made !== undefined) return made;
  const { integer, fraction, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multiples } = range;
  const parts: Dfa[] = [];
  if (multiples.length > 0) parts.push(...multiples.map((divisor) => multiplesOf(divisor, where)));
  else if (integer) parts.push(ofPattern("0|-?[1-9][0-9]{0,20}"));
  if (fraction) parts.push(ofPattern("-?(0|[1-9][0-9]{0,9})\\.[0-9]{0,4}[1-9]"));
  if (minimum > Number.NEGATIVE_INFINITY) parts.push(fromBound(minimum));
  if (maximum < Number.POSITIVE_INFINITY) parts.push(toBound(maximum));
  if (exclusiveMinimum === 0) parts.push(ofPattern(abovePattern(0, false)));
  else if (exclusiveMinimum > Number.NEGATIVE_INFINITY) parts.push(fromBound(neighbour(exclusiveMinimum, 1n)));
  if (exclusiveMaximum === 0) parts.push(ofPattern(`-(${abovePattern(0, false)})`));
  else if (exclusiveMaximum < Number.POSITIVE_INFINITY) parts.push(toBound(neighbour(exclusiveMaximum, -1n)));
  // Few digits, so that a number comes to its end.
  if (parts.length > 0) parts.push(ofPattern(`-?${unsigned}`));
  const [first = ofPattern(`-?${unsigned}${exponent}?`), ...rest] = parts;
  const dfa = rest.reduce((all, part) => both(all, part, where), first);
  if (known.size >= mostKept) known.clear();
  known.set(key, dfa);
  return dfa;
};
