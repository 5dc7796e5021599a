/** What defines an architecture: the configurations that it accepts, and its form in `transformers` and GGUF files. */
import type { ModelConfig } from "../config.ts";
import type { GgufFacts, GgufValue } from "./common/gguf-values.ts";
import type { Takes } from "./traits.ts";

/** How one tensor of a file maps to one of our parameters. */
export interface TensorMapping {
  readonly theirs: string;
  /** Name of our parameter. The model may lack it only if `absent` is set. */
  readonly ours: string;
  /** The file has [in, out], our parameter [out, in]. */
  readonly transposed?: boolean;
  /** The file's tensor is `rows` rows of our parameter, from row `first`. */
  readonly part?: { readonly first: number; readonly rows: number };
  /** Our value is the file's value plus this number. Gemma's files store norm weights minus 1. */
  readonly plus?: number;
  /**
   * Length of a vector that the file always has and our model may lack. We write zeros then, and refuse other values
   * when reading.
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
  /** Prefix of all tensor names except the head's. Files of the bare model, without a head, omit it. */
  readonly prefix: "transformer." | "model.";
  /**
   * Reads `config.json`. An absent field gets the default of `transformers`.
   * @param where the file, for error texts.
   * @throws CheckpointError naming a field that would give other results here.
   */
  readonly read: (json: object, where: string) => ReadConfig;
  /** `config.json`. It names no bos, eos or pad token: a default id would be an ordinary character here. */
  readonly configJson: (config: ModelConfig, vocabSize: number) => Record<string, unknown>;
  readonly mappings: (config: ModelConfig) => readonly TensorMapping[];
  /**
   * Mapping for files of a sibling class that fuse Q, K and V, and gate and up. Phi-3 is Llama with such fused layers.
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

/** An architecture of llama.cpp, as stored in GGUF files. Its keys are given here without the architecture's prefix. */
export interface GgufForm {
  /** `general.architecture`. */
  readonly name: string;
  /**
   * Whether llama.cpp rotates adjacent channels of a head. Its files then store rows of queries and keys in that order.
   */
  readonly interleaved: boolean;
  /** Keys that this architecture reads in addition to the common ones. */
  readonly keys: readonly string[];
  /** Reads the configuration. @throws CheckpointError naming a key that would give other results here. */
  readonly read: (file: GgufFacts) => Promise<ModelConfig>;
  /** Keys and values that this architecture writes in addition to the common sizes. */
  readonly values: (config: ModelConfig) => Readonly<Record<string, GgufValue>>;
  readonly mappings: (config: ModelConfig) => readonly TensorMapping[];
  /** The first configuration value that llama.cpp does not support; null: it supports all. */
  readonly lacks: (config: ModelConfig) => Lack | null;
}

/** A named kind of model. */
export interface Architecture {
  readonly name: string;
  /** Accepted values of a configuration's traits. A trait not listed must be neutral. */
  readonly takes: Takes;
  readonly huggingFace: HuggingFaceForm;
  /** null: llama.cpp does not support this kind of model. */
  readonly gguf: GgufForm | null;
}
