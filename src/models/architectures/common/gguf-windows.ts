/** Reads and writes attention windows in GGUF files. */
import type { ModelConfig } from "../../config.ts";
import type { WindowConfig } from "../../config-parts.ts";
import type { Lack } from "../architecture.ts";
import { f32, type GgufFacts, type GgufValue, u32 } from "./gguf-values.ts";
import { windowedLayers, windowOfLayers } from "./periods.ts";

/** The windows that llama.cpp uses for an architecture if the file does not specify windows. */
export interface GgufWindows {
  /** The n in "every n-th layer has no window". */
  readonly fullEvery: number;
  /** Default RoPE base of layers with a window. If undefined, these layers always use the base of the other layers. */
  readonly theta?: number;
}

/** Keys that describe windows, except the key of the window's size. */
export const windowKeys = ["attention.sliding_window", "attention.sliding_window_pattern", "rope.freq_base_swa"];

const readSize = ({ fields, at }: GgufFacts): number => fields.id(at("attention.sliding_window")) ?? 0;

/** Throws if the file has a window, because llama.cpp does not support windows for this architecture. */
export const checkNoWindow = (file: GgufFacts, contextLength: number): void => {
  const window = readSize(file);
  if (window === 0 || window >= contextLength) return;
  const must = `must be 0 or at least the context of ${contextLength}: llama.cpp ignores the window of this architecture`;
  file.fields.fail(file.at("attention.sliding_window"), must, window);
};

/**
 * Whether llama.cpp uses a window in layer `i` if every n-th layer has no window. With n = 0, all layers have a window.
 */
const isWindowed = (i: number, n: number): boolean => n === 0 || (i + 1) % n !== 0;

/** Whether each layer has a window. */
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
 * Reads the window of a model. Returns null if no layer has a window, or if windows change nothing. Windows change
 * nothing if they cover the context and all layers use the same wavelengths.
 * @throws CheckpointError if a configuration cannot express which layers have a window.
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
      ? fields.fail(key, "must leave every n-th layer, and no other layer, without a window", layers.map(Number))
      : null);
  if (window === null) return null;
  const baseKey = at("rope.freq_base_swa");
  const theta = fields.real(baseKey) ?? windows.theta ?? position.theta;
  if (windows.theta === undefined && theta !== position.theta) {
    fields.fail(baseKey, `must equal the base of the other layers, ${position.theta}`, theta);
  }
  if (theta !== position.theta || position.scaling !== undefined) return { ...window, theta };
  return size < contextLength ? window : null;
};

/** Keys and values of a model's window. Values that llama.cpp uses by default are left out. */
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

/**
 * Reports unsupported wavelengths in layers with a window. llama.cpp does not support scaled wavelengths there. For
 * some architectures, it has only one base, and a second base is not supported.
 */
export const lacksWavelengths = ({ window, position }: ModelConfig, windows: GgufWindows): Lack | null => {
  if (window === undefined || position.kind !== "rope") return null;
  const { scaling = { kind: "none" }, theta } = position;
  const { theta: own = theta } = window;
  if (windows.theta === undefined && own !== theta) {
    const must = `must be ${theta}, the base of the other layers, for a GGUF file: llama.cpp has one base for this architecture`;
    return { field: "window.theta", must, got: String(own) };
  }
  if (window.theta !== undefined || scaling.kind === "none") return null;
  const must = "must be none for a GGUF file if window.theta is absent: llama.cpp does not scale layers with a window";
  return { field: "position.scaling", must, got: scaling.kind };
};

/** Reports a window if llama.cpp does not support windows for the architecture. */
export const lacksWindow = ({ window }: ModelConfig): Lack | null =>
  window === undefined
    ? null
    : {
        field: "window",
        must: "must be absent for a GGUF file: llama.cpp does not support windows for this architecture",
        got: `one of ${window.size}`,
      };
