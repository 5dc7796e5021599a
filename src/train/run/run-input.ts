/** Input of a run, and the store that keeps it. */
import type { Backend } from "../../backend/backend.ts";
import type { CheckpointError } from "../../core/errors/errors.ts";
import type { ReadValues } from "../../models/arena.ts";
import type { KeptFacts } from "../../pretrained/files/pretrained-files.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { RunConfig } from "../config/config.ts";
import type { TrainEvent } from "../events.ts";
import type { RecordStore } from "../faults/leave-out.ts";
import type { RollbackStore } from "../faults/rollback.ts";
import type { MeasuredTokens } from "../measuring/evaluate.ts";
import type { MemoryEstimate } from "../prepare/memory.ts";
import type { PreparedDocuments } from "../prepare/prepare.ts";
import type { StateArrays, TrainerSnapshot } from "../steps/state.ts";
import type { RunTeam } from "../steps/team.ts";
import type { Progress } from "./progress.ts";

/** A run at one step: a resumed run starts from it. */
export interface ResumedState {
  readonly progress: Progress;
  /** Gives the trainer's state, once: its arrays are as large as those in the backend. */
  take(): StateArrays;
}

/** The weights that adapters are beside, in the layout of the model. */
export interface BaseWeights {
  /** Gives them, once: they are as large as those in the backend. */
  take(): Float32Array;
}

/** A run at one step while it is saved: the trainer's state is read from the backend piece by piece. */
export interface SavedState extends TrainerSnapshot {
  readonly progress: Progress;
}

/** Store of a run. */
export interface RunStore extends RecordStore, RollbackStore {
  /** Its path, as events show it. */
  readonly path: string;
  /** Notes an event; the order is kept. */
  record(event: TrainEvent): Promise<void>;
  /** Replaces the checkpoint, atomically; returns its directory. */
  saveCheckpoint(state: SavedState): Promise<string>;
  /** Saves the state before the first step of a run that cannot draw it again, as its first checkpoint. */
  saveStart?(state: SavedState): Promise<void>;
  /** Replaces the weights of the lowest validation loss, after `step` updates. */
  saveBest(values: ReadValues, step: number): Promise<void>;
  /**
   * Saves a run that ends with an error of the store, where it can.
   * @returns the error to end the run with instead, which says where it is saved; null if it is saved in its place.
   */
  saveInNeed?(state: SavedState): Promise<CheckpointError | null>;
}

/** Work that a stopped run had begun and not ended, besides an evaluation, which its progress has. */
export interface BrokenOff {
  /** The sample after the evaluation of its step, or the last one. */
  readonly sample: boolean;
  /** Loss of the run's last evaluation, if all steps are done. */
  readonly lastLoss: number | undefined;
}

export interface RunInput {
  readonly backend: Backend;
  readonly config: RunConfig;
  /** Fields of it that follow from the text, as "train.steps". */
  readonly derived: readonly string[];
  readonly corpus: string;
  readonly tokenizer: Tokenizer;
  readonly trainTokens: Int32Array;
  readonly val: MeasuredTokens;
  /** The documents that the tokens are; absent: they are one text. */
  readonly documents?: PreparedDocuments | undefined;
  /** What checkpoints say of the model besides its shape: its chat template, and tokens that end a text. */
  readonly facts?: KeptFacts | undefined;
  /** Prompt of the samples. */
  readonly prompt: string;
  /** Tokens of the sample at the end; 0: none. */
  readonly finalSampleTokens: number;
  /** null: the run is not kept. */
  readonly store: RunStore | null;
  /** null: the run starts from the beginning. */
  readonly resume: ResumedState | null;
  /** The weights that stay as they are, of a run with adapters; else null. */
  readonly base: BaseWeights | null;
  /** The checkpoint whose weights the run began with; null if it drew its own. */
  readonly initFrom: string | null;
  /** The run's memory, for its first event. */
  readonly memory: MemoryEstimate;
  /** Bytes that the process can hold; null if unknown. */
  readonly availableMemory: number | null;
  /** Interrupted work of a resumed run, which it does first. */
  readonly broken?: BrokenOff | undefined;
  /** Stop after this many updates, as an interruption would. */
  readonly stopAt?: number | undefined;
  /** The machines that train the run: this one alone, or several, of which rank 0 writes. */
  readonly team: RunTeam;
  /** Whether the kernels are timed, for a `profile` event. */
  readonly profile?: boolean | undefined;
}
