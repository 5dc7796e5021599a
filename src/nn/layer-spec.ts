/** What one block of a model computes. Layers of a model may differ. */
import type { RotaryTable } from "../ops/rotary.ts";
import type { MlpConfig } from "./mlp.ts";

/** Table of angles that rotates a layer's queries and keys. */
export type LayerAngles =
  /** The model's table. */
  | "main"
  /** The table of layers with a window. */
  | "window"
  /** The layer is not rotated. */
  | "none";

/** Choices for one block, with all defaults filled in. */
export interface LayerSpec {
  /** Number of latest tokens that a position sees, including itself; null: all earlier tokens. */
  readonly window: number | null;
  /** Factor of q·k. */
  readonly scale: number;
  /** How queries and keys are rotated. */
  readonly angles: LayerAngles;
  /** Channels of queries, and of keys, that one norm covers; none: no norm. */
  readonly qkNorm: "none" | "head" | "all";
  /** Place of the norm of each branch f: x + f(norm(x)), x + norm(f(x)) or x + norm(f(norm(x))). */
  readonly norms: "before" | "after" | "both";
  /** The feed-forward branch. */
  readonly mlp: MlpConfig;
}

/** Tables of rotary angles; null: the model has no such table. */
export interface AngleTables {
  /** For layers without a window, and for layers with one if `window` is null. */
  readonly main: RotaryTable | null;
  /** For layers with a window. */
  readonly window: RotaryTable | null;
}

/** Table of a layer; null: the layer is not rotated. */
export const anglesFor = ({ angles }: LayerSpec, tables: AngleTables): RotaryTable | null =>
  angles === "none" ? null : tables[angles];
