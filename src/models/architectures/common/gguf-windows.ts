/** Windows of attention in GGUF files, both ways. */
import type { ModelConfig } from "../../config.ts";
import type { WindowConfig } from "../../config-parts.ts";
import type { Lack } from "../architecture.ts";
import { f32, type GgufFacts, type GgufValue, u32 } from "./gguf-values.ts";
import { windowedLayers, windowOfLayers } from "./periods.ts";

/** How llama.cpp computes windows of an architecture where a file does not say. */
export interface GgufWindows {
  /** Each n-th layer has none. */
  readonly fullEvery: number;
  /** Base of the wavelengths in layers with a window, if a file does not say; undefined: always that of the others. */
  readonly theta?: number;
}

/** Keys of windows besides the size. */
export const windowKeys = ["attention.sliding_window", "attention.sliding_window_pattern", "rope.freq_base_swa"];

const readSize = ({ fields, at }: GgufFacts): number => fields.id(at("attention.sliding_window")) ?? 0;

/** Fails for a window, where llama.cpp computes none for the architecture. */
export const checkNoWindow = (file: GgufFacts, contextLength: number): void => {
  const window = readSize(file);
  if (window === 0 || window >= contextLength) return;
  const must = `must be 0 or at least the context of ${contextLength}: every position sees all before it`;
  file.fields.fail(file.at("attention.sliding_window"), must, window);
};

/** Whether layer `i` of llama.cpp has a window, with each n-th one without; of 0, all have. */
const isWindowed = (i: number, n: number): boolean => n === 0 || (i + 1) % n !== 0;

/** The layers with a window. */
const readLayers = ({ fields, at }: GgufFacts, nLayer: number, { fullEvery }: GgufWindows): readonly boolean[] => {
  const key = at("attention.sliding_window_pattern");
  const listed = fields.flags(key);
  if (listed !== undefined) {
    if (listed.length < nLayer) fields.fail(key, `must have a value for each of ${nLayer} layers`, listed.length);
    return listed.slice(0, nLayer);
  }
  const n = fields.id(key) ?? fullEvery;
  return Array.from({ length: nLayer }, (_, i) => isWindowed(i, n));
};

/**
 * Reads the window of a model; null where no layer has one, or one that is shorter than the context or has wavelengths of its own.
 * @throws CheckpointError for layers with a window in an order that a configuration cannot say.
 */
export const readWindow = (
  file: GgufFacts,
  { contextLength, nLayer }: Pick<ModelConfig, "contextLength" | "nLayer">,
  position: ModelConfig["position"],
  windows: GgufWindows,
): WindowConfig | null => {
  const { fields, at } = file;
  const size = readSize(file);
  if (size === 0 || position.kind !== "rope") return null;
  const layers = readLayers(file, nLayer, windows);
  const key = at("attention.sliding_window_pattern");
  const window =
    windowOfLayers(layers, size) ??
    (layers.includes(true)
      ? fields.fail(key, "must leave each n-th layer without a window", layers.map(Number))
      : null);
  if (window === null) return null;
  const baseKey = at("rope.freq_base_swa");
  const theta = fields.real(baseKey) ?? windows.theta ?? position.theta;
  if (windows.theta === undefined && theta !== position.theta) {
    fields.fail(baseKey, `must be that of the other layers, ${position.theta}`, theta);
  }
  if (theta !== position.theta || position.scaling !== undefined) return { ...window, theta };
  return size < contextLength ? window : null;
};

/** The keys of a model's window with their values; those that llama.cpp supposes anyway are left out. */
export const windowValues = (config: ModelConfig, windows: GgufWindows): Readonly<Record<string, GgufValue>> => {
  const { window, position } = config;
  if (window === undefined || position.kind !== "rope") return {};
  const layers = windowedLayers(config);
  const isUsual = layers.every((has, i) => has === isWindowed(i, windows.fullEvery));
  const { fullEvery = 0, theta = position.theta } = window;
  return {
    "attention.sliding_window": u32(window.size),
    ...(isUsual ? {} : { "attention.sliding_window_pattern": u32(fullEvery) }),
    ...(theta === (windows.theta ?? position.theta) ? {} : { "rope.freq_base_swa": f32(theta) }),
  };
};

/** Wavelengths of layers with a window that llama.cpp does not compute: scaled ones, or of another base where it has but one. */
export const lacksWavelengths = ({ window, position }: ModelConfig, windows: GgufWindows): Lack | null => {
  if (window === undefined || position.kind !== "rope") return null;
  const { scaling = { kind: "none" }, theta } = position;
  const { theta: own = theta } = window;
  if (windows.theta === undefined && own !== theta) {
    const must = `must be ${theta}, as in the other layers, for a GGUF file: llama.cpp has no other base for this architecture`;
    return { field: "window.theta", must, got: String(own) };
  }
  if (window.theta !== undefined || scaling.kind === "none") return null;
  const must = "must be none for a GGUF file unless window.theta is given: llama.cpp scales no layer with a window";
  return { field: "position.scaling", must, got: scaling.kind };
};

/** A window, for an architecture for which llama.cpp computes none. */
export const lacksWindow = ({ window }: ModelConfig): Lack | null =>
  window === undefined
    ? null
    : {
        field: "window",
        must: "must be left out for a GGUF file: llama.cpp computes no window for this architecture",
        got: `one of ${window.size}`,
      };
