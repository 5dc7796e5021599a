/**
 * Pseudo-random numbers that a few lines in any language can compute. scripts/fixtures/make-gpt2.py computes the same
 * numbers, so weights and projections need not be stored. The library does not use these numbers; see core/random.ts.
 */

/** The finalizer of MurmurHash3 (Appleby, public domain): a bijection of 32-bit words that mixes well. */
const mix = (word: number): number => {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
};

/** FNV-1a over the characters of an ASCII name. */
const hashName = (name: string): number => {
  let h = 0x811c9dc5;
  for (const character of name) h = Math.imul(h ^ character.charCodeAt(0), 0x01000193);
  return h >>> 0;
};

/**
 * Cache for the name and the start of the last stream. Most streams are read word by word. Without the cache, most of
 * the time would be spent on hashing the name.
 */
let last = { name: "", start: mix(hashName("")) };

const startOf = (name: string): number => {
  if (name !== last.name) last = { name, start: mix(hashName(name)) };
  return last.start;
};

/** Word `i` of the stream `name`. */
export const hashWord = (name: string, i: number): number => mix((startOf(name) + Math.imul(i, 0x9e3779b9)) | 0);

/** Number `i` of the stream `name`, in [−1, 1), in steps of 2⁻²³. The number is exact in float32. */
export const hashUniform = (name: string, i: number): number => (hashWord(name, i) >>> 8) / 2 ** 23 - 1;

/** +1 or −1. */
export const hashSign = (name: string, i: number): number => (hashWord(name, i) >>> 31 === 0 ? 1 : -1);

/** An integer in [0, bound). `bound` must be below 2¹⁶. */
export const hashInteger = (name: string, i: number, bound: number): number => (hashWord(name, i) >>> 8) % bound;
