import type { View } from "../backend/backend.ts";
import type { Arena } from "../models/arena.ts";
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

/** Running means of gradients, with the parameters' layout: Adam's, or for Muon's matrices the momentum, in m. */
export interface Moments {
  readonly m: Arena;
  readonly v: Arena;
  /** One number: not 0 from the first update on that has left a weight or a running mean which is not finite. */
  readonly unreal: View;
}

/** An update rule with its running means, in a backend's memory. */
export interface Optimizer {
  readonly moments: Moments;
  /** Changes the values by the gradients. */
  update(update: Update): void;
  /** Whether every weight and every running mean is finite that an update has left, since the last `forget`. */
  isFinite(): Promise<boolean>;
  /** Takes weights and running means for finite: others have been written in their place. */
  forget(): void;
  /** Frees the running means. */
  close(): void;
}
