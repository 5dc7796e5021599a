/** Chooses the encoding of each tensor of a GGUF file. */
import type { Shape } from "../../../core/tensors/shape.ts";
import { type Encoder, type EncoderName, encoders } from "../../../io/gguf/encoders/encoders.ts";

/** Encodings that can be written. */
export const ggufEncodings = [
  ...(["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "q6_k", "q5_k", "q4_k"] as const),
] as const;
/** An encoding of a GGUF file's matrices, by llama.cpp's name in lower case. */
export type GgufEncoding = (typeof ggufEncodings)[number];

export const encoderOf = (encoding: GgufEncoding): Encoder => encoders[encoding.toUpperCase() as EncoderName];

/** llama.cpp's number (`general.file_type`) for a file in which most matrices have this encoding. */
export const fileTypes: { readonly [E in GgufEncoding]: number } = {
  ...{ f32: 0, f16: 1, q4_0: 2, q4_1: 3, q8_0: 7, q5_0: 8, q5_1: 9, q4_k: 14, q5_k: 16, q6_k: 18, bf16: 32 },
};

/**
 * Substitute encodings for rows with a length that is not a multiple of 256, as in llama.cpp. A substitute is slightly
 * larger and at least equally accurate.
 */
const inSmallerBlocks: { readonly [E in GgufEncoding]?: GgufEncoding } = { q4_k: "q5_0", q5_k: "q5_1", q6_k: "q8_0" };

/**
 * The encoding `wanted` if its block size divides `width`. Otherwise, the first substitute with a block size that
 * divides `width`.
 */
const fitting = (wanted: GgufEncoding, width: number): GgufEncoding => {
  if (width % encoderOf(wanted).blockLength === 0) return wanted;
  const smaller = inSmallerBlocks[wanted];
  return smaller === undefined ? "f16" : fitting(smaller, width);
};

/** Encodings chosen by the user. */
export interface EncodingChoice {
  /** Encoding of matrices. */
  readonly encoding: GgufEncoding;
  /**
   * Encoding of the token embedding and the head. Default: `encoding` for the embedding, and `headEncoding` for the
   * head.
   */
  readonly embedding?: GgufEncoding | undefined;
}

const isPlain = (encoding: GgufEncoding): boolean => encoderOf(encoding).blockLength === 1;

/**
 * Default encoding of the head, or of an embedding that is also the head. The head gets at least six bits, because its
 * errors directly change the logits.
 */
const headEncoding = (encoding: GgufEncoding): GgufEncoding =>
  isPlain(encoding) || encoding === "q8_0" ? encoding : "q6_k";

/** The encoding of a tensor, and the encoding that was wanted. */
export interface ChosenEncoding {
  readonly wanted: GgufEncoding;
  readonly encoding: GgufEncoding;
}

/**
 * Chooses a tensor's encoding. Vectors and learned position embeddings stay float32: they are small, and llama.cpp
 * computes with them in float32.
 * @param tied whether the embedding is also the head.
 */
export const chooseEncoding = (
  name: string,
  shape: Shape,
  tied: boolean,
  { encoding, embedding }: EncodingChoice,
): ChosenEncoding => {
  if (shape.length < 2 || name === "position_embd.weight") return { wanted: "f32", encoding: "f32" };
  const isHead = name === "output.weight" || (tied && name === "token_embd.weight");
  const isEmbedding = isHead || name === "token_embd.weight";
  const wanted = (isEmbedding ? embedding : undefined) ?? (isHead ? headEncoding(encoding) : encoding);
  return { wanted, encoding: fitting(wanted, shape.at(-1) ?? 1) };
};
