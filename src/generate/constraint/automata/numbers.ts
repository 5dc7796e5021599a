import { ConfigError } from "../../../core/errors/errors.ts";
import { spend } from "../budget.ts";
import { charsOf } from "./char-set.ts";
import { both, type Dfa, explore } from "./dfa.ts";
import { dfaOf } from "./from-regex.ts";
import { parseRegex } from "./parse-regex.ts";
import { partitionOf } from "./partition.ts";

/** Limits of numbers in a schema. */
export interface NumberRange {
  readonly integer: boolean;
  /** Whether whole numbers are excluded. */
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

// The number of digits is limited, so that every text ends and is a finite number. JavaScript writes integers with up
// to 21 digits, and at most 17 significant digits.
const mostBefore = 21;
const mostBehind = 20;
const whole = `(0|[1-9][0-9]{0,${mostBefore - 1}})`;
const exponent = "([eE][-+]?(0|[1-9][0-9]?))";

/** Maximum number of automata in a cache. */
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

/** The digits of a number without its sign: the digits before the decimal point, and the digits after it. */
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

/** Result of comparing a number with a bound: below, equal or above. */
type Order = -1 | 0 | 1;

/**
 * The numbers that satisfy a condition: `holds` is true for the result of comparing a number with the bound. Digits are
 * compared one by one, so the number of states is about the number of digits, for any bound. An integer with more
 * digits is larger. If two integers have the same number of digits, the first digit that differs decides.
 */
const comparedWith = (bound: number, holds: (order: Order) => boolean): Dfa => {
  const [before, behind] = digitsOf(bound);
  /**
   * @param order result of comparing the digits of the number with the digits of the bound, both without their signs.
   */
  const isWanted = (isNegative: boolean, order: Order): boolean => {
    if (isNegative) return holds(bound > 0 ? -1 : (-order as Order));
    return holds(bound < 0 ? 1 : order);
  };
  const orderOf = (digit: number, other: string | undefined): Order => Math.sign(digit - Number(other ?? "0")) as Order;
  const ofInteger = (count: number, order: Order): Order =>
    count === before.length ? order : count < before.length ? -1 : 1;
  /**
   * Key of a state. The key contains the sign, the current part of the number, the number of digits of this part, and
   * the result of their comparison. If sign and result are empty after the point, the number already satisfies `holds`.
   */
  const keyOf = (
    sign: string,
    part: "whole" | "zero" | "point" | "behind",
    count: number,
    order: Order,
  ): string | null => {
    if (part === "whole" || part === "zero" || order === 0) return `${sign} ${part} ${count} ${order}`;
    return isWanted(sign === "-", order) ? ` ${part} ${count} ` : null;
  };
  const firstDigit = (sign: string, digit: number): string | null =>
    keyOf(sign, digit === 0 ? "zero" : "whole", 1, orderOf(digit, before[0]));
  const afterDigit = (key: string, digit: number): string | null => {
    const [sign = "", part = "", text = "", orderText = ""] = key.split(" ");
    const count = Number(text);
    if (part === "") return firstDigit(sign, digit);
    const order = Number(orderText) as Order;
    if (part === "zero") return null;
    if (part === "whole") {
      return count === mostBefore
        ? null
        : keyOf(sign, part, count + 1, order === 0 ? orderOf(digit, before[count]) : order);
    }
    if (count === mostBehind) return null;
    if (orderText === "") return ` behind ${count + 1} `;
    return keyOf(sign, "behind", count + 1, orderOf(digit, behind[count]));
  };
  const labelOfKey = (key: string): number => {
    const [sign = "", part = "", text = "", orderText = ""] = key.split(" ");
    if (part === "" || part === "point") return -1;
    if (orderText === "") return 0;
    const count = Number(text);
    const own = part === "behind" ? 0 : ofInteger(count, Number(orderText) as Order);
    const isShorter = own === 0 && behind.length > (part === "behind" ? count : 0);
    return isWanted(sign === "-", isShorter ? -1 : own) ? 0 : -1;
  };
  const { partition, members } = partitionOf(
    Array.from("0123456789-.", (char) => charsOf(char)),
    "number",
  );
  return explore(partition, "", "number", (key) => {
    // Keys are strings in this automaton. So a state needs more time than in other automata.
    spend(4 * partition.count, "number");
    const targets: (string | null)[] = new Array(partition.count).fill(null);
    const [sign = "", part = "", text = "", orderText = ""] = key.split(" ");
    members.forEach(([c = 0], place) => {
      if (place < 10) targets[c] = afterDigit(key, place);
      else if (place === 10) targets[c] = key === "" ? "-" : null;
      else if (part === "whole" || part === "zero") {
        targets[c] = keyOf(sign, "point", 0, ofInteger(Number(text), Number(orderText) as Order));
      }
    });
    return { label: labelOfKey(key), targets };
  });
};

const unsigned = `${whole}(\\.[0-9]{1,${mostBehind}})?`;

/** `fromBound`: numbers that are at least the bound. `toBound`: numbers that are at most the bound. */
const fromBound = (bound: number): Dfa =>
  // Only zero could follow a minus sign. The minus sign is left out, because it would mislead the model.
  bound === 0 ? ofPattern(unsigned) : comparedWith(bound, (order) => order >= 0);
const toBound = (bound: number): Dfa => comparedWith(bound, (order) => order <= 0);

/** The adjacent double. 1n gives the next larger double, -1n gives the next smaller double. `value` must not be 0. */
const neighbour = (value: number, step: 1n | -1n): number => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  view.setBigInt64(0, view.getBigInt64(0) + (value > 0 ? step : -step));
  return view.getFloat64(0);
};

/**
 * Whether a number in a schema may have been rounded when the schema was parsed. If a bound may be rounded, it is moved
 * to the adjacent double on the stricter side. Every written number then also meets the exact bound in the schema's
 * text.
 */
export const isRounded = (value: number): boolean => Math.abs(value) > Number.MAX_SAFE_INTEGER;

/** Numbers without an exponent. */
export const plainNumbers = (): Dfa => ofPattern(`-?${unsigned}`);

/**
 * All spellings without an exponent that parse to this number. For 1, examples are 1 and 1.0, and also longer numbers
 * that are rounded to 1.
 */
export const spellingsOf = (value: number): Dfa => {
  if (value === 0) return comparedWith(0, (order) => order === 0);
  const above = comparedWith(neighbour(value, -1n), (order) => order > 0);
  return both(
    above,
    comparedWith(neighbour(value, 1n), (order) => order < 0),
    "number",
  );
};

/** Multiples of a whole number. A state is the remainder of the number that consists of the digits so far. */
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
  // At most 15 digits, because a double represents all integers of up to 15 digits exactly.
  return both(remainders, ofPattern("0|-?[1-9][0-9]{0,14}"), where);
};

const known = new Map<string, Dfa>();

/** @throws ConfigError for a bound that no written number can meet. */
const checkBounds = (range: NumberRange, where: string): void => {
  for (const [name, beyond] of [
    ["minimum", range.minimum],
    ["exclusiveMinimum", range.exclusiveMinimum],
    ["maximum", -range.maximum],
    ["exclusiveMaximum", -range.exclusiveMaximum],
  ] as const) {
    if (beyond < 10 ** mostBefore) continue;
    const side = name.endsWith("inimum") ? "below 1e" : "above -1e";
    throw new ConfigError({
      where,
      must: `${name} must be ${side}${mostBefore}: numbers are written with at most ${mostBefore} digits before the point`,
      got: `${range[name]}`,
    });
  }
};

/**
 * The automaton for the numbers in a range.
 * @param where the place in the schema, for errors.
 */
export const numbersDfa = (range: NumberRange, where: string): Dfa => {
  const key = JSON.stringify(Object.values(range).map((value) => (typeof value === "number" ? `${value}` : value)));
  const made = known.get(key);
  if (made !== undefined) return made;
  const { integer, fraction, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multiples } = range;
  checkBounds(range, where);
  const parts: Dfa[] = [];
  if (multiples.length > 0) parts.push(...multiples.map((divisor) => multiplesOf(divisor, where)));
  else if (integer) parts.push(ofPattern(`0|-?[1-9][0-9]{0,${mostBefore - 1}}`));
  if (fraction) parts.push(ofPattern("-?(0|[1-9][0-9]{0,9})\\.[0-9]{0,4}[1-9]"));
  if (minimum > Number.NEGATIVE_INFINITY) parts.push(fromBound(isRounded(minimum) ? neighbour(minimum, 1n) : minimum));
  if (maximum < Number.POSITIVE_INFINITY) parts.push(toBound(isRounded(maximum) ? neighbour(maximum, -1n) : maximum));
  if (exclusiveMinimum === 0) parts.push(comparedWith(0, (order) => order > 0));
  else if (exclusiveMinimum > Number.NEGATIVE_INFINITY) parts.push(fromBound(neighbour(exclusiveMinimum, 1n)));
  if (exclusiveMaximum === 0) parts.push(comparedWith(0, (order) => order < 0));
  else if (exclusiveMaximum < Number.POSITIVE_INFINITY) parts.push(toBound(neighbour(exclusiveMaximum, -1n)));
  const [first = ofPattern(`-?${unsigned}${exponent}?`), ...rest] = parts;
  const dfa = rest.reduce((all, part) => both(all, part, where), first);
  if (known.size >= mostKept) known.clear();
  known.set(key, dfa);
  return dfa;
};
