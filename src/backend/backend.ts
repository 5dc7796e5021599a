import type { DType, HostArray, HostData, ProductDType, RealDType } from "../core/tensors/dtype.ts";
import type { KernelArgs, KernelName } from "./kernels/kernels.ts";

/**
 * A piece of a backend's memory. Only the backend that made it can use it.
 * @experimental
 */
export interface Storage {
  /** Element type. */
  readonly dtype: DType;
  /** In elements. */
  readonly length: number;
}

/**
 * A place in a storage, as kernels take it. `offset` counts elements.
 * @experimental
 */
export interface View {
  /** The memory that it is a part of. */
  readonly storage: Storage;
  /** Its first element in there. */
  readonly offset: number;
}

/** Plain TypeScript, the kernels as WebAssembly, or the kernels compiled for this machine. */
export type BackendName = "reference" | "wasm" | "native";

/** Recorded kernel calls in order, as numbers of the backend that recorded them. */
export interface RecordedCalls {
  readonly owner: object;
  /** With sizes, offsets and integer arguments. `replay` does not check them: a change must keep the calls valid. */
  readonly numbers: Float64Array;
}

/** Recorded calls in branches: none touches what another writes, so they may run beside each other. */
export interface RecordedBranches extends RecordedCalls {
  /** Where the numbers of each branch end. */
  readonly ends: readonly number[];
  /** Threads that run the kernels of a branch. */
  readonly threads: number;
}

/**
 * Properties of an opened backend.
 * @experimental
 */
export interface Capabilities {
  /** The instruction set in use, as "avx512", "simd128", "javascript". */
  readonly instructionSet: string;
  /** Threads that compute, the caller's included. */
  readonly threads: number;
  /** Element type of the operands of matrix products (the linear layers' and attention's). */
  readonly dtype: ProductDType;
  /** Element types of storages that kernels take. */
  readonly real: readonly RealDType[];
  /**
   * Element type of activations and their gradients if a kernel takes either: bfloat16 if products multiply it directly,
   * else the real type.
   */
  readonly activations: RealDType | "bfloat16";
  /**
   * The type of operands that products multiply by tiles: of bfloat16 so fast that recomputing a value can be cheaper than
   * keeping it; float32 as three numbers of bfloat16 for each value. Null: products use no tiles.
   */
  readonly tiles: ProductDType | null;
}

/**
 * Memory of tensors, and the kernels. Passed by value: there is no global backend. Calls take effect in order; `run`
 * may return before its work is done, `read` waits for it.
 *
 * Sizes, element types and offsets of every `run` are checked against `kernels` (calls/check.ts) before memory is
 * touched; a wrong one is a `ShapeError` or `DTypeError`.
 * @experimental
 */
export interface Backend {
  /** Its kind. */
  readonly name: BackendName;
  /** What it can do. */
  readonly capabilities: Capabilities;
  /** Storage of `length` elements, contents undefined. Aligned to 64 bytes on compiled backends. */
  alloc(dtype: DType, length: number): Storage;
  /** Frees the memory for reuse. A freed storage must not be used again (checked). */
  free(storage: Storage): void;
  /**
   * Copies host data in, starting at element `offset`. A storage of bfloat16 takes float32, which is rounded, or 16-bit words
   * of bfloat16, which are taken as they are.
   */
  write(storage: Storage, data: HostData, offset?: number): void;
  /** Copies `length` elements out, starting at `offset`, after all work before it is done. */
  read(storage: Storage, offset?: number, length?: number): Promise<HostArray>;
  /**
   * The elements of a storage themselves, not a copy: for a reader or writer beside the kernels, such as a network. Only until the
   * storage is freed, which this does not notice. Absent where the memory cannot be shown.
   */
  view?(storage: Storage): HostArray;
  /**
   * Runs one kernel: buffers, integers and reals by their names in `kernels`.
   * @throws ShapeError or DTypeError before anything is touched, ConfigError if memory is short
   */
  run<K extends KernelName>(kernel: K, args: KernelArgs<K, View>): void;
  /**
   * Calls `work`, and records its kernel calls instead of running them. Absent, with `replay`, if a recorded call would
   * not be cheaper than a new one.
   */
  record?(work: () => void): RecordedCalls;
  /**
   * Runs recorded calls. It checks only that their buffers are live and long enough.
   * @throws ShapeError for calls of another backend, or a buffer that is freed or too short
   */
  replay?(calls: RecordedCalls): void;
  /**
   * The same calls on other storages, each of the type and of at least the length of the one that it stands for. Absent, with
   * `replayBeside`, if calls cannot run beside each other.
   */
  moved?(calls: RecordedCalls, to: ReadonlyMap<Storage, Storage>): RecordedCalls;
  /**
   * Runs branches of recorded calls beside each other; returns when all have ended.
   * @throws as `replay`; some of the calls have run then
   */
  replayBeside?(branches: RecordedBranches): void;
  /** Bytes held in live storages, for tests of leaks and for reports. */
  bytesInUse(): number;
  /** Bytes taken from the system for storages, including freed memory that is kept for reuse. Absent: as in use. */
  bytesHeld?(): number;
  /** Whether it was closed. Its storages are all freed then; it refuses to free one again. */
  isClosed(): boolean;
  /** Stops threads and frees all memory. Safe to call twice. */
  close(): Promise<void>;
}
