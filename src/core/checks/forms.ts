/** Forms of values from JavaScript programs: which members an object has, and of which kind each is. */

/** Whether a value has a form. */
export type Form = (value: unknown) => boolean;

export const isFunction: Form = (value) => typeof value === "function";
export const isNumber: Form = (value) => typeof value === "number";
export const isText: Form = (value) => typeof value === "string";
export const isFlag: Form = (value) => typeof value === "boolean";
export const isList: Form = Array.isArray;
export const isObject: Form = (value) => typeof value === "object" && value !== null;
export const isMap: Form = (value) => value instanceof Map;

/** A value that may be null. */
export const orNull =
  (form: Form): Form =>
  (value) =>
    value === null || form(value);

/** A value that may be left out. */
export const optional =
  (form: Form): Form =>
  (value) =>
    value === undefined || form(value);

/** A list whose elements have the form. An element that is left out has none: `every` passes over it. */
export const listOf =
  (form: Form): Form =>
  (value) => {
    if (!Array.isArray(value)) return false;
    for (const element of value) if (!form(element)) return false;
    return true;
  };

/** An object with these members, and perhaps others. Listed once: some of these checks run for each token. */
export const objectWith = (members: Readonly<Record<string, Form>>): Form => {
  const wanted = Object.entries(members);
  return (value) => isObject(value) && wanted.every(([name, form]) => form(Reflect.get(value as object, name)));
};
