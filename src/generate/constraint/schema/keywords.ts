/**
 * For each keyword: its conditions on a value, and the conditions of its negation. Both are lists of conjunctions. A
 * value must meet at least one conjunction of the list.
 */
import { isRecord } from "../../../core/checks/is-record.ts";
import { allChars } from "../automata/char-set.ts";
import { textsOf, without } from "../automata/dfa.ts";
import { dfaOf } from "../automata/from-regex.ts";
import { allNumbers, isRounded } from "../automata/numbers.ts";
import { anywhere, parseRegex } from "../automata/parse-regex.ts";
import { allTypes, anyValue, type Conjunction, type Literal, limited, type Scalar, types } from "./conjunction.ts";
import { refused, type Schema } from "./document.ts";
import { formatDfa, formatRange, isFormat } from "./formats.ts";

/** A keyword, and its negation. */
export interface Unit {
  holds(): Conjunction[];
  fails(): Conjunction[];
}

const numberOf = (schema: Schema, keyword: string, path: string): number => {
  const value = schema[keyword];
  if (typeof value !== "number" || !Number.isFinite(value))
    throw refused(path, keyword, "must be a number", JSON.stringify(value));
  return value;
};

const countOf = (schema: Schema, keyword: string, path: string): number => {
  const value = numberOf(schema, keyword, path);
  if (!Number.isInteger(value) || value < 0) throw refused(path, keyword, "must be a whole number from 0", `${value}`);
  return value;
};

const recordOf = (schema: Schema, keyword: string, path: string): Readonly<Record<string, unknown>> => {
  const value = schema[keyword];
  if (!isRecord(value)) throw refused(path, keyword, "must be an object");
  return value;
};

const namesOf = (value: unknown, keyword: string, path: string): readonly string[] => {
  if (!Array.isArray(value) || !value.every((name) => typeof name === "string")) {
    throw refused(path, keyword, "must be a list of names");
  }
  return value;
};

const literalOf = (schema: unknown, path: string, holds = true): Literal => ({ schema, path, holds });
export const nothing: Literal = { schema: false, holds: true, path: "#" };

const typeUnit = (schema: Schema, path: string): Unit => {
  const names: unknown[] = Array.isArray(schema.type) ? schema.type : [schema.type];
  let bits = 0;
  let integer = false;
  for (const name of names) {
    if (name === "integer") integer = true;
    else if (typeof name === "string" && Object.hasOwn(types, name)) bits |= types[name as keyof typeof types];
    else
      throw refused(
        path,
        "type",
        "must be one of null, boolean, integer, number, string, array and object",
        JSON.stringify(name),
      );
  }
  if (schema.nullable === true) bits |= types.null;
  const onlyIntegers = integer && (bits & types.number) === 0;
  return {
    holds: () => [
      ...(bits === 0 ? [] : [limited(path, { types: bits })]),
      ...(onlyIntegers ? [limited(path, { types: types.number, number: { ...allNumbers, integer: true } })] : []),
    ],
    fails: () => {
      const rest = allTypes & ~bits & (onlyIntegers ? ~types.number : allTypes);
      return [
        ...(rest === 0 ? [] : [limited(path, { types: rest })]),
        ...(onlyIntegers ? [limited(path, { types: types.number, number: { ...allNumbers, fraction: true } })] : []),
      ];
    },
  };
};

const isScalar = (value: unknown): value is Scalar =>
  value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean";

const exact = new WeakMap<object, Schema>();

/** A schema that allows only this array or object. The same value always gives the same schema object. */
const exactly = (value: object): Schema => {
  const known = exact.get(value) ?? exactSchema(value);
  exact.set(value, known);
  return known;
};

const exactSchema = (value: object): Schema =>
  Array.isArray(value)
    ? {
        type: "array",
        prefixItems: value.map((item) => ({ const: item })),
        items: false,
        minItems: value.length,
        maxItems: value.length,
      }
    : {
        type: "object",
        properties: Object.fromEntries(Object.entries(value).map(([name, part]) => [name, { const: part }])),
        required: Object.keys(value),
        additionalProperties: false,
      };

/** @param keyword `enum` or `const`. */
const enumUnit = (
  values: readonly unknown[],
  keyword: string,
  path: string,
  dnf: (literal: Literal) => Conjunction[],
): Unit => {
  const scalars = values.filter(isScalar);
  const others = values.filter((value): value is object => !isScalar(value));
  const scalarTypes = types.null | types.boolean | types.number | types.string;
  return {
    holds: () => {
      const rounded = scalars.find((value) => typeof value === "number" && isRounded(value));
      if (rounded !== undefined) {
        throw refused(
          path,
          keyword,
          "must have numbers below 2^53: larger numbers are rounded when JSON is read",
          `${rounded}`,
        );
      }
      return [
        ...(scalars.length === 0 ? [] : [limited(path, { types: scalarTypes, values: scalars })]),
        ...others.flatMap((value) => dnf(literalOf(exactly(value), path))),
      ];
    },
    fails: () => {
      if (others.length > 0) throw refused(path, "enum", "must not have arrays or objects inside not, oneOf or if");
      return [limited(path, { notValues: scalars })];
    },
  };
};

/** A limit on numbers, and its negation. */
const numberUnit = (
  path: string,
  limit: Partial<typeof allNumbers>,
  opposite: Partial<typeof allNumbers> | null,
  keyword: string,
): Unit => ({
  holds: () => [limited(path, { number: { ...allNumbers, ...limit } })],
  fails: () => {
    if (opposite === null) throw refused(path, keyword, "must not be used inside not, oneOf or if");
    return [limited(path, { types: types.number, number: { ...allNumbers, ...opposite } })];
  },
});

const boundUnit = (schema: Schema, keyword: "minimum" | "maximum", path: string): Unit => {
  const exclusive = keyword === "minimum" ? "exclusiveMinimum" : "exclusiveMaximum";
  const value = numberOf(schema, keyword, path);
  // In draft 4, `exclusiveMinimum: true` belongs to `minimum`, and `exclusiveMaximum: true` belongs to `maximum`.
  const isExclusive = schema[exclusive] === true;
  const other = keyword === "minimum" ? "maximum" : "minimum";
  const otherExclusive = keyword === "minimum" ? "exclusiveMaximum" : "exclusiveMinimum";
  return isExclusive
    ? numberUnit(path, { [exclusive]: value }, { [other]: value }, keyword)
    : numberUnit(path, { [keyword]: value }, { [otherExclusive]: value }, keyword);
};

const lengthUnit = (
  path: string,
  kind: "string" | "array" | "object",
  least: "minLength" | "minItems" | "minProperties",
  most: "maxLength" | "maxItems" | "maxProperties",
  value: number,
  isLeast: boolean,
): Unit => {
  const limit = (change: Record<string, number>): Partial<Conjunction> => ({
    [kind]: { ...anyValue[kind], ...change },
  });
  return {
    holds: () => [limited(path, limit({ [isLeast ? least : most]: value }))],
    fails: () =>
      isLeast
        ? value === 0
          ? []
          : [limited(path, { types: types[kind], ...limit({ [most]: value - 1 }) })]
        : [limited(path, { types: types[kind], ...limit({ [least]: value + 1 }) })],
  };
};

const patternDfas = new Map<string, ReturnType<typeof dfaOf>>();

/** The texts that contain a match of the pattern. */
export const patternDfa = (pattern: unknown, keyword: string, path: string): ReturnType<typeof dfaOf> => {
  if (typeof pattern !== "string") throw refused(path, keyword, "must be a text");
  const known = patternDfas.get(pattern);
  if (known !== undefined) return known;
  const where = `schema: ${path}/${keyword}`;
  const made = dfaOf(anywhere(parseRegex(pattern, where, "lenient")), where);
  if (patternDfas.size > 500) patternDfas.clear();
  patternDfas.set(pattern, made);
  return made;
};

const dfaUnit = (path: string, dfa: ReturnType<typeof dfaOf>): Unit => {
  const strings = (part: ReturnType<typeof dfaOf>) => ({ ...anyValue.string, dfas: [part] });
  return {
    holds: () => [limited(path, { string: strings(dfa) })],
    fails: () => [
      limited(path, { types: types.string, string: strings(without(textsOf(allChars), dfa, `schema: ${path}`)) }),
    ],
  };
};

const formatUnit = (format: unknown, path: string): Unit | null => {
  if (typeof format !== "string" || !isFormat(format)) {
    throw refused(path, "format", "must be a known format", JSON.stringify(format));
  }
  const range = formatRange(format);
  if (range !== null) return numberUnit(path, range, null, "format");
  const dfa = formatDfa(format);
  return dfa === null ? null : dfaUnit(path, dfa);
};

const itemsUnit = (schema: Schema, path: string): Unit => {
  const inList = Array.isArray(schema.items);
  const prefix = schema.prefixItems ?? (inList ? schema.items : []);
  if (!Array.isArray(prefix)) throw refused(path, "prefixItems", "must be a list of schemas");
  const name = inList ? "items" : "prefixItems";
  const rest = inList ? schema.additionalItems : schema.items;
  const restName = inList ? "additionalItems" : "items";
  const first = prefix.map((part: unknown, i) => literalOf(part, `${path}/${name}/${i}`));
  const schemas = [{ first, rest: rest === undefined ? null : literalOf(rest, `${path}/${restName}`) }];
  return {
    holds: () => [limited(path, { array: { ...anyValue.array, schemas } })],
    fails: () => {
      if (rest === true) return [];
      if (first.length > 0) throw refused(path, name, "must not be used inside not, oneOf or if");
      const contains = [{ literal: literalOf(rest, `${path}/${restName}`, false), least: 1 }];
      return [limited(path, { types: types.array, array: { ...anyValue.array, minItems: 1, contains } })];
    },
  };
};

const containsUnit = (schema: Schema, path: string): Unit => {
  const least = schema.minContains === undefined ? 1 : countOf(schema, "minContains", path);
  if (schema.maxContains !== undefined) throw refused(path, "maxContains", "is not supported");
  const contains = [{ literal: literalOf(schema.contains, `${path}/contains`), least }];
  const none = [{ first: [], rest: literalOf(schema.contains, `${path}/contains`, false) }];
  return {
    holds: () =>
      least === 0 ? [anyValue] : [limited(path, { array: { ...anyValue.array, minItems: least, contains } })],
    fails: () => {
      if (least === 0) return [];
      if (least > 1) throw refused(path, "minContains", "must not be used inside not, oneOf or if");
      return [limited(path, { types: types.array, array: { ...anyValue.array, schemas: none } })];
    },
  };
};

const objectWith = (path: string, change: Partial<Conjunction["object"]>, only: boolean): Conjunction =>
  limited(path, { ...(only ? { types: types.object } : {}), object: { ...anyValue.object, ...change } });

/**
 * Allows a value that is not an object, and an object without the name. @param only if true, only objects are allowed.
 */
const lacks = (path: string, name: string, only: boolean): Conjunction =>
  objectWith(path, { schemas: [{ named: new Map([[name, nothing]]), patterns: [], rest: null }] }, only);

const propertiesUnit = (schema: Schema, path: string): Unit => {
  const properties = schema.properties === undefined ? {} : recordOf(schema, "properties", path);
  const patternProperties = schema.patternProperties === undefined ? {} : recordOf(schema, "patternProperties", path);
  const named = new Map(
    Object.entries(properties).map(([name, part]) => [name, literalOf(part, `${path}/properties/${name}`)]),
  );
  const patterns = Object.entries(patternProperties).map(([pattern, part]) => ({
    dfa: patternDfa(pattern, "patternProperties", path),
    literal: literalOf(part, `${path}/patternProperties/${pattern}`),
  }));
  const { additionalProperties } = schema;
  const rest =
    additionalProperties === undefined ? null : literalOf(additionalProperties, `${path}/additionalProperties`);
  return {
    holds: () => [objectWith(path, { schemas: [{ named, patterns, rest }] }, false)],
    fails: () => {
      if (patterns.length > 0) throw refused(path, "patternProperties", "must not be used inside not, oneOf or if");
      if (rest !== null && rest.schema !== true) {
        throw refused(path, "additionalProperties", "must not be used inside not, oneOf or if");
      }
      return [...named].map(([name, literal]) => {
        const schemas = [{ named: new Map([[name, { ...literal, holds: false }]]), patterns: [], rest: null }];
        return objectWith(path, { schemas, required: [name] }, true);
      });
    },
  };
};

const requiredUnit = (names: readonly string[], path: string): Unit => ({
  holds: () => [objectWith(path, { required: names }, false)],
  fails: () => names.map((name) => lacks(path, name, true)),
});

/** If an object has the name, the schema `then` must also hold. */
const dependency = (path: string, name: string, then: Literal): readonly [Conjunction, Conjunction, Literal] => [
  lacks(path, name, false),
  objectWith(path, { required: [name] }, true),
  then,
];

/** Dependencies between an object's names. If a name is present, other names or a schema may be required. */
export const dependenciesOf = (schema: Schema, path: string): (readonly [Conjunction, Conjunction, Literal])[] =>
  ["dependencies", "dependentRequired", "dependentSchemas"].flatMap((keyword) =>
    schema[keyword] === undefined
      ? []
      : Object.entries(recordOf(schema, keyword, path)).map(([name, value]) =>
          dependency(
            path,
            name,
            literalOf(
              Array.isArray(value) ? { required: namesOf(value, keyword, path) } : value,
              `${path}/${keyword}/${name}`,
            ),
          ),
        ),
  );

const uniqueUnit = (path: string): Unit => ({
  holds: () => [limited(path, { array: { ...anyValue.array, unique: true } })],
  fails: () => {
    throw refused(path, "uniqueItems", "must not be used inside not, oneOf or if");
  },
});

/** The units of all keywords of a schema, except the keywords that combine schemas. */
export const unitsOf = (schema: Schema, path: string, dnf: (literal: Literal) => Conjunction[]): Unit[] => {
  const units: Unit[] = [];
  const has = (keyword: string): boolean => schema[keyword] !== undefined;
  if (has("nullable") && schema.nullable !== false && !has("type"))
    throw refused(path, "nullable", 'must come with a "type"');
  if (has("type")) units.push(typeUnit(schema, path));
  if (has("enum")) {
    if (!Array.isArray(schema.enum)) throw refused(path, "enum", "must be a list");
    units.push(enumUnit(schema.enum, "enum", path, dnf));
  }
  if (has("const")) units.push(enumUnit([schema.const], "const", path, dnf));
  for (const keyword of ["minimum", "maximum"] as const) if (has(keyword)) units.push(boundUnit(schema, keyword, path));
  for (const [keyword, opposite, bound] of [
    ["exclusiveMinimum", "maximum", "minimum"],
    ["exclusiveMaximum", "minimum", "maximum"],
  ] as const) {
    if (!has(keyword) || schema[keyword] === false || (schema[keyword] === true && has(bound))) continue;
    const value = numberOf(schema, keyword, path);
    units.push(numberUnit(path, { [keyword]: value }, { [opposite]: value }, keyword));
  }
  if (has("multipleOf"))
    units.push(numberUnit(path, { multiples: [numberOf(schema, "multipleOf", path)] }, null, "multipleOf"));
  for (const [kind, least, most] of [
    ["string", "minLength", "maxLength"],
    ["array", "minItems", "maxItems"],
    ["object", "minProperties", "maxProperties"],
  ] as const) {
    if (has(least)) units.push(lengthUnit(path, kind, least, most, countOf(schema, least, path), true));
    if (has(most)) units.push(lengthUnit(path, kind, least, most, countOf(schema, most, path), false));
  }
  if (has("pattern")) units.push(dfaUnit(path, patternDfa(schema.pattern, "pattern", path)));
  if (has("format")) {
    const unit = formatUnit(schema.format, path);
    if (unit !== null) units.push(unit);
  }
  if (has("items") || has("prefixItems")) units.push(itemsUnit(schema, path));
  if (has("contains")) units.push(containsUnit(schema, path));
  if (has("uniqueItems") && schema.uniqueItems !== false) units.push(uniqueUnit(path));
  if (has("properties") || has("patternProperties") || has("additionalProperties"))
    units.push(propertiesUnit(schema, path));
  if (has("required")) units.push(requiredUnit(namesOf(schema.required, "required", path), path));
  if (has("propertyNames")) {
    const names = [literalOf(schema.propertyNames, `${path}/propertyNames`)];
    units.push({
      holds: () => [objectWith(path, { names }, false)],
      fails: () => {
        throw refused(path, "propertyNames", "must not be used inside not, oneOf or if");
      },
    });
  }
  return units;
};
