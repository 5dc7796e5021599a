// Tests examples/cluster with a real Slurm on one node, on the loopback interface. The daemons use a temporary folder,
// and end with the check. Needs root, Slurm (Debian: slurm-wlm munge), and the addon (npm run build:mpi) for Open MPI.
// Also checks MPICH if it is installed. Start this check by hand.
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../build/common.mjs";
import { onPath } from "../build/native.mjs";
import * as runs from "./runs.mjs";
import { startSlurm } from "./slurm-daemons.mjs";

const missing = ["slurmctld", "slurmd", "munged", "sbatch"].find((program) => !onPath(program));
if (missing !== undefined || process.getuid?.() !== 0) {
  const got = missing === undefined ? "another user than root" : `no ${missing}`;
  console.error(
    `check-slurm: Slurm must be installed, and root must run it; got ${got}; try apt-get install slurm-wlm munge`,
  );
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "foretoken-slurm-"));
const inFolder = (name) => join(folder, name);
const program = join(root, "dist/cli/main.js");
const { check, end } = runs.makeChecks();
const alone = async (args) => void (await runs.output([process.execPath, program, "train", ...args]));
const scripts = join(root, "examples/cluster");
// With these flags, one node with 4 cores replaces the nodes of the example.
const oneNode = ["--nodes=1", "--ntasks-per-node=4", "--cpus-per-task=1"];

mkdirSync(inFolder("slurm"));
const slurm = await startSlurm(inFolder("slurm"), 4);
const { env } = slurm;
// Cleans up, also after a failure of the check.
const clean = async () => {
  await runs.start(["scancel", "--user=root", "--signal=KILL", "--full"], { env }).ended;
  await slurm.stop();
  rmSync(folder, { recursive: true, force: true });
};
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void clean().finally(() => process.exit(130)));
const command = (words, more = {}) => runs.output(words, { cwd: folder, env: { ...env, ...more } });

/** Submits a script. Resolves to the job's number. */
const submit = async (script, flags, args, more = {}) =>
  (await command(["sbatch", "--parsable", ...flags, join(scripts, script), ...args], more)).trim();
const stateOf = async (job) => /JobState=(\w+)/u.exec(await command(["scontrol", "show", "job", job]))?.[1];
const hasEnded = async (job) => !["PENDING", "CONFIGURING", "RUNNING", "COMPLETING"].includes(await stateOf(job));
const finish = async (job) => {
  await runs.until(`the end of job ${job}`, () => hasEnded(job), 300);
  const state = await stateOf(job);
  if (state !== "COMPLETED") throw new Error(`job ${job} must complete; got ${state}`);
};
const hasSaved = (out) => () => runs.savedStep(inFolder(out)) > 0;
/** The step at which a run logged an interruption; 0 without an interruption. */
const interruptedAt = (out) =>
  runs.notesOf(inFolder(out)).find(({ type, reason }) => type === "done" && reason === "interrupted")?.step ?? 0;
const adamw = { optimizer: "adamw", dtype: "float32" };
/** Flags of a run without its folder. The scripts set the folder. */
const flagsOf = (one) => {
  const flags = runs.flagsOf(folder, one, "none");
  return flags.filter((_, i) => flags[i] !== "--out" && flags[i - 1] !== "--out");
};

/**
 * Checks that the resumed run in `out` has the same bits as an uninterrupted run of one process with the same number of
 * steps.
 */
const sameAsWhole = async (out, flags) => {
  const stop = ["--stop-at", String(runs.savedStep(inFolder(out)))];
  await alone([...flagsOf(adamw), ...flags, ...stop, "--out", inFolder(`${out}-whole`)]);
  return `${runs.checkSameBits(inFolder(out), inFolder(`${out}-whole`))} files after ${stop[1]} steps`;
};

/** `srun` without a script. */
const checkSrun = async (mpi, main, library) => {
  for (const one of runs.cases) {
    const name = `${one.optimizer}-${one.dtype}`;
    for (const ranks of [2, 4]) {
      await check(`srun --mpi=${mpi}, ${library}, ${ranks} ranks, ${name}: the bits of one process`, async () => {
        const out = `${mpi}-${name}-${ranks}`;
        const train = [process.execPath, main, "train", ...runs.flagsOf(folder, one, out)];
        await command(["srun", `--mpi=${mpi}`, `--ntasks=${ranks}`, ...train]);
        return `${runs.checkSameBits(inFolder(out), inFolder(name))} files`;
      });
    }
  }
};

const checkJobs = async () => {
  await check("sbatch --test-only takes the scripts", async () => {
    await command(["sbatch", "--test-only", ...oneNode, join(scripts, "train.sbatch")]);
    await command(["sbatch", "--test-only", join(scripts, "sweep.sbatch")]);
  });

  await check("train.sbatch trains on 4 ranks: the bits of one process", async () => {
    await finish(await submit("train.sbatch", oneNode, flagsOf(adamw), { OUT: inFolder("job") }));
    return `${runs.checkSameBits(inFolder("job"), inFolder("adamw-float32"))} files`;
  });

  const flags = ["--steps", "400", "--eval-interval", "100", "--checkpoint-interval", "10"];
  await check("scancel saves, the same OUT goes on: the bits of one run", async () => {
    const more = { OUT: inFolder("cancelled") };
    const job = await submit("train.sbatch", oneNode, [...flagsOf(adamw), ...flags], more);
    await runs.until("a checkpoint", hasSaved("cancelled"));
    const pids = runs.ranksOf(inFolder("cancelled"), "PMIX_RANK");
    if (pids.length !== 4) throw new Error(`4 ranks must run; got ${pids.length}`);
    await command(["scancel", job]);
    const seconds = await runs.until("all ranks gone", () => !pids.some(runs.isAlive), 30);
    await runs.until("the end of the job", () => hasEnded(job), 60);
    if ((await stateOf(job)) !== "CANCELLED") throw new Error(`the job must stay cancelled; got ${await stateOf(job)}`);
    if (interruptedAt("cancelled") === 0) throw new Error("the run must log that it was interrupted");
    await finish(await submit("train.sbatch", oneNode, [], more));
    return `all gone after ${seconds.toFixed(1)} s; ${await sameAsWhole("cancelled", flags)}`;
  });

  await check("a rank that is killed ends the job", async () => {
    const job = await submit("train.sbatch", oneNode, [...flagsOf(adamw), ...runs.long], { OUT: inFolder("killed") });
    await runs.until("a checkpoint", hasSaved("killed"));
    const pids = runs.ranksOf(inFolder("killed"), "PMIX_RANK");
    process.kill(pids[1], "SIGKILL");
    const seconds = await runs.until("all ranks gone", () => !pids.some(runs.isAlive), 10);
    await runs.until("the end of the job", () => hasEnded(job), 60);
    return `all gone after ${seconds.toFixed(1)} s; job ${await stateOf(job)}`;
  });

  await check("--signal before the time is up: the job saves, is requeued and goes on", async () => {
    // Slurm checks the time limit about every half minute. Slurm may end a job a minute early.
    const time = ["--time=2", "--signal=TERM@30"];
    const job = await submit("train.sbatch", [...oneNode, ...time], [...flagsOf(adamw), ...runs.long], {
      OUT: inFolder("timed"),
    });
    // A resumed run removes the event of its interruption.
    const savedAfter = (step) => () => interruptedAt("timed") > step;
    await runs.until("the first part saved", savedAfter(0), 180);
    await runs.until("the second part saved", savedAfter(interruptedAt("timed")), 300);
    await command(["scancel", job]);
    await runs.until("the end of the job", () => hasEnded(job), 60);
    return sameAsWhole("timed", runs.long);
  });

  await check("sweep.sbatch: a run for each of an array", async () => {
    const job = await submit("sweep.sbatch", ["--cpus-per-task=1"], flagsOf(adamw), { OUT: inFolder("sweep") });
    await runs.until(
      "the end of the array",
      async () => (await command(["squeue", "--noheader", `--jobs=${job}`])).trim() === "",
      300,
    );
    const list = await command([process.execPath, program, "runs", inFolder("sweep"), "--sort", "loss", "--json"]);
    const states = list
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).state);
    if (states.length !== 9 || states.some((state) => state !== "finished"))
      throw new Error(`9 must finish; got ${states}`);
    return "9 runs";
  });

  await check("tasks of srun without MPI are told that each trains its own model", async () => {
    const train = [process.execPath, program, "train", ...runs.flagsOf(folder, adamw, "separate")];
    const { stderr } = await runs.start(["srun", "--mpi=none", "--ntasks=2", ...train], { cwd: folder, env }).ended;
    if (!stderr.includes("srun has started 2 tasks without MPI")) throw new Error(stderr);
  });
};

try {
  runs.writeInputs(folder);
  const { mpi } = JSON.parse(await runs.output([process.execPath, program, "info", "--json"]));
  console.log(`${slurm.version}, ${mpi.library ?? mpi.reason}, Node.js ${process.version}, ${cpus().length} cores`);
  for (const one of runs.cases) await alone(runs.flagsOf(folder, one, `${one.optimizer}-${one.dtype}`));
  await checkSrun("pmix", program, mpi.library);
  if (onPath("mpicxx.mpich")) {
    const main = await runs.buildProgram(inFolder("mpich"), ["mpicxx.mpich"]);
    const ofMpich = JSON.parse(await runs.output([process.execPath, main, "info", "--json"])).mpi;
    await checkSrun("pmi2", main, ofMpich.library ?? ofMpich.reason);
  }
  await checkJobs();
} finally {
  await clean();
}
end();
const left = readdirSync("/proc").filter((name) => runs.commandOf(name).some((word) => word.startsWith(folder)));
if (left.length > 0) {
  console.log(`FAILED  processes are left: ${left.join(" ")}`);
  process.exitCode = 1;
}
