/** What one block of a model computes: layers of a model may differ. */
import type { RotaryTable } from "../ops/rotary.ts";
import type { MlpConfig } from "./mlp.ts";

/** The table by whose angles a layer's queries and keys are rotated. */
export type LayerAngles =
  /** The model's own. */
  | "main"
  /** That of layers with a window. */
  | "window"
  /** The layer is not rotated. */
  | "none";

/** A block's choices, with every default filled in. */
export interface LayerSpec {
  /** Tokens that a position sees, its own included; null: all before it. */
  readonly window: number | null;
  /** Factor of q·k. */
  readonly scale: number;
  /** How queries and keys are rotated. */
  readonly angles: LayerAngles;
  /** Which channels of queries, and of keys, are normalised together; none: they have no norm. */
  readonly qkNorm: "none" | "head" | "all";
  /** Where each branch f has its norm: x + f(norm(x)), x + norm(f(x)) or x + norm(f(norm(x))). */
  readonly norms: "before" | "after" | "both";
  /** The position-wise branch. */
  readonly mlp: MlpConfig;
}

/** The tables of rotary angles; null: the model has no such table. */
export interface AngleTables {
  /** Of layers without a window, and of those with one unless they have a table of their own. */
  readonly main: RotaryTable | null;
  /** Of layers with a window. */
  readonly window: RotaryTable | null;
}

/** The table of a layer; null: it is not rotated. */
export const anglesFor = ({ angles }: LayerSpec, tables: AngleTables): RotaryTable | null =>
  angles === "none" ? null : tables[angles];
