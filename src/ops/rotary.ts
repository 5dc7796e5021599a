/**
 * Rotary position embedding of q and k, packed as q | k | v, after an optional norm of each head
 *
 *   qkv [B, T, (H + 2·Hk)·D]   cos, sin [positions, R/2]   γq, γk [D], or [H·D] and [Hk·D]   →   [B, T, (H + 2·Hk)·D]
 *   for each head of q and of k, at position p, with h = R/2:
 *     z = x·r·γ with r = 1/√(mean(x²) + ε), over the head, or over all heads of q and all of k      (without norms: z = x)
 *     y[i]   = z[i]·cos[p, i]   − z[i+h]·sin[p, i]
 *     y[i+h] = z[i+h]·cos[p, i] + z[i]·sin[p, i]
 *     y[j]   = z[j] from R on
 *   v is copied. Back: dz is dy turned by the opposite angle; from there as in rms-norm.ts
 *
 * Su et al. 2021, with the two halves of what is rotated paired, as Hugging Face's models have it; the norm is Henry et al.
 * 2020, as Qwen3's q_norm and k_norm; over all heads, as OLMo 2's.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { packedWidth } from "../backend/kernels/sizes.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { formatShape } from "../core/tensors/shape.ts";
import type { Heads } from "./causal-attention.ts";
import { requireShape, rowsOf } from "./op.ts";
import { endOf, type Segments } from "./segments.ts";

/** Cosine and sine of each position's angles, each [positions, R/2]. */
export interface RotaryTable {
  /** Cosines. */
  readonly cos: Tensor;
  /** Sines. */
  readonly sin: Tensor;
}

/** RMS norms of the heads of q and k before they are rotated. */
export interface RotaryNorms {
  /** Of q. Each head's own: [D], shared by all heads. All heads together: [H·D]. */
  readonly query: Tensor;
  /** Of k: [D], or [Hk·D]. */
  readonly key: Tensor;
  /** What the mean is over: each head's channels, or those of all heads together. */
  readonly width: "head" | "all";
  /** Added to the mean square. */
  readonly eps: number;
}

/** How the wavelengths of a model are stretched, so that it can be used on texts longer than those of its first training. */
export type RotaryScaling =
  | { readonly kind: "none" }
  /** All by `factor` (Chen et al. 2023). */
  | { readonly kind: "linear"; readonly factor: number }
  /**
   * As Llama 3.1: by `factor` those longer than `originalContext` / `lowFrequency`, none shorter than `originalContext` /
   * `highFrequency`, and in between the more the longer.
   */
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly lowFrequency: number;
      readonly highFrequency: number;
      readonly originalContext: number;
    };

/** Radians per position, after scaling. */
const scaled = (frequency: number, scaling: RotaryScaling): number => {
  switch (scaling.kind) {
    case "none":
      return frequency;
    case "linear":
      return frequency / scaling.factor;
    case "llama3": {
      const { factor, lowFrequency, highFrequency, originalContext } = scaling;
      const turns = (originalContext * frequency) / (2 * Math.PI);
      const kept = Math.min(1, Math.max(0, (turns - lowFrequency) / (highFrequency - lowFrequency)));
      return kept * frequency + ((1 - kept) * frequency) / factor;
    }
    default:
      return scaling satisfies never;
  }
};

/**
 * What a `RotaryTable` holds: cosine and sine of p·f[i] for each position p and i < R/2, row by row, where f[i] is
 * theta^(−2i/R), scaled.
 *
 * @param positions how many positions
 * @param rotaryDim R, even: how many channels of a head are rotated
 * @param theta base of the wavelengths; 10,000 in the paper
 * @param first the first position
 */
export const rotaryAngles = (
  positions: number,
  rotaryDim: number,
  theta: number,
  scaling: RotaryScaling = { kind: "none" },
  first = 0,
): { readonly cos: Float64Array; readonly sin: Float64Array } => {
  const half = rotaryDim / 2;
  const frequencies = Float64Array.from({ length: half }, (_, i) => scaled(theta ** ((-2 * i) / rotaryDim), scaling));
  const cos = new Float64Array(positions * half);
  const sin = new Float64Array(positions * half);
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = (first + p) * (frequencies[i] as number);
      cos[p * half + i] = Math.cos(angle);
      sin[p * half + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
};

/** The position of each row: rows of T from 0 on, or each as its segment has it. */
const checkPlaces = (qkv: Tensor, segments: Segments | null, rows: number): { time: number; end: number } => {
  if (segments === null) {
    const time = qkv.shape.at(-2) ?? 0;
    return { time, end: time };
  }
  if (segments.rows !== rows) {
    throw new ShapeError({
      where: "rotary",
      must: `segments must have as many rows as qkv: ${rows}`,
      got: `${segments.rows}`,
    });
  }
  return { time: 1, end: endOf(segments) };
};

const rotaryDimOf = ({ cos, sin }: RotaryTable, positions: number, { headDim }: Heads): number => {
  const [rows = 0, half = 0] = cos.shape;
  if (rows < positions || cos.shape.length !== 2 || half < 1 || 2 * half > headDim) {
    throw new ShapeError({
      where: "rotary",
      must: `the table must be [positions, R/2], with ${positions} positions or more and R at most ${headDim}`,
      got: formatShape(cos.shape),
    });
  }
  requireShape("rotary", "sin", sin, cos.shape);
  return 2 * half;
};

/**
 * @param qkv [.., T, (H + 2·Hk)·D] with D even; the last axis but one is time
 * @param table null: q and k are not rotated
 * @param segments those that T is divided into; null: each row of T is a sequence from position 0 on
 * @param norms null: q and k are rotated as they are
 * @returns a tensor of the shape of `qkv`. Its rows depend on their own input and position alone, to the bit.
 */
export const rotary = (
  context: Context,
  qkv: Tensor,
  shape: Heads,
  table: RotaryTable | null,
  segments: Segments | null,
  norms: RotaryNorms | null,
): Tensor => {
  const { backend, memory, tape } = context;
  const { heads, keyHeads, headDim } = shape;
  if (qkv.shape.length < 2 || headDim % 2 !== 0) {
    throw new ShapeError({
      where: "rotary",
      must: "qkv must be [.., time, channels] with an even number of channels a head",
      got: `${formatShape(qkv.shape)} with ${headDim}`,
    });
  }
  const rows = rowsOf("rotary", qkv, packedWidth(shape));
  const { time, end } = checkPlaces(qkv, segments, rows);
  const rotaryDim = table === null ? 0 : rotaryDimOf(table, end, shape);
  const together = norms?.width === "all" ? 1 : 0;
  if (norms !== null) {
    requireShape("rotary", "the norm of queries", norms.query, [together === 1 ? heads * headDim : headDim]);
    requireShape("rotary", "the norm of keys", norms.key, [together === 1 ? keyHeads * headDim : headDim]);
  }
  const given = {
    x: qkv,
    gammaQ: norms?.query ?? null,
    gammaK: norms?.key ?? null,
    // With no channel to rotate nothing of a table is read.
    cos: table?.cos ?? qkv,
    sin: table?.sin ?? qkv,
    places: segments?.places ?? null,
    rows,
    time,
    heads,
    keyHeads,
    headDim,
    rotaryDim,
    start: 0,
    tableRows: table?.cos.shape[0] ?? end,
    together,
  };
  const y = memory.allocate(qkv.shape, backend.capabilities.activations);
  const rstd = memory.allocate([rows, heads + keyHeads]);
  backend.run("rotaryForward", { ...given, y, rstd, eps: norms?.eps ?? 0 });

  if (tape === null) {
    memory.release(rstd);
    return y;
  }
  tape.record(y, norms === null ? [qkv] : [qkv, norms.query, norms.key], [rstd], (dy) => {
    // The products that take it round it to this in any case.
    const dx = memory.allocate(qkv.shape, backend.capabilities.activations);
    const dGammaQ = norms === null ? null : tape.accumulator(norms.query);
    const dGammaK = norms === null ? null : tape.accumulator(norms.key);
    backend.run("rotaryBackward", { ...given, dy, rstd, dx, dGammaQ, dGammaK });
    tape.accumulate(qkv, dx);
  });
  return y;
};
