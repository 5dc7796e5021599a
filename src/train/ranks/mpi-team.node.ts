/** A team made of the ranks of an MPI launcher; together they train one model. */
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { deserialize, serialize } from "node:v8";
import type { Backend } from "../../backend/backend.ts";
import { ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { launchedRank } from "../../core/system/launched-rank.node.ts";
import type { OwnedRange, RunTeam } from "../../trainer/team.ts";
import { buildMpiCommand, type Joined, loadMpi, type MpiAddon, mpiLibrary } from "./addon.node.ts";
import { foldOverRanks, gatherOverRanks } from "./fold.ts";
import { checkSameFacts, type RankFacts, type RankOptions } from "./meeting.ts";
import { createSigns } from "./signs.node.ts";

/** A team of ranks, from the beginning of a run to its end. */
export interface MpiTeam extends RunTeam {
  /** Number of ranks on this machine. */
  readonly localSize: number;
  /** Default number of threads. */
  readonly threads: number;
  /** Compares the options of all ranks. @throws ConfigError that names the first difference. */
  compare(options: RankOptions): Promise<void>;
  /** Compares the facts of all ranks, and so waits for all. @throws ConfigError that names the first difference. */
  meet(facts: RankFacts): Promise<void>;
  /** Waits for all ranks. */
  wait(): Promise<void>;
  /** Wraps the backend of this rank's run: each call counts as a sign that the rank is alive. */
  counted(backend: Backend): Backend;
  /**
   * Leaves MPI when all ranks have ended well.
   * @param early whether this rank leaves before the run's end. If so, all ranks end with an error, unless the others
   * leave too.
   */
  leave(early: boolean): Promise<void>;
  /** Reports that this rank failed: all ranks end when this thread ends. */
  fail(error: unknown): void;
}

/** Seconds that the other ranks have to leave, after one rank left early. */
const earlyPatience = 5;

/** Maximum number of bytes of one message. */
const bytesAtATime = 2 ** 24;

/** Sends a value of rank `root` to every rank. */
const broadcastValue = async (mpi: MpiAddon, { rank }: Joined, root: number, value: unknown): Promise<unknown> => {
  const ours = rank === root ? new Uint8Array(serialize(value)) : new Uint8Array(0);
  const length = Float64Array.of(ours.length);
  await mpi.broadcast(root, length);
  const bytes = rank === root ? ours : new Uint8Array(length[0] ?? 0);
  for (let at = 0; at < bytes.length; at += bytesAtATime) {
    await mpi.broadcast(root, bytes.subarray(at, at + bytesAtATime));
  }
  return deserialize(bytes) as unknown;
};

/** Converts ranges to the addon's form. */
const numbersOf = (ranges: readonly OwnedRange[]): Float64Array =>
  Float64Array.from(ranges.flatMap(({ from, to, owner }) => [from, to, owner]));

const checkSize = ({ size }: Joined): void => {
  const launched = launchedRank();
  // An MPI library that does not know the launcher treats each process as a run of one rank.
  if (launched !== null && launched.size !== size) {
    throw new ConfigError({
      where: "mpirun",
      must: `the addon's MPI must be the launcher's MPI, which started ${launched.size} ranks`,
      got: `${size} in ${mpiLibrary()}`,
      hint: `${buildMpiCommand()} with the launcher's mpicxx, or under Slurm --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH)`,
    });
  }
  if (Number.isInteger(Math.log2(size))) return;
  throw new ConfigError({
    where: "mpirun",
    must: "the number of ranks must be a power of two",
    got: String(size),
    hint: `-n ${2 ** Math.floor(Math.log2(size))}`,
  });
};

/** Version of the package: ranks with different versions may compute different results. */
export const packageVersion = (): string =>
  (JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as { readonly version: string })
    .version;

/**
 * Initialises MPI and joins the other ranks.
 * @param signal asks this rank to stop; then all ranks stop after the same step.
 * @throws UnsupportedKernelError if the addon is missing; ConfigError if the number of ranks is not a power of two, or
 * FORETOKEN_RANK_TIMEOUT is not a valid number.
 */
export const joinTeam = async (signal: AbortSignal | undefined): Promise<MpiTeam> => {
  const mpi = loadMpi();
  const signs = createSigns(mpi);
  const joined = await mpi.start().catch((cause: unknown) => {
    throw new ConfigError({
      where: "mpi",
      must: "MPI must start, once per process",
      got: cause instanceof Error ? cause.message : String(cause),
      hint: "one process per run",
      cause,
    });
  });
  const { rank, size, localSize, cores } = joined;
  const agreement = new AbortController();
  const agree = (asked: boolean): void => {
    if (asked) agreement.abort();
  };
  const fail = (error: unknown): void => mpi.abortAtEnd(error instanceof ForetokenError ? 2 : 1);
  try {
    checkSize(joined);
  } catch (error) {
    fail(error);
    throw error;
  }
  const collect = async <T>(value: T): Promise<readonly T[]> => {
    const all: T[] = [];
    for (let root = 0; root < size; root++) all.push((await broadcastValue(mpi, joined, root, value)) as T);
    return all;
  };
  // The second call means that the first step is done.
  let hasTotalled = false;
  return {
    rank,
    size,
    localSize,
    threads: Math.max(1, Math.floor(cores + 1e-6)),
    asked: signal,
    agreed: size === 1 ? signal : agreement.signal,
    reduceScatter: (array, ranges, urgent) => mpi.reduceScatter(array, numbersOf(ranges), urgent),
    allGather: (array, ranges) => mpi.allGather(array, numbersOf(ranges), true),
    giveUp: () => mpi.dropSharings(),
    async total(value) {
      if (hasTotalled) signs.watch();
      hasTotalled = true;
      const [total = Number.NaN, stops] = await foldOverRanks(
        joined,
        mpi.exchange,
        Float64Array.of(value, signal?.aborted === true ? 1 : 0),
        ([a = 0, stop = 0], [b = 0, stopToo = 0]) => Float64Array.of(a + b, stop + stopToo),
      );
      agree(stops !== 0);
      return total;
    },
    async fromFirst<T>(compute: () => Promise<T>): Promise<T> {
      const result = rank === 0 ? await compute() : undefined;
      const sent = { result, stops: rank === 0 && signal?.aborted === true };
      const told = (await broadcastValue(mpi, joined, 0, sent)) as { readonly result: T; readonly stops: boolean };
      agree(told.stops);
      return rank === 0 ? (result as T) : told.result;
    },
    async gather(values) {
      const sent = new Float64Array([signal?.aborted === true ? 1 : 0, ...values]);
      const all = await gatherOverRanks(joined, mpi.exchange, sent);
      agree(all.some(([stops]) => stops !== 0));
      return all.map((one) => one.subarray(1));
    },
    collect,
    async compare(options) {
      checkSameFacts(await collect(options));
    },
    async meet(facts) {
      checkSameFacts(await collect(facts));
      signs.learn();
    },
    wait: () => mpi.barrier(),
    counted: signs.counted,
    async leave(early) {
      const left = mpi.finalise(early ? earlyPatience : 0).then(signs.end);
      if (!early) return left;
      // If the other ranks stay, all ranks end with an error. Until then this program continues, and can print why it
      // left.
      await Promise.race([left.catch(() => {}), setTimeout(1000, undefined, { ref: false })]);
    },
    fail(error) {
      signs.end();
      fail(error);
    },
  };
};
