/** What one block of a model computes. Layers of a model may differ. */
import type { RotaryTable } from "../ops/rotary.ts";
import type { MlpConfig } from "./mlp.ts";

/** The table of angles by which the queries and keys of a layer are rotated. */
export type LayerAngles =
  /** The model's table. */
  | "main"
  /** The table of layers with a window. */
  | "window"
  /** The layer is not rotated. */
  | "none";

/** Choices for one block, with all defaults filled in. */
export interface LayerSpec {
  /** Number of latest tokens that a position sees, including its own token. Null: all earlier tokens. */
  readonly window: number | null;
  /** Factor of q·k. */
  readonly scale: number;
  /** How queries and keys are rotated. */
  readonly angles: LayerAngles;
  /** Whether one norm covers a single head of queries or keys, or all their heads. `none`: there is no such norm. */
  readonly qkNorm: "none" | "head" | "all";
  /** Place of the norm of each branch f: x + f(norm(x)), x + norm(f(x)) or x + norm(f(norm(x))). */
  readonly norms: "before" | "after" | "both";
  /** The feed-forward branch. */
  readonly mlp: MlpConfig;
}

/** Tables of rotary angles. If null, the model has no such table. */
export interface AngleTables {
  /** The table for layers without a window. If `window` is null, also the table for layers with a window. */
  readonly main: RotaryTable | null;
  /** The table for layers with a window. */
  readonly window: RotaryTable | null;
}

/** The table of a layer. If null, the layer is not rotated. */
export const anglesFor = ({ angles }: LayerSpec, tables: AngleTables): RotaryTable | null =>
  angles === "none" ? null : tables[angles];
