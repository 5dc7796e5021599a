import type { DType, HostArray, HostData, ProductDType, RealDType } from "../core/tensors/dtype.ts";
import type { KernelArgs, KernelName } from "./kernels/kernels.ts";

/**
 * A block of a backend's memory. Only the backend that created it can use it.
 * @experimental
 */
export interface Storage {
  /** Element type. */
  readonly dtype: DType;
  /** In elements. */
  readonly length: number;
}

/**
 * A position in a storage, as kernels take it. `offset` counts elements.
 * @experimental
 */
export interface View {
  /** The storage. */
  readonly storage: Storage;
  /** Index of its first element in the storage. */
  readonly offset: number;
}

/** Plain TypeScript, the kernels as WebAssembly, or the kernels compiled for this machine. */
export type BackendName = "reference" | "wasm" | "native";

/** Recorded kernel calls in order, encoded as numbers by the backend that recorded them. */
export interface RecordedCalls {
  readonly owner: object;
  /**
   * Sizes, offsets and integer arguments of the calls. `replay` does not check them, so a change must keep the calls
   * valid.
   */
  readonly numbers: Float64Array;
}

/** Branches of recorded calls that may run in parallel: no branch touches memory that another one writes. */
export interface RecordedBranches extends RecordedCalls {
  /** End of each branch in the recorded numbers. */
  readonly ends: readonly number[];
  /** Number of threads that run the kernels of one branch. */
  readonly threads: number;
}

/**
 * Properties of an opened backend.
 * @experimental
 */
export interface Capabilities {
  /** Instruction set in use, for example "avx512", "simd128" or "javascript". */
  readonly instructionSet: string;
  /** Number of threads that compute, including the calling thread. */
  readonly threads: number;
  /** Number format of the operands of matrix products, in linear layers and attention. */
  readonly dtype: ProductDType;
  /** Element types of real-valued storages that kernels accept. */
  readonly real: readonly RealDType[];
  /**
   * Element type of activations and their gradients where kernels accept both: bfloat16 if products multiply it
   * directly, else the real type.
   */
  readonly activations: RealDType | "bfloat16";
  /**
   * Number format that tiles (AMX) multiply; null: products use no tiles. bfloat16 is so fast that recomputing a value
   * can cost less than storing it. float32 is split into three bfloat16 numbers per value.
   */
  readonly tiles: ProductDType | null;
}

/**
 * Memory of tensors, and kernels that compute on it. Backends are passed by value: there is no global backend. Calls
 * take effect in order. `run` may return before its work is done; `read` waits for it.
 * `run` checks sizes, element types and offsets against the kernel table (calls/check.ts) before it touches memory, and
 * throws a `ShapeError` or `DTypeError` if they are wrong.
 * @experimental
 */
export interface Backend {
  /** Its kind. */
  readonly name: BackendName;
  /** Properties and abilities of the backend. */
  readonly capabilities: Capabilities;
  /** Allocates a storage of `length` elements with undefined contents. Compiled backends align it to 64 bytes. */
  alloc(dtype: DType, length: number): Storage;
  /** Frees the memory for reuse. Using a freed storage throws. */
  free(storage: Storage): void;
  /**
   * Copies host data in, starting at element `offset`. A bfloat16 storage accepts float32, which it rounds, or 16-bit
   * bfloat16 words, which it copies.
   */
  write(storage: Storage, data: HostData, offset?: number): void;
  /** Copies `length` elements to the host, starting at `offset`, after all earlier work is done. */
  read(storage: Storage, offset?: number, length?: number): Promise<HostArray>;
  /**
   * A view of a storage's elements, not a copy, for access without kernels, for example by a network. Do not use it
   * after the storage is freed: this is not checked. Absent if the backend cannot provide views.
   */
  view?(storage: Storage): HostArray;
  /**
   * Runs one kernel. Buffers, integers and reals are named as in `kernels`.
   * @throws ShapeError or DTypeError before anything is touched, ConfigError if memory is short
   */
  run<K extends KernelName>(kernel: K, args: KernelArgs<K, View>): void;
  /**
   * Calls `work` and records its kernel calls instead of running them. Backends where replaying is not cheaper than
   * calling have neither this nor `replay`.
   */
  record?(work: () => void): RecordedCalls;
  /**
   * Runs recorded calls. It checks only that their buffers are live and long enough.
   * @throws ShapeError for calls of another backend, or a buffer that is freed or too short
   */
  replay?(calls: RecordedCalls): void;
  /**
   * Copies recorded calls, with other storages. Each new storage has the type of the one it replaces and at least its
   * length. Backends that cannot run calls in parallel have neither this nor `replayBeside`.
   */
  moved?(calls: RecordedCalls, to: ReadonlyMap<Storage, Storage>): RecordedCalls;
  /**
   * Runs branches of recorded calls in parallel; returns when all have ended.
   * @throws the errors of `replay`; some of the calls have run by then
   */
  replayBeside?(branches: RecordedBranches): void;
  /** Number of bytes in live storages, for leak tests and reports. */
  bytesInUse(): number;
  /**
   * Number of bytes taken from the system for storages, including freed memory kept for reuse. Absent: the same as
   * `bytesInUse`.
   */
  bytesHeld?(): number;
  /** Whether the backend was closed. Closing frees all storages; freeing one afterwards throws. */
  isClosed(): boolean;
  /** Stops threads and frees all memory. Safe to call twice. */
  close(): Promise<void>;
}
