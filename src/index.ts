/** The library: what `import … from "foretoken"` gives in Node. */
export type { Backend, BackendName, Capabilities } from "./backend/backend.ts";
export {
  type BackendChoice,
  type BackendDescription,
  type BackendOptions,
  type BackendReport,
  describeBackends,
  openBackend,
} from "./backend/select.node.ts";
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
export { type LoadOptions, loadPretrained } from "./pretrained/load.node.ts";
export type { Tokenizer } from "./tokenizer/tokenizer.ts";
export type { RunConfig, TrainConfig } from "./train/config.ts";
export { type EvaluateOptions, evaluate } from "./train/evaluate.node.ts";
export type { Evaluation } from "./train/evaluate.ts";
export type { SplitName } from "./train/evaluate-corpus.ts";
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
export { type NewRun, type ResumedRunOptions, type TrainOptions, train } from "./train/train.node.ts";
