import { ConfigError } from "../errors/errors.ts";
import { show } from "../text/show.ts";

/** No configuration is nested this deeply or has this many fields. */
const maxDepth = 16;
const maxFields = 10_000;

/**
 * Whether an object is plain, as from `{}` or JSON, and not an instance of a class. The object may come from another
 * window.
 */
const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
};

/**
 * Copies a user's configuration, so that later reads cannot fail or return other values. A key `__proto__` stays a key;
 * the schema refuses it.
 * @param where the name of `value` in errors.
 * @throws ConfigError for an instance of a class, accessors, symbol keys, a cycle, or more fields than any
 * configuration has.
 */
export const plainData = (value: unknown, where: string): unknown => {
  let fields = 0;
  const refuse = (path: readonly string[], must: string, got?: string): never => {
    throw new ConfigError({ where: [where, ...path].join("."), must, ...(got === undefined ? {} : { got }) });
  };
  const copy = (node: unknown, path: readonly string[]): unknown => {
    if (typeof node !== "object" || node === null) return node;
    if (path.length > maxDepth) return refuse([], `must be nested at most ${maxDepth} deep`, "more");
    const list = Array.isArray(node);
    if (!list && !isPlain(node)) return refuse(path, "must be a plain object", "an instance of a class");
    const entries: [string, unknown][] = [];
    for (const key of Reflect.ownKeys(node)) {
      if (list && key === "length") continue;
      if (typeof key === "symbol") return refuse(path, "every key must be a string", show(key));
      fields++;
      if (fields > maxFields) return refuse([], `must have at most ${maxFields} fields`, "more");
      const property = Object.getOwnPropertyDescriptor(node, key);
      if (property === undefined || !("value" in property)) {
        return refuse(path, "every field must be a plain value", `an accessor, ${show(key)}`);
      }
      entries.push([key, copy(property.value, [...path, key.slice(0, 64)])]);
    }
    return list ? entries.map(([, item]) => item) : Object.fromEntries(entries);
  };
  try {
    return copy(value, []);
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    // Any access to a proxy can throw.
    throw new ConfigError({ where, must: "must be plain data", got: "an unreadable object", cause });
  }
};
