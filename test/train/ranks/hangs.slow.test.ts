/**
 * Ranks that freeze or hang while their processes still exist, and ranks that only seem to hang. The tests use the real
 * mpirun.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { jsonLines, tinyWith, workplace } from "../../cli/cli.ts";
import { expectGone, isAlive, missingMpi, mpiTitle, ours, startMpirun, trainOn } from "../../support/mpi.ts";

let place: Awaited<ReturnType<typeof workplace>>;
beforeAll(async () => {
  place = await workplace();
});
afterAll(() => place.remove());

/** A run that trains until it is stopped. */
const endless = (out: string): string[] => [
  ...tinyWith(
    ...["--backend", "native", "--dtype", "float32", "--train.gradAccumSteps", "4"],
    ...["--steps", "100000", "--eval-interval", "50", "--checkpoint-interval", "10"],
    ...["--train.sampleTokens", "0", "--patience", "0"],
  ),
  ...["--json", "--out", out],
];

/** Several tests are active at the same time, because they mostly wait. */
const waiting = { concurrent: true };

let starts: Promise<unknown> = Promise.resolve();
/** Only one test at a time starts its ranks, so that two starts do not disturb each other. */
const inTurn = <T>(start: () => Promise<T>): Promise<T> => {
  const started = starts.then(start);
  starts = started.catch(() => {});
  return started;
};

/**
 * Starts mpirun. Resolves when the output contains `sign`. The test reads all output, because mpirun ends if nobody
 * reads its output.
 */
const startedUntil = (args: readonly string[], sign: string, variables: Readonly<Record<string, string>> = {}) =>
  inTurn(() => startNowUntil(args, sign, variables));

const startNowUntil = async (args: readonly string[], sign: string, variables: Readonly<Record<string, string>>) => {
  let output = "";
  let seen: (() => void) | undefined;
  const reached = new Promise<void>((resolve) => {
    seen = resolve;
  });
  const started = startMpirun(
    args,
    place.cwd,
    (stdout) => {
      output = stdout;
      if (stdout.includes(sign)) seen?.();
    },
    variables,
  );
  await Promise.race([
    reached,
    started.outcome.then(({ stderr }) => expect.fail(`mpirun ended before ${sign}: ${stderr}`)),
  ]);
  return { ...started, output: () => output };
};

/** Two ranks of rank.mjs. One rank fails at step 7. */
const failing = (out: string, rank: number, how: string): string[] => {
  const program = fileURLToPath(new URL("rank.mjs", import.meta.url));
  return ["-n", "2", process.execPath, program, out, String(rank), "7", how];
};

/** Number of steps that a run has printed. */
const stepsIn = (output: string): number => output.split('"type":"step"').length - 1;

/** The shortest allowed timeout. At least one case uses the default timeout. The other cases use this timeout. */
const impatient = { FORETOKEN_RANK_TIMEOUT: "3" };

const oneCheckpoint = '"type":"checkpoint"';

describe.skipIf(missingMpi !== undefined)(mpiTitle("a rank that stands still"), waiting, () => {
  it.each([
    [2, 0, {}],
    [2, 1, impatient],
    [4, 2, impatient],
  ])("frozen: of %i ranks number %i is named, and all end", async (ranks, frozen, variables) => {
    const out = `frozen-${ranks}-${frozen}`;
    const started = await startedUntil(trainOn(ranks, endless(out)), oneCheckpoint, variables);
    const pids = started.pids();
    process.kill(pids[frozen] as number, "SIGSTOP");
    const { status, stderr } = await started.outcome;
    expect(status).not.toBe(0);
    expect(ours(stderr)).toEqual([
      expect.stringMatching(
        `^foretoken: rank ${frozen} of ${ranks}: must give a sign of life every second; got none for \\d+ s$`,
      ),
    ]);
    await expectGone(pids);
  });

  it.each([
    [0, "loop", impatient],
    [1, "block", {}],
  ])("hanging in JavaScript: rank %i (%s) is named, and all end", async (hanging, how, variables) => {
    const started = await startedUntil(failing(`hanging-${hanging}`, hanging, how), "fails", variables);
    const pids = started.pids();
    const { status, stderr } = await started.outcome;
    expect(status).not.toBe(0);
    expect(ours(stderr)).toEqual([
      expect.stringMatching(`^foretoken: rank ${hanging} of 2: must go on computing; got nothing done for \\d+ s$`),
    ]);
    await expectGone(pids);
    const state = await readFile(join(place.cwd, `hanging-${hanging}/checkpoint/trainer_state.json`), "utf8");
    expect(JSON.parse(state)).toMatchObject({ progress: { step: 5 } });
  });
});

describe.skipIf(missingMpi !== undefined)(mpiTitle("a rank that is frozen while it starts"), waiting, () => {
  /**
   * Milliseconds from the start of the ranks until they freeze: before the first line of foretoken is executed, in
   * MPI_Init, or while the ranks meet.
   */
  const moments = [300, 500, 700, 900, 1100, 1400, 1700, 2100, 2500];

  /** The documented limit of 10 s, plus the time that ranks need to start on a busy machine. */
  const longest = 30_000;

  const frozenAfter = async (ms: number, variables: Readonly<Record<string, string>>): Promise<void> => {
    const [ranks, frozen] = ms % 200 === 100 ? [2, 1] : [4, 2];
    const { started, pids } = await inTurn(async () => {
      const started = startMpirun(trainOn(ranks, endless(`starting-${ms}`)), place.cwd, undefined, variables);
      await vi.waitFor(() => expect(started.pids()).toHaveLength(ranks), { interval: 5, timeout: 30_000 });
      const pids = started.pids();
      await setTimeout(ms);
      process.kill(pids[frozen] as number, "SIGSTOP");
      return { started, pids };
    });
    try {
      const outcome = await Promise.race([started.outcome, setTimeout(longest, undefined, { ref: false })]);
      const { status, stderr } = outcome ?? expect.fail(`not ended after ${longest} ms`);
      expect(status).not.toBe(0);
      expect(ours(stderr)).toEqual([
        expect.stringMatching(
          `^foretoken: rank ${frozen} of ${ranks}: must give a sign of life every second; got none for \\d+ s`,
        ),
      ]);
      await expectGone(pids);
    } finally {
      for (const pid of pids.filter(isAlive)) process.kill(pid, "SIGKILL");
    }
  };

  it.each(moments)("%i ms after it exists: it is named, and all end", (ms) =>
    frozenAfter(ms, ms === moments[0] ? {} : impatient),
  );
});

describe.skipIf(missingMpi !== undefined)(mpiTitle("ranks that only seem to stand still"), waiting, () => {
  // These tests wait for the whole timeout, because they test the time itself.
  const longest = 3;
  const longer = 1000 * (longest + 2);
  const variables = { FORETOKEN_RANK_TIMEOUT: String(longest) };

  it("a job that is stopped as a whole, and continued later, goes on", async () => {
    // The messages are slow. So the cores are free for other tests during the ten seconds of this run.
    const slow = { ...variables, FORETOKEN_MPI_DELAY: "3000" };
    const started = await startedUntil(trainOn(2, endless("stopped")), oneCheckpoint, slow);
    const pids = started.pids();
    for (const round of [1, 2]) {
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      await setTimeout(longer);
      const before = stepsIn(started.output());
      for (const pid of round === 1 ? pids : [...pids].reverse()) process.kill(pid, "SIGCONT");
      await vi.waitFor(() => expect(stepsIn(started.output())).toBeGreaterThan(before + 100), 30_000);
      // This time is longer than the timeout. If the run considered a rank dead, the output would name the rank by now.
      await setTimeout(longer);
      expect(pids.filter(isAlive)).toEqual(pids);
    }
    process.kill(pids[0] as number, "SIGTERM");
    const { stderr } = await started.outcome;
    expect(ours(stderr).filter((line) => /must/u.test(line))).toEqual([]);
    const notes = jsonLines(await readFile(join(place.cwd, "stopped/metrics.jsonl"), "utf8"));
    expect(notes.at(-1)).toMatchObject({ type: "done", reason: "interrupted" });
  });

  it("a rank that was slow before may be silent for ten times as long", async () => {
    const started = await startedUntil(failing("slow", 1, "slow"), "fails", variables);
    const pids = started.pids();
    const metrics = join(place.cwd, "slow/metrics.jsonl");
    await vi.waitFor(async () => expect(stepsIn(await readFile(metrics, "utf8"))).toBeGreaterThan(20), 60_000);
    expect(pids.filter(isAlive)).toEqual(pids);
    started.kill("SIGKILL");
    expect(ours((await started.outcome).stderr)).toEqual([]);
    await expectGone(pids);
  });

  it("FORETOKEN_RANK_TIMEOUT=0 waits for a rank that a debugger holds", async () => {
    const started = await startedUntil(trainOn(2, endless("held")), oneCheckpoint, { FORETOKEN_RANK_TIMEOUT: "0" });
    const pids = started.pids();
    process.kill(pids[1] as number, "SIGSTOP");
    // Twice the default timeout would take too long for a test. A little more than the default is enough.
    await setTimeout(9500);
    expect(pids.filter(isAlive)).toEqual(pids);
    const before = stepsIn(started.output());
    process.kill(pids[1] as number, "SIGCONT");
    await vi.waitFor(() => expect(stepsIn(started.output())).toBeGreaterThan(before + 100), 30_000);
    started.kill("SIGKILL");
    await expectGone(pids);
  });
});

describe.skipIf(missingMpi !== undefined)(mpiTitle("FORETOKEN_RANK_TIMEOUT"), () => {
  it("is refused in one line where it is no number", async () => {
    const started = startMpirun(trainOn(2, endless("refused")), place.cwd, undefined, {
      FORETOKEN_RANK_TIMEOUT: "soon",
    });
    const { status, stderr } = await started.outcome;
    expect(status).not.toBe(0);
    expect(ours(stderr)).toEqual([
      "foretoken: FORETOKEN_RANK_TIMEOUT: must be a number of seconds, at least 3, or 0 for no limit; got soon; try 8",
    ]);
  });
});
