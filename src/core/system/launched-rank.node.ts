/** Whether this process is a rank that an MPI launcher has started, as its environment tells. */

/** A rank's number and the number of ranks, before MPI is initialised. */
export interface Launched {
  readonly rank: number;
  readonly size: number;
}

/**
 * Names of a rank's number and the number of ranks, by launcher. Slurm's own numbers are not enough: `srun` gives them to
 * tasks that have nothing to do with each other too.
 */
const names = [
  // Open MPI's mpirun.
  ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"],
  // MPICH's mpirun, and srun --mpi=pmi2.
  ["PMI_RANK", "PMI_SIZE"],
  // srun --mpi=pmix.
  ["PMIX_RANK", "SLURM_STEP_NUM_TASKS"],
] as const;

const countOf = (value: string | undefined): number =>
  value === undefined || value === "" ? Number.NaN : Number(value);

/** @returns null for a process of its own, and for the only rank. */
export const launchedRank = (env: NodeJS.ProcessEnv = process.env): Launched | null => {
  for (const [rankName, sizeName] of names) {
    const [rank, size] = [countOf(env[rankName]), countOf(env[sizeName])];
    if (Number.isInteger(rank) && Number.isInteger(size) && rank >= 0 && rank < size && size > 1) return { rank, size };
  }
  return null;
};

/** Whether an MPI launcher has started this process, be it the only rank. */
export const hasLauncher = (env: NodeJS.ProcessEnv = process.env): boolean =>
  names.some(([rankName]) => env[rankName] !== undefined);

/** Whether Open MPI's mpirun ends ranks about a second after a signal, saved or not: its default. */
export const endsRanksSoon = (env: NodeJS.ProcessEnv = process.env): boolean =>
  env.OMPI_COMM_WORLD_RANK !== undefined && env.OMPI_MCA_odls_base_sigkill_timeout === undefined;

/** Tasks that `srun` has started without MPI, if this is the first of several: each of them is a process of its own. */
export const separateTasks = (env: NodeJS.ProcessEnv = process.env): number | undefined => {
  const tasks = countOf(env.SLURM_STEP_NUM_TASKS);
  if (!(tasks > 1) || env.SLURM_PROCID !== "0") return undefined;
  return hasLauncher(env) ? undefined : tasks;
};
