import { CheckpointError } from "../core/errors.ts";
import type { NamedTensor } from "../core/named-tensor.ts";
import { formatShape } from "../core/shape.ts";
import type { ArenaLayout, Placed } from "./arena.ts";
import type { ModelConfig } from "./config.ts";

/**
 * The Hugging Face form of a model: architecture `GPT2LMHeadModel` of `transformers`. Its linear layers inside blocks
 * are `Conv1D`: weights [in, out], the transpose of ours. It always has Q, K and V biases and biases on both MLP
 * layers: where our model has none, zeros are written, and anything else there is refused on reading.
 */

interface Mapping {
  readonly ours: string;
  readonly theirs: string;
  readonly transposed: boolean;
}

const blockMappings = (i: number): readonly Mapping[] => {
  const map = (ours: string, theirs: string, transposed = false): Mapping => ({
    ours: `blocks.${i}.${ours}`,
    theirs: `transformer.h.${i}.${theirs}`,
    transposed,
  });
  return [
    map("attentionNorm.weight", "ln_1.weight"),
    map("attentionNorm.bias", "ln_1.bias"),
    map("attention.qkv.weight", "attn.c_attn.weight", true),
    map("attention.qkv.bias", "attn.c_attn.bias"),
    map("attention.projection.weight", "attn.c_proj.weight", true),
    map("attention.projection.bias", "attn.c_proj.bias"),
    map("mlpNorm.weight", "ln_2.weight"),
    map("mlpNorm.bias", "ln_2.bias"),
    map("mlp.up.weight", "mlp.c_fc.weight", true),
    map("mlp.up.bias", "mlp.c_fc.bias"),
    map("mlp.down.weight", "mlp.c_proj.weight", true),
    map("mlp.down.bias", "mlp.c_proj.bias"),
  ];
};

// GPT-2 has one kind of each of these. The switches are closed, so that a kind it lacks cannot pass for another: whoever
// adds one has to say here what becomes of it.

const positionMappings = ({ position }: ModelConfig): readonly Mapping[] => {
  switch (position.kind) {
    case "learned":
      return [{ ours: "positions.weight", theirs: "transformer.wpe.weight", transposed: false }];
  }
};

const normJson = ({ norm }: ModelConfig): { readonly layer_norm_epsilon: number } => {
  switch (norm.kind) {
    case "layernorm":
      return { layer_norm_epsilon: norm.eps };
  }
};

const mlpJson = ({ mlp, nEmbd }: ModelConfig): { readonly n_inner: number; readonly activation_function: string } => {
  switch (mlp.kind) {
    case "gelu":
      return {
        n_inner: mlp.ratio * nEmbd,
        activation_function: mlp.approximate === "tanh" ? "gelu_new" : "gelu",
      };
  }
};

const mappings = (config: ModelConfig): readonly Mapping[] => [
  { ours: "tokens.weight", theirs: "transformer.wte.weight", transposed: false },
  ...positionMappings(config),
  ...Array.from({ length: config.nLayer }, (_, i) => blockMappings(i)).flat(),
  { ours: "norm.weight", theirs: "transformer.ln_f.weight", transposed: false },
  { ours: "norm.bias", theirs: "transformer.ln_f.bias", transposed: false },
  ...(config.tieEmbeddings ? [] : [{ ours: "head.weight", theirs: "lm_head.weight", transposed: false }]),
];

/** Length of a bias that GPT-2 has and our model may lack. */
const biasLength = (ours: string, config: ModelConfig): number => {
  if (ours.endsWith("qkv.bias")) return 3 * config.nEmbd;
  return ours.endsWith("up.bias") ? mlpJson(config).n_inner : config.nEmbd;
};

/** [rows, columns] → [columns, rows] */
const transpose = (data: Float32Array, rows: number, columns: number): Float32Array => {
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c] as number;
  }
  return out;
};

const byName = (layout: ArenaLayout): ReadonlyMap<string, Placed> =>
  new Map(layout.parameters.map((parameter) => [parameter.name, parameter]));

/** `config.json`. No bos, eos or pad token is named: a default id would fall on a real character. */
export const gpt2ConfigJson = (config: ModelConfig, vocabSize: number): Record<string, unknown> => ({
  architectures: ["GPT2LMHeadModel"],
  model_type: "gpt2",
  vocab_size: vocabSize,
  n_positions: config.contextLength,
  n_ctx: config.contextLength,
  n_embd: config.nEmbd,
  n_layer: config.nLayer,
  n_head: config.nHead,
  ...mlpJson(config),
  ...normJson(config),
  attn_pdrop: config.dropout,
  resid_pdrop: config.dropout,
  embd_pdrop: 0,
  initializer_range: config.initStd,
  scale_attn_weights: true,
  tie_word_embeddings: config.tieEmbeddings,
  bos_token_id: null,
  eos_token_id: null,
  pad_token_id: null,
  dtype: "float32",
});

/** The tensors of `model.safetensors`, from the arena's values. */
export const toGpt2Tensors = (
  config: ModelConfig,
  layout: ArenaLayout,
  values: Float32Array,
): readonly NamedTensor[] => {
  const parameters = byName(layout);
  return mappings(config).map(({ ours, theirs, transposed }) => {
    const parameter = parameters.get(ours);
    if (parameter === undefined) {
      const length = biasLength(ours, config);
      return { name: theirs, shape: [length], data: new Float32Array(length) };
    }
    const { shape, offset, size } = parameter;
    const data = values.subarray(offset, offset + size);
    if (!transposed) return { name: theirs, shape, data };
    const [rows, columns] = shape as readonly [number, number];
    return { name: theirs, shape: [columns, rows], data: transpose(data, rows, columns) };
  });
};

/**
 * The arena's values from the tensors of a `model.safetensors`.
 * @throws CheckpointError for a missing or superfluous tensor, a wrong shape, a number that is not finite, or a bias that our model does not have.
 */
export const fromGpt2Tensors = (
  config: ModelConfig,
  layout: ArenaLayout,
  tensors: ReadonlyMap<string, NamedTensor>,
  where: string,
): Float32Array => {
  const parameters = byName(layout);
  const placements: ((values: Float32Array) => void)[] = [];
  const expected = mappings(config);
  const known = new Set(expected.map(({ theirs }) => theirs));
  for (const name of tensors.keys()) {
    if (!known.has(name)) {
      throw new CheckpointError({ where, must: "every tensor must belong to the model", got: JSON.stringify(name) });
    }
  }
  for (const { ours, theirs, transposed } of expected) {
    const parameter = parameters.get(ours);
    const [rows, columns] = parameter?.shape ?? [biasLength(ours, config)];
    const shape = [...(transposed ? [columns, rows] : [rows, columns])].filter((size) => size !== undefined);
    const tensor = tensors.get(theirs);
    if (tensor === undefined) {
      throw new CheckpointError({ where, must: `the file must hold ${theirs}`, got: "no such tensor" });
    }
    if (formatShape(tensor.shape) !== formatShape(shape)) {
      throw new CheckpointError({
        where,
        must: `${theirs} must have shape ${formatShape(shape)}`,
        got: formatShape(tensor.shape),
      });
    }
    const bad = tensor.data.findIndex((value) => !Number.isFinite(value));
    if (bad !== -1) {
      throw new CheckpointError({
        where,
        must: `${theirs} must hold finite numbers`,
        got: `${tensor.data[bad]} at ${bad}`,
      });
    }
    if (parameter === undefined) {
      if (tensor.data.some((value) => value !== 0)) {
        throw new CheckpointError({ where, must: `${theirs} must be zero: config.json says there is no such bias` });
      }
    } else {
      const { data } = tensor;
      placements.push((values) => {
        values.set(transposed ? transpose(data, columns as number, rows as number) : data, parameter.offset);
      });
    }
  }
  // Only now: a forged config can claim any size, tensors that are there cannot.
  const values = new Float32Array(layout.length);
  for (const place of placements) place(values);
  return values;
};
