/** Reads fields of unchecked changes. */
import { isRecord } from "../core/checks/is-record.ts";

/** The value at `path` in nested records; undefined if there is none. */
export const given = (changes: unknown, path: readonly string[]): unknown =>
  path.reduce((node, key) => (isRecord(node) ? node[key] : undefined), changes);

/** `value` if it is a whole number above 0. */
export const wholeNumber = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isInteger(value) && value > 0 ? value : undefined;
