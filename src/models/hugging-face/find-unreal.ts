/**
 * Finds NaN and infinity. In both, all bits of the exponent are 1. The search must be fast, because it takes much of
 * the time in which a large model is loaded.
 */

import { type BlockForm, scalePlaces } from "../../backend/kernels/block-forms.ts";

const exponentBits = 0x7f800000;

/** Index of the first float32 that is not finite, or -1. */
export const findUnreal = (data: Float32Array): number => {
  const words = new Int32Array(data.buffer, data.byteOffset, data.length);
  for (let i = 0; i < words.length; i++) if (((words[i] as number) & exponentBits) === exponentBits) return i;
  return -1;
};

const wordExponentBits = 0x7f80;

/** Bits of the exponents of two bfloat16 numbers in one word. */
const pairExponentBits = 0x7f807f80;
/** Lowest exponent bit of each number. If this bit is added to an exponent of all ones, the carry sets the sign bit. */
const pairLowest = 0x00800080;
const pairSigns = 0x80008000 | 0;

const findUnrealWord = (words: Uint16Array, from: number, to: number): number => {
  for (let i = from; i < to; i++) if (((words[i] as number) & wordExponentBits) === wordExponentBits) return i;
  return -1;
};

/** Index of the first bfloat16 that is not finite, or -1. */
export const findUnrealWords = (words: Uint16Array): number => {
  const start = words.byteOffset % 4 === 0 ? 0 : 1;
  const pairs = new Int32Array(words.buffer, words.byteOffset + 2 * start, Math.max(0, words.length - start) >> 1);
  let carries = 0;
  for (let i = 0; i < pairs.length; i++) carries |= ((pairs[i] as number) & pairExponentBits) + pairLowest;
  const end = start + 2 * pairs.length;
  if ((carries & pairSigns) !== 0) return findUnrealWord(words, 0, words.length);
  const before = findUnrealWord(words, 0, Math.min(start, words.length));
  return before !== -1 ? before : findUnrealWord(words, end, words.length);
};

/** Whether a scale in some rows of blocks is not finite. */
export const hasUnrealScale = (bytes: Uint8Array, form: BlockForm): boolean => {
  const places = scalePlaces[form.scales];
  for (let at = 0; at < bytes.length; at += form.fileBytes)
    for (const place of places) if (((bytes[at + place + 1] as number) & 0x7c) === 0x7c) return true;
  return false;
};
