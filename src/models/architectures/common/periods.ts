/**
 * Converts between two ways to mark layers. Files contain a list with one entry per layer. A configuration contains the
 * n of "every n-th layer".
 */
import type { ModelConfig } from "../../config.ts";
import type { WindowConfig } from "../../config-parts.ts";
import { layerOf } from "../../layers.ts";

/**
 * Returns n ≥ 2 if exactly every n-th layer is marked. Returns null if no layer is marked, and undefined if there is no
 * such n.
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
 * @returns null if no layer has a window. Undefined if some layers have no window, but not exactly every n-th layer.
 */
export const windowOfLayers = (windowed: readonly boolean[], size: number): WindowConfig | null | undefined => {
  if (windowed.every((has) => !has)) return null;
  const fullEvery = periodOf(windowed.map((has) => !has));
  if (fullEvery === undefined) return undefined;
  return fullEvery === null ? { size } : { size, fullEvery };
};
