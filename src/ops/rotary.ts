/**
 * Rotary position embedding of q and k, packed as q | k | v, after an optional norm of each head
 *
 *   qkv [B, T, (H + 2·Hk)·D]   cos, sin [positions, R/2]   γq, γk [D], or [H·D] and [Hk·D]   →   [B, T, (H + 2·Hk)·D]
 *   for each head of q and of k, at position p, with h = R/2:
 *       z = x·r·γ with r = 1/√(mean(x²) + ε), mean over one head, or over all heads of q and all of k   (without norms: z = x)
 *       y[i]   = z[i]·cos[p, i]   − z[i+h]·sin[p, i]
 *       y[i+h] = z[i+h]·cos[p, i] + z[i]·sin[p, i]
 *       y[j]   = z[j] for j ≥ R
 *   v is copied
 *
 * In the backward pass, dz is dy rotated by the opposite angle, and the gradient of the norm is as in rms-norm.ts.
 * Source: Su et al. 2021. Channel i is paired with channel i + h, as in Hugging Face's models. The norm of a single head
 * is from Henry et al. 2020; Qwen3 calls it q_norm and k_norm. The norm over all heads is from OLMo 2.
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
  /** Weight for q: [D] if all heads share it, or [H·D] if one norm covers all heads. */
  readonly query: Tensor;
  /** Weight for k: [D] if all heads share it, or [Hk·D] if one norm covers all heads. */
  readonly key: Tensor;
  /** Whether one mean covers a single head, or all heads. */
  readonly width: "head" | "all";
  /** Added to the mean square. */
  readonly eps: number;
}

/** How a model's wavelengths are stretched for texts that are longer than in the first training. */
export type RotaryScaling =
  | { readonly kind: "none" }
  /** Stretches all wavelengths by `factor` (Chen et al. 2023). */
  | { readonly kind: "linear"; readonly factor: number }
  /**
   * Stretches wavelengths as in Llama 3.1. Wavelengths longer than `originalContext` / `lowFrequency` are stretched by
   * `factor`. Wavelengths shorter than `originalContext` / `highFrequency` are not stretched. Between these limits,
   * longer wavelengths are stretched more.
   */
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly lowFrequency: number;
      readonly highFrequency: number;
      readonly originalContext: number;
    };

/** Rotation angles in radians per position, after scaling. */
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
 * Values of a `RotaryTable`: cosine and sine of p·f[i] for each position p and i < R/2, row by row. f[i] is
 * theta^(−2i/R), scaled.
 * @param positions number of positions
 * @param rotaryDim R, even: number of channels of a head that are rotated
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

/** Checks the positions of the rows. Positions are 0 to T − 1 in each row of the batch, unless segments define them. */
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
 * Applies the norms and the rotation.
 * @param qkv [.., T, (H + 2·Hk)·D] with D even; the second-to-last axis is time
 * @param table if null, q and k are not rotated
 * @param segments segments into which T is divided; if null, each row of the batch is a sequence from position 0
 * @param norms if null, q and k are not normalised
 * @returns a tensor of the shape of `qkv`. The bits of each row depend only on the input of the row and its position.
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
      must: "qkv must be [.., time, channels] with an even number of channels per head",
      got: `${formatShape(qkv.shape)} with ${headDim}`,
    });
  }
  const rows = rowsOf("rotary", qkv, packedWidth(shape));
  const { time, end } = checkPlaces(qkv, segments, rows);
  const rotaryDim = table === null ? 0 : rotaryDimOf(table, end, shape);
  const together = norms?.width === "all" ? 1 : 0;
  if (norms !== null) {
    requireShape("rotary", "the norm weight of queries", norms.query, [together === 1 ? heads * headDim : headDim]);
    requireShape("rotary", "the norm weight of keys", norms.key, [together === 1 ? keyHeads * headDim : headDim]);
  }
  const given = {
    x: qkv,
    gammaQ: norms?.query ?? null,
    gammaK: norms?.key ?? null,
    // If no channels are rotated, the kernel does not read the tables, so any tensor can be passed instead.
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
    // Only matrix products read dx. These products round it to this type anyway.
    const dx = memory.allocate(qkv.shape, backend.capabilities.activations);
    const dGammaQ = norms === null ? null : tape.accumulator(norms.query);
    const dGammaK = norms === null ? null : tape.accumulator(norms.key);
    // Without norms, the rotation back needs only dy, so the caller may have dropped qkv.
    const x = norms === null ? null : qkv;
    backend.run("rotaryBackward", { ...given, x, dy, rstd, dx, dGammaQ, dGammaK });
    tape.accumulate(qkv, dx);
  });
  return y;
};
