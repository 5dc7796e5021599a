import type { KernelProfile } from "../backend/observers/profiled.ts";
import type { RunConfig } from "../config/config.ts";
import type { ProductDType } from "../core/tensors/dtype.ts";
import type { MemoryEstimate } from "./memory-estimate.ts";

/** Version of the events' format: raised when a field changes its meaning, not for a new field or a new type. */
export const eventVersion = 1;

interface Versioned {
  /** Version of the event's format. */
  readonly v: typeof eventVersion;
}

/** First event of a run. */
export interface StartEvent extends Versioned {
  readonly type: "start";
  /** The whole configuration: preset, changes and defaults, with the dtype that `auto` took. */
  readonly config: RunConfig;
  /** Fields of it that follow from the size of the text, as "train.steps"; none with a preset and in a resumed run. */
  readonly derived: readonly string[];
  /** Numbers in the model, which are trained unless it has adapters. */
  readonly parameters: number;
  /** Numbers in its adapters (LoRA), which are trained in their place; absent without adapters. */
  readonly adapterParameters?: number;
  /** Name of the backend. */
  readonly backend: string;
  /** The instruction set in use, as `avx512` or `simd128`. */
  readonly instructionSet: string;
  /** Threads that compute, of each rank. */
  readonly threads: number;
  /** Processes that train the model together, connected by MPI; absent: one. Memory is that of each. */
  readonly ranks?: number;
  /** Element type of the operands of products. */
  readonly dtype: ProductDType;
  /** Name of the text. */
  readonly corpus: string;
  /** Tokens to train on. */
  readonly trainTokens: number;
  /** Tokens that are held out. */
  readonly valTokens: number;
  /** The documents that the tokens are; absent in a run on a text. */
  readonly documents?: StartDocuments | undefined;
  /** Number of different tokens. */
  readonly vocabSize: number;
  /** The run's folder; "onCheckpoint" or "onAdapter" if only that callback gets its checkpoints, null if nothing is saved. */
  readonly out: string | null;
  /** The checkpoint whose weights the run began with, or that serves in its place; null if it drew its own. */
  readonly initFrom: string | null;
  /** Updates done before: 0 unless resumed. */
  readonly step: number;
  /** Memory that the run will need, in bytes. */
  readonly memory: MemoryEstimate;
  /** Bytes that the process can hold, including those it holds already; null if unknown, as in a browser. */
  readonly availableMemory: number | null;
}

/** The documents of a run. */
export interface StartDocuments {
  /** Documents to train on. */
  readonly train: number;
  /** Documents that are held out. */
  readonly val: number;
  /** Tokens to train on that the loss counts: those of answers and of plain texts. */
  readonly trainTargets: number;
  /** Tokens that are held out and count. */
  readonly valTargets: number;
  /** Rows of a pass over all documents to train on. */
  readonly rowsPerPass: number;
  /** Whether there are conversations among them: then a sample is the answer to its prompt. */
  readonly chat: boolean;
}

/** How long the run will take: sent once, after its first steps were timed. Not kept in the run's folder. */
export interface EstimateEvent extends Versioned {
  readonly type: "estimate";
  /** Updates done. */
  readonly step: number;
  /** Number of timed steps; the first step is not timed. */
  readonly timedSteps: number;
  /** Median time of the timed steps. */
  readonly stepSeconds: number;
  /** Time to the end, evaluations and samples included. */
  readonly secondsLeft: number;
}

/** One optimizer update. */
export interface StepEvent extends Versioned {
  readonly type: "step";
  /** Updates done, this one included. */
  readonly step: number;
  /** Mean over the step's tokens that count before the update, nats per token. */
  readonly loss: number;
  /** Learning rate of this update. */
  readonly learningRate: number;
  /** Global norm before clipping. */
  readonly gradNorm: number;
  /** Rate of this step alone, of all tokens that went through the model. */
  readonly tokensPerSecond: number;
}

/** The whole validation split was measured. */
export interface EvalEvent extends Versioned {
  readonly type: "eval";
  /** Updates done. */
  readonly step: number;
  /** Mean of the step losses since the last evaluation, nats per token; null before the first step. */
  readonly trainLoss: number | null;
  /** Nats per token. */
  readonly valLoss: number;
  /** Nats per character (code point): it compares across tokenizers. */
  readonly natsPerCharacter: number;
  /** Bits per byte of UTF-8: it compares across tokenizers. */
  readonly bitsPerByte: number;
  /** e^valLoss */
  readonly perplexity: number;
  /** Tokens predicted. */
  readonly tokens: number;
  /** `begin`: before the first step of a run that begins with weights (`initFrom`). */
  readonly reason: "begin" | "interval" | "end";
  /** Whether this is the lowest validation loss so far: `best/` has these weights. */
  readonly best: boolean;
}

/**
 * The validation loss has begun to rise while the training loss still falls. Sent once, after the `eval` that shows it.
 * A smaller model, dropout or an earlier end (`patience`) would suit this text better; `best/` keeps the best weights.
 */
export interface OverfittingEvent extends Versioned {
  readonly type: "overfitting";
  /** Updates done. */
  readonly step: number;
  /** At this step, nats per token. */
  readonly valLoss: number;
  /** The lowest so far. */
  readonly bestValLoss: number;
  /** The step of `bestValLoss`. */
  readonly bestStep: number;
}

/** A step was left out, because its loss or a gradient was not finite, or exploded. */
export interface NonfiniteEvent extends Versioned {
  readonly type: "nonfinite";
  /** The number that the update would have had, counted as in `step`. */
  readonly step: number;
  /** Mean over the step's tokens, nats per token; null where it was not finite. */
  readonly loss: number | null;
  /** Global norm before clipping; null where it was not finite. */
  readonly gradNorm: number | null;
  /** The first tensor that was not finite. */
  readonly tensor: string;
  /**
   * The run continues with the next step in either case. `skip`: with the current weights; `rollback`: with weights and
   * moments of the last planned checkpoint, or of the run's beginning.
   */
  readonly action: "skip" | "rollback";
  /** The record of the step, for `foretoken replay`; null if nothing is saved. */
  readonly file: string | null;
}

/** Text written by the model. */
export interface SampleEvent extends Versioned {
  readonly type: "sample";
  /** Updates done. */
  readonly step: number;
  /** The text that the model continued. */
  readonly prompt: string;
  /** After the prompt. */
  readonly text: string;
}

/** A checkpoint is complete on disk. */
export interface CheckpointEvent extends Versioned {
  readonly type: "checkpoint";
  /** Updates done. */
  readonly step: number;
  /** The directory that the other commands take. */
  readonly path: string;
}

/** Time per kernel, of a run with `profile`: sent before `done`. Not kept in the run's folder. */
export interface ProfileEvent extends Versioned {
  readonly type: "profile";
  /** Updates done. */
  readonly step: number;
  /** Updates that were timed: those of this process. */
  readonly timedSteps: number;
  /** Time of the whole run in this process, evaluations, samples and checkpoints included. */
  readonly seconds: number;
  /** The longest first. The rest of `seconds` was spent outside of kernels. */
  readonly kernels: readonly KernelProfile[];
}

/** Last event of a run. */
export interface DoneEvent extends Versioned {
  readonly type: "done";
  /** The `done` of `generate` has `"generate"`. */
  readonly task: "train";
  /** Updates done. */
  readonly step: number;
  /**
   * `patience`: no better loss for too long; `interrupted`: stopped by `signal` or `stopAt`. A stopped run is saved and not
   * measured, which could take minutes: `evaluate` measures it.
   */
  readonly reason: "finished" | "patience" | "interrupted";
  /** At this step, nats per token; null if it was not measured, in a stopped run. */
  readonly valLoss: number | null;
  /** The lowest of all evaluations; null if a stopped run had none yet. */
  readonly bestValLoss: number | null;
  /** The step of `bestValLoss`. */
  readonly bestStep: number | null;
  /** The run's folder; "onCheckpoint" or "onAdapter" if only that callback gets its checkpoints, null if nothing is saved. */
  readonly out: string | null;
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
