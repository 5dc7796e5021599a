import { type Conjunction, type Literal, types } from "./conjunction.ts";

/**
 * Whether it is certain that no value meets a conjunction. The function checks types, values, bounds and required
 * properties, to a depth of a few levels.
 * @param isEmpty does the same check for the values inside an array or object.
 */
export const isEmptyWay = (
  way: Conjunction,
  depth: number,
  isEmpty: (literals: readonly Literal[], depth: number) => boolean,
): boolean => {
  if (way.values !== null) {
    return way.values.every((value) => {
      const type = value === null ? types.null : types[typeof value as "boolean" | "number" | "string"];
      return (
        (way.types & type) === 0 ||
        way.notValues.includes(value) ||
        (typeof value === "number" &&
          (value < way.number.minimum ||
            value > way.number.maximum ||
            (way.number.integer && !Number.isInteger(value))))
      );
    });
  }
  const { number, string, array, object } = way;
  if ((way.types & (types.null | types.boolean)) !== 0) return false;
  if ((way.types & types.number) !== 0) {
    const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = number;
    const isEmpty = minimum > maximum || exclusiveMinimum >= maximum || minimum >= exclusiveMaximum;
    if (!isEmpty) return false;
  }
  if ((way.types & types.string) !== 0 && string.minLength <= string.maxLength) return false;
  if ((way.types & types.array) !== 0 && array.minItems <= array.maxItems) {
    const item = array.schemas.flatMap(({ first, rest }) => first[0] ?? rest ?? []);
    if (depth === 0 || array.minItems === 0 || !isEmpty(item, depth - 1)) return false;
  }
  if ((way.types & types.object) !== 0 && object.required.length <= object.maxProperties) {
    if (depth === 0) return false;
    const isMissing = (name: string): boolean =>
      isEmpty(
        object.schemas.flatMap(({ named, patterns, rest }) => {
          const own = named.get(name);
          return own !== undefined ? own : patterns.length === 0 ? (rest ?? []) : [];
        }),
        depth - 1,
      );
    if (!object.required.some(isMissing)) return false;
  }
  return true;
};
