import type { Arena, ArenaLayout } from "../models/arena.ts";
import type { RoundedWeights } from "../models/rounded-weights.ts";

/** What one update is made with. */
export interface Update {
  readonly values: Arena;
  readonly gradients: Arena;
  /** 1 for the first update. */
  readonly step: number;
  readonly learningRate: number;
  /** Factor on every gradient, from clipping. */
  readonly gradScale: number;
  /** The rounded copy of the values, which follows them; null or absent: there is none. */
  readonly rounded?: RoundedWeights | null;
}

/** Where a running mean of an optimizer lies in its array. */
export interface OptimizerLayout {
  /** As a checkpoint's file names it: `m`, a mean of gradients, or `v`, a mean of their squares. */
  readonly name: "m" | "v";
  /** Of the parameters that have this mean: all of them, or those whose update reads it. */
  readonly layout: ArenaLayout;
}

/** A running mean of an optimizer in a backend's memory. */
export interface OptimizerArena extends OptimizerLayout {
  readonly arena: Arena;
}

/** An update rule with its running means, in a backend's memory. */
export interface Optimizer {
  /** The running means: with the weights, all that the next update depends on. */
  readonly state: readonly OptimizerArena[];
  /** Changes the values by the gradients. */
  update(update: Update): void;
  /** Whether every weight and every running mean is finite that an update has left, since the last `forget`. */
  isFinite(): Promise<boolean>;
  /** Takes weights and running means for finite: others have been written in their place. */
  forget(): void;
  /** Frees the running means. */
  close(): void;
}
