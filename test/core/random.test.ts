import { describe, expect, it } from "vitest";
import { type RandomKey, randomKey, randomStream, streams, threefry4x32 } from "#foretoken/core/random.js";

const block = (counter: RandomKey, key: RandomKey): string[] => {
  const out = new Uint32Array(4);
  threefry4x32(counter, key, out);
  return Array.from(out, (word) => word.toString(16).padStart(8, "0"));
};

const ones: RandomKey = [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff];
const zeros: RandomKey = [0, 0, 0, 0];

const take = <T>(count: number, draw: () => T): T[] => Array.from({ length: count }, draw);

describe("threefry4x32 with 13 rounds", () => {
  it("gives the known answers of the Random123 distribution", () => {
    expect(block(zeros, zeros)).toEqual(["531c7e4f", "39491ee5", "2c855a92", "3d6abf9a"]);
    expect(block(ones, ones)).toEqual(["c4189358", "1c9cc83a", "d5881c67", "6a0a89e0"]);
  });

  it("depends on every word of the counter and of the key", () => {
    const seen = new Set([block(zeros, zeros).join()]);
    for (let word = 0; word < 4; word++) {
      const changed = [0, 1, 2, 3].map((i) => (i === word ? 1 : 0)) as unknown as RandomKey;
      seen.add(block(changed, zeros).join());
      seen.add(block(zeros, changed).join());
    }
    expect(seen.size).toBe(9);
  });
});

describe("randomKey", () => {
  it("keeps all 53 bits of a seed", () => {
    expect(randomKey(2 ** 53 - 1, "init")).toEqual([0xffffffff, 0x1fffff, streams.init, 0]);
    expect(randomKey(5 * 2 ** 32 + 7, "dropout", 9)).toEqual([7, 5, streams.dropout, 9]);
  });

  it("gives numbers of their own to every seed, stream and index", () => {
    const keys = [
      randomKey(1, "init"),
      randomKey(2, "init"),
      randomKey(1 + 2 ** 32, "init"),
      randomKey(1, "batches"),
      randomKey(1, "dropout"),
      randomKey(1, "sampling"),
      randomKey(1, "init", 1),
    ];
    const starts = keys.map((key) => take(4, randomStream(key).uint32).join());
    expect(new Set(starts).size).toBe(keys.length);
  });
});

describe("randomStream", () => {
  it("reads the blocks of its key in order", () => {
    const key = randomKey(42, "batches", 3);
    const { uint32 } = randomStream(key);
    const words = take(8, () => uint32().toString(16).padStart(8, "0"));
    expect(words).toEqual([...block([0, 0, 0, 0], key), ...block([1, 0, 0, 0], key)]);
  });

  it("restarts in the middle, also past 2³² blocks", () => {
    const key = randomKey(42, "sampling");
    const whole = take(40, randomStream(key).uint32);
    expect(take(12, randomStream(key, 7).uint32)).toEqual(whole.slice(28));

    const across = take(8, randomStream(key, 2 ** 32 - 1).uint32);
    expect(across.slice(4)).toEqual(take(4, randomStream(key, 2 ** 32).uint32));
    expect(across.slice(4)).not.toEqual(whole.slice(0, 4));
  });

  it("draws uniform numbers in [0, 1) that fill every tenth alike", () => {
    const { uniform } = randomStream(randomKey(7, "init"));
    const count = 50_000;
    const bins = new Array<number>(10).fill(0);
    for (let i = 0; i < count; i++) {
      const value = uniform();
      expect(value >= 0 && value < 1).toBe(true);
      const bin = Math.floor(value * 10);
      bins[bin] = (bins[bin] as number) + 1;
    }
    // Pearson's chi-squared with 9 degrees of freedom exceeds 27.9 for one key in a thousand.
    const expected = count / 10;
    expect(bins.reduce((total, seen) => total + (seen - expected) ** 2 / expected, 0)).toBeLessThan(27.9);
  });

  it("draws integers below the bound and each of them", () => {
    const { integer } = randomStream(randomKey(7, "batches"));
    const small = take(2_000, () => integer(7));
    expect([...new Set(small)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(take(100, () => integer(1))).toEqual(new Array(100).fill(0));

    const bound = 2 ** 53;
    const large = take(2_000, () => integer(bound));
    expect(large.every((value) => Number.isSafeInteger(value) && value >= 0 && value < bound)).toBe(true);
    // Random numbers use all low bits, so about half of the numbers are odd.
    const odd = large.filter((value) => value % 2 === 1).length;
    expect(Math.abs(odd - 1_000)).toBeLessThan(5 * Math.sqrt(2_000 / 4));
  });

  it("draws normal numbers of mean 0, variance 1 and kurtosis 3, uncorrelated in pairs", () => {
    const { normal } = randomStream(randomKey(7, "init", 1));
    const count = 100_000;
    const values = take(count, normal);
    const moment = (power: number): number => values.reduce((total, value) => total + value ** power, 0) / count;
    // The limit is five standard errors of each moment. The variances of the moments are 1, 2, 15 and 96, divided by
    // the count.
    expect(Math.abs(moment(1))).toBeLessThan(5 * Math.sqrt(1 / count));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(5 * Math.sqrt(2 / count));
    expect(Math.abs(moment(3))).toBeLessThan(5 * Math.sqrt(15 / count));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(5 * Math.sqrt(96 / count));
    const neighbours = values.reduce((total, value, i) => total + (i % 2 ? value * (values[i - 1] as number) : 0), 0);
    expect(Math.abs(neighbours / (count / 2))).toBeLessThan(5 / Math.sqrt(count / 2));
  });
});
