/** Lists of a word for each layer, as files have them, where a configuration says "each n-th layer". */
import type { ModelConfig } from "../../config.ts";
import type { WindowConfig } from "../../config-parts.ts";
import { layerOf } from "../../layers.ts";

/** n, where the layers that are marked are each n-th one, from 2 on; null where none is, undefined where there is no such n. */
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
 * @returns null where no layer has; undefined where the others are not each n-th one.
 */
export const windowOfLayers = (windowed: readonly boolean[], size: number): WindowConfig | null | undefined => {
  if (windowed.every((has) => !has)) return null;
  const fullEvery = periodOf(windowed.map((has) => !has));
  if (fullEvery === undefined) return undefined;
  return fullEvery === null ? { size } : { size, fullEvery };
};
