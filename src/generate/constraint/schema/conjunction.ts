import type { Dfa } from "../automata/dfa.ts";
import { allNumbers, type NumberRange } from "../automata/numbers.ts";

/** Types of JSON values, as bits. */
export const types = { null: 1, boolean: 2, number: 4, string: 8, array: 16, object: 32 } as const;
export const allTypes = 63;

export type Scalar = string | number | boolean | null;

/** A schema that must hold. If `holds` is false, the schema must not hold. */
export interface Literal {
  readonly schema: unknown;
  readonly holds: boolean;
  /** Place of the schema in its document, for errors. */
  readonly path: string;
}

/** Schemas for the items of an array by position, from `items`, `prefixItems` and `additionalItems` of one schema. */
export interface ItemSchemas {
  readonly first: readonly Literal[];
  readonly rest: Literal | null;
}

/**
 * Schemas for the values of an object by name, from `properties`, `patternProperties` and `additionalProperties` of one
 * schema.
 */
export interface PropertySchemas {
  readonly named: ReadonlyMap<string, Literal>;
  readonly patterns: readonly { readonly dfa: Dfa; readonly literal: Literal }[];
  readonly rest: Literal | null;
}

/**
 * Conditions that a value must meet together. Each condition applies only to values of its own type. For example, a
 * number need not match the pattern for strings.
 */
export interface Conjunction {
  /** Allowed types, as bits of `types`. */
  readonly types: number;
  /** The only allowed values, without arrays and objects. Null allows any value. */
  readonly values: readonly Scalar[] | null;
  readonly notValues: readonly Scalar[];
  readonly number: NumberRange;
  readonly string: { readonly dfas: readonly Dfa[]; readonly minLength: number; readonly maxLength: number };
  readonly array: {
    readonly schemas: readonly ItemSchemas[];
    readonly minItems: number;
    readonly maxItems: number;
    readonly contains: readonly { readonly literal: Literal; readonly least: number }[];
    readonly unique: boolean;
  };
  readonly object: {
    readonly schemas: readonly PropertySchemas[];
    readonly required: readonly string[];
    readonly minProperties: number;
    readonly maxProperties: number;
    readonly names: readonly Literal[];
  };
  /** Place of the conjunction in the schema, for errors. */
  readonly path: string;
}

export const anyValue: Conjunction = {
  types: allTypes,
  values: null,
  notValues: [],
  number: allNumbers,
  string: { dfas: [], minLength: 0, maxLength: Number.POSITIVE_INFINITY },
  array: { schemas: [], minItems: 0, maxItems: Number.POSITIVE_INFINITY, contains: [], unique: false },
  object: { schemas: [], required: [], minProperties: 0, maxProperties: Number.POSITIVE_INFINITY, names: [] },
  path: "#",
};

const union = <T>(a: readonly T[], b: readonly T[]): readonly T[] =>
  b.length === 0 ? a : a.length === 0 ? b : [...new Set([...a, ...b])];

/** A conjunction with the conditions of both `a` and `b`. Null if no type is left. */
export const merged = (a: Conjunction, b: Conjunction): Conjunction | null => {
  const left = a.types & b.types;
  if (left === 0) return null;
  const { values } = a;
  const { number: m, string: s, array: l, object: o } = a;
  const { number: n, string: t, array: r, object: p } = b;
  return {
    types: left,
    values:
      values === null ? b.values : b.values === null ? values : values.filter((value) => b.values?.includes(value)),
    notValues: union(a.notValues, b.notValues),
    number: {
      integer: m.integer || n.integer,
      fraction: m.fraction || n.fraction,
      minimum: Math.max(m.minimum, n.minimum),
      maximum: Math.min(m.maximum, n.maximum),
      exclusiveMinimum: Math.max(m.exclusiveMinimum, n.exclusiveMinimum),
      exclusiveMaximum: Math.min(m.exclusiveMaximum, n.exclusiveMaximum),
      multiples: union(m.multiples, n.multiples),
    },
    string: {
      dfas: union(s.dfas, t.dfas),
      minLength: Math.max(s.minLength, t.minLength),
      maxLength: Math.min(s.maxLength, t.maxLength),
    },
    array: {
      schemas: union(l.schemas, r.schemas),
      minItems: Math.max(l.minItems, r.minItems),
      maxItems: Math.min(l.maxItems, r.maxItems),
      contains: union(l.contains, r.contains),
      unique: l.unique || r.unique,
    },
    object: {
      schemas: union(o.schemas, p.schemas),
      required: union(o.required, p.required),
      minProperties: Math.max(o.minProperties, p.minProperties),
      maxProperties: Math.min(o.maxProperties, p.maxProperties),
      names: union(o.names, p.names),
    },
    path: b.path.length > a.path.length ? b.path : a.path,
  };
};

/** A conjunction with `change` as its only limit on values. */
export const limited = (path: string, change: Partial<Conjunction>): Conjunction => ({ ...anyValue, path, ...change });
