import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, test } from "vitest";
import type { WasmExports } from "#foretoken/backend/implementations/wasm/exports.js";
import { instantiate } from "#foretoken/backend/implementations/wasm/exports.js";
import { randomKey, randomStream } from "#foretoken/core/random.js";
import { compiledBackends } from "./compiled-backends.ts";

const missing = compiledBackends.find(({ name }) => name === "wasm")?.missing;

describe.skipIf(missing !== undefined)("the heap of the WebAssembly module", () => {
  let memory: WebAssembly.Memory;
  let exports: WasmExports;

  beforeEach(async () => {
    const file = fileURLToPath(new URL("../../../dist/backend/implementations/wasm/kernels.wasm", import.meta.url));
    memory = new WebAssembly.Memory({ initial: 64, maximum: 65536, shared: true });
    exports = await instantiate(await WebAssembly.compile(await readFile(file)), memory);
    exports.open(1, 1);
  });

  const addressOf = (handle: number): number => exports.at(handle, 0, 0) >>> 0;

  test("blocks are aligned, apart from each other, and keep what is in them", () => {
    const random = randomStream(randomKey(3, "init"));
    const held = new Map<number, { readonly bytes: number; readonly mark: number }>();
    const check = (handle: number): void => {
      const { bytes, mark } = held.get(handle) as { bytes: number; mark: number };
      const contents = new Uint8Array(memory.buffer, addressOf(handle), bytes);
      if (contents.some((value) => value !== mark)) expect.fail(`a block of ${bytes} bytes was overwritten`);
    };
    for (let step = 0; step < 3000; step++) {
      const bytes = random.integer(2 ** (1 + random.integer(16)));
      const handle = exports.allocate(bytes);
      expect(handle).toBeGreaterThanOrEqual(0);
      expect(held.has(handle)).toBe(false);
      expect(addressOf(handle) % 64).toBe(0);
      const mark = step % 251;
      new Uint8Array(memory.buffer, addressOf(handle), bytes).fill(mark);
      held.set(handle, { bytes, mark });
      if (random.uniform() < 0.55) {
        const victim = [...held.keys()][random.integer(held.size)] as number;
        check(victim);
        exports.release(victim);
        held.delete(victim);
      }
    }
    for (const handle of held.keys()) check(handle);
  });

  test("neighbours that are freed become one block, so that memory does not grow without end", () => {
    const sizes = [100_000, 300_000, 70_000, 500_000];
    const round = (order: readonly number[]): void => {
      const handles = sizes.map((bytes) => exports.allocate(bytes));
      for (const i of order) exports.release(handles[i] as number);
      exports.release(exports.allocate(970_000));
    };
    round([0, 1, 2, 3]);
    const after = memory.buffer.byteLength;
    for (const order of [
      [3, 2, 1, 0],
      [0, 2, 1, 3],
      [1, 3, 0, 2],
      [2, 0, 3, 1],
    ])
      round(order);
    expect(memory.buffer.byteLength).toBe(after);
  });

  test("more than there can be is refused, and what is there stays usable", () => {
    expect(exports.allocate(2 ** 32)).toBe(-1);
    expect(exports.allocate(2 ** 40)).toBe(-1);
    expect(exports.allocate(1000)).toBe(0);
  });

  test("only live handles and ranges within them have an address", () => {
    const handle = exports.allocate(100);
    expect(exports.at(handle, 96, 4)).not.toBe(0);
    for (const [offset, bytes] of [
      [100, 4],
      [-4, 4],
      [0, -1],
      [Number.NaN, 4],
      [0, 2 ** 60],
    ] as const) {
      expect(exports.at(handle, offset, bytes)).toBe(0);
    }
    for (const other of [-1, handle + 1, 2 ** 30]) expect(exports.at(other, 0, 4)).toBe(0);
    exports.release(handle);
    expect(exports.at(handle, 0, 4)).toBe(0);
  });
});
