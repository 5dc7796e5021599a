/** GGUF files of models with Llama's blocks. */
import { headsOf } from "../../../nn/causal-self-attention.ts";
import type { ModelConfig } from "../../config.ts";
import type { GgufForm, Lack } from "../architecture.ts";
import { ggufMappings } from "./gguf-names.ts";
import { readRope, ropeValues } from "./gguf-rope.ts";
import { checkNoWindow, readEpsilon, readSizes, unsaid } from "./gguf-sizes.ts";
import { type GgufFacts, u32 } from "./gguf-values.ts";

/** How an architecture's files differ from Llama's. */
export interface LlamaGguf {
  readonly name: string;
  readonly interleaved?: true;
  readonly qkNorm?: true;
  /** Whether queries, keys and values are one layer, and gate and up. */
  readonly fused?: true;
  readonly lacks?: (config: ModelConfig) => Lack | null;
}

const readLlama = async (file: GgufFacts, form: LlamaGguf): Promise<ModelConfig> => {
  const { hidden, nKvHead, headDim, ...sizes } = readSizes(file);
  const { nHead, nEmbd, contextLength } = sizes;
  checkNoWindow(file, contextLength);
  return {
    ...unsaid,
    ...sizes,
    ...(nKvHead === nHead ? {} : { nKvHead }),
    ...(headDim * nHead === nEmbd ? {} : { headDim }),
    position: await readRope(file, headDim),
    qkNorm: form.qkNorm === true,
    norm: { kind: "rmsnorm", eps: readEpsilon(file, "rmsnorm") },
    mlp: { kind: "swiglu", hidden },
    bias: {
      qkv: file.tensors.has("blk.0.attn_q.bias"),
      projection: file.tensors.has("blk.0.attn_output.bias"),
      mlp: file.tensors.has("blk.0.ffn_down.bias"),
    },
    tieEmbeddings: !file.tensors.has("output.weight"),
  };
};

/** The form of an architecture of llama.cpp that has Llama's blocks. */
export const llamaGguf = (form: LlamaGguf): GgufForm => ({
  name: form.name,
  interleaved: form.interleaved ?? false,
  keys: ["attention.sliding_window"],
  read: (file) => readLlama(file, form),
  values: (config) => {
    const { headDim } = headsOf(config);
    return { "attention.key_length": u32(headDim), "attention.value_length": u32(headDim), ...ropeValues(config) };
  },
  mappings: (config) => ggufMappings(config, { fused: form.fused ?? false }),
  lacks: form.lacks ?? (() => null),
});
