import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend, Storage } from "#foretoken/backend/backend.js";
import { compiledBackend } from "#foretoken/backend/implementations/compiled/compiled.js";
import {
  type CompiledKernel,
  checkCompiledKernels,
  type Engine,
} from "#foretoken/backend/implementations/compiled/engine.js";
import { initialMemoryBytes } from "#foretoken/backend/implementations/wasm/engine.js";
import { kernelNames, kernels } from "#foretoken/backend/kernels/kernels.js";
import { blockBytes } from "#foretoken/backend/memory/memory-cache.js";
import { ConfigError, DTypeError, ShapeError, UnsupportedKernelError } from "#foretoken/core/errors/errors.js";
import { randomKey, randomStream } from "#foretoken/core/random.js";
import type { HostArray } from "#foretoken/core/tensors/dtype.js";
import { panels } from "../../conformance/samples/blocks.ts";
import { compiledBackends } from "./compiled-backends.ts";

const asBytes = ({ buffer, byteOffset, byteLength }: HostArray): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

for (const { name, open, missing } of compiledBackends) {
  describe.skipIf(missing !== undefined)(`${name}${missing === undefined ? "" : ` (${missing})`}`, () => {
    let backend: Backend;
    beforeAll(async () => {
      backend = await open(1);
    });
    afterAll(() => backend.close());

    test.runIf(process.platform === "linux")(
      "a storage that is filled gradually takes memory only for its contents",
      async () => {
        const before = process.memoryUsage().rss;
        const storages = Array.from({ length: 24 }, () => backend.alloc("float32", 2 ** 20, true));
        for (const storage of storages) backend.write(storage, Float32Array.of(1, 2, 3));
        // With large pages, each of these storages of 4 MiB would take 2 MiB.
        expect(process.memoryUsage().rss - before).toBeLessThan(16 * 2 ** 20);
        expect(await backend.read(storages[5] as Storage, 1, 2)).toEqual(Float32Array.of(2, 3));
        for (const storage of storages) backend.free(storage, false);
      },
    );

    test("what is written is read back, through frees and reuse, past the first memory", async () => {
      const random = randomStream(randomKey(1, "init"));
      const held = new Map<Storage, Float32Array>();
      const free = (storage: Storage) => {
        held.delete(storage);
        backend.free(storage);
      };
      for (let step = 0; step < 400; step++) {
        const length = random.integer(2 ** (1 + random.integer(18)));
        const storage = backend.alloc("float32", length);
        const data = Float32Array.from({ length }, () => step);
        backend.write(storage, data);
        held.set(storage, data);
        if (random.uniform() < 0.4) free([...held.keys()][random.integer(held.size)] as Storage);
      }
      expect(backend.bytesInUse()).toBeGreaterThan(initialMemoryBytes);
      const wrong: number[] = [];
      for (const [storage, data] of held) {
        const same = Buffer.compare(asBytes(await backend.read(storage)), asBytes(data)) === 0;
        if (!same) wrong.push(data.length);
      }
      expect(wrong).toEqual([]);
      for (const storage of [...held.keys()]) free(storage);
      expect(backend.bytesInUse()).toBe(0);
    });

    test("parts are written and read at offsets, and integers too", async () => {
      const storage = backend.alloc("int32", 5);
      backend.write(storage, Int32Array.of(1, 2, 3, 4, -5));
      backend.write(storage, Int32Array.of(20, 30), 1);
      expect(await backend.read(storage, 1, 3)).toEqual(Int32Array.of(20, 30, 4));
      expect(await backend.read(storage, 4)).toEqual(Int32Array.of(-5));
      expect(await backend.read(storage, 5)).toEqual(new Int32Array(0));
      backend.free(storage);
    });

    test("noted calls run when they are replayed, on what their buffers then hold and with the numbers that were changed in them", async () => {
      const x = { storage: backend.alloc("float32", 4), offset: 0 };
      backend.write(x.storage, Float32Array.of(1, 2, 3, 4));
      const calls = backend.record?.(() => {
        backend.run("fill", { y: x, n: 2, value: 3 });
        backend.run("add", { a: x, b: x, y: { ...x, offset: 2 }, n: 2 });
      });
      if (calls === undefined) throw new Error("a compiled backend notes calls");
      expect(await backend.read(x.storage)).toEqual(Float32Array.of(1, 2, 3, 4));
      backend.replay?.(calls);
      expect(await backend.read(x.storage)).toEqual(Float32Array.of(3, 3, 6, 6));
      // Moves the last buffer in the second call, so that y would end after the end of its storage.
      const offset = calls.numbers.length / 2 + 8;
      expect(calls.numbers[offset]).toBe(2);
      calls.numbers[offset] = 1e9;
      expect(() => backend.replay?.(calls)).toThrow(ShapeError);
      calls.numbers[offset] = 1;
      backend.replay?.(calls);
      expect(await backend.read(x.storage)).toEqual(Float32Array.of(3, 6, 6, 6));
      expect(() => backend.replay?.({ ...calls, owner: {} })).toThrow(ShapeError);
      backend.free(x.storage);
    });

    test.each([1, 3, 20])(
      "noted products of %i rows by several weights have the bits of single calls, also if one adds the result of another",
      async (m) => {
        const k = 256;
        const weights = [4, 1, 7].map((form, i) => ({ form, n: [40, 33, 150][i] as number }));
        const place = (data: Int32Array | Float32Array) => {
          const storage = backend.alloc(data instanceof Int32Array ? "int32" : "float32", data.length);
          backend.write(storage, data);
          return { storage, offset: 0 };
        };
        const rows = (name: number) => Float32Array.from({ length: m * k }, (_, i) => Math.sin(name + i));
        const x = place(rows(1));
        const w = weights.map(({ form, n }) => place(panels(form, n, k)));
        const sum = place(new Float32Array(m * 40));
        const results = weights.map(({ n }) => place(new Float32Array(m * n)));
        const product = (i: number, y = results[i], addend: typeof x | null = null): void => {
          const { form, n } = weights[i] as (typeof weights)[number];
          const buffers = { x, w: w[i] as typeof x, bias: null, addend, y: y as typeof x };
          backend.run("blocksLinearForward", { ...buffers, m, n, k, yStride: n, form });
        };
        const all = (): void => {
          for (const i of [0, 1, 2]) product(i);
          product(0, sum, results[0]);
        };
        const read = () => Promise.all([...results, sum].map(({ storage }) => backend.read(storage)));
        const calls = backend.record?.(all);
        if (calls === undefined) throw new Error("a compiled backend notes calls");
        for (const name of [1, 2]) {
          backend.write(x.storage, rows(name));
          backend.replay?.(calls);
          const replayed = await read();
          all();
          expect(replayed).toEqual(await read());
        }
        for (const { storage } of [x, ...w, ...results, sum]) backend.free(storage);
      },
    );

    test("an offset is where a kernel begins", async () => {
      const storage = backend.alloc("float32", 6);
      backend.write(storage, Float32Array.of(1, 2, 3, 4, 5, 6));
      backend.run("add", {
        a: { storage, offset: 0 },
        b: { storage, offset: 1 },
        y: { storage, offset: 4 },
        n: 2,
      });
      expect(await backend.read(storage)).toEqual(Float32Array.of(1, 2, 3, 4, 3, 5));
      backend.free(storage);
    });

    test("a freed storage is of no more use, even when its memory serves again", async () => {
      const storage = backend.alloc("float32", 100);
      backend.free(storage);
      const next = backend.alloc("float32", 100);
      const y = { storage, offset: 0 };
      expect(() => backend.run("fill", { y, n: 1, value: 1 })).toThrow(ShapeError);
      expect(() => backend.write(storage, new Float32Array(1))).toThrow(ShapeError);
      expect(() => backend.free(storage)).toThrow(ShapeError);
      await expect(backend.read(storage)).rejects.toThrow(ShapeError);
      backend.free(next);
    });

    test("another backend's storage is refused", async () => {
      const other = await open(1);
      const y = { storage: other.alloc("float32", 4), offset: 0 };
      expect(() => backend.run("fill", { y, n: 4, value: 1 })).toThrow(/must be live and belong to/);
      await other.close();
    });

    test("types and sizes that cannot be had are clear errors", () => {
      expect(() => backend.alloc("float64", 1)).toThrow(DTypeError);
      expect(() => backend.alloc("float32", 2 ** 50)).toThrow(/memory must suffice for 1125899906842624 more elements/);
      expect(backend.bytesInUse()).toBe(0);
    });

    test.for([0, -1, 1.5, 257, Number.NaN])("%d threads are refused", async (threads) => {
      await expect(open(threads)).rejects.toThrow(ConfigError);
    });

    test("after close nothing works, and closing again does no harm", async () => {
      const closed = await open(2);
      const storage = closed.alloc("float32", 8);
      expect(closed.isClosed()).toBe(false);
      await Promise.all([closed.close(), closed.close()]);
      await closed.close();
      expect(closed.bytesInUse()).toBe(0);
      expect(closed.isClosed()).toBe(true);
      expect(() => closed.alloc("float32", 1)).toThrow(ConfigError);
      const isClosed =
        /^[^;]*: the \w+ backend must be open; got a closed backend; try closing it only after all work/u;
      expect(() => closed.run("fill", { y: { storage, offset: 0 }, n: 1, value: 0 })).toThrow(isClosed);
      await expect(closed.read(storage)).rejects.toThrow(isClosed);
    });
  });
}

test("blocks hold what is asked for, in few sizes and with an eighth to spare at most", () => {
  const sizes = new Set<number>();
  for (let bytes = 0; bytes < 100_000; bytes += 4) {
    const block = blockBytes(bytes);
    sizes.add(block);
    if (block < bytes || block % 64 !== 0 || block > Math.max(bytes * 1.125, bytes + 63, 64))
      expect.fail(`${bytes}: ${block}`);
  }
  expect(sizes.size).toBeLessThan(100);
});

describe("the memory of a compiled backend", () => {
  const counting = (most = Number.POSITIVE_INFINITY, outcome = 0) => {
    const taken = new Map<number, number>();
    let next = 0;
    const total = () => [...taken.values()].reduce((a, b) => a + b, 0);
    const engine: Engine = {
      instructionSet: "none",
      threads: 1,
      limits: { buffers: 10, ints: 16, floats: 8 },
      narrow: false,
      tiles: false,
      packet: new Float64Array(56),
      allocate(bytes) {
        if (total() + bytes > most) return -1;
        taken.set(next, bytes);
        return next++;
      },
      release: (handle) => void taken.delete(handle),
      write: () => true,
      read: () => true,
      run: () => outcome,
      runAll: () => outcome,
      runBeside: () => outcome,
      close: async () => {},
    };
    return { backend: compiledBackend("native", engine), total, allocations: () => next };
  };

  test("a second step like the first takes nothing new", () => {
    const { backend, allocations } = counting();
    const step = () => {
      const storages = [100, 1000, 1000, 50_000].map((length) => backend.alloc("float32", length));
      for (const storage of storages) backend.free(storage);
    };
    step();
    const first = allocations();
    for (let i = 0; i < 10; i++) step();
    expect(allocations()).toBe(first);
  });

  test("a step whose blocks differ in size over time allocates nothing after its first", () => {
    const { backend, allocations } = counting();
    const step = () => {
      const kept = [5000, 5000, 5000].map((length) => backend.alloc("float32", length));
      for (const storage of kept.splice(0)) backend.free(storage);
      for (const length of [8000, 4000, 2000]) backend.free(backend.alloc("float32", length));
    };
    step();
    const first = allocations();
    for (let i = 0; i < 10; i++) step();
    expect(allocations()).toBe(first);
  });

  test("what is held stays below twice the most that was in use", () => {
    const { backend, total } = counting();
    for (let length = 64; length < 1_000_000; length = Math.ceil(length * 1.3))
      backend.free(backend.alloc("float32", length));
    expect(total()).toBeLessThanOrEqual(2 * 4 * 1_300_000);
  });

  test("a kernel that finds no memory to compute in is a clear error", () => {
    const { backend } = counting(undefined, -2);
    const y = { storage: backend.alloc("float32", 8), offset: 0 };
    const run = () => backend.run("fill", { y, n: 8, value: 1 });
    expect(run).toThrow(ConfigError);
    expect(run).toThrow(
      "native backend: memory must suffice for the temporary memory of fill, in addition to 32 bytes",
    );
  });

  test("when memory runs out, what is kept is given back first", () => {
    const { backend } = counting(10_000);
    backend.free(backend.alloc("float32", 2000));
    const storage = backend.alloc("float32", 1000);
    expect(storage.length).toBe(1000);
    expect(() => backend.alloc("float32", 2000)).toThrow(/native backend: memory must suffice for 2000 more elements/);
  });
});

describe("a table built from other sources", () => {
  const declared = kernelNames.map((name): CompiledKernel => {
    const { buffers, ints, floats } = kernels[name];
    return { name, buffers: Object.keys(buffers).length, ints: ints.length, floats: floats.length };
  });

  test("is told from the right one", () => {
    expect(() => checkCompiledKernels("wasm", declared)).not.toThrow();
  });

  test.for([
    ["a kernel is missing", declared.slice(0, -1)],
    ["there is one more", [...declared, { name: "more", buffers: 1, ints: 1, floats: 0 }]],
    ["the order is another", [...declared.slice(1), declared[0] as CompiledKernel]],
    ["a kernel takes another number of arguments", declared.map((k, i) => (i === 3 ? { ...k, ints: k.ints + 1 } : k))],
  ] as const)("is refused when %s", ([, compiled]) => {
    expect(() => checkCompiledKernels("wasm", compiled)).toThrow(UnsupportedKernelError);
    expect(() => checkCompiledKernels("wasm", compiled)).toThrow(
      /^wasm backend: .*built from other sources.*npm run build$/,
    );
  });
});
