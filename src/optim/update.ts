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
  /** Number of the update. The first update has the number 1. */
  readonly step: number;
  /** Learning rate of this update. */
  readonly learningRate: number;
  /** Factor by which every gradient is multiplied. Clipping determines this factor. */
  readonly gradScale: number;
  /** Rounded copy of the weights. The update writes this copy, too. Null or absent if there is no copy. */
  readonly rounded?: RoundedWeights | null;
}

/** A moment of an optimizer, and its layout. */
export interface OptimizerLayout {
  /** Name in a checkpoint's file. `m` is a mean of gradients, `v` is a mean of squared gradients. */
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
  /** The moments. The next update depends only on the moments, the weights and its gradients. */
  readonly state: readonly OptimizerArena[];
  /** Updates the weights with the gradients. */
  update(update: Update): void;
  /** Whether all weights and moments are finite that updates have written since the last call of `forget`. */
  isFinite(): Promise<boolean>;
  /** Resets `isFinite`. Call it after weights and moments were replaced. */
  forget(): void;
  /** Frees the moments. */
  close(): void;
}
