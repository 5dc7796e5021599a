/**
 * A model as an ONNX graph. Inputs and outputs have the names that transformers.js and Optimum use:
 *
 *   input_ids [B, T] attention_mask [B, S] position_ids [B, T] past_key_values.i.key, .value [B, Hk, P, D]
 *   → logits [B, T, V] present.i.key, .value [B, Hk, S, D]
 *
 * S = P + T. A token sees itself and previous tokens, except tokens for which the mask is 0. Between blocks, the tokens
 * of all rows are concatenated: [N, C] with N = B·T.
 */
import { castTypes, type OnnxGraph, type OnnxTensor, type OnnxValue } from "../../io/onnx/model.ts";
import { type ModelConfig, type RopeConfig, rotaryDimOf } from "../../models/config.ts";
import { layerOf } from "../../models/layers.ts";
import { headsOf } from "../../nn/causal-self-attention.ts";
import { type MlpConfig, mlpLayers } from "../../nn/mlp.ts";
import { rotaryAngles } from "../../ops/rotary.ts";
import { type Angles, attention, type Shared } from "./attention.ts";
import { type GraphBuilder, graphBuilder, type Name, whole } from "./builder.ts";
import { floatProducts, type Products, roundedProducts, tokenLayer } from "./linear.ts";
import { gelu, normalise, squaredRelu, swish } from "./pieces.ts";
import { bytesOfFloats, floatTensor, type NamedWeights } from "./weights.ts";

/** Number formats of a graph's weights. */
export const onnxDTypes = ["float32", "int8"] as const;
/** Number format of the matrices of an ONNX file: float32, or int8 with one scale for each output of a matrix. */
export type OnnxDType = (typeof onnxDTypes)[number];

const products = { float32: floatProducts, int8: roundedProducts } as const satisfies Record<
  OnnxDType,
  (builder: GraphBuilder, weights: NamedWeights) => Products
>;

/** Number of table values that are computed at once. */
const madeAtATime = 2 ** 16;

/** The wavelengths for a table of angles, and the name prefix of the table's tensors. */
interface Wavelengths extends Pick<RopeConfig, "theta" | "scaling"> {
  readonly name: string;
}

/** Cosines or sines of all positions, [contextLength, R/2]. */
const angleTable = (config: ModelConfig, { name, theta, scaling }: Wavelengths, which: "cos" | "sin"): OnnxTensor => {
  const { contextLength, position } = config;
  if (position.kind !== "rope") throw new Error("learned positions have no angles");
  const half = rotaryDimOf(config, position) / 2;
  const rows = Math.ceil(madeAtATime / half);
  return {
    ...{ name: `${name}.${which}`, type: "float32", shape: [contextLength, half] },
    async *pieces() {
      for (let first = 0; first < contextLength; first += rows) {
        const count = Math.min(rows, contextLength - first);
        const angles = rotaryAngles(count, 2 * half, theta, scaling, first);
        yield bytesOfFloats(Float32Array.from(angles[which]));
      }
    },
  };
};

/** Cosines and sines of the angles of each token, [B, 1, T, R/2]. All heads share them. */
const anglesOf = (builder: GraphBuilder, config: ModelConfig, wavelengths: Wavelengths, places: Name): Angles => {
  const { node } = builder;
  const rows = (which: "cos" | "sin"): Name => {
    const table = builder.tensor(angleTable(config, wavelengths, which));
    return node("Unsqueeze", [node("Gather", [table, places], { axis: whole(0) }), builder.wholes(1)]);
  };
  return { cos: rows("cos"), sin: rows("sin") };
};

/**
 * The number that is added to masked scores. Its exponential is 0. The number is finite, so that a row with only masked
 * tokens does not become NaN.
 */
const masked = -1e30;

/** Angles of each layer. Layers with a window may have other wavelengths than layers without a window. */
const anglesByLayer = (builder: GraphBuilder, config: ModelConfig, places: Name): Shared["angles"] => {
  const { position, window, nLayer } = config;
  if (position.kind !== "rope") return () => null;
  const used = Array.from({ length: nLayer }, (_, i) => layerOf(config, i).angles);
  const { theta, scaling } = position;
  const ofWindow = { name: "windowAngles", theta: window?.theta ?? theta };
  const make = (wavelengths: Wavelengths): Angles =>
    builder.within(wavelengths.name, () => anglesOf(builder, config, wavelengths, places));
  const tables = {
    main: used.includes("main") ? make({ name: "angles", theta, scaling }) : null,
    window: used.includes("window") ? make(ofWindow) : null,
  };
  return ({ angles }) => (angles === "none" ? null : tables[angles]);
};

/**
 * Mask [B, 1, T, S] that is added to scores. The mask is 0 where a query sees a key. @param window number of tokens
 * that a query sees. Null: the query sees all previous tokens.
 */
const maskOf = (builder: GraphBuilder, ids: Name, mask: Name, window: number | null): Name => {
  const { node, scalar } = builder;
  const sizeOf = (of: Name): Name => node("Gather", [node("Shape", [of]), scalar(1, "int64")], { axis: whole(0) });
  const all = sizeOf(mask); // S
  const first = node("Sub", [all, sizeOf(ids)]); // P
  const one = scalar(1, "int64");
  const queries = node("Unsqueeze", [node("Range", [first, all, one]), builder.wholes(1)]); // [T, 1]
  const keys = node("Range", [scalar(0, "int64"), all, one]); // [S]
  const isBefore = node("LessOrEqual", [keys, queries]); // [T, S]
  const isNear = (size: number): Name => node("LessOrEqual", [node("Sub", [queries, scalar(size - 1, "int64")]), keys]); // [T, S]
  const isSeen = window === null ? isBefore : node("And", [isBefore, isNear(window)]);
  const isText = node("Cast", [mask], { to: whole(castTypes.bool) });
  const sees = node("And", [isSeen, node("Unsqueeze", [isText, builder.wholes(1)])]); // [B, T, S]
  return node("Unsqueeze", [node("Where", [sees, scalar(0), scalar(masked)]), builder.wholes(1)]);
};

/** Applies the activation function to the gate, or to the hidden layer if there is no gate. */
const activated = (builder: GraphBuilder, config: MlpConfig, x: Name): Name => {
  switch (config.kind) {
    case "gelu":
    case "geglu":
      return gelu(builder, x, config.approximate);
    case "swiglu":
      return swish(builder, x);
    case "relu2":
      return squaredRelu(builder, x);
    default:
      return config satisfies never;
  }
};

/** Masks of the layers. There is one mask for each window size. */
const masksByLayer = (builder: GraphBuilder, config: ModelConfig, ids: Name, mask: Name): Shared["bias"] => {
  const windows = new Set(Array.from({ length: config.nLayer }, (_, i) => layerOf(config, i).window));
  const masks = new Map(
    [...windows].map((window) => [window, builder.within("mask", () => maskOf(builder, ids, mask, window))]),
  );
  return ({ window }) => {
    const found = masks.get(window);
    if (found === undefined) throw new Error(`no mask for a window of ${window}`);
    return found;
  };
};

const mlp = (
  builder: GraphBuilder,
  { mlp: config, nEmbd }: ModelConfig,
  layer: string,
  x: Name,
  by: Products,
): Name => {
  const { first, stacked } = mlpLayers(config, nEmbd);
  const rows = by.linear(`${layer}.${first}`, x);
  const [gate = rows, up] = stacked.length === 1 ? [rows] : builder.split(rows, 1, stacked);
  const hidden = activated(builder, config, gate);
  return by.linear(`${layer}.down`, up === undefined ? hidden : builder.node("Mul", [hidden, up]));
};

/** Declares the graph's inputs and outputs. */
const valuesOf = (config: ModelConfig, vocabSize: number) => {
  const { keyHeads, headDim } = headsOf(config);
  const [batch, time, past, all] = ["batch_size", "sequence_length", "past_sequence_length", "total_sequence_length"];
  const ofLayers = (prefix: string, length: string): readonly OnnxValue[] =>
    Array.from({ length: config.nLayer }, (_, i) =>
      ["key", "value"].map(
        (part): OnnxValue => ({
          ...{ name: `${prefix}.${i}.${part}`, type: "float32", shape: [batch, keyHeads, length, headDim] },
        }),
      ),
    ).flat();
  const inputs: readonly OnnxValue[] = [
    { name: "input_ids", type: "int64", shape: [batch, time] },
    { name: "attention_mask", type: "int64", shape: [batch, all] },
    { name: "position_ids", type: "int64", shape: [batch, time] },
    ...ofLayers("past_key_values", past),
  ];
  const logits: OnnxValue = { name: "logits", type: "float32", shape: [batch, time, vocabSize] };
  return { inputs, outputs: [logits, ...ofLayers("present", all)] };
};

/**
 * The graph of a model.
 * @param weights weights in the layout of the configuration.
 */
export const modelGraph = (
  config: ModelConfig,
  vocabSize: number,
  weights: NamedWeights,
  dtype: OnnxDType,
): OnnxGraph => {
  const builder = graphBuilder();
  const { node, within } = builder;
  const by = products[dtype](builder, weights);
  const { inputs, outputs } = valuesOf(config, vocabSize);
  const [ids, mask, places] = ["input_ids", "attention_mask", "position_ids"] as const;
  for (const { name } of [...inputs, ...outputs]) builder.reserve(name);
  const batchTime = node("Shape", [ids]);
  const inOneRow = (of: Name): Name => node("Reshape", [of, builder.wholes(-1)]);
  let x = within("tokens", () => by.tokens(inOneRow(ids))); // [N, C]
  const { position, embeddingScale = 1, normPlacement = "before" } = config;
  if (embeddingScale !== 1) x = node("Mul", [x, builder.scalar(embeddingScale)]);
  if (position.kind === "learned") {
    const table = builder.tensor(floatTensor(weights, "positions.weight"));
    x = node("Add", [x, node("Gather", [table, inOneRow(places)], { axis: whole(0) })]);
  }
  const angles = anglesByLayer(builder, config, places);
  const bias = masksByLayer(builder, config, ids, mask);
  const shared = { batchTime, bias, angles, weights, by };
  /** Computes x + f(x). The configuration puts norms before f, after f, or both. */
  const branch = (name: string, input: Name, f: (of: Name) => Name): Name => {
    const norm = (end: string, of: Name): Name => normalise(builder, config.norm, weights, `${name}${end}`, of);
    const result = within(name, () => {
      const y = f(normPlacement === "after" ? input : norm("Norm", input));
      return normPlacement === "before" ? y : norm("PostNorm", y);
    });
    return node("Add", [input, result]);
  };
  for (let i = 0; i < config.nLayer; i++) {
    x = branch(`blocks.${i}.attention`, x, (of) => attention(builder, config, i, of, shared));
    x = branch(`blocks.${i}.mlp`, x, (of) => mlp(builder, config, `blocks.${i}.mlp`, of, by));
  }
  within("head", () => {
    const hidden = normalise(builder, config.norm, weights, "norm", x);
    const rows = by.linear(config.tieEmbeddings ? tokenLayer : "head", hidden); // [N, V]
    const shape = node("Concat", [batchTime, builder.wholes(vocabSize)], { axis: whole(0) });
    node("Reshape", [rows, shape], {}, "logits");
  });
  return builder.finish("foretoken", inputs, outputs);
};
