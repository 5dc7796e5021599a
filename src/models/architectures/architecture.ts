/** What an architecture is: the shapes that it takes, and its two forms in files. */
import type { ModelConfig } from "../config.ts";
import type { GgufFacts, GgufValue } from "./common/gguf-values.ts";
import type { Takes } from "./traits.ts";

/** How one tensor of a file is made from a parameter of ours. */
export interface TensorMapping {
  readonly theirs: string;
  /** Parameter of ours; it may be missing where `absent` says so. */
  readonly ours: string;
  /** Theirs is [in, out], ours [out, in]. */
  readonly transposed?: boolean;
  /** Theirs is `rows` of ours from row `first` on. */
  readonly part?: { readonly first: number; readonly rows: number };
  /** Ours is theirs plus this number: Gemma's files have the difference of a norm's factors from 1. */
  readonly plus?: number;
  /** Length of the vector that theirs always has and ours may lack: zeros are written, and anything else is refused. */
  readonly absent?: number;
}

/** A configuration, and the rows of the embedding. */
export interface ReadConfig {
  readonly config: ModelConfig;
  readonly vocabSize: number;
}

/** A class of `transformers`. */
export interface HuggingFaceForm {
  /** The class, as "LlamaForCausalLM". */
  readonly className: string;
  /** `model_type` in `config.json`. */
  readonly modelType: string;
  /** Begin of the names of all tensors but the head's; files of the bare model, without its head, lack it. */
  readonly prefix: "transformer." | "model.";
  /**
   * Reads `config.json`. Of a field that is absent, it takes the value that `transformers` takes.
   * @param where the file, for errors.
   * @throws CheckpointError naming the field, for a model that would give other results here.
   */
  readonly read: (json: object, where: string) => ReadConfig;
  /** `config.json`. No bos, eos or pad token is named here: a default id would fall on a real character. */
  readonly configJson: (config: ModelConfig, vocabSize: number) => Record<string, unknown>;
  readonly mappings: (config: ModelConfig) => readonly TensorMapping[];
  /** Where files of a sibling class have Q, K and V, and gate and up, as one: Phi-3's, of a model that is Llama's else. */
  readonly fused?: (config: ModelConfig) => readonly TensorMapping[];
}

/** A value of a configuration that llama.cpp does not compute for an architecture. */
export interface Lack {
  /** The field of the configuration. */
  readonly field: string;
  readonly must: string;
  readonly got: string;
  readonly hint?: string;
}

/** An architecture of llama.cpp, in GGUF files. Its keys are named without the architecture's name before them. */
export interface GgufForm {
  /** `general.architecture`. */
  readonly name: string;
  /** Whether llama.cpp rotates neighbouring channels of a head: rows of queries and keys are in that order in its files. */
  readonly interleaved: boolean;
  /** Keys that are read besides those that every architecture has. */
  readonly keys: readonly string[];
  /** Reads the configuration. @throws CheckpointError naming the key, for a model that would give other results here. */
  readonly read: (file: GgufFacts) => Promise<ModelConfig>;
  /** The keys' values, besides the sizes that every architecture has. */
  readonly values: (config: ModelConfig) => Readonly<Record<string, GgufValue>>;
  readonly mappings: (config: ModelConfig) => readonly TensorMapping[];
  /** The first value of a configuration that llama.cpp has no form of; null: there is none. */
  readonly lacks: (config: ModelConfig) => Lack | null;
}

/** A named shape of model. */
export interface Architecture {
  readonly name: string;
  /** The values of a configuration's traits that it has; any other trait must be neutral. */
  readonly takes: Takes;
  readonly huggingFace: HuggingFaceForm;
  /** null: llama.cpp computes no such model. */
  readonly gguf: GgufForm | null;
}
