/**
 * The library: what `import … from "foretoken"` gives in Node.
 * @module foretoken
 */
export {
  backward,
  type Context,
  type DropoutSource,
  dropoutSource,
  inferenceContext,
  type TrainingContext,
  withContext,
} from "./autograd/context.ts";
export type { Tape } from "./autograd/tape.ts";
export { type Memory, readScalar, readTensor, type Tensor } from "./autograd/tensor.ts";
export type { Backend, BackendName, Capabilities, Storage, View } from "./backend/backend.ts";
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
export { type RandomKey, type RandomStream, randomKey, randomStream, type Stream } from "./core/random.ts";
export {
  type Batch,
  type EvaluationOptions,
  evaluationWindows,
  type TrainingBatchOptions,
  trainingBatch,
} from "./data/batches.ts";
export { type CorpusOptions, type LoadedCorpus, loadCorpus } from "./data/corpora.node.ts";
export { type Corpus, splitText, type TextSplit } from "./data/corpus.ts";
export {
  type FinishReason,
  type GenerateDoneEvent,
  type GenerateEvent,
  type GenerateOptions,
  generate,
  type TokenEvent,
} from "./generate/generate.ts";
export type { Arena, ArenaLayout, Placed } from "./models/arena.ts";
export type { ModelConfig } from "./models/config.ts";
export { crossEntropyLoss, forward, forwardLoss } from "./models/forward.ts";
export { createGradients, type Gradients } from "./models/gradients.ts";
export { freshModel, type Model } from "./models/model.ts";
export { clipFactor } from "./optim/clip.ts";
export type { OptimizerConfig, ScheduleConfig } from "./optim/config.ts";
export { createOptimizer } from "./optim/optimizer.ts";
export { type LearningRatePlan, learningRateAt } from "./optim/schedule.ts";
export type { Optimizer, OptimizerArena, Update } from "./optim/update.ts";
export { type LanguageModel, type Logits, languageModel } from "./pretrained/language-model.ts";
export { type LoadOptions, loadPretrained } from "./pretrained/load.node.ts";
export { savePretrained } from "./pretrained/save.node.ts";
export { type CharTokenizer, trainCharTokenizer } from "./tokenizer/char.ts";
export type { TokenizerConfig } from "./tokenizer/config.ts";
export type { DecodeOptions, SpecialToken, Tokenizer } from "./tokenizer/tokenizer.ts";
export type { RunConfig, TrainConfig } from "./train/config/config.ts";
export type { PartialConfig } from "./train/config/merge.ts";
export { type PresetName, presets } from "./train/config/presets.ts";
export type {
  CheckpointEvent,
  DoneEvent,
  EstimateEvent,
  EvalEvent,
  NonfiniteEvent,
  OverfittingEvent,
  ProfileEvent,
  SampleEvent,
  StartEvent,
  StepEvent,
  TrainEvent,
} from "./train/events.ts";
export {
  type ListedRun,
  listRuns,
  type RunList,
  type RunLoss,
  type RunState,
  type SkippedFolder,
} from "./train/folder/runs.node.ts";
export { type EvaluateOptions, evaluate } from "./train/measuring/evaluate.node.ts";
export type { Evaluation } from "./train/measuring/evaluate.ts";
export type { SplitName } from "./train/measuring/evaluate-corpus.ts";
export { loadInWorker, type WorkerLoadOptions, type WorkerModel } from "./worker/model.node.ts";
export { type NewRun, type ResumedRunOptions, type TrainOptions, train } from "./worker/train.node.ts";
