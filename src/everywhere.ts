/** The part of the library that is the same in Node and in browsers. Both entries export it. */

// Errors

export {
  CheckpointError,
  ConfigError,
  DataError,
  DTypeError,
  ForetokenError,
  ShapeError,
  UnsupportedKernelError,
} from "./core/errors/errors.ts";

// Backends: memory of tensors, and kernels

export type { Backend, BackendName, Capabilities, Storage, View } from "./backend/backend.ts";

// Tensors and automatic differentiation

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

// Random numbers

export { type RandomKey, type RandomStream, randomKey, randomStream, type Stream } from "./core/random.ts";

// Text, documents and batches

export {
  type Batch,
  type EvaluationOptions,
  evaluationWindows,
  type TrainingBatchOptions,
  trainingBatch,
} from "./data/batches.ts";
export { type Corpus, splitText, type TextSplit } from "./data/corpus.ts";
export type {
  GivenConversation,
  GivenDocument,
  GivenMessage,
  GivenPair,
  GivenPlainText,
  GivenShareGpt,
} from "./data/parse-document.ts";
export type { RowKind } from "./data/rows.ts";

// Tokenizers

export { type BpeTokenizer, bpeTokenizer } from "./tokenizer/bpe/bpe.ts";
export { type BpeTrainer, type BpeTraining, bpeTrainer, trainBpeTokenizer } from "./tokenizer/bpe/learn/train.ts";
export type { BpeParts, MergeRule } from "./tokenizer/bpe/parts.ts";
export type { SplitPattern } from "./tokenizer/bpe/split/patterns.ts";
export { type CharTokenizer, trainCharTokenizer } from "./tokenizer/char.ts";
export type {
  BpeTokenizerConfig,
  CharTokenizerConfig,
  HuggingFaceTokenizerConfig,
  SentencePieceTokenizerConfig,
  TokenizerConfig,
} from "./tokenizer/config.ts";
export { loadTokenizer } from "./tokenizer/registry.ts";
export { encodeWithSpecials } from "./tokenizer/special.ts";
export { type TextStream, type TokenBytes, textStream } from "./tokenizer/text-stream.ts";
export type { DecodeOptions, SpecialToken, Tokenizer } from "./tokenizer/tokenizer.ts";
export type { SkippedText, UnknownChoice } from "./tokenizer/unknown.ts";

// Models: configuration, weights, loss and gradients; LoRA adapters

export type { Arena, ArenaLayout, Placed } from "./models/arena.ts";
export type { ModelConfig } from "./models/config.ts";
export type {
  BiasConfig,
  GegluMlpConfig,
  GeluMlpConfig,
  LayerNormConfig,
  LearnedPositionConfig,
  LinearRopeScaling,
  Llama3RopeScaling,
  NoRopeScaling,
  Relu2MlpConfig,
  RmsNormConfig,
  RopeConfig,
  SwigluMlpConfig,
  WindowConfig,
} from "./models/config-parts.ts";
export { crossEntropyLoss, forward, forwardLoss } from "./models/forward.ts";
export { createGradients, type Gradients } from "./models/gradients.ts";
export type { Adapter } from "./models/lora/adapter.ts";
export type { LoraConfig, LoraTarget } from "./models/lora/config.ts";
export { mergeAdapter } from "./models/lora/merge.ts";
export { type AdaptedModel, loraModel } from "./models/lora/model.ts";
export { freshModel, type Model } from "./models/model.ts";

// Optimizers and learning rates

export { clipFactor } from "./optim/clip.ts";
export type {
  AdamConfig,
  AdamWConfig,
  ConstantSchedule,
  CosineSchedule,
  ExtendKind,
  Extension,
  LinearSchedule,
  MuonConfig,
  OptimizerConfig,
  ScheduleConfig,
} from "./optim/config.ts";
export { createOptimizer } from "./optim/optimizer.ts";
export { type LearningRatePlan, learningRateAt } from "./optim/schedule.ts";
export type { Optimizer, OptimizerArena, Update } from "./optim/update.ts";

// Training: configuration, presets and events

export type { AverageConfig, EmaConfig, LastKConfig } from "./config/average.ts";
export type { LongDocumentAction, NonfiniteAction, RunConfig, TrainConfig } from "./config/config.ts";
export type { PartialConfig } from "./config/merge.ts";
export { defaultPreset, type PresetName, presets } from "./config/presets.ts";
export type { TeacherConfig } from "./config/teacher.ts";
export type {
  AveragedEvaluation,
  BestAverage,
  CheckpointEvent,
  DoneEvent,
  EstimateEvent,
  EvalEvent,
  NonfiniteEvent,
  OverfittingEvent,
  ProfileEvent,
  SampleEvent,
  StartDocuments,
  StartEvent,
  StepEvent,
  TrainEvent,
} from "./runs/events.ts";

// Evaluation

export {
  type ChoiceQuestion,
  type ChoiceResult,
  type ChoicesEvaluation,
  type ChoicesOptions,
  evaluateChoices,
} from "./evaluate/choices.ts";
export { compareEvaluations, type HalfWidth, type LossDifference } from "./evaluate/compare.ts";
export {
  type CompareModelsOptions,
  compareModels,
  type GreedyDifference,
  type ModelsDifference,
} from "./evaluate/compare-models.ts";
export { compareRuns, type MeasuredSetting, type SettingDifference } from "./evaluate/compare-runs.ts";
export type { ComparedToken, TextDifference } from "./evaluate/compare-text.ts";
export type { Evaluation, WindowLoss } from "./evaluate/evaluate.ts";

// Models with their tokenizers: loading, saving, logits and log-probabilities

export type { AdapterFiles } from "./pretrained/adapter/opened.ts";
export type { SaveAdapterOptions } from "./pretrained/adapter/save.ts";
export type { CheckpointFiles } from "./pretrained/files/names.ts";
export {
  type ChatTemplate,
  type LanguageModel,
  type LanguageModelFacts,
  type Logits,
  languageModel,
} from "./pretrained/model/language-model.ts";
export type { Candidate } from "./pretrained/model/likeliest.ts";
export type { Score, ScoredToken } from "./pretrained/model/score.ts";
export type { ScoreOptions } from "./pretrained/model/score-options.ts";

// Text generation

export type { EngineCounts } from "./engine/engine.ts";
export type { GuessCounts } from "./engine/guess-state.ts";
export { type BeamSearchOptions, type BeamText, beamSearch } from "./generate/beam-search.ts";
export { type CompiledConstraint, compileConstraint } from "./generate/constraint/compile.ts";
export type {
  ChoiceConstraint,
  Constraint,
  EitherConstraint,
  GrammarConstraint,
  JsonConstraint,
  JsonSchemaConstraint,
  RegexConstraint,
  RepeatConstraint,
  SequenceConstraint,
  TokenConstraint,
  TriggerConstraint,
} from "./generate/constraint/constraint.ts";
export type { Matcher } from "./generate/constraint/matcher.ts";
export type { EngineGenerateOptions, EngineOptions } from "./generate/engine-options.ts";
export type { FinishReason, GenerateDoneEvent, GenerateEvent, PromptEvent, TokenEvent } from "./generate/events.ts";
export { generate } from "./generate/generate.ts";
export { type GenerateManyOptions, generateMany, type ManyPrompt, type ManyText } from "./generate/generate-many.ts";
export { type Engine, openEngine } from "./generate/open-engine.ts";
export type { GenerateOptions } from "./generate/options.ts";
export type { FilterName } from "./generate/sampling/settings.ts";
export type { Speculate } from "./generate/speculation/speculate.ts";
export type { EngineEvent } from "./generate/text-engine.ts";

// Inside a model: attention, logit lens, neighbours of tokens, heads switched off, patched activations

export { type AttentionMap, type AttentionMaps, type AttentionOfOptions, attentionOf } from "./inside/attention.ts";
export { type HeadPlace, withoutHeads } from "./inside/heads.ts";
export { type LensOptions, type LensPosition, type LensReading, type LensTarget, lensOf } from "./inside/lens.ts";
export { type Neighbour, type NeighbourOptions, type Neighbours, neighboursOf } from "./inside/neighbours.ts";
export { type Patched, type PatchOptions, patched } from "./inside/patch.ts";
export type { LensStage } from "./inside/residual-stream.ts";
export type { NamedToken } from "./inside/tokens.ts";
