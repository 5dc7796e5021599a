/** The native addon that connects ranks by MPI (native/mpi.cc). It exists only where it was built. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { UnsupportedKernelError } from "../../core/errors/errors.ts";

/** This rank's place among all ranks, as MPI reports it. */
export interface Joined {
  readonly rank: number;
  readonly size: number;
  /** Number of ranks on this machine. */
  readonly localSize: number;
  /** Number of this machine's cores for this rank. Cores that several ranks may use are divided among them. */
  readonly cores: number;
}

/** An array that MPI reads or writes. Do not touch it before the promise is settled. */
export type Bytes = Uint8Array | Float32Array | Float64Array;

export interface Sent {
  readonly bytes: number;
  readonly messages: number;
}

/**
 * Exports of native/mpi.cc. All ranks call the same commands in the same order; several commands may be in progress at
 * a time. If $FORETOKEN_MPI_DELAY is set, each message arrives that many microseconds later.
 */
export interface MpiAddon {
  /** Name and version of the MPI library, as the library itself gives them. */
  library(): string;
  /** Initialises MPI. Call it once per process. */
  start(): Promise<Joined>;
  /** Sends to a rank and receives from it. */
  exchange(rank: number, sent: Bytes, received: Bytes): Promise<void>;
  /** Copies the array of `root` into the array of every rank. */
  broadcast(root: number, array: Bytes): Promise<void>;
  /**
   * Replaces the elements in the rank's own ranges by their sums over all ranks. Ranges of other ranks then hold
   * partial sums.
   * @param ranges three numbers for each range: `from`, `to` and the owning rank. All ranks pass equal numbers.
   * @param urgent whether the caller waits for the result. If not, the call takes less time from the core, which
   * computes meanwhile.
   */
  reduceScatter(array: Float32Array, ranges: Float64Array, urgent: boolean): Promise<void>;
  /** Fills each range with the elements of its owner. Parameters as for `reduceScatter`. */
  allGather(array: Float32Array, ranges: Float64Array, urgent: boolean): Promise<void>;
  /** Replaces the floats by their sums over all ranks, in an order that MPI chooses. Used for comparison only. */
  allReduce(array: Float32Array): Promise<void>;
  /**
   * Bytes and messages that this rank has sent so far: in sums, in exchanges, and in broadcasts with this rank as root.
   */
  sent(): Sent;
  /** Waits for all ranks. */
  barrier(): Promise<void>;
  /**
   * Waits for all ranks and ends MPI.
   * @param patience seconds to wait for the other ranks; after that all ranks end with an error. 0 means no limit.
   */
  finalise(patience: number): Promise<void>;
  /** Ends all current and later sums with an error. Afterwards the arrays of these sums may be freed. */
  dropSharings(): void;
  /** Sets the exit status of all ranks if this thread ends before `finalise`. */
  abortAtEnd(status: number): void;
  /**
   * Ends this process at once, and all other ranks with it. Nothing else can end it inside MPI_Init and MPI_Finalize.
   * @param line text for standard error, after "foretoken: ".
   */
  endProcess(line: string): void;
  /**
   * Numbers that JavaScript and the MPI thread share (native/mpi/life.h). JavaScript writes three numbers:
   *
   * - a tick counter
   * - the watch mode: 0 for off, 1 to learn the longest silence, 2 to watch
   * - the seconds of silence after which all ranks end; 0 for never
   *
   * The MPI thread writes 1 while it is inside MPI_Init and 2 while it is inside MPI_Finalize. During these calls no
   * heartbeats are sent.
   */
  signs(): Int32Array;
}

const file = fileURLToPath(new URL(`foretoken-mpi.${process.platform}-${process.arch}.node`, import.meta.url));

/** Whether the addon was built. */
export const hasMpi = (): boolean => existsSync(file);

/**
 * Sets defaults for UCX, the transport of MPICH and other libraries. Values that the user has set stay. When UCX is
 * loaded, it moves the end of the heap and back, and patches the C library. It does this without regard for other
 * threads, and a thread has lost a page of memory this way. UCX's crash handler can also wait for ever. UCX reads the
 * process's environment, which only the main thread can change.
 */
export const setUcx = (): void => {
  process.env.UCX_MEM_EVENTS ??= "n";
  process.env.UCX_HANDLE_ERRORS ??= "none";
};

/** The command that builds the addon, in a clone or for an installed package. */
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
  // Examples of the text: "Open MPI v4.1.4, package: …", or "MPICH Version:\t4.0.2" and more lines.
  const [name = ""] = loadMpi().library().split(/[,\n]/u);
  return name.replace(/\s*Version:\s*/u, " ").trim();
};
