/** Random choices from a seed. A seed and a case number always give the same case. Earlier cases have no effect. */
import { createHash } from "node:crypto";

/**
 * @typedef {object} Random
 * @property {() => number} real in [0, 1)
 * @property {(below: number) => number} below a whole number in [0, below)
 * @property {(low: number, high: number) => number} between a whole number in [low, high]
 * @property {(chance: number) => boolean} chance true with this probability
 * @property {<T>(list: readonly T[]) => T} pick
 * @property {<T>(list: readonly T[]) => T[]} shuffled
 * @property {(length: number) => Buffer} bytes
 */

/**
 * sfc32 (C. Doty-Humphrey, PractRand), with a hash of `parts` as its seed.
 * @param {...(string | number)} parts for example a seed, a class and a number.
 * @returns {Random}
 */
export const randomOf = (...parts) => {
  const hash = createHash("sha256").update(parts.join("\0")).digest();
  let [a, b, c, counter] = [0, 4, 8, 12].map((at) => hash.readUInt32LE(at));
  const next = () => {
    const sum = (a + b + counter) >>> 0;
    counter = (counter + 1) >>> 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) >>> 0;
    c = ((c << 21) | (c >>> 11)) >>> 0;
    c = (c + sum) >>> 0;
    return sum;
  };
  const real = () => next() / 2 ** 32;
  const below = (/** @type {number} */ bound) => Math.floor(real() * bound);
  /** @type {Random["pick"]} */
  const pick = (list) => list[below(list.length)];
  return {
    real,
    below,
    between: (low, high) => low + below(high - low + 1),
    chance: (chance) => real() < chance,
    pick,
    shuffled: (list) => {
      const left = [...list];
      return list.map(() => left.splice(below(left.length), 1)[0]);
    },
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
  };
};
