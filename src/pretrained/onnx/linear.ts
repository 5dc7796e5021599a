/**
 * Matrix products with a model's weights, in float32 or int8.
 * float32: `Gemm` reads a weight [out, in] without transposing it. So an embedding that is also the head is stored only
 * once.
 * int8: each row of a weight (one output) has its own scale: w ≈ s·(u − 128), with u from 1 to 255. Each row of
 * activations also has its own scale, from the largest magnitude in the row. So a row of the result does not depend on
 * other rows. Each activation is rounded to two 8-bit integers: x ≈ s·(high + low/254). With only one integer,
 * SmolLM2-135M loses 0.04 nats per token. The rows of the low parts follow the rows of the high parts, so one product
 * reads the weight only once. `MatMulInteger` adds integer products exactly. Both inputs of `MatMulInteger` are
 * unsigned. If an input is signed, ONNX Runtime adds pairs of products in 16 bits on some CPUs, which overflows.
 */
import { castTypes, type OnnxTensor } from "../../io/onnx/model.ts";
import type { Placed } from "../../models/arena.ts";
import { type GraphBuilder, type Name, whole, wholes } from "./builder.ts";
import { bytesOfFloats, floatTensor, type NamedWeights, weightOf, widthOf } from "./weights.ts";

/** Matrix products with a model's weights. */
export interface Products {
  /**
   * Computes x·wᵀ + b [N, out] from x [N, in], for the linear layer with this name. The token embedding is a layer
   * without bias.
   */
  readonly linear: (layer: string, x: Name) => Name;
  /** Looks up the rows [N, C] of the token embedding for ids [N]. */
  readonly tokens: (ids: Name) => Name;
}

/** Layer name of the token embedding. */
export const tokenLayer = "tokens";

/** Adds each tensor when it is first used. */
const once = (builder: GraphBuilder): ((tensor: OnnxTensor) => Name) => {
  const added = new Set<string>();
  return (tensor) => {
    if (!added.has(tensor.name)) builder.tensor(tensor);
    added.add(tensor.name);
    return tensor.name;
  };
};

const biasOf = (builder: GraphBuilder, weights: NamedWeights, layer: string): Name | undefined => {
  const name = `${layer}.bias`;
  return weights.find(name) === undefined ? undefined : builder.tensor(floatTensor(weights, name));
};

export const floatProducts = (builder: GraphBuilder, weights: NamedWeights): Products => {
  const use = once(builder);
  const weight = (layer: string): Name => use(floatTensor(weights, `${layer}.weight`));
  return {
    linear(layer, x) {
      const bias = biasOf(builder, weights, layer);
      return builder.node("Gemm", [x, weight(layer), ...(bias === undefined ? [] : [bias])], { transB: whole(1) });
    },
    tokens: (ids) => builder.node("Gather", [weight(tokenLayer), ids], { axis: whole(0) }),
  };
};

/** The value of u that represents 0. */
const zeroPoint = 128;
const levels = 127;

/** The largest magnitude in a row. */
const largestOf = (row: Float32Array): number => {
  let largest = 0;
  for (const value of row) largest = Math.max(largest, Math.abs(value));
  return largest;
};

/** Yields each row of a weight with its index. */
async function* rowsOf(
  weights: NamedWeights,
  weight: Placed,
): AsyncGenerator<readonly [row: Float32Array, number: number], void, undefined> {
  const width = widthOf(weight);
  let number = 0;
  for await (const rows of weights.rows(weight)) {
    for (let at = 0; at < rows.length; at += width) yield [rows.subarray(at, at + width), number++];
  }
}

/** Scale of each output of a weight [out, in]. */
const scalesTensor = (weights: NamedWeights, weight: Placed): OnnxTensor => ({
  ...{ name: `${weight.name}.scales`, type: "float32", shape: [weight.size / widthOf(weight)] },
  async *pieces() {
    const scales = new Float32Array(weight.size / widthOf(weight));
    for await (const [row, output] of rowsOf(weights, weight)) scales[output] = largestOf(row) / levels;
    yield bytesOfFloats(scales);
  },
});

/** A weight [out, in] as u [in, out], in the order that `MatMulInteger` reads. The whole weight must fit in memory. */
const roundedTensor = (weights: NamedWeights, weight: Placed): OnnxTensor => {
  const width = widthOf(weight);
  const outputs = weight.size / width;
  return {
    ...{ name: `${weight.name}.u8`, type: "uint8", shape: [width, outputs] },
    async *pieces() {
      const bytes = new Uint8Array(weight.size);
      for await (const [row, output] of rowsOf(weights, weight)) {
        const largest = largestOf(row);
        const inverse = largest === 0 ? 0 : levels / largest;
        for (let i = 0; i < width; i++) {
          bytes[i * outputs + output] = Math.round((row[i] as number) * inverse) + zeroPoint;
        }
      }
      yield bytes;
    },
  };
};

export const roundedProducts = (builder: GraphBuilder, weights: NamedWeights): Products => {
  const use = once(builder);
  const weight = (layer: string): { readonly u8: Name; readonly scales: Name } => {
    const placed = weightOf(weights, `${layer}.weight`);
    return { u8: use(roundedTensor(weights, placed)), scales: use(scalesTensor(weights, placed)) };
  };
  const { node, scalar } = builder;
  const zero = (): Name => scalar(zeroPoint, "uint8");
  /** Rounds rows x [N, in] to u8 [2N, in], the high parts above the low parts. Also returns scales [N, 1]. */
  const rounded = (x: Name): { readonly u8: Name; readonly scales: Name } => {
    const largest = node("ReduceMax", [node("Abs", [x])], { axes: wholes(-1), keepdims: whole(1) });
    // This minimum avoids division by zero for a row of zeros.
    const scales = node("Mul", [node("Max", [largest, scalar(2 ** -100)]), scalar(1 / levels)]);
    const all = node("Div", [x, scales]);
    const high = node("Round", [all]);
    const low = node("Round", [node("Mul", [node("Sub", [all, high]), scalar(2 * levels)])]);
    const both = node("Add", [node("Concat", [high, low], { axis: whole(0) }), scalar(zeroPoint)]);
    return { u8: node("Cast", [both], { to: whole(castTypes.uint8) }), scales };
  };
  const toFloat = (x: Name): Name => node("Cast", [x], { to: whole(castTypes.float32) });
  return {
    linear(layer, x) {
      const { u8, scales } = weight(layer);
      const rows = rounded(x);
      const sums = toFloat(node("MatMulInteger", [rows.u8, u8, zero(), zero()])); // [2N, out]
      const [high, low] = builder.halves(sums, 0);
      const sum = node("Add", [high, node("Mul", [low, scalar(1 / (2 * levels))])]);
      const y = node("Mul", [node("Mul", [sum, rows.scales]), scales]);
      const bias = biasOf(builder, weights, layer);
      return bias === undefined ? y : node("Add", [y, bias]);
    },
    tokens(ids) {
      const { u8, scales } = weight(tokenLayer);
      // The weight of the head is stored as [C, V]. The columns of the tokens must become rows.
      const columns = toFloat(node("Gather", [u8, ids], { axis: whole(1) })); // [C, N]
      const centred = node("Sub", [columns, scalar(zeroPoint)]);
      const scaled = node("Mul", [centred, node("Gather", [scales, ids], { axis: whole(0) })]);
      return node("Transpose", [scaled], { perm: wholes(1, 0) }); // [N, C]
    },
  };
};
