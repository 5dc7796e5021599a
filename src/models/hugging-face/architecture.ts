import type { ModelConfig } from "../config.ts";

/** How one tensor of a Hugging Face checkpoint is made from a parameter of ours. */
export interface TensorMapping {
  readonly theirs: string;
  /** Parameter of ours; it may be missing where `absent` says so. */
  readonly ours: string;
  /** Theirs is [in, out], ours [out, in]. */
  readonly transposed?: boolean;
  /** Theirs is `rows` of ours from row `first` on. */
  readonly part?: { readonly first: number; readonly rows: number };
  /** Length of the vector that theirs always has and ours may lack: zeros are written, and anything else is refused. */
  readonly absent?: number;
}

/** A configuration of ours as a class of `transformers` has it. */
export interface Architecture {
  readonly name: "GPT2LMHeadModel" | "LlamaForCausalLM" | "Qwen2ForCausalLM" | "Qwen3ForCausalLM" | "Phi3ForCausalLM";
  /** Begin of the names of all tensors but the head's; files of the bare model, without its head, lack it. */
  readonly prefix: "transformer." | "model.";
  /** `config.json`. No bos, eos or pad token is named here: a default id would fall on a real character. */
  readonly configJson: (vocabSize: number) => Record<string, unknown>;
  readonly mappings: readonly TensorMapping[];
  /** Where files of a sibling class have Q, K and V, and gate and up, as one: Phi-3's, of a model that is Llama's else. */
  readonly fused?: readonly TensorMapping[];
}

/** What every `config.json` says. */
export const commonJson = (name: Architecture["name"], modelType: string, config: ModelConfig, vocabSize: number) => ({
  architectures: [name],
  model_type: modelType,
  vocab_size: vocabSize,
  initializer_range: config.initStd,
  tie_word_embeddings: config.tieEmbeddings,
  bos_token_id: null,
  eos_token_id: null,
  pad_token_id: null,
  dtype: "float32",
});
