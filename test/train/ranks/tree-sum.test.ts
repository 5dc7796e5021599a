import { expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import {
  type Exchange,
  elementsAtATime,
  foldOverRanks,
  gatherOverRanks,
  sumOverRanks,
} from "#foretoken/train/ranks/tree-sum.js";
import { compiled, forEachBackend } from "../../support/backends.ts";
import { hashInteger } from "../../support/hash.ts";

/** Exchanges of ranks in one process: a message waits for whoever calls for it. */
const exchanges = (size: number) => {
  const sent = new Map<string, Promise<Float32Array | Float64Array>>();
  const give = new Map<string, (message: Float32Array | Float64Array) => void>();
  const counts = new Map<string, number>();
  const numbered = (way: string, kind: string): string => {
    const count = counts.get(`${way}${kind}`) ?? 0;
    counts.set(`${way}${kind}`, count + 1);
    return `${way}#${count}`;
  };
  const slot = (name: string): Promise<Float32Array | Float64Array> => {
    const known = sent.get(name) ?? new Promise((resolve) => give.set(name, resolve));
    sent.set(name, known);
    return known;
  };
  let floats = 0;
  return {
    floats: () => floats / size,
    of:
      (rank: number): Exchange =>
      async (partner, out, received) => {
        const name = numbered(`${rank}>${partner}`, "out");
        void slot(name);
        give.get(name)?.(out.slice());
        floats += out.length;
        const message = await slot(numbered(`${partner}>${rank}`, "in"));
        expect(message.length).toBe(received.length);
        received.set(message as Float32Array & Float64Array);
      },
  };
};

/** Numbers of very different sizes: another order of adding them has other bits. */
const valuesOf = (rank: number, length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => (hashInteger(`rank ${rank}`, i, 2001) - 1000) * 10 ** (((i + rank) % 7) - 3));

const treeSum = (parts: readonly Float32Array[]): Float32Array => {
  const [first = new Float32Array(), ...others] = parts;
  if (others.length === 0) return first;
  const half = parts.length / 2;
  const [a, b] = [treeSum(parts.slice(0, half)), treeSum(parts.slice(half))];
  return a.map((value, i) => value + (b[i] ?? Number.NaN));
};

const summed = async (backend: Backend, size: number, length: number) => {
  const between = exchanges(size);
  const storages = Array.from({ length: size }, (_, rank) => {
    const storage = backend.alloc("float32", length);
    backend.write(storage, valuesOf(rank, length));
    return storage;
  });
  await Promise.all(storages.map((storage, rank) => sumOverRanks({ rank, size }, between.of(rank), backend, storage)));
  const sums = await Promise.all(storages.map((storage) => backend.read(storage)));
  for (const storage of storages) backend.free(storage);
  return { sums, floats: between.floats() };
};

forEachBackend(
  "the sum over ranks",
  ({ open }) => {
    it.each([
      [1, 10],
      [2, 1],
      [2, 1001],
      [4, 3],
      [4, 1000],
      [8, 4097],
      [4, elementsAtATime + 5],
    ])("of %i ranks and %i numbers has the bits of the tree on each of them", async (size, length) => {
      const backend = await open(1);
      const { sums, floats } = await summed(backend, size, length);
      const expected = treeSum(Array.from({ length: size }, (_, rank) => valuesOf(rank, length)));
      for (const sum of sums) expect(Buffer.compare(Buffer.from(sum.buffer), Buffer.from(expected.buffer))).toBe(0);
      expect(floats).toBeLessThanOrEqual(((2 * (size - 1)) / size) * length * 1.05 + size);
      expect(backend.bytesInUse()).toBe(0);
      await backend.close();
    });
  },
  compiled,
);

it("folds numbers in the order of the ranks", async () => {
  const size = 8;
  const between = exchanges(size);
  const join = (one: Float64Array, other: Float64Array): Float64Array =>
    Float64Array.of((one[0] ?? 0) * 10 ** (other[1] ?? 0) + (other[0] ?? 0), (one[1] ?? 0) + (other[1] ?? 0));
  const all = await Promise.all(
    Array.from({ length: size }, (_, rank) =>
      foldOverRanks({ rank, size }, between.of(rank), Float64Array.of(rank + 1, 1), join),
    ),
  );
  for (const one of all) expect([...one]).toEqual([12345678, 8]);
});

it.each([1, 2, 8])("gathers the numbers of %i ranks in their order, on each of them", async (size) => {
  const between = exchanges(size);
  const values = Array.from({ length: size }, (_, rank) => Float64Array.of(rank, Number.NaN, -rank));
  const all = await Promise.all(values.map((one, rank) => gatherOverRanks({ rank, size }, between.of(rank), one)));
  for (const gathered of all) expect(gathered).toEqual(values);
});
