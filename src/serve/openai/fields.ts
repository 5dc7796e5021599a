/**
 * Tables of request fields. A field is honoured, accepted because it changes nothing, or refused by name. If a field
 * would change the answer, the server never ignores it silently.
 */
import { isDeepStrictEqual } from "node:util";
import type { z } from "zod";
import { isRecord } from "../../core/checks/is-record.ts";
import { nearest } from "../../core/text/nearest.ts";
import { shorten, show } from "../../core/text/show.ts";
import { invalid } from "./api-error.ts";

/** A field that affects the answer. */
export interface HonouredField<Schema extends z.ZodType = z.ZodType> {
  readonly kind: "honoured";
  readonly schema: Schema;
  readonly about: string;
}

/** A field that is accepted only with its default values. */
export interface DefaultField {
  readonly kind: "default";
  readonly accepts: readonly unknown[];
  readonly about: string;
}

/** A field that is accepted with any value, because it does not affect the answer. */
export interface UnusedField {
  readonly kind: "unused";
  readonly about: string;
}

/** A field that is refused. */
export interface RefusedField {
  readonly kind: "refused";
  readonly about: string;
}

export type Field = HonouredField | DefaultField | UnusedField | RefusedField;
export type Fields = Readonly<Record<string, Field>>;

/** The values of the honoured fields of a request. */
export type Values<Table extends Fields> = {
  readonly [Name in keyof Table as Table[Name] extends HonouredField
    ? Name
    : never]?: Table[Name] extends HonouredField<infer Schema> ? z.output<Schema> : never;
};

export const honoured = <Schema extends z.ZodType>(schema: Schema, about: string): HonouredField<Schema> => ({
  kind: "honoured",
  schema,
  about,
});
export const atDefault = (accepts: readonly unknown[], about: string): DefaultField => ({
  kind: "default",
  accepts,
  about,
});
export const unused = (about: string): UnusedField => ({ kind: "unused", about });
export const refused = (about: string): RefusedField => ({ kind: "refused", about });

const shown = (value: unknown): string =>
  shorten(isRecord(value) || Array.isArray(value) ? JSON.stringify(value) : show(value));

/** Formats a zod issue as one line, with the field that caused the issue. */
const lineOf = (name: string, value: unknown, { path, message }: z.core.$ZodIssue): readonly [string, string] => {
  const place = [name, ...path.map(String)].join(".");
  const inner = path.reduce<unknown>(
    (of, key) => (typeof of === "object" && of !== null ? Reflect.get(of, key) : undefined),
    value,
  );
  return [`${place}: ${message}; got ${inner === undefined ? "nothing" : shown(inner)}`, place];
};

/**
 * Reads the honoured fields of a request. A field with the value null counts as absent.
 * @throws ApiError with the first unknown, refused or wrong field.
 */
export const readFields = <Table extends Fields>(table: Table, body: unknown): Values<Table> => {
  if (!isRecord(body)) throw invalid(`the request must be a JSON object; got ${shown(body)}`);
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    const field = Object.hasOwn(table, name) ? table[name] : undefined;
    if (field === undefined) {
      const near = nearest(name, Object.keys(table));
      const hint = near === undefined ? "" : `; try ${near}`;
      throw invalid(
        `${shorten(name)}: must be a known field; got an unknown field${hint}`,
        shorten(name),
        "unknown_parameter",
      );
    }
    if (value === null || field.kind === "unused") continue;
    if (field.kind === "refused")
      throw invalid(
        `${name}: is not supported (${field.about}); got ${shown(value)}; try without it`,
        name,
        "unsupported_parameter",
      );
    if (field.kind === "default") {
      // Compare the values deeply, because the order of an object's keys does not matter.
      if (field.accepts.some((one) => isDeepStrictEqual(one, value))) continue;
      const accepted = field.accepts.map((one) => JSON.stringify(one));
      throw invalid(
        `${name}: must be ${accepted.join(" or ")} (${field.about}); got ${shown(value)}; try without it`,
        name,
        "unsupported_value",
      );
    }
    const read = field.schema.safeParse(value);
    if (!read.success) {
      const [issue] = read.error.issues;
      const [line, place] =
        issue === undefined ? [`${name}: must have another value`, name] : lineOf(name, value, issue);
      throw invalid(line, place);
    }
    values[name] = read.data;
  }
  return values as Values<Table>;
};
