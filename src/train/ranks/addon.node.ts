/** The addon that connects ranks by MPI (native/mpi.cc), where it was built. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { UnsupportedKernelError } from "../../core/errors.ts";

/** This rank, as MPI knows it. */
export interface Joined {
  readonly rank: number;
  readonly size: number;
  /** Ranks of this machine. */
  readonly localSize: number;
  /** Cores of this machine for this rank: those that several ranks may use are shared out. */
  readonly cores: number;
}

/** An array that MPI reads or writes. It must not be touched before the promise is settled. */
export type Bytes = Uint8Array | Float32Array | Float64Array;

export interface Sent {
  readonly bytes: number;
  readonly messages: number;
}

/**
 * Exports of native/mpi.cc. All ranks call the same commands in the same order; several are under way at a time.
 * Each message arrives $FORETOKEN_MPI_DELAY microseconds later, if that is set.
 */
export interface MpiAddon {
  /** Initialises MPI, once in a process. */
  start(): Promise<Joined>;
  /** Sends to a rank and receives from it. */
  exchange(rank: number, sent: Bytes, received: Bytes): Promise<void>;
  /** Fills the array on every rank with that of `root`. */
  broadcast(root: number, array: Bytes): Promise<void>;
  /**
   * Replaces the elements of the rank's own ranges by their sums over all ranks; those of other ranges are sums
   * over some ranks then.
   * @param ranges `from`, `to` and the owning rank of each range, one after the other: the same on all ranks.
   */
  reduceScatter(array: Float32Array, ranges: Float64Array): Promise<void>;
  /** Fills each range with its owner's elements. @param ranges as for `reduceScatter`. */
  allGather(array: Float32Array, ranges: Float64Array): Promise<void>;
  /** Replaces the floats by their sums over all ranks, in an order that MPI chooses: for comparison. */
  allReduce(array: Float32Array): Promise<void>;
  /** What this rank has sent so far: in sums and exchanges, and in broadcasts that it is the root of. */
  sent(): Sent;
  /** Waits for all ranks. */
  barrier(): Promise<void>;
  /** Waits for all ranks and ends MPI. */
  finalise(): Promise<void>;
  /** The status with which all ranks end if this thread ends before `finalise`. */
  abortAtEnd(status: number): void;
}

const file = fileURLToPath(new URL(`foretoken-mpi.${process.platform}-${process.arch}.node`, import.meta.url));

/** Whether the addon was built. */
export const hasMpi = (): boolean => existsSync(file);

/** @throws UnsupportedKernelError if the addon is missing or cannot be loaded. */
export const loadMpi = (): MpiAddon => {
  const where = "mpirun";
  const hint = "npm run build:mpi, with MPI installed (Debian: libopenmpi-dev openmpi-bin)";
  if (!hasMpi()) {
    throw new UnsupportedKernelError({ where, must: "the MPI addon must be built", got: "no such file", hint });
  }
  try {
    return createRequire(import.meta.url)(file) as MpiAddon;
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new UnsupportedKernelError({ where, must: "the MPI addon must load", got, hint, cause });
  }
};
