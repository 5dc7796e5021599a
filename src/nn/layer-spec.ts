/** Specification of one block of a model. Layers of a model may differ. */
import type { RotaryTable } from "../ops/rotary.ts";
import type { MlpConfig } from "./mlp.ts";

/** The table of angles by which the queries and keys of a layer are rotated. */
export type LayerAngles =
  /** The table of angles for layers without a window. */
  | "main"
  /** The table of angles for layers with a window. */
  | "window"
  /** The layer is not rotated. */
  | "none";

/** Settings of one block, with all defaults filled in. */
export interface LayerSpec {
  /** Number of latest tokens that a position sees, including its own token. Null: all earlier tokens. */
  readonly window: number | null;
  /** Factor by which q·k is multiplied. */
  readonly scale: number;
  /** How queries and keys are rotated. */
  readonly angles: LayerAngles;
  /**
   * Whether one norm covers a single head of queries or keys, or all heads. `none` means that there is no such norm.
   */
  readonly qkNorm: "none" | "head" | "all";
  /** Place of the norm of each branch f: x + f(norm(x)), x + norm(f(x)) or x + norm(f(norm(x))). */
  readonly norms: "before" | "after" | "both";
  /** The feed-forward branch. */
  readonly mlp: MlpConfig;
}

/** Tables of rotary angles. A table that the model does not need is null. */
export interface AngleTables {
  /** The table for layers without a window. If `window` is null, layers with a window use this table too. */
  readonly main: RotaryTable | null;
  /** The table for layers with a window. */
  readonly window: RotaryTable | null;
}

/** The table of angles for a layer. If null, the layer is not rotated. */
export const anglesFor = ({ angles }: LayerSpec, tables: AngleTables): RotaryTable | null =>
  angles === "none" ? null : tables[angles];
