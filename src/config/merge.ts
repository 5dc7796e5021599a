import { isRecord } from "../core/checks/is-record.ts";

/** A configuration in which any part may be absent. */
export type PartialConfig<T> = T extends object ? { readonly [K in keyof T]?: PartialConfig<T[K]> } : T;

/**
 * Copies `base` and replaces the fields that `changes` names, object by object. If the `kind` of an object changes, the
 * fields of the old kind are dropped, and the schema adds the defaults of the new kind.
 * @param changes plain data: objects without accessors and without cycles.
 */
export const merge = (base: unknown, changes: unknown): unknown => {
  if (!isRecord(base) || !isRecord(changes)) return changes;
  const otherKind = changes.kind !== undefined && changes.kind !== base.kind;
  // Not an object literal: the key `__proto__` would set its prototype.
  const merged = new Map<string, unknown>(otherKind ? [] : Object.entries(base));
  for (const [key, value] of Object.entries(changes)) {
    if (value !== undefined) merged.set(key, merged.has(key) ? merge(merged.get(key), value) : value);
  }
  return Object.fromEntries(merged);
};
