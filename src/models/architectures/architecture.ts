/**
 * An architecture defines which configurations it accepts, and how a model is stored in files of `transformers` and in
 * GGUF files.
 */
import type { ModelConfig } from "../config.ts";
import type { GgufFacts, GgufValue } from "./common/gguf-values.ts";
import type { Takes } from "./traits.ts";

/** How one tensor of a file becomes a parameter of Foretoken's model. */
export interface TensorMapping {
  readonly theirs: string;
  /** Name of the parameter in Foretoken. The model may lack this parameter only if `absent` is set. */
  readonly ours: string;
  /** Whether the tensor of the file is [in, out]. The parameter is then the transpose of the tensor, [out, in]. */
  readonly transposed?: boolean;
  /** Set if the tensor of the file contains only `rows` rows of the parameter, beginning at row `first`. */
  readonly part?: { readonly first: number; readonly rows: number };
  /** The parameter's value is the file's value plus this number. Files of Gemma store norm weights minus 1. */
  readonly plus?: number;
  /**
   * Length of a vector that is in every file but may be missing in Foretoken's model. If the model lacks the vector,
   * zeros are written to files, and other values in a file are refused.
   */
  readonly absent?: number;
}

/** A configuration, and the number of rows of the embedding. */
export interface ReadConfig {
  readonly config: ModelConfig;
  readonly vocabSize: number;
}

/** A model class of `transformers`. */
export interface HuggingFaceForm {
  /** Name of the class, for example "LlamaForCausalLM". */
  readonly className: string;
  /** `model_type` in `config.json`. */
  readonly modelType: string;
  /** Prefix of the names of all tensors except the head. Files of the bare model, without a head, omit the prefix. */
  readonly prefix: "transformer." | "model.";
  /**
   * Reads `config.json`. An absent field gets the default of `transformers`.
   * @param where the file, for error texts.
   * @throws CheckpointError naming a field that changes the results but is not supported.
   */
  readonly read: (json: object, where: string) => ReadConfig;
  /**
   * Returns the contents of `config.json`. The file does not name a bos, eos or pad token, because the default ids of
   * these tokens would be ordinary characters in Foretoken.
   */
  readonly configJson: (config: ModelConfig, vocabSize: number) => Record<string, unknown>;
  readonly mappings: (config: ModelConfig) => readonly TensorMapping[];
  /**
   * The mapping for files of a sibling class with fused layers: one layer for Q, K and V, and one layer for gate and
   * up. For example, Phi-3 is Llama with such fused layers.
   */
  readonly fused?: (config: ModelConfig) => readonly TensorMapping[];
}

/** A configuration value that llama.cpp does not support for an architecture. */
export interface Lack {
  /** Field of the configuration. */
  readonly field: string;
  readonly must: string;
  readonly got: string;
  readonly hint?: string;
}

/**
 * An architecture of llama.cpp, as it is stored in GGUF files. The keys are written here without the prefix of the
 * architecture.
 */
export interface GgufForm {
  /** `general.architecture`. */
  readonly name: string;
  /**
   * Whether llama.cpp rotates pairs of adjacent channels of a head. The files of such an architecture store the rows of
   * queries and keys in the order of these pairs.
   */
  readonly interleaved: boolean;
  /** Keys that this architecture reads in addition to the keys of every architecture. */
  readonly keys: readonly string[];
  /** Reads the configuration. @throws CheckpointError naming a key that changes the results but is not supported. */
  readonly read: (file: GgufFacts) => Promise<ModelConfig>;
  /** Keys and values that this architecture writes in addition to the sizes of every architecture. */
  readonly values: (config: ModelConfig) => Readonly<Record<string, GgufValue>>;
  readonly mappings: (config: ModelConfig) => readonly TensorMapping[];
  /** Returns the first value of a configuration that llama.cpp does not support, or null if it supports all values. */
  readonly lacks: (config: ModelConfig) => Lack | null;
}

/** An architecture, with its name. */
export interface Architecture {
  readonly name: string;
  /** Values that a configuration's traits may have. A trait that is not listed must be neutral. */
  readonly takes: Takes;
  readonly huggingFace: HuggingFaceForm;
  /** If null, llama.cpp does not support this kind of model. */
  readonly gguf: GgufForm | null;
}
