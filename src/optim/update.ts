import type { Arena, ArenaLayout } from "../models/arena.ts";
import type { RoundedWeights } from "../models/rounded-weights.ts";

/**
 * Input of one update.
 * @experimental
 */
export interface Update {
  /** The weights, which the update changes. */
  readonly values: Arena;
  /** Their gradients. */
  readonly gradients: Arena;
  /** Number of the update; 1 is the first. */
  readonly step: number;
  /** Learning rate of this update. */
  readonly learningRate: number;
  /** Factor on every gradient, from clipping. */
  readonly gradScale: number;
  /** Rounded copy of the weights, which the update writes too; null or absent: there is none. */
  readonly rounded?: RoundedWeights | null;
}

/** A moment of an optimizer, and its layout. */
export interface OptimizerLayout {
  /** Name in a checkpoint's file: `m`, a mean of gradients, or `v`, a mean of their squares. */
  readonly name: "m" | "v";
  /** Layout of the parameters that have this moment. */
  readonly layout: ArenaLayout;
}

/**
 * A moment of an optimizer in a backend's memory.
 * @experimental
 */
export interface OptimizerArena extends OptimizerLayout {
  /** The values of the moment. */
  readonly arena: Arena;
}

/**
 * An update rule with its moments, in a backend's memory.
 * @experimental
 */
export interface Optimizer {
  /** The moments. With the weights, they are everything that the next update depends on. */
  readonly state: readonly OptimizerArena[];
  /** Updates the weights with the gradients. */
  update(update: Update): void;
  /** Whether every weight and moment that was written by an update since the last `forget` is finite. */
  isFinite(): Promise<boolean>;
  /** Resets `isFinite`, after weights and moments were replaced. */
  forget(): void;
  /** Frees the moments. */
  close(): void;
}
