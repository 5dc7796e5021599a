/** The addon that connects ranks by MPI (native/mpi.cc), where it was built. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { UnsupportedKernelError } from "../../core/errors/errors.ts";

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
  /** What the MPI library says of itself and its version. */
  library(): string;
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
   * @param urgent whether it is waited for: else it takes less from the core that computes meanwhile.
   */
  reduceScatter(array: Float32Array, ranges: Float64Array, urgent: boolean): Promise<void>;
  /** Fills each range with its owner's elements. Parameters as for `reduceScatter`. */
  allGather(array: Float32Array, ranges: Float64Array, urgent: boolean): Promise<void>;
  /** Replaces the floats by their sums over all ranks, in an order that MPI chooses: for comparison. */
  allReduce(array: Float32Array): Promise<void>;
  /** What this rank has sent so far: in sums and exchanges, and in broadcasts that it is the root of. */
  sent(): Sent;
  /** Waits for all ranks. */
  barrier(): Promise<void>;
  /**
   * Waits for all ranks and ends MPI.
   * @param patience seconds after which all ranks end with an error, since some have not come; 0: never.
   */
  finalise(patience: number): Promise<void>;
  /** Ends sums that are under way with an error, and those that come: their arrays may then be freed. */
  dropSharings(): void;
  /** The status with which all ranks end if this thread ends before `finalise`. */
  abortAtEnd(status: number): void;
  /**
   * Ends this process at once, and with it all ranks: inside MPI_Init and MPI_Finalize nothing else does.
   * @param line for standard error, after "foretoken: ".
   */
  endProcess(line: string): void;
  /**
   * Numbers that JavaScript and the thread of MPI share (native/mpi/life.h). JavaScript writes ticks, whether they are watched
   * (0, 1: to learn how long a silence may be, 2), and after how many seconds of silence all ranks end (0: never). The thread
   * writes whether it is inside MPI_Init (1) or MPI_Finalize (2), where no heartbeats go.
   */
  signs(): Int32Array;
}

const file = fileURLToPath(new URL(`foretoken-mpi.${process.platform}-${process.arch}.node`, import.meta.url));

/** Whether the addon was built. */
export const hasMpi = (): boolean => existsSync(file);

/**
 * Settings of UCX, by which MPICH and others send; a user's own win. When it is loaded, it moves the end of the heap and back,
 * and patches the C library, as if there were no other threads: a page of theirs was lost. And its handler of a crash can
 * wait for ever. It reads them from the process's environment, which the main thread alone can change.
 */
export const setUcx = (): void => {
  process.env.UCX_MEM_EVENTS ??= "n";
  process.env.UCX_HANDLE_ERRORS ??= "none";
};

/** The command that builds the addon, in a clone and beside an installed package. */
export const buildMpiCommand = (): string =>
  `node ${relative(process.cwd(), fileURLToPath(new URL("../../../scripts/build/mpi.mjs", import.meta.url)))}`;

/** @throws UnsupportedKernelError if the addon is missing or cannot be loaded. */
export const loadMpi = (): MpiAddon => {
  const where = "mpirun";
  const hint = `${buildMpiCommand()}, with MPI installed (Debian: libopenmpi-dev openmpi-bin)`;
  if (!hasMpi()) {
    throw new UnsupportedKernelError({ where, must: "the MPI addon must be built", got: "no such file", hint });
  }
  setUcx();
  try {
    return createRequire(import.meta.url)(file) as MpiAddon;
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new UnsupportedKernelError({ where, must: "the MPI addon must load", got, hint, cause });
  }
};

/** Name and version of the addon's MPI library. @throws UnsupportedKernelError if the addon cannot be loaded. */
export const mpiLibrary = (): string => {
  // "Open MPI v4.1.4, package: …", or "MPICH Version:\t4.0.2" and more lines.
  const [name = ""] = loadMpi().library().split(/[,\n]/u);
  return name.replace(/\s*Version:\s*/u, " ").trim();
};
