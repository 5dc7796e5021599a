import { expect, it } from "vitest";
import { launchedRank, separateTasks } from "#foretoken/core/system/launched-rank.node.js";

/** The variables that Slurm sets in the second of four tasks. */
const task = { SLURM_PROCID: "1", SLURM_NTASKS: "4", SLURM_STEP_NUM_TASKS: "4" };

it.each([
  ["Open MPI's mpirun", { OMPI_COMM_WORLD_RANK: "3", OMPI_COMM_WORLD_SIZE: "4", PMIX_RANK: "3" }, { rank: 3, size: 4 }],
  ["MPICH's mpirun", { PMI_RANK: "1", PMI_SIZE: "2" }, { rank: 1, size: 2 }],
  ["srun --mpi=pmi2", { ...task, PMI_RANK: "1", PMI_SIZE: "4" }, { rank: 1, size: 4 }],
  ["srun --mpi=pmix", { ...task, PMIX_RANK: "1" }, { rank: 1, size: 4 }],
  ["mpirun within a task", { ...task, OMPI_COMM_WORLD_RANK: "0", OMPI_COMM_WORLD_SIZE: "2" }, { rank: 0, size: 2 }],
])("knows a rank of %s", (_, env, rank) => {
  expect(launchedRank(env)).toEqual(rank);
});

it.each([
  ["a process of its own", {}],
  ["the only rank", { OMPI_COMM_WORLD_RANK: "0", OMPI_COMM_WORLD_SIZE: "1" }],
  ["a variable without a value", { OMPI_COMM_WORLD_RANK: "", OMPI_COMM_WORLD_SIZE: "4" }],
  ["a task of srun without MPI", task],
  [
    "a task of an array",
    { SLURM_ARRAY_TASK_ID: "1", SLURM_ARRAY_TASK_COUNT: "4", SLURM_PROCID: "0", SLURM_NTASKS: "1" },
  ],
])("knows no rank in %s", (_, env) => {
  expect(launchedRank(env)).toBeNull();
});

it("counts tasks without MPI in the first of several alone", () => {
  const first = { ...task, SLURM_PROCID: "0" };
  expect(separateTasks(first)).toBe(4);
  expect(separateTasks(task)).toBeUndefined();
  expect(separateTasks({ ...first, PMIX_RANK: "0" })).toBeUndefined();
  expect(separateTasks({ ...first, SLURM_STEP_NUM_TASKS: "1" })).toBeUndefined();
  // The batch script of a job is not a task of srun.
  expect(separateTasks({ SLURM_PROCID: "0", SLURM_NTASKS: "4" })).toBeUndefined();
});
