/** Encodes float32 numbers in the encodings of GGUF files; encodings.ts decodes them. */
import { toBfloat16 } from "../../../core/tensors/dtype.ts";
import { halfFromFloat32 } from "../../half.ts";
import {
  largestHalf,
  type WriteBlock,
  writeQ4One,
  writeQ4Zero,
  writeQ5One,
  writeQ5Zero,
  writeQ8Zero,
} from "./blocks-of-32.ts";
import { writeQ4K, writeQ5K, writeQ6K } from "./blocks-of-256.ts";
import type { Importance } from "./weights.ts";

/** An encoding that can be written. */
export interface Encoder {
  readonly name: EncoderName;
  /** Type number in a file. */
  readonly type: number;
  /** Numbers per block. */
  readonly blockLength: number;
  /** Bytes per block. */
  readonly blockBytes: number;
  /** Numbers of at most this magnitude can be encoded. The scale of a block of larger numbers may not fit into binary16. */
  readonly largest: number;
  /**
   * Encodes whole blocks of finite numbers into a new array.
   * @param importance a positive number for each column. The numbers then are whole rows. Default: null.
   */
  readonly encode: (values: Float32Array, importance?: Importance) => Uint8Array;
}

export const encoderNames = [
  "F32",
  "F16",
  "BF16",
  "Q8_0",
  "Q5_1",
  "Q5_0",
  "Q4_1",
  "Q4_0",
  "Q6_K",
  "Q5_K",
  "Q4_K",
] as const;
/** Name of an encoding that can be written. */
export type EncoderName = (typeof encoderNames)[number];

/** The largest bfloat16: all bits of the fraction are 1. */
const largestBfloat16 = (2 - 2 ** -7) * 2 ** 127;

const plain = (
  name: EncoderName,
  type: number,
  blockBytes: number,
  largest: number,
  encode: (values: Float32Array) => Uint8Array,
): Encoder => ({ name, type, blockLength: 1, blockBytes, largest, encode });

/** @param levels the largest level of a block's numbers, times the largest level of its scales, on both sides of zero. */
const inBlocks = (
  name: EncoderName,
  type: number,
  blockLength: number,
  blockBytes: number,
  levels: number,
  writeBlock: WriteBlock,
): Encoder => ({
  ...{ name, type, blockLength, blockBytes, largest: levels * largestHalf },
  encode: (values, importance = null) => {
    const count = Math.floor(values.length / blockLength);
    const bytes = new Uint8Array(count * blockBytes);
    const width = importance?.length ?? values.length;
    for (let i = 0; i < count; i++) {
      const from = i * blockLength;
      writeBlock(values, from, bytes, i * blockBytes, importance, importance === null ? 0 : from % width);
    }
    return bytes;
  },
});

/** Encodings that can be written, by name. */
export const encoders: { readonly [Name in EncoderName]: Encoder } = {
  F32: plain("F32", 0, 4, Number.MAX_VALUE, (values) => new Uint8Array(values.slice().buffer)),
  F16: plain("F16", 1, 2, largestHalf, halfFromFloat32),
  BF16: plain("BF16", 30, 2, largestBfloat16, (values) => new Uint8Array(toBfloat16(values).buffer)),
  Q4_0: inBlocks("Q4_0", 2, 32, 18, 7, writeQ4Zero),
  Q4_1: inBlocks("Q4_1", 3, 32, 20, 1, writeQ4One),
  Q5_0: inBlocks("Q5_0", 6, 32, 22, 15, writeQ5Zero),
  Q5_1: inBlocks("Q5_1", 7, 32, 24, 1, writeQ5One),
  Q8_0: inBlocks("Q8_0", 8, 32, 34, 127, writeQ8Zero),
  Q4_K: inBlocks("Q4_K", 12, 256, 144, 63, writeQ4K),
  Q5_K: inBlocks("Q5_K", 13, 256, 176, 63, writeQ5K),
  Q6_K: inBlocks("Q6_K", 14, 256, 210, 127 * 31, writeQ6K),
};
