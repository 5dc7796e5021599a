/** Names in the GGUF file of a LoRA adapter, as llama.cpp has them (convert_lora_to_gguf.py, src/llama-adapter.cpp). */

/** Keys of the metadata. */
export const adapterKeys = { kind: "adapter.type", alpha: "adapter.lora.alpha" } as const;

/** Keys that change no number here: the use that an adapter is meant for, in words. */
export const idleKeys: readonly string[] = ["adapter.lora.task_name", "adapter.lora.prompt_prefix"];

/** The name of a layer's matrix: as "blk.0.attn_q.weight.lora_a". */
export const matrixName = (module: string, matrix: "A" | "B"): string =>
  `${module}.weight.lora_${matrix.toLowerCase()}`;

/** The layer and the matrix of a name; undefined for a name of another kind. */
export const parseMatrixName = (name: string): { readonly module: string; readonly matrix: "A" | "B" } | undefined => {
  const [, module, matrix] = /^(.+)\.weight\.lora_([ab])$/u.exec(name) ?? [];
  return module === undefined ? undefined : { module, matrix: matrix === "a" ? "A" : "B" };
};

/** Whether llama.cpp rotates neighbouring channels of the layer's outputs in a model of Llama's architecture. */
export const isRotatedModule = (module: string): boolean => /\.attn_[qk]$/u.test(module);
