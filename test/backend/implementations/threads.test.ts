import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { describe, expect, test, vi } from "vitest";
import type { Backend, RecordedCalls, Storage, View } from "#foretoken/backend/backend.js";
import type { WasmHost } from "#foretoken/backend/implementations/wasm/engine.js";
import { openWasmBackend } from "#foretoken/backend/implementations/wasm/engine.js";
import { instantiate } from "#foretoken/backend/implementations/wasm/exports.js";
import { openWasm } from "#foretoken/backend/implementations/wasm/node.js";
import { ConfigError, ShapeError, UnsupportedKernelError } from "#foretoken/core/errors/errors.js";
import { randomKey, randomStream } from "#foretoken/core/random.js";
import { compiledBackends } from "./compiled-backends.ts";

const dist = (path: string): string => new URL(`../../../dist/${path}`, import.meta.url).href;

/**
 * A program that opens a backend with two threads, adds numbers and prints the sum. The program does not close the
 * backend.
 */
const program = (name: string): string => {
  const module =
    name === "native" ? "backend/implementations/native/native.node.js" : "backend/implementations/wasm/node.js";
  return `
    const { ${name === "native" ? "openNative" : "openWasm"}: open } = await import("${dist(module)}");
    const backend = await open({ threads: 2 });
    const n = 100_000;
    const view = { storage: backend.alloc("float32", n), offset: 0 };
    backend.run("fill", { y: view, n, value: 1 });
    for (let i = 0; i < 20; i++) backend.run("add", { a: view, b: view, y: view, n });
    const total = (await backend.read(view.storage)).reduce((a, b) => a + b, 0) / n;
  `;
};

const normals = (length: number, seed: number): Float32Array => {
  const stream = randomStream(randomKey(seed, "init"));
  return Float32Array.from({ length }, () => stream.normal());
};

/** One call of each kind of kernel that divides its work. No number of threads divides these sizes evenly. */
const work = async (backend: Backend): Promise<readonly Float32Array[]> => {
  const view = (length: number, seed?: number): View => {
    const storage = backend.alloc("float32", length);
    backend.write(storage, seed === undefined ? new Float32Array(length) : normals(length, seed));
    return { storage, offset: 0 };
  };
  const [m, n, k] = [131, 197, 67];
  const [x, w, bias, y] = [view(m * k, 1), view(n * k, 2), view(n, 3), view(m * n)];
  const [dx, dw, dBias] = [view(m * k), view(n * k), view(n)];
  const [mean, rstd, normed, dGamma, dBeta] = [view(m), view(m), view(m * k), view(k), view(k)];
  const [total, squares] = [view(1), view(1)];
  backend.run("linearForward", { x, w, bias, addend: null, y, m, n, k });
  backend.run("linearBackwardInput", { dy: y, w, factor: null, dx, m, n, k, add: 0 });
  backend.run("linearBackwardWeight", { dy: y, x, dw, dBias, m, n, k, add: 1 });
  const norm = { x, gamma: bias, mean, rstd, rows: m, channels: k };
  backend.run("layerNormForward", { ...norm, beta: bias, y: normed, eps: 1e-5 });
  backend.run("layerNormBackward", { ...norm, dy: normed, dx, dGamma, dBeta, add: 0 });
  backend.run("sum", { x: y, y: total, n: m * n });
  backend.run("sumOfSquares", { x: y, y: squares, n: m * n });

  const [batch, queries, heads, headDim] = [2, 77, 3, 20];
  const stride = heads * headDim;
  const length = batch * queries * stride;
  const [q, v, dOut, out, stats] = [
    view(length, 4),
    view(length, 5),
    view(length, 6),
    view(length),
    view(batch * heads * queries),
  ];
  const [dq, dk, dv] = [view(length), view(length), view(length)];
  const sizes = {
    batch,
    queries,
    start: 0,
    heads,
    keyHeads: heads,
    headDim,
    rows: 0,
    keyRows: 0,
    window: 0,
    queryStride: stride,
    queryBatchStride: queries * stride,
  };
  const keys = { keyStride: stride, keyBatchStride: queries * stride, key0: 1, key1: 2, key2: 3, key3: 4, site: 5 };
  const kept = { storage: backend.alloc("int32", batch * heads * Math.ceil(queries / 32) * queries), offset: 0 };
  const attention = { ...sizes, ...keys, q, k: q, v, out, logSumExp: stats, kept, segments: null, scale: 0.25, p: 0.1 };
  const pages = { pages: null, pageCount: 0 };
  backend.run("attentionForward", { ...attention, ...pages, causal: 1 });
  backend.run("attentionBackward", { ...attention, dOut, dq, dk, dv, causal: 1 });
  const unmasked = {
    ...{ ...attention, causal: 0, out: view(length), logSumExp: view(batch * queries * heads) },
    ...{ dq: view(length), dk: view(length), dv: view(length) },
  };
  backend.run("attentionForward", { ...unmasked, ...pages });
  backend.run("attentionBackward", { ...unmasked, dOut });

  const results = [
    ...[y, dx, dw, dBias, mean, rstd, normed, dGamma, dBeta, total, squares, out, stats, dq, dk, dv],
    ...[unmasked.out, unmasked.logSumExp, unmasked.dq, unmasked.dk, unmasked.dv],
  ];
  return Promise.all(results.map(async ({ storage }) => (await backend.read(storage)) as Float32Array));
};

const bits = (arrays: readonly Float32Array[]): readonly Uint32Array[] => arrays.map((a) => new Uint32Array(a.buffer));

/**
 * Independent branches: y = 2 ** adds · (branch + 1). Each branch is a chain of additions that are large enough for
 * several threads.
 */
const chains = (backend: Backend, branches: number, threads: number) => {
  const [n, adds] = [30_000, 6];
  const views = Array.from({ length: branches }, () => ({ storage: backend.alloc("float32", n), offset: 0 }));
  const recorded = views.map((view, branch) =>
    backend.record?.(() => {
      backend.run("fill", { y: view, n, value: branch + 1 });
      for (let i = 0; i < adds; i++) backend.run("add", { a: view, b: view, y: view, n });
    }),
  ) as RecordedCalls[];
  const numbers = Float64Array.from(recorded.flatMap((calls) => [...calls.numbers]));
  const ends = recorded.map((calls, branch) => (branch + 1) * calls.numbers.length);
  return {
    run: () => backend.replayBeside?.({ owner: (recorded[0] as RecordedCalls).owner, numbers, ends, threads }),
    results: async () => {
      const arrays = await Promise.all(views.map(({ storage }) => backend.read(storage)));
      return arrays.map((array) => [...new Set(array)]);
    },
    expected: views.map((_, branch) => [2 ** adds * (branch + 1)]),
    close: () => {
      for (const { storage } of views) backend.free(storage);
    },
  };
};

for (const { name, open, missing } of compiledBackends) {
  describe.skipIf(missing !== undefined)(`${name}${missing === undefined ? "" : ` (${missing})`}`, () => {
    test("the number of threads changes no bit", async () => {
      const one = await open(1);
      const expected = await work(one);
      expect(expected.flatMap((array) => [...array]).filter(Number.isNaN)).toEqual([]);
      await one.close();
      for (const threads of [2, 3, 7]) {
        const backend = await open(threads);
        expect(backend.capabilities.threads).toBe(threads);
        expect(bits(await work(backend))).toEqual(bits(expected));
        await backend.close();
      }
    });

    test("two backends take turns, call by call, without disturbing each other", async () => {
      const backends = [await open(2), await open(3)];
      const n = 50_001;
      const views = backends.map((backend) => ({ storage: backend.alloc("float32", n), offset: 0 }));
      for (const [i, backend] of backends.entries()) backend.run("fill", { y: views[i] as View, n, value: i + 1 });
      for (let call = 0; call < 20; call++) {
        for (const [i, backend] of backends.entries()) {
          const view = views[i] as View;
          backend.run("add", { a: view, b: view, y: view, n });
        }
      }
      for (const [i, backend] of backends.entries()) {
        const expected = new Float32Array(n).fill((i + 1) * 2 ** 20);
        expect(await backend.read((views[i] as View).storage)).toEqual(expected);
        await backend.close();
      }
    });

    test.each([1, 2, 3, 4, 6])("branches share %d threads in any way, call by call", async (threads) => {
      const backend = await open(threads);
      for (let round = 0; round < 3; round++) {
        for (let ofEach = 1; ofEach <= threads; ofEach++) {
          const { run, results, expected, close } = chains(backend, 5, ofEach);
          for (let call = 0; call < 20; call++) run();
          expect(await results()).toEqual(expected);
          close();
        }
        await work(backend);
      }
      const { run } = chains(backend, 2, threads + 1);
      expect(run).toThrow(ShapeError);
      await backend.close();
    });

    test("a process that does not close it ends all the same", async () => {
      const script = `${program(name)} console.log(total);`;
      const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script]);
      expect(stdout.trim()).toBe(String(2 ** 20));
    });

    test("several worker threads use it at once, and end without closing it", async () => {
      const script = `
        import("node:worker_threads").then(async ({ parentPort }) => {
          ${program(name)}
          parentPort.postMessage(total);
        });
      `;
      const totals = await Promise.all(
        [1, 2, 3].map(
          () =>
            new Promise((resolve, reject) => {
              const worker = new Worker(script, { eval: true });
              let total: unknown;
              worker.on("message", (message: unknown) => {
                total = message;
              });
              worker.on("error", reject);
              worker.on("exit", (code) => resolve([code, total]));
            }),
        ),
      );
      expect(totals).toEqual(Array.from({ length: 3 }, () => [0, 2 ** 20]));
    });
  });
}

const wasmMissing = compiledBackends.find(({ name }) => name === "wasm")?.missing;

describe.skipIf(wasmMissing !== undefined)("the workers of the WebAssembly backend", () => {
  const load = () => readFile(fileURLToPath(dist("backend/implementations/wasm/kernels.wasm")));

  test("one that does not start makes opening fail, and the others end", async () => {
    let ended = 0;
    const startWorker: WasmHost["startWorker"] = async ({ thread }) => {
      if (thread === 2) throw new Error("no more workers");
      return {
        end: async () => {
          ended++;
        },
      };
    };
    const opening = openWasmBackend({ load, startWorker }, 4);
    await expect(opening).rejects.toThrow(UnsupportedKernelError);
    await expect(opening).rejects.toThrow("wasm backend: 4 threads must start; got no more workers; try fewer threads");
    expect(ended).toBe(2);
  });

  test("one for whose stack there is no memory makes opening fail, on a machine that reserves only a little", async () => {
    const { Memory } = WebAssembly;
    const limited = vi.spyOn(WebAssembly, "Memory").mockImplementation(function create(descriptor) {
      if ((descriptor.maximum ?? 0) > 512) throw new RangeError("could not reserve memory");
      return new Memory(descriptor);
    });
    try {
      const stacks: number[] = [];
      let ended = 0;
      const startWorker: WasmHost["startWorker"] = async ({ stackTop }) => {
        stacks.push(stackTop);
        return { end: async () => void ended++ };
      };
      const opening = openWasmBackend({ load, startWorker }, 40);
      await expect(opening).rejects.toThrow(UnsupportedKernelError);
      await expect(opening).rejects.toThrow(
        "wasm backend: 40 threads must start; got no memory is left for another thread's stack; try fewer threads",
      );
      expect(stacks).not.toContain(0);
      expect(stacks.length).toBeGreaterThan(0);
      expect(ended).toBe(stacks.length);
    } finally {
      limited.mockRestore();
    }
  });

  test("one that fails in a kernel is reported, and nothing runs after that", async () => {
    const startWorker: WasmHost["startWorker"] = async ({ module, memory }) => {
      (await instantiate(module, memory)).worker_abandon();
      return { end: async () => {} };
    };
    const backend = await openWasmBackend({ load, startWorker }, 2);
    const y = { storage: backend.alloc("float32", 100_000), offset: 0 };
    expect(() => backend.run("fill", { y, n: 100_000, value: 1 })).toThrow("a kernel failed in a worker");
    expect(() => backend.run("fill", { y, n: 1, value: 1 })).toThrow("a kernel failed earlier");
    await backend.close();
  });

  // A sum that reads beyond the end of the memory, in the second thread's share or in the shares of both threads.
  test.each([2 ** 23, 2 ** 29])(
    "one that fails in a branch, in a sum of %d numbers, is reported, and all can end",
    async (n) => {
      for (let round = 0; round < 3; round++) {
        const backend = await openWasm({ threads: 4 });
        const others = chains(backend, 3, 2);
        const length = 2 ** 22;
        const [y, x] = [1, length].map((size) => ({ storage: backend.alloc("float32", size), offset: 0 })) as [
          View,
          View,
        ];
        const calls = backend.record?.(() => backend.run("sum", { x, y, n: length })) as RecordedCalls;
        // The last number is the kernel's integer. The number before it is the buffer's length, which is checked.
        calls.numbers[calls.numbers.lastIndexOf(length)] = n;
        others.run();
        const numbers = Float64Array.from([...calls.numbers, ...calls.numbers]);
        const ends = [calls.numbers.length, numbers.length];
        expect(() => backend.replayBeside?.({ ...calls, numbers, ends, threads: 2 })).toThrow();
        expect(others.run).toThrow("a kernel failed earlier");
        await backend.close();
      }
    },
  );

  test("a calling thread that may not sleep shares branches, too", async () => {
    const wait = vi.spyOn(Atomics, "wait").mockImplementation(() => {
      throw new TypeError("this thread must not sleep");
    });
    const backend = await openWasm({ threads: 4 }).finally(() => wait.mockRestore());
    for (const ofEach of [1, 2, 4]) {
      const { run, results, expected } = chains(backend, 5, ofEach);
      for (let call = 0; call < 50; call++) run();
      expect(await results()).toEqual(expected);
    }
    await backend.close();
  });

  test("a kernel finds its memory used up, says so, and runs again when there is some", async () => {
    const backend = await openWasmBackend({ load, startWorker: async () => ({ end: async () => {} }) }, 1);
    const [m, n, k] = [64, 64, 64];
    const [x, w, y] = [m * k, n * k, m * n].map((length) => ({ storage: backend.alloc("float32", length), offset: 0 }));
    if (x === undefined || w === undefined || y === undefined) throw new Error("three views");
    for (const [view, value] of [
      [x, 1],
      [w, 2],
    ] as const)
      backend.run("fill", { y: view, n: m * k, value });
    const multiply = () => backend.run("linearForward", { x, w, bias: null, addend: null, y, m, n, k });
    // The test uses only the addresses. Nothing is written to them.
    const hoard: Storage[] = [];
    for (let length = 2 ** 28; length >= 16; length /= 2) {
      try {
        for (;;) hoard.push(backend.alloc("float32", length));
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
      }
    }
    expect(multiply).toThrow(ConfigError);
    expect(multiply).toThrow("wasm backend: memory must suffice for the temporary memory of linearForward");
    for (const storage of hoard) backend.free(storage);
    multiply();
    expect(new Set(await backend.read(y.storage))).toEqual(new Set([2 * k]));
    await backend.close();
  });

  test("each gets a stack of its own, aligned", async () => {
    const tops: number[] = [];
    const startWorker: WasmHost["startWorker"] = async ({ stackTop }) => {
      tops.push(stackTop);
      return { end: async () => {} };
    };
    await (await openWasmBackend({ load, startWorker }, 5)).close();
    expect(tops.filter((top) => top % 16 !== 0)).toEqual([]);
    const sorted = tops.toSorted((a, b) => a - b);
    for (let i = 1; i < sorted.length; i++) {
      expect((sorted[i] as number) - (sorted[i - 1] as number)).toBeGreaterThanOrEqual(2 ** 20);
    }
  });
});
