/** Measures how fast kernels run on this machine: matrix products, and memory bandwidth. */
import type { Backend, View } from "../../backend/backend.ts";
import { kernelCost } from "../../backend/calls/cost.ts";
import type { KernelArgs, KernelName } from "../../backend/kernels/kernels.ts";
import { yieldToHost } from "../../core/system/yield.ts";

/** Rates that kernels reach in practice. The hardware's limits are higher. */
export interface Rates {
  /** Floating-point operations per second in matrix products, as a sum over all threads. */
  readonly flopsPerSecond: number;
  /** Bytes per second that kernels read and write, for arrays larger than any cache. */
  readonly bytesPerSecond: number;
}

/** Seconds of repeated calls per measurement. The fastest of three measurements is used. */
const measured = 0.08;
const repeats = 3;

/**
 * Sizes of the measured calls. The reference gets smaller sizes, because it is about 1,000 times slower than a compiled
 * backend.
 */
const sizesFor = ({ name }: Backend) =>
  name === "reference" ? { m: 64, n: 96, k: 96, length: 2 ** 18 } : { m: 512, n: 768, k: 768, length: 2 ** 23 };

/** Calls per second of a kernel. */
const callsPerSecond = async (call: () => void, finish: () => Promise<unknown>): Promise<number> => {
  call();
  await finish();
  let best = 0;
  for (let repeat = 0; repeat < repeats; repeat++) {
    const began = performance.now();
    let calls = 0;
    let seconds = 0;
    while (seconds < measured) {
      call();
      await finish();
      calls++;
      seconds = (performance.now() - began) / 1000;
    }
    best = Math.max(best, calls / seconds);
    await yieldToHost();
  }
  return best;
};

/** Measures both rates in less than a second. */
export const measureRates = async (backend: Backend): Promise<Rates> => {
  const { m, n, k, length } = sizesFor(backend);
  const { activations } = backend.capabilities;
  const storages: View["storage"][] = [];
  const room = (size: number, dtype = activations): View => {
    const storage = backend.alloc(dtype, size);
    storages.push(storage);
    // Fill the buffer with 0.5. Subnormal numbers would be slower than the numbers in a model.
    backend.write(storage, new Float32Array(size).fill(0.5));
    return { storage, offset: 0 };
  };
  const rateOf = async <K extends KernelName>(kernel: K, args: KernelArgs<K, View>, result: View) => {
    const { flops, read, written } = kernelCost(kernel, args);
    const calls = await callsPerSecond(
      () => backend.run(kernel, args),
      () => backend.read(result.storage, 0, 1),
    );
    return { flops: flops * calls, bytes: (read + written) * calls };
  };
  try {
    const y = room(m * n);
    const product = { x: room(m * k), w: room(n * k), bias: null, addend: null, y, m, n, k };
    const { flops } = await rateOf("linearForward", product, y);
    const sum = room(length, "float32");
    const addition = { a: room(length, "float32"), b: room(length, "float32"), y: sum, n: length };
    const { bytes } = await rateOf("add", addition, sum);
    return { flopsPerSecond: flops, bytesPerSecond: bytes };
  } finally {
    for (const storage of storages) backend.free(storage);
  }
};
