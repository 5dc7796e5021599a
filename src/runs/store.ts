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

/** Saves a rollback point; it replaces the previous one. */
export interface RollbackStore {
  saveRollback?(point: RollbackPoint): Promise<void>;
  /** Reads the rollback point; null if there is none. */
  readRollback?(): Promise<RollbackPoint | null>;
}

/** A place for records of faulty steps. */
export interface RecordStore {
  /** Writes a file with this name (no folders), atomically; returns its path. */
  saveRecord?(name: string, chunks: readonly Uint8Array[]): Promise<string>;
}

/** A saved run at one step, from which it is resumed. */
export interface ResumedState {
  readonly progress: Progress;
  /**
   * Returns the trainer's state. This works only once: the arrays are as large as the arrays in the backend, so they
   * are released.
   */
  take(): StateArrays;
}

/** The frozen weights under adapters. */
export type BaseWeights =
  | {
      /** Weights in host memory, in the layout of the model. */
      readonly kind: "values";
      /**
       * Returns the weights. This works only once: they are as large as the weights in the backend, so they are
       * released.
       */
      take(): Float32Array;
    }
  | {
      /** Weights in a file that has matrices in blocks of 4 to 8 bits; they stay in blocks. */
      readonly kind: "blocks";
      /** The rows that are in blocks, and their places in the layout of the model. */
      readonly rows: readonly BlockRows[];
      /**
       * Reads the weights into a model that has memory for these rows. This works only once, because it closes the
       * file.
       */
      readInto(base: Model): Promise<void>;
    };

/** A run at one step while it is saved. The trainer's state is read from the backend in pieces. */
export interface SavedState extends TrainerSnapshot {
  readonly progress: Progress;
}

/** Store of a run. */
export interface RunStore extends RecordStore, RollbackStore {
  /** Path of the store, as events show it. */
  readonly path: string;
  /** Logs an event; events keep their order. */
  record(event: TrainEvent): Promise<void>;
  /** The event log so far, in the form of `metrics.jsonl`. */
  notes?(): AsyncIterable<Uint8Array>;
  /** Replaces the checkpoint, atomically; returns its directory. */
  saveCheckpoint(state: SavedState): Promise<string>;
  /**
   * Saves the state before the first step as the first checkpoint, for a run whose initial weights cannot be drawn
   * again.
   */
  saveStart?(state: SavedState): Promise<void>;
  /** Replaces the best weights by the weights after `step` updates. */
  saveBest(values: ReadValues, step: number): Promise<void>;
  /** Replaces the best averaged weights by the averaged weights after `step` updates. */
  saveAveraged?(values: ReadValues, step: number): Promise<void>;
  /**
   * Saves a run that ends because the store failed, if that is possible.
   * @returns the error to throw instead, which says where the run is saved; null if it is saved in its usual place.
   */
  saveInNeed?(state: SavedState): Promise<CheckpointError | null>;
}

/**
 * Work that a stopped run began but did not finish. An unfinished evaluation is not here: the run's progress shows it.
 */
export interface BrokenOff {
  /** Whether a sample was interrupted: the sample after the step's evaluation, or the last one. */
  readonly sample: boolean;
  /** Loss of the run's last evaluation, if all steps are done. */
  readonly lastLoss: number | undefined;
}
