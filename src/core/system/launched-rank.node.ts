/** Detects from the environment whether an MPI launcher started this process as a rank. */

/** A rank's number and the number of ranks, known before MPI is initialised. */
export interface Launched {
  readonly rank: number;
  readonly size: number;
}

/**
 * Environment variables that contain the number of a rank and the number of ranks, for each launcher. Slurm's own
 * variables do not suffice, because `srun` also sets them for independent tasks.
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

/** @returns null if no launcher started this process, or if this process is the only rank. */
export const launchedRank = (env: NodeJS.ProcessEnv = process.env): Launched | null => {
  for (const [rankName, sizeName] of names) {
    const [rank, size] = [countOf(env[rankName]), countOf(env[sizeName])];
    if (Number.isInteger(rank) && Number.isInteger(size) && rank >= 0 && rank < size && size > 1) return { rank, size };
  }
  return null;
};

/** Whether an MPI launcher started this process, even as the only rank. */
export const hasLauncher = (env: NodeJS.ProcessEnv = process.env): boolean =>
  names.some(([rankName]) => env[rankName] !== undefined);

/**
 * Whether Open MPI's mpirun kills ranks about a second after a signal, even if they have not saved yet. By default it
 * does.
 */
export const endsRanksSoon = (env: NodeJS.ProcessEnv = process.env): boolean =>
  env.OMPI_COMM_WORLD_RANK !== undefined && env.OMPI_MCA_odls_base_sigkill_timeout === undefined;

/**
 * Number of tasks that `srun` started without MPI, if this process is the first of several tasks. Each task is an
 * independent process.
 */
export const separateTasks = (env: NodeJS.ProcessEnv = process.env): number | undefined => {
  const tasks = countOf(env.SLURM_STEP_NUM_TASKS);
  if (!(tasks > 1) || env.SLURM_PROCID !== "0") return undefined;
  return hasLauncher(env) ? undefined : tasks;
};
