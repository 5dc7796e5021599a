import type { z } from "zod";
import { ConfigError, type ErrorDetails } from "../errors/errors.ts";
import { alternatives } from "../text/alternatives.ts";
import { nearest } from "../text/nearest.ts";
import { shorten, show, showWord } from "../text/show.ts";
import { isRecord } from "./is-record.ts";
import { isOptional, kindsWith, knownKeys, knownKinds, numberInUnion } from "./schema-fields.ts";

/** Returns the value at `path` in a plain value. */
const valueAt = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (inner, key) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  );

const typeNames: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  string: "a text",
  boolean: "true or false",
  object: "an object",
  array: "a list",
};

const requirement = (issue: z.core.$ZodIssue): string => {
  switch (issue.code) {
    case "too_small":
      if (issue.origin === "string")
        return `must have at least ${issue.minimum} character${issue.minimum === 1 ? "" : "s"}`;
      return `must be ${issue.inclusive === false ? "above" : "at least"} ${issue.minimum}`;
    case "too_big":
      return `must be ${issue.inclusive === false ? "below" : "at most"} ${issue.maximum}`;
    case "invalid_type":
      return `must be ${typeNames[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `must be ${alternatives(issue.values.map(String))}`;
    default:
      return issue.message;
  }
};

/** Returns how an error shows the given value. If the value may be mistyped, a hint names the nearest of `names`. */
const instead = (given: unknown, names: readonly string[]): { readonly got: string; readonly hint?: string } => {
  const hint = typeof given === "string" ? nearest(given, names) : undefined;
  return { got: show(given), ...(hint === undefined ? {} : { hint }) };
};

/** Copies `given`, but leaves out keys with the value undefined, because these keys count as not set. */
export const withoutUndefined = <T extends object>(given: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };

/** Reading a value may fail, for example if it is a revoked proxy. Such a value is a mistake of the user, too. */
const check = <Schema extends z.ZodType>(schema: Schema, value: unknown, where: string) => {
  try {
    // zod must not compile a check: each configuration is checked only once, and compiling takes longer than the check.
    return schema.safeParse(value, { jitless: true });
  } catch (cause) {
    throw new ConfigError({ where, must: "must be plain data", got: "an unreadable object", cause });
  }
};

/**
 * Returns the error for `key` if another kind of the union at `path` has that key. Undefined if no other kind has the
 * key.
 */
const otherKind = (
  schema: z.ZodType,
  path: readonly PropertyKey[],
  holder: unknown,
  key: string,
): Omit<ErrorDetails, "where"> | undefined => {
  const kinds = kindsWith(schema, path, [key]);
  if (kinds.length === 0 || !isRecord(holder)) return undefined;
  return {
    must: `${key} belongs to kind ${alternatives(kinds)}`,
    got: `kind ${showWord(holder.kind)}`,
    hint: `${[...path, "kind"].join(".")} ${alternatives(kinds)}`,
  };
};

/** A hint for a missing kind: the names of the kinds that have the given fields. */
const kindFor = (schema: z.ZodType, path: readonly PropertyKey[], holder: unknown): string | undefined => {
  if (!isRecord(holder)) return undefined;
  const fields = Object.keys(holder).filter((key) => key !== path.at(-1));
  const kinds = kindsWith(schema, path.slice(0, -1), fields);
  return kinds.length === 0 ? undefined : `${path.join(".")} ${alternatives(kinds)}`;
};

/**
 * A hint for a missing field. The field is missing because its kind requires it, or because the optional object that
 * contains it is given.
 */
const missingField = (
  schema: z.ZodType,
  { path, ...issue }: z.core.$ZodIssue,
  given: unknown,
): { readonly hint?: string } => {
  if (given !== undefined || issue.code !== "invalid_type") return {};
  const object = path.slice(0, -1);
  if (kindsWith(schema, object, [String(path.at(-1))]).length === 0 && !isOptional(schema, object)) return {};
  const name = path.join(".");
  const example = numberInUnion(schema, path);
  return {
    hint: example === undefined ? `${typeNames[issue.expected] ?? issue.expected} for ${name}` : `${name} ${example}`,
  };
};

/** How an error names a field: by its flag, or by its path in a file. */
export type FieldNamer = (path: readonly string[]) => string;

const faultOf = (
  schema: z.ZodType,
  value: unknown,
  where: string | FieldNamer,
  issue: z.core.$ZodIssue,
): ErrorDetails => {
  const call: FieldNamer = typeof where === "string" ? (path) => [where, ...path].join(".") : where;
  // A key of a record may have any length, so the error shortens the key.
  const path = issue.path.map((key) => shorten(String(key)));
  const place = { where: call(path), ...(path.length === 0 ? {} : { field: path.join(".") }) };
  const given = valueAt(value, issue.path);
  if (issue.code === "unrecognized_keys") {
    const unknown = String(issue.keys[0]);
    // A flag names the whole key.
    const named = typeof where === "string" ? place : { ...place, where: call([...path, shorten(unknown)]) };
    const other = otherKind(schema, issue.path, given, unknown);
    if (other !== undefined) return { ...named, ...other };
    const hint = nearest(unknown, knownKeys(schema, issue.path));
    return {
      ...named,
      must: "every key must be a known one",
      got: show(unknown),
      ...(hint === undefined ? {} : { hint }),
    };
  }
  if (issue.code === "custom") return { ...place, must: issue.message };
  if (issue.code === "invalid_union" && issue.errors.length === 0) {
    const kinds = knownKinds(schema, issue.path);
    const hint = given === undefined ? kindFor(schema, issue.path, valueAt(value, issue.path.slice(0, -1))) : undefined;
    return {
      ...place,
      must: `must be ${alternatives(kinds)}`,
      ...instead(given, kinds),
      ...(hint === undefined ? {} : { hint }),
    };
  }
  const names = issue.code === "invalid_value" ? issue.values.map(String) : [];
  return { ...place, must: requirement(issue), ...instead(given, names), ...missingField(schema, issue, given) };
};

/** Maximum number of errors in `others`. A long list may have thousands of errors. */
const mostOthers = 20;

/**
 * Checks `value` against a schema. The error line contains the field, the condition and the value of the first issue.
 * An unknown key takes precedence over other issues, and its hint is the nearest known key. `others` contains all later
 * issues.
 * @param where the name of `value`, which the error shows before the field's path; or a function that names the field.
 * @throws ConfigError
 */
export const parseConfig = <Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  where: string | FieldNamer,
): z.output<Schema> => {
  const result = check(schema, value, typeof where === "string" ? where : where([]) || "options");
  if (result.success) return result.data;
  const { issues } = result.error;
  // A mistyped key takes precedence, because the value that seems missing may be under the mistyped key.
  const first = (issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0]) as z.core.$ZodIssue;
  // Only one issue per field is reported, because a value that is too large may violate two rules.
  const placeOf = ({ path }: z.core.$ZodIssue): string => path.map(String).join(".");
  const byPlace = new Map(issues.toReversed().map((issue) => [placeOf(issue), issue]));
  byPlace.delete(placeOf(first));
  const others = issues
    .filter((issue) => byPlace.get(placeOf(issue)) === issue)
    .slice(0, mostOthers)
    .map((issue) => faultOf(schema, value, where, issue));
  throw new ConfigError({
    ...faultOf(schema, value, where, first),
    ...(others.length === 0 ? {} : { others }),
  });
};
