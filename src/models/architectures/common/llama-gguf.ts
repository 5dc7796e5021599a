/** GGUF files of models with blocks like Llama's. */
import { headsOf } from "../../../nn/causal-self-attention.ts";
import type { ModelConfig } from "../../config.ts";
import type { GgufForm, Lack } from "../architecture.ts";
import { ggufMappings } from "./gguf-names.ts";
import { readRope, ropeValues } from "./gguf-rope.ts";
import { readEpsilon, readSizes, unsaid } from "./gguf-sizes.ts";
import { type GgufFacts, u32 } from "./gguf-values.ts";
import {
  checkNoWindow,
  type GgufWindows,
  lacksWavelengths,
  lacksWindow,
  readWindow,
  windowKeys,
  windowValues,
} from "./gguf-windows.ts";

/** Differences between an architecture's files and Llama's files. */
export interface LlamaGguf {
  readonly name: string;
  readonly interleaved?: true;
  readonly qkNorm?: "head" | "all";
  readonly normPlacement?: "after" | "both";
  readonly mlp?: "geglu";
  /** Whether one layer computes Q, K and V, and one layer computes gate and up. */
  readonly fused?: true;
  /** Windows that llama.cpp supports. Default: none. */
  readonly windows?: GgufWindows;
  /** Configuration fields that follow from other fields. */
  readonly readOwn?: (config: ModelConfig) => ModelConfig;
  readonly lacks?: (config: ModelConfig) => Lack | null;
}

const readLlama = async (file: GgufFacts, form: LlamaGguf): Promise<ModelConfig> => {
  const { hidden, nKvHead, headDim, ...sizes } = readSizes(file);
  const { nHead, nEmbd } = sizes;
  const { qkNorm, normPlacement, mlp = "swiglu", windows } = form;
  if (windows === undefined) checkNoWindow(file, sizes.contextLength);
  const position = await readRope(file, headDim);
  const window = windows === undefined ? null : readWindow(file, sizes, position, windows);
  const config: ModelConfig = {
    ...unsaid,
    ...sizes,
    ...(nKvHead === nHead ? {} : { nKvHead }),
    ...(headDim * nHead === nEmbd ? {} : { headDim }),
    position,
    ...(window === null ? {} : { window }),
    qkNorm: qkNorm !== undefined,
    ...(qkNorm === "all" ? { qkNormWidth: qkNorm } : {}),
    norm: { kind: "rmsnorm", eps: readEpsilon(file, "rmsnorm") },
    ...(normPlacement === undefined ? {} : { normPlacement }),
    mlp: mlp === "swiglu" ? { kind: mlp, hidden } : { kind: mlp, hidden, approximate: "tanh" },
    bias: {
      qkv: file.tensors.has("blk.0.attn_q.bias"),
      projection: file.tensors.has("blk.0.attn_output.bias"),
      mlp: file.tensors.has("blk.0.ffn_down.bias"),
    },
    tieEmbeddings: !file.tensors.has("output.weight"),
  };
  return form.readOwn?.(config) ?? config;
};

/** How GGUF files store an architecture with blocks like Llama's. */
export const llamaGguf = (form: LlamaGguf): GgufForm => {
  const { name, windows } = form;
  return {
    name,
    interleaved: form.interleaved ?? false,
    keys: windows === undefined ? ["attention.sliding_window"] : windowKeys,
    read: (file) => readLlama(file, form),
    values: (config) => {
      const { headDim } = headsOf(config);
      return {
        "attention.key_length": u32(headDim),
        "attention.value_length": u32(headDim),
        ...ropeValues(config),
        ...(windows === undefined ? {} : windowValues(config, windows)),
      };
    },
    mappings: (config) => ggufMappings(config, { fused: form.fused ?? false }),
    lacks: (config) =>
      (windows === undefined ? lacksWindow(config) : lacksWavelengths(config, windows)) ?? form.lacks?.(config) ?? null,
  };
};
