import type { ArenaLayout } from "../models/arena.ts";
import type { BlockRows } from "../models/block-arena.ts";
import type { ModelConfig } from "../models/config.ts";
import type { WeightTarget } from "../models/hugging-face/place-tensors.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { ChatTemplate } from "./model/language-model.ts";

/** Weights that are read when a model is placed, one part after the other. */
export interface WeightSource {
  /** Bytes that will be read, for progress. */
  readonly bytes: number;
  /** Whether the files have queries, keys and values as one layer, and gate and up: an adapter's then has, too. */
  readonly fused: boolean;
  /** Rows that the files have in blocks of few bits, with their places in a layout. Absent: there are none. */
  readonly blockRows?: ((layout: ArenaLayout) => readonly BlockRows[]) | undefined;
  /**
   * Hands out all weights once, in any order, each for its place in the layout of the model. The next part is handed out when
   * `target` has taken one, so the host holds only some megabytes.
   * @param onProgress gets the bytes read so far.
   * @throws CheckpointError for a file that ends early, changed, or holds a number that is not finite.
   */
  read(layout: ArenaLayout, target: WeightTarget, onProgress?: (bytes: number) => void): Promise<void>;
  /** Closes the files. After `read`, or instead of it. */
  close(): Promise<void>;
}

/** A model that was found and checked, but for its weights. */
export interface Pretrained {
  /** The directory or file, for errors. */
  readonly where: string;
  readonly config: ModelConfig;
  /** Rows of the embedding: at least the tokenizer's tokens. */
  readonly vocabSize: number;
  /** `noTokenizer` where there is none. */
  readonly tokenizer: Tokenizer;
  /** Whether its files are compared with a manifest. */
  readonly checked: boolean;
  /** Of `tokenizer_config.json`, `chat_template.jinja` or GGUF's `tokenizer.chat_template`, with bos and eos. */
  readonly chatTemplate: ChatTemplate | null;
  /** Tokens that end generation, of `generation_config.json` or GGUF; the tokenizer's end of text is one. */
  readonly endTokens: readonly number[];
  /**
   * SHA-256 of the weights' file, hexadecimal; of several files, that of their hashes one after the other. Adapters name the
   * weights that they were trained on by it. null: unknown here.
   */
  readonly sha256: () => Promise<string | null>;
  readonly weights: WeightSource;
}
