import { type Dfa, eitherOf, labelOf, listed, product, without } from "../automata/dfa.ts";
import { spend } from "../budget.ts";
import { type Conjunction, type Literal, types } from "./conjunction.ts";
import { refused } from "./document.ts";
import { freeDfa, meets, stringTexts, withLengths } from "./strings.ts";
import type { Nodes, ObjectSpec, ValueNode } from "./value-node.ts";

/** All labels of an automaton, one bit for each label. */
const labelBits = ({ labels }: Dfa): bigint =>
  [...new Set(labels)].reduce<bigint>((set, label) => (label < 0 ? set : set | (1n << BigInt(label))), 0n);

let specs = 0;

/** Names that `propertyNames` allows. Null allows all names. */
const allowedNames = (way: Conjunction, { waysOf, alphabet }: Nodes): Dfa | null => {
  if (way.object.names.length === 0) return null;
  const where = `schema: ${way.path}/propertyNames`;
  const parts = waysOf(way.object.names).flatMap((names) => {
    if (names.values !== null) {
      return [listed(names.values.filter((value) => typeof value === "string" && meets(names, value)).map(String))];
    }
    const texts = stringTexts({ ...names, types: names.types & types.string }, alphabet);
    if (texts === null) return [];
    return [withLengths(texts, where)];
  });
  const unlabeled = parts.map((part) =>
    part.start < 0 ? part : { ...part, labels: part.labels.map((label) => Math.min(label, 0)) },
  );
  return unlabeled.reduce((all, part) => eitherOf(all, part, where), listed([]));
};

/** Names that the schema does not list, grouped by the patterns that they match. */
const otherNames = (
  names: readonly string[],
  patterns: readonly Dfa[],
  others: () => Dfa,
  literals: (name: string | null, matches: (pattern: Dfa) => boolean) => Literal[],
  where: string,
): { readonly kinds: readonly (readonly Literal[])[]; readonly keys: () => Dfa } => {
  const labeled = (dfa: Dfa, of: (label: number) => number): Dfa => ({
    ...dfa,
    labels: dfa.labels.map((label) => (label < 0 ? -1 : names.length + of(label))),
  });
  if (patterns.length === 0) {
    return { kinds: [literals(null, () => false)], keys: () => labeled(others(), () => 0) };
  }
  const matched = patterns.reduce(
    (all, dfa, i) => product(all, dfa, (label, match) => (label < 0 || match < 0 ? label : label | (1 << i)), where),
    others(),
  );
  const labels = [...new Set(matched.labels)].filter((label) => label >= 0);
  spend(labels.length * patterns.length ** 2, where);
  const kindOf = new Map(labels.map((label, kind) => [label, kind]));
  const kinds = labels.map((label) =>
    literals(null, (dfa) => patterns.some((pattern, i) => pattern === dfa && (label & (1 << i)) !== 0)),
  );
  return { kinds, keys: () => labeled(matched, (label) => kindOf.get(label) ?? 0) };
};

export const objectSpec = (way: Conjunction, nodes: Nodes): ObjectSpec => {
  const { schemas, required, minProperties, maxProperties } = way.object;
  const where = `schema: ${way.path}`;
  const allowed = allowedNames(way, nodes);
  const spelled = freeDfa(nodes.alphabet);
  const names = [...new Set([...schemas.flatMap(({ named }) => [...named.keys()]), ...required])];
  const isAllowed = (name: string): boolean =>
    labelOf(spelled, name) >= 0 && (allowed === null || labelOf(allowed, name) >= 0);
  spend((names.length * required.length) >> 3, where);
  const allPatterns = schemas.flatMap(({ patterns }) => patterns);
  if (allPatterns.length > 20)
    throw refused(way.path, "patternProperties", "must have at most 20 patterns at one place");
  /** Schemas for the value of a name. `matches` decides which patterns the name matches. */
  const literals = (name: string | null, matches: (pattern: Dfa) => boolean): Literal[] =>
    schemas.flatMap(({ named, patterns, rest }) => {
      const own = name === null ? undefined : named.get(name);
      const found = [
        ...(own === undefined ? [] : [own]),
        ...patterns.filter(({ dfa }) => matches(dfa)).map(({ literal }) => literal),
      ];
      return found.length === 0 && rest !== null ? [rest] : found;
    });
  const nothing: Literal = { schema: false, holds: true, path: way.path };
  const children: ValueNode[] = [];
  const closed = schemas.some(({ patterns, rest }) => patterns.length === 0 && rest?.schema === false);
  const patterns = allPatterns.map(({ dfa }) => dfa);
  const { kinds, keys: others } = closed
    ? { kinds: [], keys: () => listed([]) }
    : otherNames(names, patterns, () => without(allowed ?? spelled, listed(names, where), where), literals, where);
  const child = (label: number): ValueNode => {
    const name = names[label];
    children[label] ??= nodes.nodeOf(
      name === undefined
        ? (kinds[label - names.length] ?? [nothing])
        : isAllowed(name)
          ? literals(name, (dfa) => labelOf(dfa, name) >= 0)
          : [nothing],
    );
    return children[label];
  };
  const count = names.length + kinds.length;
  const bits = (from: number, to: number): bigint => {
    let set = 0n;
    for (let label = from; label < to; label++) if (child(label).inhabited) set |= 1n << BigInt(label);
    return set;
  };
  let possible: bigint | undefined;
  let known: Dfa | undefined;
  const keys = (): Dfa => {
    known ??= eitherOf(listed(names, where), others(), where);
    return known;
  };
  const hasOthers = (): boolean =>
    kinds.some((_, kind) => {
      const label = names.length + kind;
      return child(label).inhabited && (allowed === null || keys().labels.includes(label));
    });
  return {
    id: specs++,
    names,
    required: required.reduce((set, name) => set | (1n << BigInt(names.indexOf(name))), 0n),
    requiredCount: required.length,
    minProperties,
    maxProperties,
    keys,
    possible: () => {
      possible ??= bits(0, count) & labelBits(keys());
      return possible;
    },
    child,
    isPossible: () => {
      if (required.length > maxProperties || minProperties > maxProperties) return false;
      if (required.some((name) => !child(names.indexOf(name)).inhabited)) return false;
      return (
        minProperties === 0 || hasOthers() || names.filter((_, label) => child(label).inhabited).length >= minProperties
      );
    },
    missing: () => {
      const name = required.find((one) => !child(names.indexOf(one)).inhabited);
      if (name === undefined) return null;
      // If the schema describes no value for the name, the error names the list `required`.
      const own = schemas.flatMap(({ named }) => named.get(name) ?? [])[0];
      const node = child(names.indexOf(name));
      return { path: own?.path ?? `${way.path}/required: ${JSON.stringify(name)}`, node };
    },
    reach: () => {
      for (let label = 0; label < count; label++) child(label);
      // The keys are computed here, not when the first name is written. A schema must be refused before the text
      // begins.
      keys();
      // Other names may repeat, and equal names are one property. So the number of properties with other names is
      // unknown.
      if (minProperties > 1 && kinds.length > 0) {
        throw refused(
          way.path,
          "minProperties",
          "must be at most 1 if the schema allows names that properties does not list",
          `${minProperties}`,
        );
      }
    },
  };
};
