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
 * The start of a buffer in a storage. Kernels take such positions as arguments. `offset` counts elements.
 * @experimental
 */
export interface View {
  /** The storage. */
  readonly storage: Storage;
  /** Index of the buffer's first element in the storage. */
  readonly offset: number;
}

/** The backends: plain TypeScript, kernels compiled to WebAssembly, or kernels compiled for this machine. */
export type BackendName = "reference" | "wasm" | "native";

/** Recorded kernel calls, in order. The backend that recorded the calls encodes them as numbers. */
export interface RecordedCalls {
  readonly owner: object;
  /**
   * Sizes, offsets and integer arguments of the calls. `replay` does not check these numbers. Code that changes the
   * numbers must keep the calls valid.
   */
  readonly numbers: Float64Array;
}

/** Recorded calls in branches that may run in parallel. A branch never uses memory that another branch writes. */
export interface RecordedBranches extends RecordedCalls {
  /** Where each branch ends in the recorded numbers. */
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
   * Element type of activations and their gradients, for kernels that accept both types. The type is bfloat16 if
   * products multiply bfloat16 directly, otherwise the real type.
   */
  readonly activations: RealDType | "bfloat16";
  /**
   * Number format that tiles (AMX) multiply. If null, products use no tiles. Products of bfloat16 are so fast that
   * computing a value again can take less time than storing it. For float32 products, each value is split into three
   * bfloat16 numbers.
   */
  readonly tiles: ProductDType | null;
}

/**
 * A backend holds the memory of tensors and runs kernels on this memory. Callers pass the backend as a value: there is
 * no global backend. Calls take effect in order. `run` may return before its work is done; `read` waits for that work.
 * Before `run` touches memory, it checks sizes, element types and offsets against the kernel table (calls/check.ts). If
 * they are wrong, it throws a `ShapeError` or `DTypeError`.
 * @experimental
 */
export interface Backend {
  /** Its kind. */
  readonly name: BackendName;
  /** Properties of the backend. */
  readonly capabilities: Capabilities;
  /**
   * Allocates a storage of `length` elements. The contents are undefined. Compiled backends align it to 64 bytes.
   * @param gradually whether the storage is filled from its beginning, perhaps never to its end. The part without
   * contents then takes almost no memory, if the system allows it. Default false.
   */
  alloc(dtype: DType, length: number, gradually?: boolean): Storage;
  /**
   * Frees the storage. Using a freed storage throws.
   * @param keepsMemory whether the backend may keep the memory for a later storage of this size. False: the memory goes
   * back to the system, because no later storage has this size. Default true.
   */
  free(storage: Storage, keepsMemory?: boolean): void;
  /**
   * Copies host data into the storage, starting at element `offset`. A bfloat16 storage accepts float32, which it
   * rounds, or 16-bit bfloat16 words, which it copies.
   */
  write(storage: Storage, data: HostData, offset?: number): void;
  /** Waits until all earlier work is done, then copies `length` elements, starting at `offset`, to the host. */
  read(storage: Storage, offset?: number, length?: number): Promise<HostArray>;
  /**
   * A view of a storage's elements, not a copy. Code that uses no kernels reads or writes the elements through this
   * view; an example is code that sends them over a network. Do not use the view after the storage is freed: this is
   * not checked. Absent if the backend cannot provide views.
   */
  view?(storage: Storage): HostArray;
  /**
   * Runs one kernel. Buffers, integers and reals are named as in `kernels`.
   * @throws ShapeError or DTypeError before anything is touched, ConfigError if memory is short
   */
  run<K extends KernelName>(kernel: K, args: KernelArgs<K, View>): void;
  /**
   * Calls `work` and records its kernel calls instead of running them. If replaying takes as long as calling, a backend
   * has neither `record` nor `replay`.
   */
  record?(work: () => void): RecordedCalls;
  /**
   * Runs recorded calls. The call checks only that the buffers of the calls are live and long enough.
   * @throws ShapeError for calls of another backend, or a buffer that is freed or too short
   */
  replay?(calls: RecordedCalls): void;
  /**
   * Copies recorded calls and replaces their storages. Each new storage has the same type as the storage that it
   * replaces, and at least its length. Backends that cannot run calls in parallel have neither this method nor
   * `replayBeside`.
   */
  moved?(calls: RecordedCalls, to: ReadonlyMap<Storage, Storage>): RecordedCalls;
  /**
   * Runs branches of recorded calls in parallel, and returns when all branches have ended.
   * @throws the errors of `replay`; some of the calls have run by then
   */
  replayBeside?(branches: RecordedBranches): void;
  /** Number of bytes in live storages, for leak tests and reports. */
  bytesInUse(): number;
  /**
   * Number of bytes that the backend has taken from the system for storages. The number includes freed memory that is
   * kept for later use. If absent, the number is the same as `bytesInUse`.
   */
  bytesHeld?(): number;
  /** Whether the backend was closed. Closing frees all storages. Freeing a storage afterwards throws. */
  isClosed(): boolean;
  /** Stops threads and frees all memory. Safe to call twice. */
  close(): Promise<void>;
}
