/**
 * Rotary position embedding of q and k, packed as q | k | v, after an optional norm of each head
 *
 *   qkv [B, T, 3·H·D]   cos, sin [positions, D/2]   γq, γk [D]   →   [B, T, 3·H·D]
 *   for each head of q and of k, at position p, with h = D/2:
 *     z = x·r·γ with r = 1/√(mean(x²) + ε)      (without norms: z = x)
 *     y[i]   = z[i]·cos[p, i]   − z[i+h]·sin[p, i]
 *     y[i+h] = z[i+h]·cos[p, i] + z[i]·sin[p, i]
 *   v is copied. Back: dz is dy turned by the opposite angle; from there as in rms-norm.ts
 *
 * Su et al. 2021, with the two halves of a head paired, as Hugging Face's models have it; the norm is Henry et al.
 * 2020, as Qwen3's q_norm and k_norm.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { ShapeError } from "../core/errors.ts";
import { formatShape } from "../core/shape.ts";
import { type OpSample, requireShape, rowsOf, sampleInput } from "./op.ts";

/** Cosine and sine of each position's angles, each [positions, D/2]. */
export interface RotaryTable {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** RMS norms of the heads of q and k before they are rotated: scales [D], shared by all heads. */
export interface RotaryNorms {
  readonly query: Tensor;
  readonly key: Tensor;
  /** Added to the mean square. */
  readonly eps: number;
}

/**
 * What a `RotaryTable` holds: cosine and sine of p·theta^(−2i/D) for each position p and i < D/2, row by row.
 *
 * @param positions how many positions, from 0 on
 * @param headDim D, even
 * @param theta base of the wavelengths; 10,000 in the paper
 */
export const rotaryAngles = (
  positions: number,
  headDim: number,
  theta: number,
): { readonly cos: Float64Array; readonly sin: Float64Array } => {
  const half = headDim / 2;
  const cos = new Float64Array(positions * half);
  const sin = new Float64Array(positions * half);
  for (let i = 0; i < half; i++) {
    const frequency = theta ** ((-2 * i) / headDim);
    for (let p = 0; p < positions; p++) {
      cos[p * half + i] = Math.cos(p * frequency);
      sin[p * half + i] = Math.sin(p * frequency);
    }
  }
  return { cos, sin };
};

const headDimOf = (qkv: Tensor, heads: number): number => {
  const headDim = (qkv.shape.at(-1) ?? 0) / (3 * heads);
  if (qkv.shape.length >= 2 && Number.isInteger(headDim / 2) && headDim > 0) return headDim;
  throw new ShapeError({
    where: "rotary",
    must: `qkv must be [.., time, 3·H·D] with H = ${heads} and D even`,
    got: formatShape(qkv.shape),
  });
};

const checkTable = ({ cos, sin }: RotaryTable, positions: number, half: number): void => {
  const rows = cos.shape[0] ?? 0;
  if (rows < positions || cos.shape.length !== 2 || cos.shape[1] !== half) {
    throw new ShapeError({
      where: "rotary",
      must: `the table must be [positions, ${half}], with ${positions} positions or more`,
      got: formatShape(cos.shape),
    });
  }
  requireShape("rotary", "sin", sin, cos.shape);
};

/**
 * @param qkv [.., T, 3·H·D]; the last axis but one is time
 * @param start position of the first of the T rows
 * @param norms null: q and k are rotated as they are
 * @returns a tensor of the shape of `qkv`. Its rows depend on their own input and position alone, to the bit.
 */
export const rotary = (
  context: Context,
  qkv: Tensor,
  heads: number,
  table: RotaryTable,
  start: number,
  norms: RotaryNorms | null,
): Tensor => {
  const { backend, memory, tape } = context;
  const headDim = headDimOf(qkv, heads);
  const rows = rowsOf("rotary", qkv, 3 * heads * headDim);
  const time = qkv.shape.at(-2) ?? 0;
  checkTable(table, start + time, headDim / 2);
  if (norms !== null) {
    requireShape("rotary", "the norm of queries", norms.query, [headDim]);
    requireShape("rotary", "the norm of keys", norms.key, [headDim]);
  }
  const given = {
    x: qkv,
    gammaQ: norms?.query ?? null,
    gammaK: norms?.key ?? null,
    cos: table.cos,
    sin: table.sin,
    rows,
    time,
    heads,
    headDim,
    start,
  };
  const y = memory.allocate(qkv.shape, backend.capabilities.activations);
  const rstd = memory.allocate([rows, 2 * heads]);
  backend.run("rotaryForward", { ...given, y, rstd, eps: norms?.eps ?? 0 });

  if (tape === null) {
    memory.release(rstd);
    return y;
  }
  tape.record(y, norms === null ? [qkv] : [qkv, norms.query, norms.key], [rstd], (dy) => {
    const dx = memory.allocate(qkv.shape);
    const dGammaQ = norms === null ? null : tape.accumulator(norms.query);
    const dGammaK = norms === null ? null : tape.accumulator(norms.key);
    backend.run("rotaryBackward", { ...given, dy, rstd, dx, dGammaQ, dGammaK });
    tape.accumulate(qkv, dx);
  });
  return y;
};

interface SampleShape {
  readonly batch: number;
  readonly time: number;
  readonly heads: number;
  readonly headDim: number;
  readonly start: number;
}

const sample = (name: string, shape: SampleShape, withNorms: boolean): OpSample => ({
  name,
  inputs: {
    qkv: [shape.batch, shape.time, 3 * shape.heads * shape.headDim],
    ...(withNorms ? { query: [shape.headDim], key: [shape.headDim] } : {}),
  },
  run: (context, inputs) => {
    const { memory } = context;
    const positions = shape.start + shape.time + 1;
    const tableShape = [positions, shape.headDim / 2];
    const { cos, sin } = rotaryAngles(positions, shape.headDim, 100);
    const table = { cos: memory.upload(cos, tableShape), sin: memory.upload(sin, tableShape) };
    const norms = withNorms
      ? { query: sampleInput(inputs, "query"), key: sampleInput(inputs, "key"), eps: 1e-5 }
      : null;
    return rotary(context, sampleInput(inputs, "qkv"), shape.heads, table, shape.start, norms);
  },
});

export const samples: readonly OpSample[] = [
  sample("one pair", { batch: 1, time: 2, heads: 1, headDim: 2, start: 0 }, false),
  sample("one pair, normed", { batch: 2, time: 2, heads: 1, headDim: 2, start: 1 }, true),
  sample("odd half", { batch: 2, time: 3, heads: 2, headDim: 6, start: 4 }, true),
  sample("past one vector", { batch: 1, time: 2, heads: 1, headDim: 34, start: 0 }, true),
  sample("past one vector, no norms", { batch: 2, time: 2, heads: 1, headDim: 34, start: 3 }, false),
];
