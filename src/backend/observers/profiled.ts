import type { Backend } from "../backend.ts";
import { kernelCost } from "../calls/cost.ts";
import { type KernelName, kernelNames } from "../kernels/kernels.ts";

/** Totals over all calls of one kernel. */
export interface KernelProfile {
  /** Name of the kernel. */
  readonly kernel: KernelName;
  /** Number of calls. */
  readonly calls: number;
  /** Total time of the calls. */
  readonly seconds: number;
  /** Arithmetic operations of products. 0 for kernels limited by memory bandwidth. */
  readonly flops: number;
  /** Minimum number of bytes to read from memory and to write to memory. */
  readonly bytes: number;
}

/** A backend that measures the time of its kernels. */
export interface ProfiledBackend extends Backend {
  /** Kernels called so far, longest total time first. */
  profile(): readonly KernelProfile[];
}

/**
 * Wraps `inner` with a timer around each kernel. Closing `inner` or the wrapper closes both. On every backend here, a
 * kernel is done when `run` returns. The measured time includes the checks of arguments.
 */
export const profiled = (inner: Backend): ProfiledBackend => {
  const kept = new Map(kernelNames.map((kernel) => [kernel, { kernel, calls: 0, seconds: 0, flops: 0, bytes: 0 }]));
  // Recorded calls would not call `run`. Without `record`, every call uses `run` and is measured.
  const { record: _record, replay: _replay, moved: _moved, replayBeside: _replayBeside, ...rest } = inner;
  return {
    ...rest,
    run(kernel, args) {
      const began = performance.now();
      inner.run(kernel, args);
      const ended = performance.now();
      const entry = kept.get(kernel);
      if (entry === undefined) return;
      const { flops, read, written } = kernelCost(kernel, args);
      entry.calls++;
      entry.seconds += (ended - began) / 1000;
      entry.flops += flops;
      entry.bytes += read + written;
    },
    profile: () =>
      [...kept.values()]
        .filter(({ calls }) => calls > 0)
        .map((entry) => ({ ...entry }))
        .sort((a, b) => b.seconds - a.seconds),
  };
};
