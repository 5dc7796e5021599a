import type { Arena, ArenaLayout } from "../models/arena.ts";
import type { RoundedWeights } from "../models/rounded-weights.ts";

/**
 * Input of one update.
 * @experimental
 */
export interface Update {
  /** The weights, which change. */
  readonly values: Arena;
  /** Their gradients. */
  readonly gradients: Arena;
  /** 1 for the first update. */
  readonly step: number;
  /** Learning rate of this update. */
  readonly learningRate: number;
  /** Factor on every gradient, from clipping. */
  readonly gradScale: number;
  /** The rounded copy of the values, which the update writes too; null or absent if there is none. */
  readonly rounded?: RoundedWeights | null;
}

/** A running mean of an optimizer, and its layout. */
export interface OptimizerLayout {
  /** Its name in a checkpoint's file: `m`, a mean of gradients, or `v`, a mean of their squares. */
  readonly name: "m" | "v";
  /** Layout of the parameters that have this mean: all of them, or those whose update reads it. */
  readonly layout: ArenaLayout;
}

/**
 * A running mean of an optimizer in a backend's memory.
 * @experimental
 */
export interface OptimizerArena extends OptimizerLayout {
  /** The running means. */
  readonly arena: Arena;
}

/**
 * An update rule with its running means, in a backend's memory.
 * @experimental
 */
export interface Optimizer {
  /** The running means: with the weights, everything that the next update depends on. */
  readonly state: readonly OptimizerArena[];
  /** Updates the values by the gradients. */
  update(update: Update): void;
  /** Whether every weight and every running mean that an update has written since the last `forget` is finite. */
  isFinite(): Promise<boolean>;
  /** Counts weights and running means as finite: others have been written in their place. */
  forget(): void;
  /** Frees the running means. */
  close(): void;
}
