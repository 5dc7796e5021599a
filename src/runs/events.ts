import type { KernelProfile } from "../backend/observers/profiled.ts";
import type { RunConfig } from "../config/config.ts";
import type { ProductDType } from "../core/tensors/dtype.ts";
import type { MemoryEstimate } from "./memory-estimate.ts";

/**
 * Version of the events' format. The version changes if a field changes its meaning. The version does not change if a
 * field or a type is added.
 */
export const eventVersion = 1;

interface Versioned {
  /** Version of the event's format. */
  readonly v: typeof eventVersion;
}

/** First event of a run. */
export interface StartEvent extends Versioned {
  readonly type: "start";
  /**
   * The whole configuration: the preset, the changes and the defaults. The configuration contains the dtype that `auto`
   * chose.
   */
  readonly config: RunConfig;
  /**
   * Fields of the configuration that depend on the size of the text, such as "train.steps". Empty with a preset, and in
   * a resumed run.
   */
  readonly derived: readonly string[];
  /** Number of the model's parameters. All parameters are trained, except if the run trains adapters. */
  readonly parameters: number;
  /** Number of the adapters' parameters (LoRA). Only these parameters are trained. Absent without adapters. */
  readonly adapterParameters?: number;
  /** Name of the backend. */
  readonly backend: string;
  /** The instruction set in use, such as `avx512` or `simd128`. */
  readonly instructionSet: string;
  /** Number of threads that compute, per rank. */
  readonly threads: number;
  /**
   * Number of processes that train the model together over MPI. Absent if there is only one process. Memory values are
   * per process.
   */
  readonly ranks?: number;
  /** Number format of matrix products. */
  readonly dtype: ProductDType;
  /** Name of the text. */
  readonly corpus: string;
  /** Number of training tokens. */
  readonly trainTokens: number;
  /** Number of validation tokens. */
  readonly valTokens: number;
  /** The documents that the tokens belong to; absent if the run trains on a text. */
  readonly documents?: StartDocuments | undefined;
  /** Number of different tokens. */
  readonly vocabSize: number;
  /**
   * The run's folder. "onCheckpoint" or "onAdapter" if only that callback gets the run's checkpoints. Null if nothing
   * is saved.
   */
  readonly out: string | null;
  /**
   * The checkpoint with the run's initial weights, or another place where the same weights were found. Null if the
   * weights were drawn at random.
   */
  readonly initFrom: string | null;
  /** The models that the run learns from, in addition to the text. Absent if there are none. */
  readonly teachers?: readonly string[];
  /** Number of updates done before: 0 for a new run. */
  readonly step: number;
  /** Memory that the run will need, in bytes. */
  readonly memory: MemoryEstimate;
  /**
   * Memory that the process can use in total, in bytes. The number includes the memory that the process uses already.
   * Null if unknown, as in a browser.
   */
  readonly availableMemory: number | null;
}

/** The documents of a run. */
export interface StartDocuments {
  /** Number of training documents. */
  readonly train: number;
  /** Number of validation documents. */
  readonly val: number;
  /** Number of training tokens that the loss counts: tokens of answers and of plain texts. */
  readonly trainTargets: number;
  /** Number of validation tokens that the loss counts. */
  readonly valTargets: number;
  /** Number of rows in one epoch, a pass over all training documents. */
  readonly rowsPerPass: number;
  /** Whether some documents are conversations. If true, the model answers the prompt in each sample. */
  readonly chat: boolean;
}

/** Estimate of the run's duration. Sent once, after the first steps were timed. Not stored in the run's folder. */
export interface EstimateEvent extends Versioned {
  readonly type: "estimate";
  /** Updates done. */
  readonly step: number;
  /** Number of timed steps; the first step is not timed. */
  readonly timedSteps: number;
  /** Median time of the timed steps. */
  readonly stepSeconds: number;
  /** Seconds until the end of the run, including evaluations and samples. */
  readonly secondsLeft: number;
}

/** One optimizer update. */
export interface StepEvent extends Versioned {
  readonly type: "step";
  /** Number of updates done, including this update. */
  readonly step: number;
  /**
   * Mean cross-entropy of the text before the update, over the step's tokens that the loss counts, in nats per token.
   */
  readonly loss: number;
  /**
   * With teachers: T² times the mean divergence KL(teacher ‖ model) at the temperature T, in nats per token. The step
   * minimises (1 − weight) · `loss` + weight · `teacherLoss` (`train.teacher`). Absent without teachers.
   */
  readonly teacherLoss?: number;
  /** Learning rate of this update. */
  readonly learningRate: number;
  /** Global norm of the gradient before clipping. */
  readonly gradNorm: number;
  /** Speed of this step: tokens that the model processed per second. */
  readonly tokensPerSecond: number;
}

/** An evaluation on the whole validation split. */
export interface EvalEvent extends Versioned {
  readonly type: "eval";
  /** Updates done. */
  readonly step: number;
  /** Mean of the step losses since the previous evaluation, in nats per token. Null before the first step. */
  readonly trainLoss: number | null;
  /** Nats per token. */
  readonly valLoss: number;
  /** Nats per character (code point). Comparable across tokenizers. */
  readonly natsPerCharacter: number;
  /** Bits per byte of UTF-8. Comparable across tokenizers. */
  readonly bitsPerByte: number;
  /** e^valLoss */
  readonly perplexity: number;
  /** Tokens predicted. */
  readonly tokens: number;
  /** `begin`: the evaluation before the first step of a run with initial weights (`initFrom`). */
  readonly reason: "begin" | "interval" | "end";
  /** Whether this is the lowest validation loss so far. If true, `best/` contains the weights of this evaluation. */
  readonly best: boolean;
  /**
   * The same evaluation with the averaged weights; absent without `train.average`, and before the first step. It does
   * not count for `best` and `patience`.
   */
  readonly averaged?: AveragedEvaluation | undefined;
}

/** An evaluation of the averaged weights, on the same tokens as the evaluation of the weights. */
export interface AveragedEvaluation {
  /** Nats per token. */
  readonly valLoss: number;
  /** Nats per character (code point). */
  readonly natsPerCharacter: number;
  /** Bits per byte of UTF-8. */
  readonly bitsPerByte: number;
  /** e^valLoss */
  readonly perplexity: number;
  /** Whether this is the lowest loss of averaged weights so far; then `averaged/` has these weights. */
  readonly best: boolean;
}

/**
 * The validation loss has begun to rise while the training loss still falls. Sent once, after the `eval` event that
 * shows the rise. A smaller model, dropout or an earlier end (`patience`) would be better for this text. `best/` keeps
 * the best weights.
 */
export interface OverfittingEvent extends Versioned {
  readonly type: "overfitting";
  /** Updates done. */
  readonly step: number;
  /** Validation loss at this step, in nats per token. */
  readonly valLoss: number;
  /** Lowest validation loss so far. */
  readonly bestValLoss: number;
  /** The step of `bestValLoss`. */
  readonly bestStep: number;
}

/** A step was skipped because its loss or a gradient was not finite, or because it exploded. */
export interface NonfiniteEvent extends Versioned {
  readonly type: "nonfinite";
  /** Number of the update that was skipped, counted as in `step` events. */
  readonly step: number;
  /** Mean loss over the step's tokens, in nats per token; null if it was not finite. */
  readonly loss: number | null;
  /** Global norm before clipping; null if it was not finite. */
  readonly gradNorm: number | null;
  /** The first tensor that was not finite. */
  readonly tensor: string;
  /**
   * How the run continues. With `skip`, the next step uses the current weights. With `rollback`, the next step uses the
   * weights and moments of the last planned checkpoint. If there is no such checkpoint, the next step uses the weights
   * and moments of the run's beginning.
   */
  readonly action: "skip" | "rollback";
  /** Path of the step's record, for `foretoken replay`; null if nothing is saved. */
  readonly file: string | null;
}

/** Text written by the model. */
export interface SampleEvent extends Versioned {
  readonly type: "sample";
  /** Updates done. */
  readonly step: number;
  /** The text that the model continued. */
  readonly prompt: string;
  /** Text that follows the prompt. */
  readonly text: string;
}

/** A checkpoint is complete on disk. */
export interface CheckpointEvent extends Versioned {
  readonly type: "checkpoint";
  /** Updates done. */
  readonly step: number;
  /** The checkpoint's directory; other commands accept it. */
  readonly path: string;
}

/** Time per kernel, for a run with `profile`. Sent before `done`. Not stored in the run's folder. */
export interface ProfileEvent extends Versioned {
  readonly type: "profile";
  /** Updates done. */
  readonly step: number;
  /** Number of timed updates: all updates of this process. */
  readonly timedSteps: number;
  /** Seconds of the whole run in this process, including evaluations, samples and checkpoints. */
  readonly seconds: number;
  /** Kernels with their times, the slowest kernel first. The remaining part of `seconds` was spent outside kernels. */
  readonly kernels: readonly KernelProfile[];
}

/** Last event of a run. */
export interface DoneEvent extends Versioned {
  readonly type: "done";
  /** The `done` event of `generate` has `"generate"` here. */
  readonly task: "train";
  /** Updates done. */
  readonly step: number;
  /**
   * Why the run ended. `patience`: too many evaluations in a row did not lower the loss. `interrupted`: `signal` or
   * `stopAt` stopped the run. A stopped run is saved but not evaluated, because an evaluation could take minutes. The
   * command `evaluate` evaluates it later.
   */
  readonly reason: "finished" | "patience" | "interrupted";
  /** Validation loss at this step, in nats per token. Null if the run was stopped and did not measure it. */
  readonly valLoss: number | null;
  /** Lowest loss of all evaluations; null if the run was stopped before its first evaluation. */
  readonly bestValLoss: number | null;
  /** The step of `bestValLoss`. */
  readonly bestStep: number | null;
  /** Lowest validation loss of averaged weights, and its step; absent if none were evaluated. */
  readonly bestAverage?: BestAverage | undefined;
  /**
   * The run's folder. "onCheckpoint" or "onAdapter" if only that callback gets the run's checkpoints. Null if nothing
   * is saved.
   */
  readonly out: string | null;
}

/** The best evaluation of averaged weights. */
export interface BestAverage {
  /** Number of updates done. */
  readonly step: number;
  /** Nats per token. */
  readonly valLoss: number;
}

/** Events of `train`. */
export type TrainEvent =
  | StartEvent
  | EstimateEvent
  | StepEvent
  | EvalEvent
  | OverfittingEvent
  | NonfiniteEvent
  | SampleEvent
  | CheckpointEvent
  | ProfileEvent
  | DoneEvent;
