/** Differences of runs' configurations, in words. */
import { isRecord } from "../core/checks/is-record.ts";

/** The fields of a configuration with their values as text, as "train.steps" and "500". */
const fieldsOf = (value: unknown, path = ""): readonly (readonly [path: string, value: string])[] => {
  if (value === undefined) return [];
  if (!isRecord(value)) return [[path, typeof value === "string" ? value : JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, inner]) => fieldsOf(inner, path === "" ? key : `${path}.${key}`));
};

/**
 * What is not the same in all of them, for each.
 * @param configs objects of fields, numbers and texts.
 * @returns for each, in its own order: "train.learningRate 0.001".
 */
export const differencesOf = (configs: readonly unknown[]): readonly (readonly string[])[] => {
  const all = configs.map((config) => new Map(fieldsOf(config)));
  return all.map((fields) =>
    Array.from(fields)
      .filter(([path, value]) => all.some((other) => other.get(path) !== value))
      .map(([path, value]) => `${path} ${value}`),
  );
};
