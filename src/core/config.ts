import type { z } from "zod";
import { alternatives } from "./alternatives.ts";
import { ConfigError } from "./errors.ts";
import { nearest } from "./nearest.ts";
import { knownKeys, knownKinds } from "./schema-fields.ts";
import { shorten, show } from "./show.ts";

/** Follows `path` into a plain value. */
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

/** The value, and the nearest of `names` if it may be a mistyped one. */
const instead = (given: unknown, names: readonly string[]): { readonly got: string; readonly hint?: string } => {
  const hint = typeof given === "string" ? nearest(given, names) : undefined;
  return { got: show(given), ...(hint === undefined ? {} : { hint }) };
};

/** `given` without keys that are undefined: such options count as not set. */
export const withoutUndefined = <T extends object>(given: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };

/** A value may be of any kind: an unreadable one, such as a revoked proxy, is a mistake too. */
const check = <Schema extends z.ZodType>(schema: Schema, value: unknown, where: string) => {
  try {
    return schema.safeParse(value);
  } catch (cause) {
    throw new ConfigError({ where, must: "must be plain data", got: "an object that cannot be read", cause });
  }
};

/** The name of a field in an error: its flag, or its place in a file. */
export type FieldNamer = (path: readonly string[]) => string;

/**
 * Checks `value` against a schema. The first fault becomes one line with the field, the condition and the value; for an
 * unknown key, with the nearest known one.
 * @param where the name of `value`, which goes before the field's path; or a function that names the field.
 * @throws ConfigError
 */
export const parseConfig = <Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  where: string | FieldNamer,
): z.output<Schema> => {
  const result = check(schema, value, typeof where === "string" ? where : where([]) || "options");
  if (result.success) return result.data;
  const issue = result.error.issues[0] as z.core.$ZodIssue;
  const call: FieldNamer = typeof where === "string" ? (path) => [where, ...path].join(".") : where;
  // A key of a record may have any length.
  const path = issue.path.map((key) => shorten(String(key)));
  const field = call(path);
  const given = valueAt(value, issue.path);
  if (issue.code === "unrecognized_keys") {
    const unknown = String(issue.keys[0]);
    const known = knownKeys(schema, issue.path);
    const suggestion = nearest(unknown, known);
    throw new ConfigError({
      // A flag is one key: it is named whole.
      where: typeof where === "string" ? field : call([...path, shorten(unknown)]),
      // Known, but of another member of the union.
      must: suggestion === unknown ? "must go with the kind that is chosen" : "every key must be a known one",
      got: show(unknown),
      ...(suggestion === undefined ? {} : { hint: suggestion === unknown ? "another kind" : suggestion }),
    });
  }
  if (issue.code === "custom") throw new ConfigError({ where: field, must: issue.message });
  if (issue.code === "invalid_union" && issue.errors.length === 0) {
    const kinds = knownKinds(schema, issue.path);
    throw new ConfigError({ where: field, must: `must be ${alternatives(kinds)}`, ...instead(given, kinds) });
  }
  const names = issue.code === "invalid_value" ? issue.values.map(String) : [];
  throw new ConfigError({ where: field, must: requirement(issue), ...instead(given, names) });
};
