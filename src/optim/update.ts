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
}

/** An update rule with its running means, in a backend's memory. */
export interface Optimizer {
  readonly moments: Moments;
  /** Changes the values by the gradients. */
  update(update: Update): void;
  /** Frees the running means. */
  close(): void;
}
