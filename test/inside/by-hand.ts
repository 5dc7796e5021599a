/** A transformer in plain loops and double precision, written from the equations alone: what tests compare with. */
import type { ModelConfig } from "#foretoken/models/config.js";
import { rotaryAngles } from "#foretoken/ops/rotary.js";

type Rows = readonly Float64Array[];

/** The values of a parameter, or null where the model has none. */
export type Weights = (name: string) => Float64Array | null;

const product = (x: Rows, weight: Float64Array, bias: Float64Array | null): Rows =>
  x.map((row) => {
    const y = new Float64Array(weight.length / row.length);
    for (let o = 0; o < y.length; o++) {
      let sum = bias?.[o] ?? 0;
      for (let i = 0; i < row.length; i++) sum += (row[i] as number) * (weight[o * row.length + i] as number);
      y[o] = sum;
    }
    return y;
  });

const rms = (row: Float64Array, weight: Float64Array, eps: number): Float64Array => {
  const scale = 1 / Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) / row.length + eps);
  return row.map((value, i) => value * scale * (weight[i] as number));
};

const normed = (x: Rows, { kind, eps }: ModelConfig["norm"], weight: Float64Array, bias: Float64Array | null): Rows =>
  x.map((row) => {
    if (kind === "rmsnorm") return rms(row, weight, eps);
    const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
    return row.map((v, i) => ((v - mean) / Math.sqrt(variance + eps)) * (weight[i] as number) + (bias?.[i] ?? 0));
  });

/** By Abramowitz & Stegun 7.1.5: the series of erf, exact enough for small arguments. */
const erf = (x: number): number => {
  let term = x;
  let sum = x;
  for (let n = 1; n < 50; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
};

const gelu = (x: number, tanh: boolean): number =>
  tanh
    ? 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
    : 0.5 * x * (1 + erf(x / Math.SQRT2));

export interface ByHand {
  /** [T, C] after the embedding, then after attention and MLP of each layer. */
  readonly stream: readonly Rows[];
  /** By layer and head: [T, T]. */
  readonly attention: readonly (readonly Rows[])[];
  /** The logits of a residual stream, [T, V]. */
  readonly logits: (stream: Rows) => Rows;
}

/**
 * @param must reads a parameter that the model has, `may` gives null where it has none.
 * @param off heads that are switched off, as "layer head".
 * @param replace takes the place of a row of the stream after a stage.
 */
export const byHand = (
  config: ModelConfig,
  ids: Int32Array,
  weights: Weights,
  off: readonly string[] = [],
  replace: (stage: number, before: Rows, after: Rows) => Rows = (_, __, after) => after,
): ByHand => {
  const { nEmbd, nHead, nKvHead = nHead, headDim: size = nEmbd / nHead, position, norm, mlp } = config;
  const must = (name: string): Float64Array => {
    const found = weights(name);
    if (found === null) throw new Error(`no ${name}`);
    return found;
  };
  const layer = (x: Rows, name: string): Rows => product(x, must(`${name}.weight`), weights(`${name}.bias`));
  const normLayer = (x: Rows, name: string): Rows => normed(x, norm, must(`${name}.weight`), weights(`${name}.bias`));
  const added = (x: Rows, y: Rows): Rows => x.map((row, t) => row.map((v, c) => v + (y[t]?.[c] as number)));
  const part = (rows: Rows, first: number): Rows => rows.map((row) => row.slice(first * size, (first + 1) * size));

  const rotated = (rows: Rows): Rows => {
    if (position.kind === "learned") return rows;
    const dim = Math.floor(size * (position.fraction ?? 1));
    const half = dim / 2;
    const { cos, sin } = rotaryAngles(ids.length, dim, position.theta, position.scaling);
    return rows.map((row, t) =>
      row.map((v, i) => {
        if (i >= dim) return v;
        const at = t * half + (i % half);
        const [c, s] = [cos[at] as number, sin[at] as number];
        return i < half ? v * c - (row[i + half] as number) * s : v * c + (row[i - half] as number) * s;
      }),
    );
  };
  const headRows = (rows: Rows, name: string): Rows =>
    rotated(config.qkNorm ? rows.map((row) => rms(row, must(name), norm.eps)) : rows);

  const tokens = must("tokens.weight");
  const places = weights("positions.weight");
  let x: Rows = Array.from(ids, (id, t) =>
    Float64Array.from({ length: nEmbd }, (_, c) => (tokens[id * nEmbd + c] as number) + (places?.[t * nEmbd + c] ?? 0)),
  );
  const stream: Rows[] = [x];
  const attention: Rows[][] = [];
  for (let l = 0; l < config.nLayer; l++) {
    const name = `blocks.${l}`;
    const qkv = layer(normLayer(x, `${name}.attentionNorm`), `${name}.attention.qkv`);
    const maps = Array.from({ length: nHead }, (_, h): Rows => {
      const q = headRows(part(qkv, h), `${name}.attention.queryNorm.weight`);
      const k = headRows(part(qkv, nHead + Math.floor((h * nKvHead) / nHead)), `${name}.attention.keyNorm.weight`);
      return q.map((row, i) => {
        const weight = k.map((key, j) =>
          config.mask === "causal" && j > i
            ? 0
            : Math.exp(row.reduce((s, v, d) => s + v * (key[d] as number), 0) / Math.sqrt(size)),
        );
        const sum = weight.reduce((a, b) => a + b, 0);
        return Float64Array.from(weight, (value) => value / sum);
      });
    });
    attention.push(maps);
    const values = Array.from({ length: nKvHead }, (_, h) => part(qkv, nHead + nKvHead + h));
    const mixed = x.map((_, t) => {
      const row = new Float64Array(nHead * size);
      for (let h = 0; h < nHead; h++) {
        if (off.includes(`${l} ${h}`)) continue;
        const v = values[Math.floor((h * nKvHead) / nHead)] ?? [];
        for (let d = 0; d < size; d++) {
          row[h * size + d] = v.reduce((s, one, j) => s + (maps[h]?.[t]?.[j] as number) * (one[d] as number), 0);
        }
      }
      return row;
    });
    const middle = added(x, layer(mixed, `${name}.attention.projection`));
    const kept = replace(stream.length, x, middle);
    stream.push(kept);
    const second = normLayer(kept, `${name}.mlpNorm`);
    const hidden =
      mlp.kind === "gelu"
        ? layer(second, `${name}.mlp.up`).map((row) => row.map((v) => gelu(v, mlp.approximate === "tanh")))
        : layer(second, `${name}.mlp.gateUp`).map((row) =>
            row.slice(0, mlp.hidden).map((g, i) => (g / (1 + Math.exp(-g))) * (row[mlp.hidden + i] as number)),
          );
    x = replace(stream.length, kept, added(kept, layer(hidden, `${name}.mlp.down`)));
    stream.push(x);
  }
  const head = config.tieEmbeddings ? tokens : must("head.weight");
  return { stream, attention, logits: (rows) => product(normLayer(rows, "norm"), head, null) };
};

/** Softmax of a row. */
export const softmax = (row: ArrayLike<number>): Float64Array => {
  const values = Float64Array.from(row);
  const highest = Math.max(...values);
  const weights = values.map((value) => Math.exp(value - highest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
};

/** Mean of −ln p of the tokens after the first. */
export const lossByHand = (logits: Rows, ids: Int32Array): number => {
  let total = 0;
  for (let t = 0; t + 1 < ids.length; t++) {
    total -= Math.log(softmax(logits[t] as Float64Array)[ids[t + 1] as number] as number);
  }
  return total / (ids.length - 1);
};
