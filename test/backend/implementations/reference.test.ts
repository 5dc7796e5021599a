import { describe, expect, test } from "vitest";
import type { Backend, View } from "#foretoken/backend/backend.js";
import { roundedToBfloat16 } from "#foretoken/backend/implementations/reference/host-args.js";
import { erfc } from "#foretoken/backend/implementations/reference/normal.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { ConfigError, DataError, DTypeError, ShapeError } from "#foretoken/core/errors/errors.js";

const view = (backend: Backend, values: number[], offset = 0) => {
  const storage = backend.alloc("float32", values.length);
  backend.write(storage, Float32Array.from(values));
  return { storage, offset };
};

// Values with 17 digits, from 40-digit arithmetic (mpmath).
const erfcValues: readonly (readonly [number, number])[] = [
  [-6, 2.0],
  [-2.5, 1.999593047982555],
  [-2, 1.9953222650189527],
  [-1, 1.8427007929497149],
  [-1e-10, 1.0000000001128379],
  [0, 1.0],
  [1e-10, 0.99999999988716208],
  [0.1, 0.8875370839817151],
  [0.5, 0.47950012218695346],
  [1, 0.15729920705028513],
  [1.5, 0.033894853524689273],
  [1.9, 0.0072095707647425328],
  [2, 0.0046777349810472658],
  [2.1, 0.0029794666563329843],
  [3, 2.2090496998585441e-5],
  [5, 1.5374597944280349e-12],
  [10, 2.0884875837625448e-45],
  [20, 5.3958656116079009e-176],
  [26, 5.6631924088561428e-296],
];

describe("memory of the reference backend", () => {
  test("what is written is read back, whole and in part", async () => {
    const backend = await openReference();
    const storage = backend.alloc("float32", 5);
    backend.write(storage, Float32Array.of(1, 2, 3, 4, 5));
    backend.write(storage, Float32Array.of(30), 2);
    expect([...(await backend.read(storage))]).toEqual([1, 2, 30, 4, 5]);
    expect([...(await backend.read(storage, 3))]).toEqual([4, 5]);
    expect([...(await backend.read(storage, 1, 2))]).toEqual([2, 30]);
    const indices = backend.alloc("int32", 2);
    backend.write(indices, Int32Array.of(-1, 7));
    expect(await backend.read(indices)).toEqual(Int32Array.of(-1, 7));
  });

  test("what is read is a copy", async () => {
    const backend = await openReference();
    const { storage } = view(backend, [1, 2]);
    const copy = await backend.read(storage);
    copy[0] = 9;
    expect([...(await backend.read(storage))]).toEqual([1, 2]);
  });

  test("new memory is NaN, reused memory too", async () => {
    const backend = await openReference();
    const first = view(backend, [1, 2]).storage;
    backend.free(first);
    expect([...(await backend.read(backend.alloc("float32", 2)))]).toEqual([Number.NaN, Number.NaN]);
    expect([...(await backend.read(backend.alloc("float32", 2)))]).toEqual([Number.NaN, Number.NaN]);
  });

  test("bytes in use follow alloc, free and close", async () => {
    const backend = await openReference({ real: "float64" });
    expect(backend.bytesInUse()).toBe(0);
    const reals = backend.alloc("float64", 3);
    backend.alloc("int32", 5);
    expect(backend.bytesInUse()).toBe(44);
    backend.free(reals);
    expect(backend.bytesInUse()).toBe(20);
    await backend.close();
    expect(backend.bytesInUse()).toBe(0);
  });

  test("freed and foreign storages are refused", async () => {
    const backend = await openReference();
    const other = await openReference();
    const freed = backend.alloc("float32", 2);
    backend.free(freed);
    for (const storage of [freed, other.alloc("float32", 2)]) {
      expect(() => backend.write(storage, new Float32Array(2))).toThrow(ShapeError);
      expect(() => backend.free(storage)).toThrow(ShapeError);
      expect(() => backend.run("fill", { y: { storage, offset: 0 }, n: 2, value: 0 })).toThrow(ShapeError);
      await expect(backend.read(storage)).rejects.toThrow(ShapeError);
    }
  });

  test("types that the backend does not hold are refused", async () => {
    const single = await openReference();
    const double = await openReference({ real: "float64" });
    expect(single.capabilities.real).toEqual(["float32"]);
    expect(double.capabilities.real).toEqual(["float64"]);
    expect(() => single.alloc("float64", 1)).toThrow(DTypeError);
    expect(() => double.alloc("float32", 1)).toThrow(DTypeError);
    expect(() => single.write(single.alloc("float32", 1), new Int32Array(1))).toThrow(DTypeError);
    expect(() => double.write(double.alloc("float64", 1), new Float32Array(1))).toThrow(DTypeError);
  });

  test("lengths and ranges that make no sense are refused, and change nothing", async () => {
    const backend = await openReference();
    for (const length of [-1, 0.5, Number.NaN, 2 ** 60])
      expect(() => backend.alloc("float32", length)).toThrow(ShapeError);
    const { storage } = view(backend, [1, 2, 3]);
    expect(() => backend.write(storage, new Float32Array(2), 2)).toThrow(ShapeError);
    expect(() => backend.write(storage, new Float32Array(1), -1)).toThrow(ShapeError);
    await expect(backend.read(storage, 2, 2)).rejects.toThrow(ShapeError);
    await expect(backend.read(storage, 4)).rejects.toThrow(ShapeError);
    expect([...(await backend.read(storage))]).toEqual([1, 2, 3]);
  });

  test("an empty storage is a storage", async () => {
    const backend = await openReference();
    const storage = backend.alloc("float32", 0);
    backend.run("fill", { y: { storage, offset: 0 }, n: 0, value: 1 });
    expect((await backend.read(storage)).length).toBe(0);
  });

  test("a closed backend refuses all but a second close", async () => {
    const backend = await openReference();
    const y = view(backend, [1]);
    expect(backend.isClosed()).toBe(false);
    await backend.close();
    await backend.close();
    expect(backend.isClosed()).toBe(true);
    // The backend's storages are closed too, but the error must not be about them.
    const closed = (where: string) =>
      new ConfigError({
        where,
        must: "the reference backend must be open",
        got: "a closed backend",
        hint: "closing it only after all work that uses it has ended",
      });
    expect(() => backend.alloc("float32", 1)).toThrow(closed("alloc"));
    expect(() => backend.free(y.storage)).toThrow(closed("free"));
    expect(() => backend.write(y.storage, new Float32Array(1))).toThrow(closed("write"));
    expect(() => backend.run("fill", { y, n: 1, value: 0 })).toThrow(closed("fill: y"));
    await expect(backend.read(y.storage)).rejects.toThrow(closed("read"));
  });
});

describe("kernels of the reference backend", () => {
  test("a buffer that is too short for the sizes is refused before anything is written", async () => {
    const backend = await openReference();
    const a = view(backend, [1, 2, 3]);
    const y = view(backend, [7, 8, 9, 10], 2);
    expect(() => backend.run("add", { a, b: a, y, n: 3 })).toThrow(ShapeError);
    expect(() => backend.run("fill", { y: { ...y, offset: -1 }, n: 2, value: 0 })).toThrow(ShapeError);
    expect([...(await backend.read(y.storage))]).toEqual([7, 8, 9, 10]);
  });

  test("ids and targets outside of the vocabulary are refused", async () => {
    const backend = await openReference();
    const table = view(backend, [1, 2, 3]);
    const y = view(backend, [0]);
    const index = (value: number) => {
      const storage = backend.alloc("int32", 1);
      backend.write(storage, Int32Array.of(value));
      return { storage, offset: 0 };
    };
    const sizes = { rows: 1, time: 1, channels: 1, vocabSize: 3, start: 0, positionRows: 1, scale: 1 };
    for (const id of [-1, 3]) {
      const buffers = { ids: index(id), tokens: table, positions: null, places: null, y };
      expect(() => backend.run("embeddingForward", { ...buffers, ...sizes })).toThrow(DataError);
    }
    const loss = { logits: table, targets: index(3), losses: y, logSumExp: view(backend, [0]), rows: 1 };
    const range = { columns: 3, first: 0, vocabSize: 3 };
    expect(() => backend.run("crossEntropyForward", { ...loss, ...range })).toThrow(DataError);
  });

  test("bfloat16 is the nearest, ties to even, and keeps what is no number", () => {
    const cases = [
      [1 + 2 ** -9, 1],
      [1 + 2 ** -8, 1],
      [1 + 2 ** -8 + 2 ** -20, 1 + 2 ** -7],
      [1 + 3 * 2 ** -8, 1 + 2 ** -6],
      [-1 - 3 * 2 ** -8, -1 - 2 ** -6],
      [3.4e38, Infinity],
      [-Infinity, -Infinity],
      [-0, -0],
      [2 ** -133, 2 ** -133],
      [Number.NaN, Number.NaN],
    ] as const;
    const given = Float32Array.from(cases, ([value]) => value);
    expect([...roundedToBfloat16(given)]).toEqual(cases.map(([, rounded]) => rounded));
    expect([...given]).toEqual(cases.map(([value]) => Math.fround(value)));
  });

  test("with the dtype bfloat16 a product is of rounded operands, its sum is not rounded", async () => {
    const values = Float32Array.of(1 + 2 ** -9, 2 ** -9);
    const products: number[] = [];
    for (const dtype of ["float32", "bfloat16"] as const) {
      const backend = await openReference({ dtype });
      const place = (): View => ({ storage: backend.alloc("float32", 2), offset: 0 });
      const [x, w, y] = [place(), place(), place()];
      backend.write(x.storage, values);
      backend.write(w.storage, Float32Array.of(1, 1));
      backend.run("linearForward", { x, w, bias: null, addend: null, y, m: 1, n: 1, k: 2 });
      products.push((await backend.read(y.storage))[0] as number);
      await backend.close();
    }
    expect(products).toEqual([1 + 2 ** -8, 1 + 2 ** -9]);
  });

  test("float64 keeps double precision", async () => {
    const backend = await openReference({ real: "float64" });
    const storage = backend.alloc("float64", 1);
    const x = { storage, offset: 0 };
    backend.write(storage, Float64Array.of(1 + 2 ** -40));
    backend.run("add", { a: x, b: x, y: x, n: 1 });
    expect((await backend.read(storage))[0]).toBe(2 + 2 ** -39);
  });

  test.for(erfcValues)("erfc(%d) = %d", ([x, value]) => {
    expect(Math.abs(erfc(x) - value)).toBeLessThanOrEqual(Math.min(1e-15, 2e-13 * value) + Number.MIN_VALUE);
  });
});
