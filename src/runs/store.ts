/** The interface between training and the place where a run is saved. */
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

/** Saves a rollback point, which replaces the previous rollback point. */
export interface RollbackStore {
  saveRollback?(point: RollbackPoint): Promise<void>;
  /** Reads the rollback point. Returns null if there is no rollback point. */
  readRollback?(): Promise<RollbackPoint | null>;
}

/** A place for records of faulty steps. */
export interface RecordStore {
  /** Writes a file with this name (no folders) atomically, and returns its path. */
  saveRecord?(name: string, chunks: readonly Uint8Array[]): Promise<string>;
}

/** A saved run at one step. The run can be resumed from this step. */
export interface ResumedState {
  readonly progress: Progress;
  /**
   * Returns the trainer's state, only once. Then the arrays are released, because they take the same memory as the
   * arrays in the backend.
   */
  take(): StateArrays;
}

/** The frozen base weights of adapters. */
export type BaseWeights =
  | {
      /** Weights in host memory, in the layout of the model. */
      readonly kind: "values";
      /**
       * Returns the weights, only once. Then the weights are released, because they take the same memory as the weights
       * in the backend.
       */
      take(): Float32Array;
    }
  | {
      /** Weights in a file with matrices in blocks of 4 to 8 bits. The matrices stay in blocks. */
      readonly kind: "blocks";
      /** The rows that are in blocks, and their places in the layout of the model. */
      readonly rows: readonly BlockRows[];
      /**
       * Reads the weights into a model that has memory for these rows. The function can be called only once, because it
       * closes the file.
       */
      readInto(base: Model): Promise<void>;
    };

/** A run at one step while the run is saved. The trainer's state is read from the backend in pieces. */
export interface SavedState extends TrainerSnapshot {
  readonly progress: Progress;
}

/** The store in which a run is saved. */
export interface RunStore extends RecordStore, RollbackStore {
  /** Path of the store, as events show it. */
  readonly path: string;
  /** Logs an event. Events keep their order. */
  record(event: TrainEvent): Promise<void>;
  /** The event log so far, in the format of `metrics.jsonl`. */
  notes?(): AsyncIterable<Uint8Array>;
  /** Replaces the checkpoint atomically, and returns its directory. */
  saveCheckpoint(state: SavedState): Promise<string>;
  /**
   * Saves the state before the first step as the first checkpoint. Used for a run with initial weights that cannot be
   * drawn again.
   */
  saveStart?(state: SavedState): Promise<void>;
  /** Replaces the best weights by the weights after `step` updates. */
  saveBest(values: ReadValues, step: number): Promise<void>;
  /** Replaces the best averaged weights by the averaged weights after `step` updates. */
  saveAveraged?(values: ReadValues, step: number): Promise<void>;
  /**
   * Saves a run that ends because the store failed, if that is possible.
   * @returns the error to throw instead, with the place where the run is saved. Null if the run is saved in its usual
   * place.
   */
  saveInNeed?(state: SavedState): Promise<CheckpointError | null>;
}

/**
 * Work that a stopped run began but did not finish. An unfinished evaluation is not included, because the run's
 * progress shows it.
 */
export interface BrokenOff {
  /** Whether a sample was interrupted: the sample after the step's evaluation, or the last sample. */
  readonly sample: boolean;
  /** Loss of the run's last evaluation, if all steps are done. */
  readonly lastLoss: number | undefined;
}
