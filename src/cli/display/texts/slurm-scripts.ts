/** Scripts that run a sweep on Slurm: an array with a task for each run, and a job that makes the table. */
import { quoteWord } from "../../../core/text/shell-word.ts";

export interface SlurmSweep {
  /** Name of the jobs. */
  readonly name: string;
  /** Number of runs. */
  readonly runs: number;
  /** Maximum number of tasks at a time; undefined: no limit. */
  readonly jobs: number | undefined;
  /** Number of cores of a task. */
  readonly cores: number;
  /** Absolute path of the folder in which the commands run. */
  readonly cwd: string;
  /** Absolute path of the folder for the scripts and their logs. */
  readonly folder: string;
  /** The command without flags for one run or for threads, as words. */
  readonly command: readonly string[];
}

/** Names of the scripts. */
export const slurmNames = { submit: "submit.sh", runs: "runs.sbatch", table: "table.sbatch" } as const;

const words = (all: readonly string[]): string => all.map(quoteWord).join(" ");

/** A name without characters that an #SBATCH line would split or expand. */
const jobName = (name: string): string => name.replaceAll(/[^\w.-]/gu, "-");

/** Lines of a job. The signal is sent to the script only, which passes it to the command. */
const job = ({ name, cores, cwd, folder }: SlurmSweep, log: string, more: readonly string[]): string =>
  [
    `#SBATCH --job-name=${jobName(name)}`,
    ...more,
    "#SBATCH --ntasks=1",
    `#SBATCH --cpus-per-task=${cores}`,
    "#SBATCH --time=04:00:00",
    "#SBATCH --signal=B:TERM@120",
    "#SBATCH --requeue",
    "#SBATCH --open-mode=append",
    // Slurm reads quotes in this line as a shell does, and replaces %x by the name of the job.
    `#SBATCH --output=${quoteWord(`${folder.replaceAll("%", "%%")}/${log}`)}`,
    "set -euo pipefail",
    `cd ${quoteWord(cwd)}`,
  ].join("\n");

/** Lines that run a command. At SIGTERM, before the time limit, the command saves and the job goes back into the queue. */
const running = (command: string): string => `${command} \\
  --threads "\${SLURM_CPUS_PER_TASK:-1}" &
child=$!
trap 'kill -s TERM "$child" || true' TERM
status=0
wait "$child" || status=$?
# A signal ends the wait before the command has ended.
while kill -0 "$child" 2> /dev/null; do
  status=0
  wait "$child" || status=$?
done

# 143 means that SIGTERM has ended the command after saving. scancel also sends SIGTERM, but then the job is no longer
# RUNNING.
if [ "$status" = 143 ] && [ "$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T)" = RUNNING ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
`;

/** Texts of the scripts by name. */
export const slurmScripts = (sweep: SlurmSweep): Readonly<Record<string, string>> => {
  const { runs, jobs, folder, command } = sweep;
  const limit = jobs === undefined ? "" : `%${jobs}`;
  return {
    [slurmNames.runs]: `#!/usr/bin/env bash
# Trains the runs of a sweep, one run in each task. A task that is submitted again resumes its run.
${job(sweep, "%x-%A-%a.log", [`#SBATCH --array=1-${runs}${limit}`])}

${running(`${words(command)} --only "$SLURM_ARRAY_TASK_ID"`)}`,
    [slurmNames.table]: `#!/usr/bin/env bash
# Prints the table of a sweep, measures the best setting, and writes result.json and winner.json. Runs that are not
# finished are trained first.
${job(sweep, "%x-%j-table.log", [])}

${running(words(command))}`,
    [slurmNames.submit]: `#!/usr/bin/env bash
# Submits the runs of a sweep, and the job that makes the table after all runs. Submit again to resume.
set -euo pipefail
runs=$(sbatch --parsable "$@" ${quoteWord(`${folder}/${slurmNames.runs}`)})
sbatch --dependency="afterok:\${runs%%;*}" --kill-on-invalid-dep=yes "$@" ${quoteWord(`${folder}/${slurmNames.table}`)}
`,
  };
};
