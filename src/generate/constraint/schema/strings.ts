import { allChars, type CharSet } from "../automata/char-set.ts";
import { both, type Dfa, eitherOf, labelOf, listed, mostStates, textsOf, tooLarge, without } from "../automata/dfa.ts";
import { numbersDfa, plainNumbers, spellingsOf } from "../automata/numbers.ts";
import { partitionOf } from "../automata/partition.ts";
import { spend } from "../budget.ts";
import { type Conjunction, type Scalar, types } from "./conjunction.ts";

/** The allowed texts of a string: an automaton, and separate limits for the number of characters. */
export interface StringTexts {
  readonly dfa: Dfa;
  readonly least: number;
  readonly most: number;
}

/** All texts of `least` to `most` characters. */
const lengths = (least: number, most: number, where: string): Dfa => {
  const { partition, members } = partitionOf([allChars]);
  const size = (most < Number.POSITIVE_INFINITY ? most : least) + 1;
  if (size > mostStates) throw tooLarge(where);
  spend(size * partition.count, where);
  const next = new Int32Array(size * partition.count).fill(-1);
  const labels = Int32Array.from({ length: size }, (_, length) => (length >= least ? 0 : -1));
  for (const c of members[0] ?? []) {
    for (let state = 0; state < size; state++) {
      const to = state + 1 < size ? state + 1 : most < Number.POSITIVE_INFINITY ? -1 : state;
      next[state * partition.count + c] = to;
    }
  }
  return { partition, next, labels, start: 0 };
};

/** The automaton of all texts over an alphabet. Each alphabet has one such automaton. */
const freeTexts = new WeakMap<CharSet, Dfa>();

export const freeDfa = (alphabet: CharSet): Dfa => {
  const known = freeTexts.get(alphabet) ?? textsOf(alphabet);
  freeTexts.set(alphabet, known);
  return known;
};

/** One automaton for the texts of allowed length that `dfa` accepts. */
export const withLengths = ({ dfa, least, most }: StringTexts, where: string): Dfa =>
  least === 0 && most === Number.POSITIVE_INFINITY ? dfa : both(dfa, lengths(least, most, where), where);

/** The strings that a conjunction allows, if its values are not listed. Null if no string is allowed. */
export const stringTexts = (way: Conjunction, alphabet: CharSet): StringTexts | null => {
  const { dfas, minLength, maxLength } = way.string;
  if ((way.types & types.string) === 0 || minLength > maxLength) return null;
  const where = `schema: ${way.path}`;
  const excluded = way.notValues.filter((value) => typeof value === "string");
  const free = freeDfa(alphabet);
  const [first, ...rest] = dfas;
  let dfa = first === undefined ? free : rest.reduce((all, part) => both(all, part, where), first);
  if (first !== undefined && alphabet !== allChars) dfa = both(dfa, free, where);
  if (excluded.length > 0) dfa = without(dfa, listed(excluded, where), where);
  if (dfa.start < 0) return null;
  if (dfa === free) return { dfa, least: minLength, most: maxLength };
  dfa = withLengths({ dfa, least: minLength, most: maxLength }, where);
  return dfa.start < 0 ? null : { dfa, least: 0, most: Number.POSITIVE_INFINITY };
};

/** The numbers that a conjunction allows, if its values are not listed. Null if no number is allowed. */
export const numberTexts = (way: Conjunction): Dfa | null => {
  if ((way.types & types.number) === 0) return null;
  const where = `schema: ${way.path}`;
  const excluded = way.notValues.filter((value) => typeof value === "number");
  const all = numbersDfa(way.number, where);
  if (excluded.length === 0) return all.start < 0 ? null : all;
  const [first = spellingsOf(0), ...rest] = excluded.map(spellingsOf);
  const others = rest.reduce((found, part) => eitherOf(found, part, where), first);
  const dfa = without(both(all, plainNumbers(), where), others, where);
  return dfa.start < 0 ? null : dfa;
};

/** Whether a value meets the conjunction. */
export const meets = (way: Conjunction, value: Scalar): boolean => {
  const type = value === null ? types.null : types[typeof value as "boolean" | "number" | "string"];
  if ((way.types & type) === 0 || way.notValues.includes(value)) return false;
  if (typeof value === "number") {
    const { integer, fraction, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multiples } = way.number;
    return (
      (!integer || Number.isInteger(value)) &&
      (!fraction || !Number.isInteger(value)) &&
      value >= minimum &&
      value <= maximum &&
      value > exclusiveMinimum &&
      value < exclusiveMaximum &&
      multiples.every((divisor) => Number.isInteger(value / divisor))
    );
  }
  if (typeof value !== "string") return true;
  const length = Array.from(value).length;
  const { dfas, minLength, maxLength } = way.string;
  return length >= minLength && length <= maxLength && dfas.every((dfa) => labelOf(dfa, value) >= 0);
};

/** The values that a conjunction allows, as JSON: values in the schema, or null, true and false. */
export const listedValues = (way: Conjunction): readonly string[] => {
  const values: readonly Scalar[] = way.values ?? [null, true, false];
  spend(values.length * (1 + (way.notValues.length >> 4)), `schema: ${way.path}`);
  return values.filter((value) => meets(way, value)).map((value) => JSON.stringify(value));
};
