import type { ArenaLayout } from "../models/arena.ts";
import type { BlockRows } from "../models/block-arena.ts";
import type { ModelConfig } from "../models/config.ts";
import type { WeightTarget } from "../models/hugging-face/place-tensors.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { ChatTemplate } from "./model/language-model.ts";

/** Weights that are read part by part when a model is placed in memory. */
export interface WeightSource {
  /** Number of bytes that will be read, for progress. */
  readonly bytes: number;
  /**
   * Whether the files have one layer for queries, keys and values, and one layer for gate and up. If true, the layers
   * of an adapter for this model are fused too.
   */
  readonly fused: boolean;
  /** Rows that are quantized in the files, with their places in a layout. Absent if no rows are quantized. */
  readonly blockRows?: ((layout: ArenaLayout) => readonly BlockRows[]) | undefined;
  /**
   * Passes each weight to `target` once, in any order, with the weight's place in the model's layout. The next part is
   * read only after `target` has accepted the previous part. So only a few megabytes are in host memory.
   * @param onProgress gets the number of bytes read so far.
   * @throws CheckpointError if a file ends early, has changed, or contains a number that is not finite.
   */
  read(layout: ArenaLayout, target: WeightTarget, onProgress?: (bytes: number) => void): Promise<void>;
  /** Closes the files. Call it after `read`, or instead of `read`. */
  close(): Promise<void>;
}

/** A model that was opened and checked. The model's weights have not been read yet. */
export interface Pretrained {
  /** The directory or file, for errors. */
  readonly where: string;
  readonly config: ModelConfig;
  /** Number of rows of the embedding. The number is at least the tokenizer's vocabulary size. */
  readonly vocabSize: number;
  /** The tokenizer, or `noTokenizer` if the model has no tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Whether the files are compared with a manifest. */
  readonly checked: boolean;
  /**
   * Chat template with its BOS and EOS tokens, from `tokenizer_config.json`, `chat_template.jinja` or GGUF's
   * `tokenizer.chat_template`.
   */
  readonly chatTemplate: ChatTemplate | null;
  /**
   * All tokens that end generation, from `generation_config.json` or GGUF, including the tokenizer's end-of-text token.
   */
  readonly endTokens: readonly number[];
  /**
   * Hash that identifies the weights, hexadecimal; null if it is unknown. For one weights file, it is the file's
   * SHA-256. For several files, it is the SHA-256 of their concatenated hashes. The files of an adapter contain the
   * hash of the weights that the adapter was trained on.
   */
  readonly sha256: () => Promise<string | null>;
  readonly weights: WeightSource;
}
