import { checkChoice, checkRandomKey, checkWhole } from "./checks/check-arguments.ts";

/**
 * Counter-based random numbers: Threefry-4x32 with 13 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2,
 * 3", SC 2011). A random number is a pure function of (key, counter), so any element of a stream can be computed
 * without the earlier elements. Resumed runs, any number of threads and the C++ kernels all get the same numbers.
 */

/** The purpose of a random stream. The purpose is part of the key, so two purposes never share numbers. */
export const streams = { init: 1, batches: 2, dropout: 3, sampling: 4 } as const;
const streamNames = Object.keys(streams);
/**
 * The purposes of random numbers.
 * @experimental
 */
export type Stream = keyof typeof streams;

/**
 * A key: the user's seed (53 bits, split in two) and two words for the purpose.
 * @experimental
 */
export type RandomKey = readonly [seedLow: number, seedHigh: number, stream: number, index: number];

/**
 * Returns the key of a random stream for the user's `seed`. `index` is the number of a step, a layer or a parameter.
 * @experimental
 */
export const randomKey = (seed: number, stream: Stream, index = 0): RandomKey => {
  checkWhole("randomKey: seed", seed);
  checkWhole("randomKey: index", index);
  checkChoice("randomKey: stream", stream ?? null, streamNames);
  return [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, streams[stream], index >>> 0];
};

const rotations = [10, 26, 11, 21, 13, 27, 23, 5, 6, 20, 17, 11, 25, 10, 18, 20] as const;
const parity = 0x1bd11bda;
const rounds = 13;

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by));

/**
 * Computes one block: four uniform 32-bit words for a 4×32-bit counter and a 4×32-bit key, written to `out`. Tested
 * with the known-answer vectors of the Random123 distribution.
 */
export const threefry4x32 = (counter: RandomKey, key: RandomKey, out: Uint32Array): void => {
  const k4 = parity ^ key[0] ^ key[1] ^ key[2] ^ key[3];
  const ks = [key[0], key[1], key[2], key[3], k4] as const;
  let x0 = (counter[0] + ks[0]) | 0;
  let x1 = (counter[1] + ks[1]) | 0;
  let x2 = (counter[2] + ks[2]) | 0;
  let x3 = (counter[3] + ks[3]) | 0;
  for (let round = 0; round < rounds; round++) {
    const r0 = rotations[(round % 8) * 2] as number;
    const r1 = rotations[(round % 8) * 2 + 1] as number;
    if (round % 2 === 0) {
      x0 = (x0 + x1) | 0;
      x1 = rotate(x1, r0) ^ x0;
      x2 = (x2 + x3) | 0;
      x3 = rotate(x3, r1) ^ x2;
    } else {
      x0 = (x0 + x3) | 0;
      x3 = rotate(x3, r0) ^ x0;
      x2 = (x2 + x1) | 0;
      x1 = rotate(x1, r1) ^ x2;
    }
    if (round % 4 === 3) {
      const s = (round >> 2) + 1;
      x0 = (x0 + (ks[s % 5] as number)) | 0;
      x1 = (x1 + (ks[(s + 1) % 5] as number)) | 0;
      x2 = (x2 + (ks[(s + 2) % 5] as number)) | 0;
      x3 = (x3 + (ks[(s + 3) % 5] as number) + s) | 0;
    }
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
};

/**
 * Reads the random numbers of one key in order. A key gives the same numbers on every machine.
 * @experimental
 */
export interface RandomStream {
  /** Next uniform 32-bit word. */
  uint32(): number;
  /** Uniform in [0, 1) with 53 bits. */
  uniform(): number;
  /** Uniform integer in [0, bound); `bound` up to 2^53. */
  integer(bound: number): number;
  /**
   * A standard normal number, computed with the Box–Muller method. The method makes two numbers at a time, and both are
   * used.
   */
  normal(): number;
}

/**
 * Reads the words of `key` in order, starting at block `startBlock` of four words.
 * @experimental
 */
export const randomStream = (key: RandomKey, startBlock = 0): RandomStream => {
  checkRandomKey("randomStream: key", key);
  checkWhole("randomStream: startBlock", startBlock);
  const block = new Uint32Array(4);
  let next = 4;
  let counter = startBlock;
  let spare: number | undefined;
  const uint32 = (): number => {
    if (next === 4) {
      threefry4x32([counter >>> 0, Math.floor(counter / 2 ** 32), 0, 0], key, block);
      counter++;
      next = 0;
    }
    return block[next++] as number;
  };
  const uniform = (): number => ((uint32() >>> 5) * 2 ** 26 + (uint32() >>> 6)) / 2 ** 53;
  const integer = (bound: number): number => Math.floor(uniform() * bound);
  const normal = (): number => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  return { uint32, uniform, integer, normal };
};
