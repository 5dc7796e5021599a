// Trains on ranks of MPICH, with a second addon that is built for MPICH. The script checks that the result has the same
// bits as with one process. It also tests a killed rank, and SIGTERM during a run. Needs MPICH (on Debian: mpich
// libmpich-dev, which do not replace the commands of Open MPI). Start this check by hand.
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { onPath } from "../build/native.mjs";
import * as runs from "./runs.mjs";

const [mpirun, compiler] = ["mpirun.mpich", "mpicxx.mpich"];
const missing = [mpirun, compiler].find((program) => !onPath(program));
if (missing !== undefined) {
  console.error(`check-mpich: MPICH must be installed; got no ${missing}; try apt-get install mpich libmpich-dev`);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "foretoken-mpich-"));
const { check, end } = runs.makeChecks();
const inFolder = (name) => join(folder, name);
const alone = async (program, args) => void (await runs.output([process.execPath, program, "train", ...args]));

/** Starts a long run on 4 ranks, and calls back after their first checkpoint. */
const interrupted = async (program, out, act) => {
  const args = [...runs.flagsOf(folder, { optimizer: "adamw", dtype: "float32" }, out), ...runs.long];
  const started = runs.start([mpirun, "-n", "4", process.execPath, program, "train", ...args]);
  await runs.until("a checkpoint", () => started.stdout.includes('"checkpoint"'));
  const pids = runs.ranksOf(inFolder(out), "PMI_RANK");
  if (pids.length !== 4) throw new Error(`4 ranks must run; got ${pids.length}`);
  act(started, pids);
  const seconds = await runs.until("all ranks gone", () => !pids.some(runs.isAlive), 10);
  const { stdout, stderr } = await started.ended;
  const stop = ["--stop-at", String(runs.savedStep(inFolder(out)) + 20)];
  await alone(program, ["--resume", inFolder(out), "--backend", "native", "--json", ...stop]);
  await alone(program, [
    ...runs.flagsOf(folder, { optimizer: "adamw", dtype: "float32" }, `${out}-whole`),
    ...runs.long,
    ...stop,
  ]);
  runs.checkSameBits(inFolder(out), inFolder(`${out}-whole`));
  return { seconds: seconds.toFixed(1), text: `${stdout}\n${stderr}` };
};

try {
  runs.writeInputs(folder);
  const program = await runs.buildProgram(inFolder("program"), [compiler]);
  const { mpi, machine } = JSON.parse(await runs.output([process.execPath, program, "info", "--json"]));
  const version = (await runs.output([compiler, "--version"])).split("\n")[0];
  console.log(
    `${mpi.library ?? mpi.reason}, Node.js ${process.version}, ${version}, ${cpus().length} cores, ${machine.cpu}`,
  );

  for (const one of runs.cases) {
    const name = `${one.optimizer}-${one.dtype}`;
    await alone(program, runs.flagsOf(folder, one, name));
    for (const ranks of [1, 2, 4]) {
      const out = `${name}-${ranks}`;
      await check(`${ranks} of mpirun, ${one.optimizer}, ${one.dtype}: the bits of one process`, async () => {
        const args = [process.execPath, program, "train", ...runs.flagsOf(folder, one, out)];
        const stdout = await runs.output([mpirun, "-n", String(ranks), ...args]);
        const ends = stdout.split("\n").filter((line) => line.includes('"type":"done"')).length;
        if (ends !== 1) throw new Error(`one rank must print why all end; got ${ends} lines`);
        return `${runs.checkSameBits(inFolder(out), inFolder(name))} files`;
      });
    }
  }
  for (const rank of [0, 1, 3]) {
    await check(`rank ${rank} of 4 killed: all end, and the run goes on with the same bits`, async () => {
      const { seconds, text } = await interrupted(program, `killed-${rank}`, (_, pids) =>
        process.kill(pids[rank], "SIGKILL"),
      );
      // MPICH may kill the other ranks before they can name the lost rank. MPICH may also name the wrong rank.
      if (!/Killed \(signal 9\)|EXIT CODE: 9\b/u.test(text))
        throw new Error(`mpirun must say so; got ${text.slice(-1000)}`);
      return `all gone after ${seconds} s`;
    });
  }
  await check("SIGTERM to mpirun saves and ends all, and the run goes on with the same bits", async () => {
    const { seconds } = await interrupted(program, "stopped", (started) => started.kill("SIGTERM"));
    // The last logged event before the run was resumed.
    if (!runs.notesOf(inFolder("stopped")).some(({ reason }) => reason === "interrupted"))
      throw new Error("the run must log that it was interrupted");
    return `all gone after ${seconds} s`;
  });
  await check("an addon for another MPI is refused", async () => {
    const env = { ...process.env, PMI_RANK: "0", PMI_SIZE: "2" };
    const args = ["train", ...runs.flagsOf(folder, { optimizer: "adamw", dtype: "float32" }, "refused")];
    const { status, stderr } = await runs.start([process.execPath, program, ...args], { env }).ended;
    const line = stderr.split("\n").find((one) => one.startsWith("foretoken: "));
    if (status === 0 || line === undefined) throw new Error(`a line must say so; got status ${status}: ${stderr}`);
    return line;
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
end();
