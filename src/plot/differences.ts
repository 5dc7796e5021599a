/** Describes the differences between the configurations of runs. */
import { isRecord } from "../core/checks/is-record.ts";

/** Fields of a configuration and their values as text, such as "train.steps" and "500". */
const fieldsOf = (value: unknown, path = ""): readonly (readonly [path: string, value: string])[] => {
  if (value === undefined) return [];
  if (!isRecord(value)) return [[path, typeof value === "string" ? value : JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, inner]) => fieldsOf(inner, path === "" ? key : `${path}.${key}`));
};

/**
 * Lists for each configuration the fields that are not equal in all configurations.
 * @param configs objects with numbers, texts and nested objects.
 * @returns for each configuration, entries such as "train.learningRate 0.001" in the order of its fields.
 */
export const differencesOf = (configs: readonly unknown[]): readonly (readonly string[])[] => {
  const all = configs.map((config) => new Map(fieldsOf(config)));
  return all.map((fields) =>
    Array.from(fields)
      .filter(([path, value]) => all.some((other) => other.get(path) !== value))
      .map(([path, value]) => `${path} ${value}`),
  );
};
