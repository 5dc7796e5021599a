/** Store of a run: what training hands it, and what it gives back to a resumed run. */
import type { CheckpointError } from "../core/errors/errors.ts";
import type { ReadValues } from "../models/arena.ts";
import type { BlockRows } from "../models/block-arena.ts";
import type { Model } from "../models/model.ts";
import type { StateArrays, TrainerSnapshot } from "../trainer/state.ts";
import type { TrainEvent } from "./events.ts";
import type { Progress } from "./progress.ts";

/** A trainer's state after `step` updates. */
export interface RollbackPoint {
  readonly step: number;
  readonly arrays: StateArrays;
}

/** Saves a point, in place of the one before. */
export interface RollbackStore {
  saveRollback?(point: RollbackPoint): Promise<void>;
  /** null if there is none. */
  readRollback?(): Promise<RollbackPoint | null>;
}

/** The place for records of steps. */
export interface RecordStore {
  /** Writes a file with this plain name, atomically; returns its path. */
  saveRecord?(name: string, chunks: readonly Uint8Array[]): Promise<string>;
}

/** A run at one step: a resumed run starts from it. */
export interface ResumedState {
  readonly progress: Progress;
  /** Gives the trainer's state, once: its arrays are as large as those in the backend. */
  take(): StateArrays;
}

/** The weights that adapters are beside. */
export type BaseWeights =
  | {
      /** On the host, in the layout of the model. */
      readonly kind: "values";
      /** Gives them, once: they are as large as those in the backend. */
      take(): Float32Array;
    }
  | {
      /** In a file that has matrices in blocks of 4 to 8 bits, which stay so. */
      readonly kind: "blocks";
      /** The rows in blocks, with their places in the layout of the model. */
      readonly rows: readonly BlockRows[];
      /** Reads them into the memory of a model that has room for these rows, once; then the file is closed. */
      readInto(base: Model): Promise<void>;
    };

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
  /** All notes so far, as `metrics.jsonl` has them. */
  notes?(): AsyncIterable<Uint8Array>;
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
