/**
 * Converts between the lists in files, which have an entry for each layer, and a configuration, which says "every n-th
 * layer".
 */
import type { ModelConfig } from "../../config.ts";
import type { WindowConfig } from "../../config-parts.ts";
import { layerOf } from "../../layers.ts";

/**
 * n ≥ 2 if every n-th layer is marked and no other layer is; null if no layer is marked; undefined if no such n exists.
 */
export const periodOf = (marks: readonly boolean[]): number | null | undefined => {
  const n = marks.indexOf(true) + 1;
  if (n === 0) return null;
  return n > 1 && marks.every((mark, i) => mark === ((i + 1) % n === 0)) ? n : undefined;
};

/** Whether each layer has a window. */
export const windowedLayers = (config: ModelConfig): readonly boolean[] =>
  Array.from({ length: config.nLayer }, (_, i) => layerOf(config, i).window !== null);

/**
 * The window of the layers that have a window.
 * @returns null if no layer has a window; undefined if there is no n such that exactly every n-th layer has no window.
 */
export const windowOfLayers = (windowed: readonly boolean[], size: number): WindowConfig | null | undefined => {
  if (windowed.every((has) => !has)) return null;
  const fullEvery = periodOf(windowed.map((has) => !has));
  if (fullEvery === undefined) return undefined;
  return fullEvery === null ? { size } : { size, fullEvery };
};
