import { ConfigError } from "../../../core/errors/errors.ts";
import { spend } from "../budget.ts";
import { allTypes, anyValue, type Conjunction, type Literal, limited, merged } from "./conjunction.ts";
import { type Document, refused, type Schema } from "./document.ts";
import { isEmptyWay } from "./empty.ts";
import { dependenciesOf, type Unit, unitsOf } from "./keywords.ts";

/** Maximum number of ways to meet the schemas at one place. */
const mostWays = 400;

/**
 * Turns schemas into a disjunctive normal form: a list of ways to meet all schemas together. The ways do not contain
 * allOf, anyOf, oneOf, not, if or $ref.
 */
export interface Normalizer {
  waysOf(literals: readonly Literal[]): readonly Conjunction[];
  /** A key for the schemas at one place. The same schemas have the same key. */
  keyOf(literals: readonly Literal[]): string;
}

const tooMany = (path: string): ConfigError =>
  new ConfigError({
    where: `schema: ${path}`,
    must: `must have at most ${mostWays} combinations of alternatives`,
    got: "more",
    hint: "fewer alternatives inside allOf",
  });

/** Merges two ways. The cost in steps depends on the lists in these ways. */
const mergedWays = (a: Conjunction, b: Conjunction, where: string): Conjunction | null => {
  const values = a.values === null || b.values === null ? 0 : (a.values.length * b.values.length) >> 3;
  const lists = (way: Conjunction): number =>
    way.notValues.length + way.object.required.length + way.object.schemas.length + way.array.schemas.length;
  spend(25 + values + 2 * (lists(a) + lists(b)), where);
  return merged(a, b);
};

/** Ways to meet both lists. Each way of `a` is merged with each way of `b`. */
const product = (a: readonly Conjunction[], b: readonly Conjunction[], path: string): Conjunction[] => {
  const where = `schema: ${path}`;
  const ways = a.flatMap((left) => b.flatMap((right) => mergedWays(left, right, where) ?? []));
  if (ways.length > mostWays) throw tooMany(path);
  return ways;
};

const listOf = (schema: Schema, keyword: string, path: string, holds = true): Literal[] => {
  const list = schema[keyword];
  if (!Array.isArray(list) || list.length === 0) throw refused(path, keyword, "must be a list of schemas");
  return list.map((part: unknown, i) => ({ schema: part, path: `${path}/${keyword}/${i}`, holds }));
};
const negated = (literal: Literal): Literal => ({ ...literal, holds: !literal.holds });

/** Functions that combine schemas. */
interface Combining {
  readonly document: Document;
  readonly dnf: (literal: Literal) => Conjunction[];
  readonly all: (literals: readonly Literal[], path: string) => Conjunction[];
  readonly any: (literals: readonly Literal[]) => Conjunction[];
  /** Whether it is certain that no value meets both schemas. */
  readonly areApart: (a: Literal, b: Literal) => boolean;
}

const oneOf = (options: readonly Literal[], path: string, { dnf, all, areApart }: Combining): Conjunction[] =>
  options.flatMap((option, i) => {
    const others = options.filter((other, j) => j !== i && !areApart(option, other));
    return product(dnf(option), all(others.map(negated), path), path);
  });

/** The units of keywords that combine schemas. */
const combinations = (schema: Schema, path: string, combining: Combining): Unit[] => {
  const { document, dnf, all, any, areApart } = combining;
  const units: Unit[] = [];
  const has = (keyword: string): boolean => schema[keyword] !== undefined;
  if (has("$ref")) {
    const target = { ...document.resolve(schema.$ref, path), holds: true };
    units.push({ holds: () => dnf(target), fails: () => dnf(negated(target)) });
  }
  if (has("allOf")) {
    const parts = listOf(schema, "allOf", path);
    units.push({ holds: () => all(parts, path), fails: () => any(parts.map(negated)) });
  }
  if (has("anyOf")) {
    const parts = listOf(schema, "anyOf", path);
    units.push({ holds: () => any(parts), fails: () => all(parts.map(negated), path) });
  }
  if (has("oneOf")) {
    const parts = listOf(schema, "oneOf", path);
    units.push({
      holds: () => oneOf(parts, path, combining),
      fails: () => {
        const apart = parts.every((part, i) => parts.slice(i + 1).every((other) => areApart(part, other)));
        if (!apart) throw refused(path, "oneOf", "must not be used inside not, oneOf or if");
        return all(parts.map(negated), path);
      },
    });
  }
  if (has("not")) {
    const part = { schema: schema.not, path: `${path}/not`, holds: false };
    units.push({ holds: () => dnf(part), fails: () => dnf(negated(part)) });
  }
  if (has("if")) {
    const branch = (keyword: string): Literal => ({
      schema: schema[keyword] ?? true,
      path: `${path}/${keyword}`,
      holds: true,
    });
    const test = branch("if");
    const either = (then: Literal, otherwise: Literal): Conjunction[] => [
      ...all([test, then], path),
      ...all([negated(test), otherwise], path),
    ];
    units.push({
      holds: () => (has("then") || has("else") ? either(branch("then"), branch("else")) : [anyValue]),
      fails: () => (has("then") || has("else") ? either(negated(branch("then")), negated(branch("else"))) : []),
    });
  }
  for (const [without, having, then] of dependenciesOf(schema, path)) {
    units.push({
      holds: () => [without, ...product([having], dnf(then), path)],
      fails: () => product([having], dnf(negated(then)), path),
    });
  }
  return units;
};

export const normalizer = (document: Document): Normalizer => {
  const ids = new Map<unknown, number>();
  const cache = new Map<string, readonly Conjunction[]>();
  /**
   * Places with ways that are being computed now. These places are recorded because a schema may refer back to them.
   */
  const open = new Set<string>();

  const idOf = ({ schema, holds }: Literal): number => {
    const key = typeof schema === "object" ? schema : `${typeof schema} ${String(schema)}`;
    let id = ids.get(key);
    if (id === undefined) {
      id = ids.size + 1;
      ids.set(key, id);
    }
    return holds ? id : -id;
  };
  const keyOf = (literals: readonly Literal[]): string => [...new Set(literals.map(idOf))].sort((a, b) => a - b).join();

  const all = (literals: readonly Literal[], path: string): Conjunction[] =>
    literals.reduce<Conjunction[]>((ways, literal) => product(ways, dnf(literal), path), [anyValue]);
  const any = (literals: readonly Literal[]): Conjunction[] => literals.flatMap(dnf);

  const isEmpty = (literals: readonly Literal[], depth: number): boolean =>
    literals.length > 0 &&
    !open.has(keyOf(literals)) &&
    waysOf(literals).every((way) => isEmptyWay(way, depth, isEmpty));
  const areApart = (a: Literal, b: Literal): boolean => {
    const right = dnf(b);
    return dnf(a).every((left) =>
      right.every((way) => {
        const together = mergedWays(left, way, `schema: ${b.path}`);
        return together === null || isEmptyWay(together, 3, isEmpty);
      }),
    );
  };

  let depth = 0;
  const dnf = (literal: Literal): Conjunction[] => {
    const { schema, path, holds } = literal;
    spend(60, `schema: ${path}`);
    const checked = document.check(schema, path);
    if (typeof checked === "boolean") return checked === holds ? [limited(path, { types: allTypes })] : [];
    if (++depth > 100)
      throw refused(
        path,
        "$ref",
        "must not refer to itself at the same place, and must not combine more than 100 levels",
      );
    try {
      const units = [
        ...unitsOf(checked, path, dnf),
        ...combinations(checked, path, { document, dnf, all, any, areApart }),
      ];
      const ways = holds
        ? units.reduce<Conjunction[]>(
            (found, unit) => (found.length === 0 ? found : product(found, unit.holds(), path)),
            [limited(path, {})],
          )
        : units.flatMap((unit) => unit.fails());
      if (ways.length > mostWays) throw tooMany(path);
      return ways;
    } finally {
      depth--;
    }
  };

  const waysOf = (literals: readonly Literal[]): readonly Conjunction[] => {
    spend(4 * literals.length, `schema: ${literals[0]?.path ?? "#"}`);
    const key = keyOf(literals);
    const known = cache.get(key);
    if (known !== undefined) return known;
    open.add(key);
    try {
      const ways = all(literals, literals[0]?.path ?? "#");
      cache.set(key, ways);
      return ways;
    } finally {
      open.delete(key);
    }
  };
  return { waysOf, keyOf };
};
