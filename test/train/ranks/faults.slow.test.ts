/** Ranks that differ, fail or are killed, with the real mpirun. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cli, jsonLines, tiny, tree, workplace } from "../../cli/cli.ts";
import {
  expectGone,
  missingMpi,
  mpirun,
  mpiTitle,
  ours,
  type StartedRanks,
  startMpirun,
  trainOn,
} from "../../support/mpi.ts";
import { checkpointHashes } from "../../support/runs.ts";

let place: Awaited<ReturnType<typeof workplace>>;
beforeAll(async () => {
  place = await workplace();
});
afterAll(() => place.remove());

const flags = (out: string, ...others: readonly string[]): string[] => [
  ...[...tiny, "--backend", "native", "--dtype", "float32", "--train.gradAccumSteps", "4", "--json", "--out", out],
  ...others,
];

describe.skipIf(missingMpi !== undefined)(mpiTitle("ranks that cannot train together"), () => {
  it.each([
    ["seed", ["--seed", "2"], [], /rank 1 of 2: must have the configuration train\.seed of rank 0; got 2 and 1$/],
    ["instruction set", [], ["FORETOKEN_ISA=baseline"], /rank 1 of 2: must have the instruction set of rank 0; got/],
  ])("refuse to start with another %s", async (name, args, variables, message) => {
    const before = tree(place.cwd);
    const both = [
      ...trainOn(1, flags(`other-${name}`, "--seed", "1")),
      ":",
      ...trainOn(1, flags(`other-${name}`, ...(args.length > 0 ? args : ["--seed", "1"])), variables),
    ];
    const { status, stderr } = await mpirun(both, place.cwd);
    expect(status).not.toBe(0);
    expect(ours(stderr)).toEqual([expect.stringMatching(message)]);
    expect(tree(place.cwd)).toEqual(before);
  });

  it.each([
    [4, ["--train.gradAccumSteps", "6"], /gradAccumSteps: must be divisible by the number of ranks, 4/],
    [3, [], /mpirun: the number of ranks must be a power of two; got 3; try -n 2$/],
    [2, ["--steps", "none"], /--steps/],
  ])("%i ranks are refused in one line with %j", async (ranks, args, message) => {
    const { status, stderr } = await mpirun(trainOn(ranks, flags("refused", ...args)), place.cwd);
    expect(status).not.toBe(0);
    expect(ours(stderr)).toEqual([expect.stringMatching(message)]);
    expect(existsSync(join(place.cwd, "refused"))).toBe(false);
  });
});

describe.skipIf(missingMpi !== undefined)(mpiTitle("ranks that end early"), () => {
  // More than it can do before it is ended.
  const steps = "100000";
  const endless = ["--train.sampleTokens", "0", "--patience", "0"];
  const long = (out: string): string[] =>
    flags(out, ...["--steps", steps, "--eval-interval", "50", "--checkpoint-interval", "10"], ...endless);

  /** Starts a run, and calls `act` at the first checkpoint. */
  const interrupted = async (out: string, act: (started: StartedRanks) => void) => {
    let acted = false;
    let pids: readonly number[] = [];
    // Ended by a signal, mpirun gives its ranks so many seconds; its default is one.
    const patient = ["--mca", "odls_base_sigkill_timeout", "8"];
    const started = startMpirun([...patient, ...trainOn(2, long(out))], place.cwd, (stdout) => {
      if (acted || !stdout.includes('"checkpoint"')) return;
      acted = true;
      pids = started.pids();
      act(started);
    });
    const outcome = await started.outcome;
    expect(pids).toHaveLength(2);
    return { ...outcome, pids };
  };

  const trained = async (...args: readonly string[]): Promise<void> => {
    const { status, stderr } = await cli(["train", ...args], place);
    expect(status, stderr).toBe(0);
  };

  /** The run goes on from its checkpoint on one process, with the bits of a run that was not ended. */
  const expectGoesOn = async (out: string): Promise<void> => {
    const checkpoint = await readFile(join(place.cwd, out, "checkpoint/trainer_state.json"), "utf8");
    const { progress } = JSON.parse(checkpoint) as { readonly progress: { readonly step: number } };
    const stop = ["--stop-at", String(progress.step + 60)];
    await trained("--resume", out, "--backend", "native", "--json", ...stop);
    await trained(...long(`${out}-whole`), ...stop);
    expect(await checkpointHashes(join(place.cwd, out))).toEqual(
      await checkpointHashes(join(place.cwd, `${out}-whole`)),
    );
  };

  it("a killed rank ends all with a line that names it, and a saved run goes on with the same bits", async () => {
    const { status, stderr, pids } = await interrupted("killed", (started) => {
      process.kill(started.pids()[1] as number, "SIGKILL");
    });
    expect(status).not.toBe(0);
    expect(ours(stderr)).toEqual([
      `foretoken: rank 1 of 2: its process must live as long as the run; got process ${pids[1]} gone`,
    ]);
    await expectGone(pids);
    await expectGoesOn("killed");
  });

  it("SIGTERM to mpirun saves and ends all", async () => {
    const { status, pids } = await interrupted("stopped", (started) => started.kill("SIGTERM"));
    expect(status).not.toBe(0);
    await expectGone(pids);
    // From the folder: mpirun may lose the last of the output.
    const notes = jsonLines(await readFile(join(place.cwd, "stopped/metrics.jsonl"), "utf8"));
    expect(notes.at(-1)).toMatchObject({ type: "done", reason: "interrupted" });
    await expectGoesOn("stopped");
  });
});
