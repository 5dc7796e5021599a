/** What a run is told, and where it is kept. */
import type { Backend } from "../../backend/backend.ts";
import type { ReadValues } from "../../models/arena.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { RunConfig } from "../config/config.ts";
import type { TrainEvent } from "../events.ts";
import type { RecordStore } from "../faults/leave-out.ts";
import type { RollbackStore } from "../faults/rollback.ts";
import type { MeasuredTokens } from "../measuring/evaluate.ts";
import type { MemoryEstimate } from "../prepare/memory.ts";
import type { StateArrays, TrainerSnapshot } from "../steps/state.ts";
import type { Progress } from "./progress.ts";

/** A run at one step: what a resumed run starts from. */
export interface ResumedState {
  readonly progress: Progress;
  /** Gives the trainer's state away, once: its arrays are as large as those in the backend. */
  take(): StateArrays;
}

/** A run at one step while it is saved: its trainer's state is read from the backend piece by piece. */
export interface SavedState extends TrainerSnapshot {
  readonly progress: Progress;
}

/** Where a run is kept. */
export interface RunStore extends RecordStore, RollbackStore {
  /** Shown in events. */
  readonly path: string;
  /** Notes an event; order is kept. */
  record(event: TrainEvent): Promise<void>;
  /** Replaces the checkpoint; returns its directory. Whole or not at all. */
  saveCheckpoint(state: SavedState): Promise<string>;
  /** Replaces the weights of the lowest validation loss, which are those after `step` updates. */
  saveBest(values: ReadValues, step: number): Promise<void>;
}

/** What a run that was stopped had begun and not ended, besides an evaluation: its progress tells of that. */
export interface BrokenOff {
  /** The sample after the evaluation of its step, or the last one. */
  readonly sample: boolean;
  /** The loss of the run's last evaluation, where all steps are done. */
  readonly lastLoss: number | undefined;
}

export interface RunInput {
  readonly backend: Backend;
  readonly config: RunConfig;
  readonly corpus: string;
  readonly tokenizer: Tokenizer;
  readonly trainTokens: Int32Array;
  readonly val: MeasuredTokens;
  /** What samples continue. */
  readonly prompt: string;
  /** Tokens of the sample at the end; 0: none. */
  readonly finalSampleTokens: number;
  /** null: nothing is kept. */
  readonly store: RunStore | null;
  /** null: from the start. */
  readonly resume: ResumedState | null;
  /** What the run will take, for its first event. */
  readonly memory: MemoryEstimate;
  /** Bytes that the process may come to hold; null where nobody knows. */
  readonly availableMemory: number | null;
  /** What was broken off when a resumed run was stopped, and is made up for first. */
  readonly broken?: BrokenOff | undefined;
  /** Stop after this many updates, as an interruption would. */
  readonly stopAt?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether the kernels are timed, for a `profile` event. */
  readonly profile?: boolean | undefined;
}
