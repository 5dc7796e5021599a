import type { DType, HostArray, ProductDType, RealDType } from "../core/dtype.ts";
import type { KernelArgs, KernelName } from "./kernels/kernels.ts";

/** A piece of a backend's memory. Only the backend that made it can use it. */
export interface Storage {
  readonly dtype: DType;
  /** In elements. */
  readonly length: number;
}

/** A place in a storage: what kernels take. `offset` counts elements. */
export interface View {
  readonly storage: Storage;
  readonly offset: number;
}

/** What serves: plain TypeScript, the kernels as WebAssembly, or compiled for this machine. */
export type BackendName = "reference" | "wasm" | "native";

/** Kernel calls in the order they were made in, as numbers of the backend that noted them. */
export interface RecordedCalls {
  readonly owner: object;
  /** Sizes, offsets and integer arguments among them. Whoever changes one answers for what then runs. */
  readonly numbers: Float64Array;
}

/** What a backend has opened with. */
export interface Capabilities {
  /** The instruction set in use, as "avx512", "simd128", "javascript". */
  readonly instructionSet: string;
  readonly threads: number;
  /** What the operands of matrix products (the linear layers' and attention's) are rounded to. */
  readonly dtype: ProductDType;
  /** Element types of storages that kernels take. */
  readonly real: readonly RealDType[];
  /**
   * Element type of activations and their gradients where a kernel takes either: bfloat16 where that is what products are
   * multiplied from, else the real type.
   */
  readonly activations: RealDType | "bfloat16";
  /** Whether products go by tiles: so fast that what can be computed twice need not be kept. */
  readonly tiles: boolean;
}

/**
 * Where tensors live and kernels run. Passed by value: there is no global one. Calls take effect in order; `run`
 * may return before its work is done, `read` waits for it.
 *
 * Sizes, element types and offsets of every `run` are checked against `kernels` (calls/check.ts) before memory is touched;
 * a wrong one is a `ShapeError` or `DTypeError`.
 */
export interface Backend {
  readonly name: BackendName;
  readonly capabilities: Capabilities;
  /** Storage of `length` elements, contents undefined. Aligned to 64 bytes on compiled backends. */
  alloc(dtype: DType, length: number): Storage;
  /** Gives the memory back for reuse. A freed storage must not be used again (checked). */
  free(storage: Storage): void;
  /** Copies host data in, starting at element `offset`. For a storage of bfloat16 it is float32, and rounded. */
  write(storage: Storage, data: HostArray, offset?: number): void;
  /** Copies `length` elements out, starting at `offset`, after all work before it is done. */
  read(storage: Storage, offset?: number, length?: number): Promise<HostArray>;
  /**
   * Runs one kernel: buffers, integers and reals by their names in `kernels`.
   * @throws ShapeError or DTypeError before anything is touched, ConfigError for want of memory
   */
  run<K extends KernelName>(kernel: K, args: KernelArgs<K, View>): void;
  /**
   * Does `work`, and notes the kernels that it calls in place of running them. Absent, with `replay`, where a noted call
   * would cost no less than a new one.
   */
  record?(work: () => void): RecordedCalls;
  /**
   * Runs noted calls, checked for nothing but that their buffers are live and long enough.
   * @throws ShapeError for calls of another backend, or a buffer that is neither
   */
  replay?(calls: RecordedCalls): void;
  /** Bytes held in live storages, for tests of leaks and for reports. */
  bytesInUse(): number;
  /** Bytes that it has taken from the system for storages, freed ones that it keeps for reuse included. Absent: as in use. */
  bytesHeld?(): number;
  /** Stops threads and frees all memory. Safe to call twice. */
  close(): Promise<void>;
}
