/**
 * GPT-2 in GGUF files. llama.cpp always computes the tanh form of GELU. Foretoken marks the exact form with a key that
 * only Foretoken reads.
 */
import type { GgufForm } from "../architecture.ts";
import { ggufMappings } from "../common/gguf-names.ts";
import { readEpsilon, readSizes, unsaid } from "../common/gguf-sizes.ts";
import { ownKeys } from "../common/gguf-values.ts";
import { checkNoWindow } from "../common/gguf-windows.ts";

export const gpt2Gguf: GgufForm = {
  name: "gpt2",
  interleaved: false,
  keys: ["attention.sliding_window"],
  read: async (file) => {
    const { fields, at, tensors } = file;
    const { hidden, nKvHead, headDim: _, ...sizes } = readSizes(file);
    const { nEmbd, nHead, contextLength } = sizes;
    checkNoWindow(file, contextLength);
    if (nKvHead !== nHead)
      fields.fail(at("attention.head_count_kv"), `must equal the number of query heads, ${nHead}`, nKvHead);
    const exact = fields.text(ownKeys.gelu) === "none";
    if (hidden % nEmbd !== 0) fields.fail(at("feed_forward_length"), `must be a multiple of ${nEmbd}`, hidden);
    return {
      ...unsaid,
      ...sizes,
      position: { kind: "learned" },
      qkNorm: false,
      norm: { kind: "layernorm", eps: readEpsilon(file, "layernorm") },
      mlp: { kind: "gelu", approximate: exact ? "none" : "tanh", ratio: hidden / nEmbd },
      bias: { qkv: true, projection: true, mlp: true },
      tieEmbeddings: !tensors.has("output.weight"),
    };
  },
  values: () => ({}),
  mappings: (config) => ggufMappings(config, { fused: true, alwaysBiased: true }),
  lacks: () => null,
};
