/**
 * A transformer in plain loops and double precision. This code was written only from the equations. Tests compare the
 * library with it.
 */
import type { ModelConfig } from "#foretoken/models/config.js";
import { rotaryAngles } from "#foretoken/ops/rotary.js";

type Rows = readonly Float64Array[];

/** The values of a parameter; null if the model does not have it. */
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

/** The series of erf (Abramowitz & Stegun 7.1.5). For small arguments, it is exact enough. */
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

/** The hidden layer of a branch, from the outputs of its first linear layer. */
const hiddenOf = (mlp: ModelConfig["mlp"], row: Float64Array): Float64Array => {
  const half = row.length / 2;
  const up = (i: number): number => row[half + i] as number;
  switch (mlp.kind) {
    case "gelu":
      return row.map((v) => gelu(v, mlp.approximate === "tanh"));
    case "relu2":
      return row.map((v) => Math.max(0, v) ** 2);
    case "swiglu":
      return row.slice(0, half).map((gate, i) => (gate / (1 + Math.exp(-gate))) * up(i));
    case "geglu":
      return row.slice(0, half).map((gate, i) => gelu(gate, mlp.approximate === "tanh") * up(i));
    default:
      return mlp satisfies never;
  }
};

/** Whether the layer is the last layer in its group of n layers. Layers are counted from 0. */
const isNth = (l: number, n = 0): boolean => n > 0 && l % n === n - 1;

export interface ByHand {
  /** Residual stream [T, C] after the embedding, and then after each attention and each MLP. */
  readonly stream: readonly Rows[];
  /** Attention weights [T, T] by layer and head. */
  readonly attention: readonly (readonly Rows[])[];
  /** Logits [T, V] of a residual stream. */
  readonly logits: (stream: Rows) => Rows;
}

/**
 * @param must reads a parameter that the model must have; `may` returns null if the model does not have it.
 * @param off heads that are switched off, as "layer head".
 * @param replace replaces a row of the residual stream after a stage.
 */
export const byHand = (
  config: ModelConfig,
  ids: Int32Array,
  weights: Weights,
  off: readonly string[] = [],
  replace: (stage: number, before: Rows, after: Rows) => Rows = (_, __, after) => after,
): ByHand => {
  const { nEmbd, nHead, nKvHead = nHead, headDim: size = nEmbd / nHead, position, norm, mlp, window } = config;
  const { attentionScale = 1 / Math.sqrt(size), embeddingScale = 1, normPlacement = "before" } = config;
  const must = (name: string): Float64Array => {
    const found = weights(name);
    if (found === null) throw new Error(`no ${name}`);
    return found;
  };
  const layer = (x: Rows, name: string): Rows => product(x, must(`${name}.weight`), weights(`${name}.bias`));
  const normLayer = (x: Rows, name: string): Rows => normed(x, norm, must(`${name}.weight`), weights(`${name}.bias`));
  const added = (x: Rows, y: Rows): Rows => x.map((row, t) => row.map((v, c) => v + (y[t]?.[c] as number)));
  const part = (rows: Rows, first: number): Rows => rows.map((row) => row.slice(first * size, (first + 1) * size));

  const hasWindow = (l: number): boolean => window !== undefined && !isNth(l, window.fullEvery);
  const rotated = (rows: Rows, l: number): Rows => {
    if (position.kind === "learned" || isNth(l, position.noneEvery)) return rows;
    const dim = Math.floor(size * (position.fraction ?? 1));
    const half = dim / 2;
    const other = hasWindow(l) ? window?.theta : undefined;
    const { cos, sin } =
      other === undefined
        ? rotaryAngles(ids.length, dim, position.theta, position.scaling)
        : rotaryAngles(ids.length, dim, other);
    return rows.map((row, t) =>
      row.map((v, i) => {
        if (i >= dim) return v;
        const at = t * half + (i % half);
        const [c, s] = [cos[at] as number, sin[at] as number];
        return i < half ? v * c - (row[i + half] as number) * s : v * c + (row[i - half] as number) * s;
      }),
    );
  };
  /** Heads in a row of q | k | v, after their norm. The first head is `first`. */
  const headsNormed = (rows: Rows, first: number, count: number, name: string): readonly Rows[] => {
    const apart = (all: Rows): readonly Rows[] => Array.from({ length: count }, (_, h) => part(all, h));
    const own = rows.map((row) => row.slice(first * size, (first + count) * size));
    if (!config.qkNorm) return apart(own);
    const over = (all: Rows): Rows => all.map((row) => rms(row, must(name), norm.eps));
    return config.qkNormWidth === "all" ? apart(over(own)) : apart(own).map(over);
  };
  /** x + f(x), with a norm before f, a norm after f, or both norms. */
  const branch = (x: Rows, name: string, f: (rows: Rows) => Rows): Rows => {
    const y = f(normPlacement === "after" ? x : normLayer(x, `${name}Norm`));
    return added(x, normPlacement === "before" ? y : normLayer(y, `${name}PostNorm`));
  };

  const tokens = must("tokens.weight");
  const places = weights("positions.weight");
  let x: Rows = Array.from(ids, (id, t) =>
    Float64Array.from(
      { length: nEmbd },
      (_, c) => (tokens[id * nEmbd + c] as number) * embeddingScale + (places?.[t * nEmbd + c] ?? 0),
    ),
  );
  const stream: Rows[] = [x];
  const attention: Rows[][] = [];
  for (let l = 0; l < config.nLayer; l++) {
    const name = `blocks.${l}`;
    const maps: Rows[] = [];
    const attend = (input: Rows): Rows => {
      const qkv = layer(input, `${name}.attention.qkv`);
      const queries = headsNormed(qkv, 0, nHead, `${name}.attention.queryNorm.weight`);
      const keys = headsNormed(qkv, nHead, nKvHead, `${name}.attention.keyNorm.weight`);
      const values = Array.from({ length: nKvHead }, (_, h) => part(qkv, nHead + nKvHead + h));
      const sees = (i: number, j: number): boolean =>
        config.mask === "none" || (j <= i && (!hasWindow(l) || i - j < (window?.size ?? 0)));
      for (const [h, rows] of queries.entries()) {
        const k = rotated(keys[Math.floor((h * nKvHead) / nHead)] ?? [], l);
        const map = rotated(rows, l).map((row, i) => {
          const weight = k.map((key, j) =>
            sees(i, j) ? Math.exp(row.reduce((s, v, d) => s + v * (key[d] as number), 0) * attentionScale) : 0,
          );
          const sum = weight.reduce((a, b) => a + b, 0);
          return Float64Array.from(weight, (value) => value / sum);
        });
        maps.push(map);
      }
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
      return layer(mixed, `${name}.attention.projection`);
    };
    const middle = branch(x, `${name}.attention`, attend);
    attention.push(maps);
    const kept = replace(stream.length, x, middle);
    stream.push(kept);
    const first = weights(`${name}.mlp.up.weight`) === null ? "gateUp" : "up";
    const feed = (input: Rows): Rows =>
      layer(
        layer(input, `${name}.mlp.${first}`).map((row) => hiddenOf(mlp, row)),
        `${name}.mlp.down`,
      );
    x = replace(stream.length, kept, branch(kept, `${name}.mlp`, feed));
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

/** Mean of −ln p over all tokens except the first. */
export const lossByHand = (logits: Rows, ids: Int32Array): number => {
  let total = 0;
  for (let t = 0; t + 1 < ids.length; t++) {
    total -= Math.log(softmax(logits[t] as Float64Array)[ids[t + 1] as number] as number);
  }
  return total / (ids.length - 1);
};
