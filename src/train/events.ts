import type { KernelProfile } from "../backend/observers/profiled.ts";
import type { ProductDType } from "../core/dtype.ts";
import type { RunConfig } from "./config/config.ts";
import type { MemoryEstimate } from "./prepare/memory.ts";

/** Version of the events' format: raised when a field changes its meaning, not for a new field or a new type. */
export const eventVersion = 1;

interface Versioned {
  readonly v: typeof eventVersion;
}

/** First event of a run. */
export interface StartEvent extends Versioned {
  readonly type: "start";
  readonly config: RunConfig;
  /** Trainable numbers in the model. */
  readonly parameters: number;
  readonly backend: string;
  readonly instructionSet: string;
  readonly threads: number;
  /** Element type of the operands of products. */
  readonly dtype: ProductDType;
  /** Name of the text. */
  readonly corpus: string;
  readonly trainTokens: number;
  readonly valTokens: number;
  readonly vocabSize: number;
  /** The run's folder; null when nothing is saved. */
  readonly out: string | null;
  /** Updates done before: 0 unless resumed. */
  readonly step: number;
  /** Memory that the run will need, in bytes. */
  readonly memory: MemoryEstimate;
  /** Bytes that the process can hold, including those it holds already; null if unknown, as in a browser. */
  readonly availableMemory: number | null;
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
  /** Mean over the step's tokens before the update, nats per token. */
  readonly loss: number;
  readonly learningRate: number;
  /** Global norm before clipping. */
  readonly gradNorm: number;
  /** Rate of this step alone. */
  readonly tokensPerSecond: number;
}

/** The whole validation split was measured. */
export interface EvalEvent extends Versioned {
  readonly type: "eval";
  readonly step: number;
  /** Mean of the step losses since the last evaluation, nats per token; null before the first step. */
  readonly trainLoss: number | null;
  /** Nats per token. */
  readonly valLoss: number;
  readonly natsPerCharacter: number;
  readonly bitsPerByte: number;
  readonly perplexity: number;
  /** Tokens predicted. */
  readonly tokens: number;
  /** `interrupted`: measured because the run was stopped here; a resumed run ignores it. */
  readonly reason: "interval" | "end" | "interrupted";
  /** Whether this is the lowest validation loss so far of the planned evaluations: `best/` has these weights. */
  readonly best: boolean;
}

/**
 * The validation loss has begun to rise while the training loss still falls. Sent once, after the `eval` that shows it.
 * A smaller model, dropout or an earlier end (`patience`) would suit this text better; `best/` keeps the best weights.
 */
export interface OverfittingEvent extends Versioned {
  readonly type: "overfitting";
  readonly step: number;
  /** At this step, nats per token. */
  readonly valLoss: number;
  /** The lowest so far. */
  readonly bestValLoss: number;
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
  readonly step: number;
  readonly prompt: string;
  /** After the prompt. */
  readonly text: string;
}

/** A checkpoint is complete on disk. */
export interface CheckpointEvent extends Versioned {
  readonly type: "checkpoint";
  readonly step: number;
  /** The directory that the other commands take. */
  readonly path: string;
}

/** Time per kernel, of a run with `profile`: sent before `done`. Not kept in the run's folder. */
export interface ProfileEvent extends Versioned {
  readonly type: "profile";
  /** Updates done. */
  readonly step: number;
  /** Time of the whole run in this process, evaluations, samples and checkpoints included. */
  readonly seconds: number;
  /** The longest first. The rest of `seconds` was spent outside of kernels. */
  readonly kernels: readonly KernelProfile[];
}

/** Last event of a run. */
export interface DoneEvent extends Versioned {
  readonly type: "done";
  readonly step: number;
  /** `patience`: no better loss for too long; `interrupted`: aborted, or stopped by `stopAt`. */
  readonly reason: "finished" | "patience" | "interrupted";
  /** At this step. */
  readonly valLoss: number;
  /** The lowest; this step's if there was no other evaluation. */
  readonly bestValLoss: number;
  readonly bestStep: number;
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
