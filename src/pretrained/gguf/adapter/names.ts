/** Names in the GGUF file of a LoRA adapter, as in llama.cpp (convert_lora_to_gguf.py, src/llama-adapter.cpp). */

/** Metadata keys. */
export const adapterKeys = { kind: "adapter.type", alpha: "adapter.lora.alpha" } as const;

/** Keys that describe the purpose of the adapter. These keys do not change results. */
export const idleKeys: readonly string[] = ["adapter.lora.task_name", "adapter.lora.prompt_prefix"];

/** Tensor name of a layer's matrix, for example "blk.0.attn_q.weight.lora_a". */
export const matrixName = (module: string, matrix: "A" | "B"): string =>
  `${module}.weight.lora_${matrix.toLowerCase()}`;

/** Splits a tensor name into layer and matrix; undefined if the name has another form. */
export const parseMatrixName = (name: string): { readonly module: string; readonly matrix: "A" | "B" } | undefined => {
  const [, module, matrix] = /^(.+)\.weight\.lora_([ab])$/u.exec(name) ?? [];
  return module === undefined ? undefined : { module, matrix: matrix === "a" ? "A" : "B" };
};

/**
 * Whether the layer computes queries or keys. For Llama models, llama.cpp rotates neighbouring channels of queries and
 * keys.
 */
export const isRotatedModule = (module: string): boolean => /\.attn_[qk]$/u.test(module);
