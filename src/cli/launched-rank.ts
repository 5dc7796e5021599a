/** Whether this process is a rank that an MPI launcher has started, as its environment tells. */

/** A rank's number and the number of ranks, before MPI is initialised. */
export interface Launched {
  readonly rank: number;
  readonly size: number;
}

/** Names of a rank's number and the number of ranks: Open MPI's, then those of MPICH and Slurm. */
const names = [
  ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"],
  ["PMI_RANK", "PMI_SIZE"],
] as const;

/** @returns null for a process of its own, and for the only rank. */
export const launchedRank = (env: NodeJS.ProcessEnv = process.env): Launched | null => {
  for (const [rankName, sizeName] of names) {
    const [rank, size] = [Number(env[rankName] ?? Number.NaN), Number(env[sizeName] ?? Number.NaN)];
    if (Number.isInteger(rank) && Number.isInteger(size) && rank >= 0 && rank < size && size > 1) return { rank, size };
  }
  return null;
};
