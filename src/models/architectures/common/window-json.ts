/** Reads and writes attention windows in `config.json`. */
import { z } from "zod";
import { parseConfig } from "../../../core/checks/config.ts";
import { lazy } from "../../../core/lazy.ts";
import type { ModelConfig } from "../../config.ts";
import type { WindowConfig } from "../../config-parts.ts";
import { count, fail, flag, optional } from "./fields.ts";
import { windowedLayers, windowOfLayers } from "./periods.ts";

/**
 * Which layers of a class have a window:
 * - never: no layers, even if the file specifies a window.
 * - given: all layers, if `sliding_window` is a number.
 * - asked: the layers listed in `layer_types`, but only if `use_sliding_window` is true. Without a list, the layers
 *   from `max_window_layers` on.
 * - a number n: the layers listed in `layer_types`. Without a list, all layers except every n-th layer.
 */
export type Slides = "never" | "given" | "asked" | { readonly fullEvery: number };

const windowFields = lazy(() =>
  z.object({
    max_position_embeddings: count,
    num_hidden_layers: count,
    use_sliding_window: flag,
    sliding_window: optional(count),
    max_window_layers: optional(z.int().min(0)),
    layer_types: optional(z.array(z.string())),
    sliding_window_pattern: optional(count),
  }),
);
type Read = z.output<ReturnType<typeof windowFields>>;

const defaultWindowLayers = 28;
const sliding = "sliding_attention";
const full = "full_attention";

/** Whether each layer has a window, according to `layer_types`. */
const listedLayers = (types: readonly string[], { num_hidden_layers: layers }: Read, where: string) => {
  const other = types.find((type) => type !== sliding && type !== full);
  if (other !== undefined) fail(where, "layer_types", `must be ${full} or ${sliding} in every layer`, other);
  if (types.length < layers)
    fail(where, "layer_types", `must have an entry for each of ${layers} layers`, types.length);
  return types.slice(0, layers).map((type) => type === sliding);
};

/** Whether each layer has a window, for a class that supports windows. */
const slidingLayers = (read: Read, slides: Exclude<Slides, "never">, where: string): readonly boolean[] => {
  const { num_hidden_layers: layers, layer_types: types } = read;
  const each = (has: (i: number) => boolean): readonly boolean[] => Array.from({ length: layers }, (_, i) => has(i));
  const listed = types === undefined || types === null ? undefined : listedLayers(types, read, where);
  if (slides === "given") {
    const at = listed?.indexOf(false) ?? -1;
    return at === -1 ? each(() => true) : fail(where, "layer_types", `must be ${sliding} in every layer`, types?.[at]);
  }
  if (slides === "asked") {
    if (read.use_sliding_window === true) {
      return listed ?? each((i) => i >= (read.max_window_layers ?? defaultWindowLayers));
    }
    if (listed?.includes(true) === true) {
      fail(where, "layer_types", `must be ${full} in every layer if use_sliding_window is not true`, sliding);
    }
    return each(() => false);
  }
  const fullEvery = read.sliding_window_pattern ?? slides.fullEvery;
  return listed ?? each((i) => (i + 1) % fullEvery !== 0);
};

/** How to read the windows of a class. */
export interface ReadingWindow {
  readonly slides: Slides;
  /** Default of `sliding_window`. If undefined, there is no window by default. */
  readonly size: number | undefined;
  /** RoPE base in layers with a window, if these layers have their own base. */
  readonly theta: number | undefined;
}

/**
 * Returns the window in a `config.json`, or null if windows change nothing. Windows change nothing if no layer has a
 * window. Windows also change nothing if the window covers the whole context and all layers have the same base.
 * @throws CheckpointError if a configuration cannot express which layers have a window.
 */
export const readWindow = (
  json: object,
  { slides, size, theta }: ReadingWindow,
  where: string,
): WindowConfig | null => {
  if (slides === "never") return null;
  const read = parseConfig(windowFields(), json, where);
  const given = read.sliding_window === undefined ? size : read.sliding_window;
  if (typeof given !== "number" || (given >= read.max_position_embeddings && theta === undefined)) return null;
  const layers = slidingLayers(read, slides, where);
  const window = windowOfLayers(layers, given);
  if (window !== undefined) return window === null || theta === undefined ? window : { ...window, theta };
  const words = layers.slice(0, 8).map((has) => (has ? sliding : full));
  const must = `must be ${full} in every n-th layer (n ≥ 2) and ${sliding} in all other layers`;
  return fail(where, (read.layer_types ?? null) === null ? "max_window_layers" : "layer_types", must, words);
};

/** `layer_types` of a model. */
export const layerTypes = (config: ModelConfig): readonly string[] =>
  windowedLayers(config).map((has) => (has ? sliding : full));

/** Fields that describe the window, for a class that has `use_sliding_window`. */
export const askedWindowJson = (config: ModelConfig): Record<string, unknown> =>
  config.window === undefined
    ? { use_sliding_window: false }
    : { use_sliding_window: true, sliding_window: config.window.size, layer_types: layerTypes(config) };
