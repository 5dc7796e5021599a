import type { Backend } from "../backend.ts";
import { kernelCost } from "../calls/cost.ts";
import { type KernelName, kernelNames } from "../kernels/kernels.ts";

/** All calls of one kernel together. */
export interface KernelProfile {
  /** Name of the kernel. */
  readonly kernel: KernelName;
  /** Number of calls. */
  readonly calls: number;
  /** Time of all calls. */
  readonly seconds: number;
  /** Arithmetic of products; 0 for kernels whose time is that of their bytes. */
  readonly flops: number;
  /** The least that memory must move. */
  readonly bytes: number;
}

/** A backend that measures the time of its kernels. */
export interface ProfiledBackend extends Backend {
  /** Kernels called so far, the longest time first. */
  profile(): readonly KernelProfile[];
}

/**
 * `inner` with a clock around each kernel. Closing either closes both. A kernel's work is done when `run` returns on
 * every backend here, so the time around the call is the time of the work; the checks of its arguments are part of it.
 */
export const profiled = (inner: Backend): ProfiledBackend => {
  const kept = new Map(kernelNames.map((kernel) => [kernel, { kernel, calls: 0, seconds: 0, flops: 0, bytes: 0 }]));
  // Recorded calls bypass `run`: without them every call goes through it.
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
