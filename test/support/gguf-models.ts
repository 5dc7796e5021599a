/** Small models as GGUF files, as llama.cpp's converter writes them. */
import type { ModelConfig } from "#foretoken/models/config.js";
import { modelLayout } from "#foretoken/models/model.js";
import { mlpLayers } from "#foretoken/nn/mlp.js";
import { characterOfByte } from "#foretoken/tokenizer/bpe/byte-alphabet.js";
import {
  f32,
  float32Tensor,
  i32s,
  type TypedValue,
  text,
  texts,
  u32,
  type WrittenFile,
  type WrittenTensor,
} from "./gguf.ts";
import { bookModel, hashedWeights, qwen3Model } from "./models.ts";

export type GgufKind = "llama" | "gpt2" | "qwen2" | "qwen3";

const sizes = { contextLength: 16, nLayer: 2, nHead: 4, nEmbd: 32 } as const;
const noBias = { qkv: false, projection: false, mlp: false };
const allBias = { qkv: true, projection: true, mlp: true };
const llama: ModelConfig = {
  ...{ ...qwen3Model, ...sizes, nKvHead: 2, qkNorm: false, bias: noBias },
  mlp: { kind: "swiglu", hidden: 64 },
  position: { kind: "rope", theta: 500 },
};

/** Configuration of the small model of each architecture. */
export const ggufConfigs: Readonly<Record<GgufKind, ModelConfig>> = {
  llama,
  gpt2: {
    ...bookModel,
    ...sizes,
    mlp: { kind: "gelu", approximate: "tanh", ratio: 2 },
    bias: allBias,
    tieEmbeddings: true,
  },
  qwen2: { ...llama, bias: { ...noBias, qkv: true } },
  qwen3: { ...llama, qkNorm: true, headDim: 16, tieEmbeddings: true },
};

const specials = ["<|end|>", "<|turn|>"];
const tokens = [...characterOfByte, "he", "hel", "Ġhel", ...specials, "<tool>", "[PAD]"];
export const ggufVocabSize = tokens.length;
export const endId = tokens.indexOf("<|end|>");
export const toolId = tokens.indexOf("<tool>");
export const turnId = tokens.indexOf("<|turn|>");

/** Metadata fields of a tokenizer. */
export const tokenizerFields: Readonly<Record<string, TypedValue>> = {
  "tokenizer.ggml.model": text("gpt2"),
  "tokenizer.ggml.pre": text("smollm"),
  "tokenizer.ggml.tokens": texts(tokens),
  "tokenizer.ggml.token_type": i32s(
    tokens.map((token) => (specials.includes(token) ? 3 : token === "<tool>" ? 4 : token === "[PAD]" ? 5 : 1)),
  ),
  "tokenizer.ggml.merges": texts(["h e", "he l", "Ġ hel"]),
  "tokenizer.ggml.eos_token_id": u32(endId),
  "tokenizer.ggml.eot_token_id": u32(turnId),
  "tokenizer.chat_template": text("{{ messages }}"),
};

const fieldsOf = (kind: GgufKind, config: ModelConfig): Record<string, TypedValue> => {
  const { contextLength, nLayer, nHead, nKvHead = nHead, nEmbd, headDim, mlp, norm, position } = config;
  const own: Record<string, TypedValue> = {
    context_length: u32(contextLength),
    embedding_length: u32(nEmbd),
    block_count: u32(nLayer),
    feed_forward_length: u32(mlpLayers(mlp, nEmbd).hidden),
    "attention.head_count": u32(nHead),
    [`attention.layer_norm_${norm.kind === "rmsnorm" ? "rms_" : ""}epsilon`]: f32(norm.eps),
    ...(nKvHead === nHead ? {} : { "attention.head_count_kv": u32(nKvHead) }),
    ...(headDim === undefined ? {} : { "attention.key_length": u32(headDim), "attention.value_length": u32(headDim) }),
    ...(position.kind === "rope" ? { "rope.freq_base": f32(position.theta) } : {}),
  };
  return Object.fromEntries(Object.entries(own).map(([key, value]) => [`${kind}.${key}`, value]));
};

/** Reorders the rows of each head as in llama.cpp's files: row 0, row D/2, row 1, row D/2 + 1, …. */
const interleave = (rows: Float32Array, headDim: number, width: number): Float32Array => {
  const out = new Float32Array(rows.length);
  const half = headDim / 2;
  for (let row = 0; row < rows.length / width; row++) {
    const [head, inHead] = [Math.floor(row / headDim), row % headDim];
    const from = head * headDim + (inHead % 2) * half + Math.floor(inHead / 2);
    out.set(rows.subarray(from * width, (from + 1) * width), row * width);
  }
  return out;
};

/** Rows of a tensor, beginning with row `first`. */
type Cut = readonly [name: string, first: number, rows: number];

const cutsOf = (name: string, rows: number, config: ModelConfig): readonly Cut[] => {
  const { nHead, nKvHead = nHead, nEmbd, headDim = nEmbd / nHead, mlp } = config;
  const [queries, keys] = [nHead * headDim, nKvHead * headDim];
  if (name === "attention.qkv" && mlp.kind === "swiglu") {
    return [
      ["attn_q", 0, queries],
      ["attn_k", queries, keys],
      ["attn_v", queries + keys, keys],
    ];
  }
  if (name === "mlp.gateUp")
    return [
      ["ffn_gate", 0, rows / 2],
      ["ffn_up", rows / 2, rows / 2],
    ];
  const names: Readonly<Record<string, string>> = {
    "attention.qkv": "attn_qkv",
    "attention.projection": "attn_output",
    "attention.queryNorm": "attn_q_norm",
    "attention.keyNorm": "attn_k_norm",
    attentionNorm: "attn_norm",
    mlpNorm: "ffn_norm",
    "mlp.up": "ffn_up",
    "mlp.down": "ffn_down",
  };
  return [[names[name] ?? name, 0, rows]];
};

const tensorsOf = (kind: GgufKind, config: ModelConfig, values: Float32Array): Record<string, WrittenTensor> => {
  const headDim = config.headDim ?? config.nEmbd / config.nHead;
  const out: Record<string, WrittenTensor> = {};
  const outer: Readonly<Record<string, string>> = {
    tokens: "token_embd",
    positions: "position_embd",
    norm: "output_norm",
    head: "output",
  };
  for (const { name, shape, offset } of modelLayout(config, ggufVocabSize).parameters) {
    const [, block, ours = "", ending = ""] = /^(?:blocks\.(\d+)\.)?(.*)\.(weight|bias)$/u.exec(name) ?? [];
    const [rows = 1, width = 1] = shape;
    const cuts: readonly Cut[] = block === undefined ? [[outer[ours] ?? "", 0, rows]] : cutsOf(ours, rows, config);
    for (const [theirs, first, count] of cuts) {
      const part = values.subarray(offset + first * width, offset + (first + count) * width);
      const isRotated = kind === "llama" && (theirs === "attn_q" || theirs === "attn_k");
      const written = isRotated ? interleave(part, headDim, width) : part;
      const prefix = block === undefined ? "" : `blk.${block}.`;
      out[`${prefix}${theirs}.${ending}`] = float32Tensor(shape.length === 1 ? [count] : [count, width], written);
    }
  }
  return out;
};

/** The GGUF file of a small model with pseudo-random weights, and these weights in the arena's layout. */
export const ggufModel = (
  kind: GgufKind,
  config: ModelConfig = ggufConfigs[kind],
): { readonly file: WrittenFile; readonly values: Float32Array } => {
  const values = hashedWeights(modelLayout(config, ggufVocabSize));
  const metadata = { "general.architecture": text(kind), ...fieldsOf(kind, config), ...tokenizerFields };
  return { values, file: { metadata, tensors: tensorsOf(kind, config, values) } };
};
