import { bytesPerElement, type DType, hostArray } from "../core/dtype.ts";
import type { Backend, Capabilities, Storage } from "./backend.ts";

/** What of a backend decides how much memory work takes there. */
export type MemoryKind = Pick<Capabilities, "activations" | "tiles">;

/** A backend that has no memory and computes nothing, but counts what would be taken. */
export interface CountingBackend extends Backend {
  /** The most bytes that were in live storages at one time. */
  peakBytes(): number;
}

/**
 * Opens one. Work that runs on it takes and frees what it would on a real backend, in no time: this says how much memory
 * the work needs. What is read is all zeros, so no work may depend on values.
 * @param kind what decides about memory on the backend that it stands for.
 */
export const openCounting = (kind: MemoryKind = { activations: "float32", tiles: false }): CountingBackend => {
  const { activations, tiles } = kind;
  let bytes = 0;
  let peak = 0;
  const sizeOf = ({ dtype, length }: Storage): number => length * bytesPerElement[dtype];
  return {
    name: "reference",
    capabilities: { instructionSet: "none", threads: 1, dtype: "float32", real: ["float32"], activations, tiles },
    alloc(dtype: DType, length: number) {
      const storage = { dtype, length };
      bytes += sizeOf(storage);
      peak = Math.max(peak, bytes);
      return storage;
    },
    free(storage) {
      bytes -= sizeOf(storage);
    },
    write() {},
    async read({ dtype, length: all }, offset = 0, length = all - offset) {
      return hostArray(dtype, length);
    },
    run() {},
    bytesInUse: () => bytes,
    peakBytes: () => peak,
    async close() {},
  };
};
