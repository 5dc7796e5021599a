/** Sizes that every GGUF architecture has. */
import { headsOf } from "../../../nn/causal-self-attention.ts";
import { mlpLayers } from "../../../nn/mlp.ts";
import type { ModelConfig } from "../../config.ts";
import { f32, type GgufFacts, type GgufValue, u32 } from "./gguf-values.ts";

/** Fields of a configuration that GGUF files do not store. */
export const unsaid = { mask: "causal", dropout: 0, initStd: 0.02, zeroProjections: false } as const;

/** Sizes that a file stores. */
export interface GgufSizes {
  readonly contextLength: number;
  readonly nLayer: number;
  /** Hidden width of the MLP. */
  readonly hidden: number;
  readonly nHead: number;
  readonly nEmbd: number;
  readonly nKvHead: number;
  readonly headDim: number;
}

/** Reads the sizes of a model. @throws CheckpointError for a missing size. */
export const readSizes = ({ fields, at }: GgufFacts): GgufSizes => {
  const need = (key: string): number => fields.count(at(key)) ?? fields.fail(at(key), "must be there", undefined);
  const nHead = need("attention.head_count");
  const nEmbd = need("embedding_length");
  const nKvHead = fields.count(at("attention.head_count_kv")) ?? nHead;
  const headDim = fields.count(at("attention.key_length")) ?? nEmbd / nHead;
  const valueDim = fields.count(at("attention.value_length")) ?? nEmbd / nHead;
  if (valueDim !== headDim) {
    fields.fail(at("attention.value_length"), `must equal the length of keys, ${headDim}`, valueDim);
  }
  return {
    contextLength: need("context_length"),
    nLayer: need("block_count"),
    hidden: need("feed_forward_length"),
    nHead,
    nEmbd,
    nKvHead,
    headDim,
  };
};

/** Reads the epsilon of the norm. Every file must have an epsilon. */
export const readEpsilon = ({ fields, at }: GgufFacts, kind: ModelConfig["norm"]["kind"]): number => {
  const key = at(epsilonKey(kind));
  return fields.real(key) ?? fields.fail(key, "must be there", undefined);
};

const epsilonKey = (kind: ModelConfig["norm"]["kind"]): string =>
  `attention.layer_norm_${kind === "rmsnorm" ? "rms_" : ""}epsilon`;

/** Keys and values of the sizes. */
export const sizeValues = (config: ModelConfig, vocabSize: number): Readonly<Record<string, GgufValue>> => {
  const { heads, keyHeads } = headsOf(config);
  return {
    vocab_size: u32(vocabSize),
    context_length: u32(config.contextLength),
    embedding_length: u32(config.nEmbd),
    block_count: u32(config.nLayer),
    feed_forward_length: u32(mlpLayers(config.mlp, config.nEmbd).hidden),
    "attention.head_count": u32(heads),
    "attention.head_count_kv": u32(keyHeads),
    [epsilonKey(config.norm.kind)]: f32(config.norm.eps),
  };
};
