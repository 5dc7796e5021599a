/** Converts between per-layer lists in files and "each n-th layer" in a configuration. */
import type { ModelConfig } from "../../config.ts";
import type { WindowConfig } from "../../config-parts.ts";
import { layerOf } from "../../layers.ts";

/** n if exactly each n-th layer is marked, n at least 2; null if no layer is; undefined if no such n exists. */
export const periodOf = (marks: readonly boolean[]): number | null | undefined => {
  const n = marks.indexOf(true) + 1;
  if (n === 0) return null;
  return n > 1 && marks.every((mark, i) => mark === ((i + 1) % n === 0)) ? n : undefined;
};

/** Whether each layer has a window. */
export const windowedLayers = (config: ModelConfig): readonly boolean[] =>
  Array.from({ length: config.nLayer }, (_, i) => layerOf(config, i).window !== null);

/**
 * The window of the layers that have one.
 * @returns null if no layer has a window; undefined if the layers without one are not exactly each n-th.
 */
export const windowOfLayers = (windowed: readonly boolean[], size: number): WindowConfig | null | undefined => {
  if (windowed.every((has) => !has)) return null;
  const fullEvery = periodOf(windowed.map((has) => !has));
  if (fullEvery === undefined) return undefined;
  return fullEvery === null ? { size } : { size, fullEvery };
};
