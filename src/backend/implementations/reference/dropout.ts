import { threefry4x32 } from "../../../core/random.ts";
import type { HostArgs, HostKernels } from "./host-args.ts";

/** Arguments of a kernel that determine which elements are dropped. */
export type DropoutKey = Pick<HostArgs<"linearDropoutForward">, "key0" | "key1" | "key2" | "key3" | "site" | "p">;

const blockLength = 64;
const countersPerBlock = 16;

/**
 * Writes the factor of each element of row `row` to factors[0..n). The factor is 1/(1 − p) if the element is kept, and
 * 0 if it is dropped. `linearDropoutForward` in ../../kernels/linear.ts defines which elements are kept. Elements begin
 * at `first`, a multiple of 64.
 */
export const dropoutFactors = (
  { key0, key1, key2, key3, site, p }: DropoutKey,
  row: number,
  first: number,
  n: number,
  factors: Float64Array,
): void => {
  if (p === 0) {
    factors.fill(1, 0, n);
    return;
  }
  const threshold = Math.round(p * 2 ** 32);
  const keptFactor = 1 / (1 - p);
  const key = [key0, key1, key2, key3] as const;
  const counter: [number, number, number, number] = [0, row, site, 0];
  const words = new Uint32Array(4);
  for (let block = 0; block < n; block += blockLength) {
    for (let lane = 0; lane < countersPerBlock; lane++) {
      counter[0] = ((first + block) / blockLength) * countersPerBlock + lane;
      threefry4x32(counter, key, words);
      for (let word = 0; word < 4; word++) {
        const i = block + word * countersPerBlock + lane;
        if (i < n) factors[i] = (words[word] as number) >= threshold ? keptFactor : 0;
      }
    }
  }
};

/**
 * Packs the dropout mask into bits. Bit j of word w is 1 if factor 32·w + j is not 0. Word w is written at `at` +
 * w·stride.
 */
export const packMask = (factors: Float64Array, n: number, kept: Int32Array, at: number, stride: number): void => {
  for (let first = 0; first < n; first += 32) {
    let word = 0;
    for (let j = first; j < Math.min(first + 32, n); j++) if (factors[j] !== 0) word |= 1 << (j - first);
    kept[at + (first / 32) * stride] = word;
  }
};

/** Whether element i is kept: the value of bit i % 32 of word i / 32. */
export const isKept = (kept: Int32Array, i: number): boolean =>
  (((kept[Math.floor(i / 32)] as number) >>> (i % 32)) & 1) === 1;

/** Unpacks the bits of `packMask` into factors[0..n). */
export const unpackMask = (
  kept: Int32Array,
  at: number,
  stride: number,
  p: number,
  n: number,
  factors: Float64Array,
): void => {
  for (let j = 0; j < n; j++) {
    const word = kept[at + Math.floor(j / 32) * stride] as number;
    factors[j] = (word >>> (j % 32)) & 1 ? 1 / (1 - p) : 0;
  }
};

export const dropout: HostKernels<"dropout"> = {
  dropout({ x, y, n, ...key }) {
    const factors = new Float64Array(n);
    dropoutFactors(key, 0, 0, n, factors);
    for (let i = 0; i < n; i++) y[i] = (x[i] as number) * (factors[i] as number);
  },
};
