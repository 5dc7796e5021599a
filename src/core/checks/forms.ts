/** A form lists which members an object has, and the type of each member. The objects come from JavaScript programs. */

/** A function that returns whether a value has a form. */
export type Form = (value: unknown) => boolean;

export const isFunction: Form = (value) => typeof value === "function";
export const isNumber: Form = (value) => typeof value === "number";
export const isText: Form = (value) => typeof value === "string";
export const isFlag: Form = (value) => typeof value === "boolean";
export const isList: Form = Array.isArray;
export const isObject: Form = (value) => typeof value === "object" && value !== null;
export const isMap: Form = (value) => value instanceof Map;

/** Form of a value that may be null. */
export const orNull =
  (form: Form): Form =>
  (value) =>
    value === null || form(value);

/** Form of a value that may be absent. */
export const optional =
  (form: Form): Form =>
  (value) =>
    value === undefined || form(value);

/**
 * Form of a list. All elements must have the given form. A list with holes fails the check. (The method `every` would
 * skip holes.)
 */
export const listOf =
  (form: Form): Form =>
  (value) => {
    if (!Array.isArray(value)) return false;
    for (const element of value) if (!form(element)) return false;
    return true;
  };

/**
 * Form of an object that has at least these members. The list of members is made only once, because some checks run for
 * each token.
 */
export const objectWith = (members: Readonly<Record<string, Form>>): Form => {
  const wanted = Object.entries(members);
  return (value) => isObject(value) && wanted.every(([name, form]) => form(Reflect.get(value as object, name)));
};
