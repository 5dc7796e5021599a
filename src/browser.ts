/**
 * The library in a browser: what `import … from "foretoken/browser"` gives.
 * @module foretoken/browser
 */
export type { Backend, BackendName, Capabilities } from "./backend/backend.ts";
export { type BackendChoice, openBackend } from "./backend/select.browser.ts";
export type { WasmOptions } from "./backend/wasm/browser.ts";
export {
  CheckpointError,
  ConfigError,
  DataError,
  DTypeError,
  ForetokenError,
  ShapeError,
  UnsupportedKernelError,
} from "./core/errors.ts";
export {
  type FinishReason,
  type GenerateDoneEvent,
  type GenerateEvent,
  type GenerateOptions,
  generate,
  type TokenEvent,
} from "./generate/generate.ts";
export type { ModelConfig } from "./models/config.ts";
export type { Model } from "./models/model.ts";
export type { LanguageModel, Logits } from "./pretrained/language-model.ts";
export { type CheckpointFiles, type LoadOptions, loadPretrained } from "./pretrained/load.browser.ts";
export type { Tokenizer } from "./tokenizer/tokenizer.ts";
export type { RunConfig, TrainConfig } from "./train/config.ts";
export type { Evaluation } from "./train/evaluate.ts";
export type {
  CheckpointEvent,
  DoneEvent,
  EvalEvent,
  SampleEvent,
  StartEvent,
  StepEvent,
  TrainEvent,
} from "./train/events.ts";
export type { PartialConfig } from "./train/merge.ts";
export { type PresetName, presets } from "./train/presets.ts";
export { type EvaluateOptions, evaluate, type TrainOptions, train } from "./train/train.browser.ts";
