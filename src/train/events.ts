import type { KernelProfile } from "../backend/observers/profiled.ts";
import type { ProductDType } from "../core/dtype.ts";
import type { RunConfig } from "./config/config.ts";
import type { MemoryEstimate } from "./prepare/memory.ts";

/** Version of the events' form: a field that changes its meaning raises it, a new field or a new type does not. */
export const eventVersion = 1;

interface Versioned {
  readonly v: typeof eventVersion;
}

/** First of a run. */
export interface StartEvent extends Versioned {
  readonly type: "start";
  readonly config: RunConfig;
  /** Trainable numbers in the model. */
  readonly parameters: number;
  readonly backend: string;
  readonly instructionSet: string;
  readonly threads: number;
  /** What the operands of products are rounded to. */
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
  /** What the run will take, in bytes. */
  readonly memory: MemoryEstimate;
  /** Bytes that the process may come to hold, what it holds already included; null where nobody knows, as in a browser. */
  readonly availableMemory: number | null;
}

/** How long the run will take: told once, when its first steps have been timed. Not kept in the run's folder. */
export interface EstimateEvent extends Versioned {
  readonly type: "estimate";
  /** Updates done. */
  readonly step: number;
  /** Steps that were timed; the first one is not among them. */
  readonly timedSteps: number;
  /** Median of these. */
  readonly stepSeconds: number;
  /** To the end, evaluations and samples included. */
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
  /** Of this step alone. */
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
  /** `interrupted`: taken because the run was stopped here; a resumed run does not count it. */
  readonly reason: "interval" | "end" | "interrupted";
  /** Whether this is the lowest validation loss so far of the evaluations of the plan: `best/` has its weights. */
  readonly best: boolean;
}

/**
 * Validation loss has turned: it rises while the loss of training falls on. Told once, after the `eval` that shows it.
 * A smaller model, dropout or an earlier end (`patience`) would serve this text better; `best/` keeps the best weights.
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

/** A step was not taken, because its loss or a gradient was not finite, or exploded. */
export interface NonfiniteEvent extends Versioned {
  readonly type: "nonfinite";
  /** The update that would have been done, counted as in `step`. */
  readonly step: number;
  /** Mean over the step's tokens, nats per token; null where it was not finite. */
  readonly loss: number | null;
  /** Global norm before clipping; null where it was not finite. */
  readonly gradNorm: number | null;
  /** The first tensor that went bad. */
  readonly tensor: string;
  /**
   * The run goes on with the next step in either case. `skip`: with the weights as they are; `rollback`: with weights and
   * moments of the last checkpoint of the plan, or those it began with.
   */
  readonly action: "skip" | "rollback";
  /** What was kept to repeat the step with, as `foretoken replay` takes it; null where nothing is saved. */
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

/** A checkpoint is on disk, whole. */
export interface CheckpointEvent extends Versioned {
  readonly type: "checkpoint";
  readonly step: number;
  /** The directory that the other commands take. */
  readonly path: string;
}

/** Where the time went, of a run with `profile`: told before `done`. Not kept in the run's folder. */
export interface ProfileEvent extends Versioned {
  readonly type: "profile";
  /** Updates done. */
  readonly step: number;
  /** Of this process, all of the run: evaluations, samples and checkpoints included. */
  readonly seconds: number;
  /** The longest first; what is missing of `seconds` was spent outside of kernels. */
  readonly kernels: readonly KernelProfile[];
}

/** Last of a run. */
export interface DoneEvent extends Versioned {
  readonly type: "done";
  readonly step: number;
  /** `patience`: no better loss for too long; `interrupted`: aborted, or stopped by `stopAt`. */
  readonly reason: "finished" | "patience" | "interrupted";
  /** At this step. */
  readonly valLoss: number;
  /** The lowest; this step's where there was no other evaluation. */
  readonly bestValLoss: number;
  readonly bestStep: number;
  readonly out: string | null;
}

/** What `train` yields. */
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
