/** Ranks that differ from each other, fail or are killed, with the real mpirun. */
import { existsSync, type FSWatcher, watch } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cli, jsonLines, program, text, tinyWith, tree, withFlags, workplace } from "../../cli/cli.ts";
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
import { checkpointHashes, isSaving } from "../../support/runs.ts";

let place: Awaited<ReturnType<typeof workplace>>;
beforeAll(async () => {
  place = await workplace();
});
afterAll(() => place.remove());

const flags = (out: string, ...others: readonly string[]): string[] => {
  const base = tinyWith("--backend", "native", "--dtype", "float32", "--train.gradAccumSteps", "4", "--out", out);
  return [...withFlags(base, others), "--json"];
};

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
    [
      2,
      ["--out", "/proc/none/run"],
      /--out \/proc\/none\/run: it must be possible to create the folder and write to it/,
    ],
  ])("%i ranks are refused in one line with %j", async (ranks, args, message) => {
    const { status, stderr } = await mpirun(trainOn(ranks, flags("refused", ...args)), place.cwd);
    expect(status).not.toBe(0);
    expect(ours(stderr)).toEqual([expect.stringMatching(message)]);
    expect(existsSync(join(place.cwd, "refused"))).toBe(false);
  });
});

describe.skipIf(missingMpi !== undefined)(mpiTitle("a rank above 0 that fails alone"), () => {
  it("is named in one line", async () => {
    const args = [...trainOn(1, flags("alone")), ":", ...trainOn(1, flags("alone", "--data", "missing.txt"))];
    const { status, stderr } = await mpirun(args, place.cwd);
    expect(status).not.toBe(0);
    expect(ours(stderr)).toEqual([
      expect.stringMatching(/^foretoken: rank 1 of 2: .*missing\.txt: the file must exist;/),
    ]);
    expect(existsSync(join(place.cwd, "alone"))).toBe(false);
  });

  it.each([
    ["between steps", "throw"],
    ["while sums of gradients are under way", "backward"],
  ])("ends the others while they train: %s", async (_, how) => {
    const rank = fileURLToPath(new URL("rank.mjs", import.meta.url));
    const { status, stderr } = await mpirun(
      ["-n", "2", process.execPath, rank, `thrown-${how}`, "1", "7", how],
      place.cwd,
    );
    expect(status).not.toBe(0);
    // If a program throws in its loop, it also leaves the loop early.
    const left = "foretoken: rank 1 of 2: must take the run to its end, as the others do; got one that it left early";
    expect(ours(stderr)).toEqual(["foretoken: rank 1: this rank's own", ...(how === "throw" ? [left] : [])]);
    expect(stderr).not.toMatch(/signal|segmentation/iu);
  });
});

describe.skipIf(missingMpi !== undefined)(mpiTitle("ranks that end early"), () => {
  // The run is stopped before it reaches this number of steps.
  const steps = "100000";
  const endless = ["--train.sampleTokens", "0", "--patience", "0"];
  const running = ["--steps", steps, "--eval-interval", "50", "--checkpoint-interval", "10", ...endless];
  const long = (out: string, ...others: readonly string[]): string[] => flags(out, ...withFlags(running, others));

  /**
   * Time at which a run is stopped: after the first checkpoint, during a later save, or during the evaluation after
   * step 50.
   */
  type Moment = "checkpoint" | "save" | "evaluation";

  /** Starts a run on 2 ranks, and calls `act` once. */
  const interrupted = async (
    out: string,
    act: (started: StartedRanks) => void,
    moment: Moment = "checkpoint",
    args = long(out),
  ) => {
    const run = join(place.cwd, out);
    let pids: readonly number[] = [];
    let watcher: FSWatcher | undefined;
    const actOnce = (): void => {
      watcher?.close();
      if (pids.length > 0) return;
      pids = started.pids();
      act(started);
    };
    // Seconds that mpirun waits for its ranks after a signal. Default: one second.
    const patient = ["--mca", "odls_base_sigkill_timeout", "4"];
    const started = startMpirun([...patient, ...trainOn(2, args)], place.cwd, (stdout) => {
      if (!stdout.includes(moment === "evaluation" ? '"step":50' : '"type":"checkpoint"')) return;
      if (moment !== "save") return actOnce();
      watcher ??= watch(run, () => {
        if (isSaving(run)) actOnce();
      });
    });
    const outcome = await started.outcome;
    expect(pids, outcome.stderr).toHaveLength(2);
    return { ...outcome, pids };
  };

  /** The events in the run's file. mpirun may lose the last part of its output. */
  const notesOf = async (out: string): Promise<readonly Record<string, unknown>[]> =>
    jsonLines(await readFile(join(place.cwd, out, "metrics.jsonl"), "utf8"));

  const trained = async (...args: readonly string[]): Promise<void> => {
    const { status, stderr } = await cli(["train", ...args], place);
    expect(status, stderr).toBe(0);
  };

  /** Hashes of one-process runs without interruption, by configuration and last step. */
  const uninterrupted = new Map<string, Promise<unknown>>();

  /** Resumes the run from its checkpoint on one process, and expects the bits of a run without interruption. */
  const expectGoesOn = async (out: string, argsOf: (out: string) => string[] = long): Promise<void> => {
    const checkpoint = await readFile(join(place.cwd, out, "checkpoint/trainer_state.json"), "utf8");
    const { progress } = JSON.parse(checkpoint) as { readonly progress: { readonly step: number } };
    // A few steps after the next evaluation. The number is rounded to a multiple of 50, so that many runs can be
    // compared with the same uninterrupted run.
    const stop = Math.ceil((progress.step + 11) / 50) * 50 + 10;
    const stopAt = ["--stop-at", String(stop)];
    await trained("--resume", out, "--backend", "native", "--json", ...stopAt);
    const key = JSON.stringify([argsOf("any"), stop]);
    const whole = `whole-${uninterrupted.size}`;
    if (!uninterrupted.has(key))
      uninterrupted.set(
        key,
        trained(...argsOf(whole), ...stopAt).then(() => checkpointHashes(join(place.cwd, whole))),
      );
    expect(await checkpointHashes(join(place.cwd, out))).toEqual(await uninterrupted.get(key));
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
    expect((await notesOf("stopped")).at(-1)).toMatchObject({ type: "done", reason: "interrupted" });
    await expectGoesOn("stopped");
  });

  it.each([0, 1])("SIGTERM to rank %i alone saves and ends all", async (rank) => {
    const out = `told-${rank}`;
    const { status, stderr, pids } = await interrupted(out, (started) => {
      process.kill(started.pids()[rank] as number, "SIGTERM");
    });
    // The exit status of the rank that got the signal.
    expect(status).toBe(143);
    expect(stderr).not.toContain("must");
    await expectGone(pids);
    expect((await notesOf(out)).at(-1)).toMatchObject({ type: "done", reason: "interrupted" });
    await expectGoesOn(out);
  });

  it("SIGTERM inside a save ends it first", async () => {
    const { pids } = await interrupted("saving", (started) => started.kill("SIGTERM"), "save");
    await expectGone(pids);
    expect((await notesOf("saving")).at(-1)).toMatchObject({ type: "done", reason: "interrupted" });
    await expectGoesOn("saving");
  });

  it("SIGTERM inside an evaluation breaks it off, and a resumed run makes up for it", async () => {
    // The text is long. So the evaluation is still running when the test reads the line of this step, even on a busy
    // machine.
    await writeFile(join(place.cwd, "long.txt"), text.repeat(60));
    const argsOf = (out: string): string[] =>
      long(out, "--data", "long.txt", "--val-fraction", "0.9", "--checkpoint-interval", "1000");
    const { pids } = await interrupted(
      "measuring",
      (started) => process.kill(started.pids()[0] as number, "SIGTERM"),
      "evaluation",
      argsOf("measuring"),
    );
    await expectGone(pids);
    const notes = await notesOf("measuring");
    expect(notes.at(-1)).toMatchObject({ type: "done", reason: "interrupted", step: 50 });
    expect(notes.filter(({ type }) => type === "eval")).toEqual([]);
    await expectGoesOn("measuring", argsOf);
  });

  it("a second signal ends all at once, and the last checkpoint is whole", async () => {
    for (const rank of [0, 1]) {
      const out = `hurried-${rank}`;
      const { status, pids } = await interrupted(
        out,
        (started) => {
          const pid = started.pids()[rank] as number;
          // The two signals differ. A second SIGTERM could arrive before the first SIGTERM is handled, and both would
          // count as one signal.
          process.kill(pid, "SIGTERM");
          process.kill(pid, "SIGINT");
        },
        "save",
      );
      expect(status).not.toBe(0);
      await expectGone(pids);
      await expectGoesOn(out);
    }
  });

  it("nothing is left when mpirun itself is killed", async () => {
    const { pids } = await interrupted("orphans", (started) => started.kill("SIGKILL"));
    await expectGone(pids);
    await expectGoesOn("orphans");
  });

  it("a disk without room on rank 0 ends all with a line, and a rank without such a limit is well", async () => {
    // The run does not use shared memory. Shared memory is a file, so the limit would also apply to it.
    const network = ["--mca", "btl", "self,tcp", "--mca", "btl_tcp_if_include", "lo"];
    const large = long("full", "--model.nEmbd", "64");
    const limited = ["-n", "1", "bash", "-c", 'ulimit -f 8; exec "$@"', "bash", process.execPath, program, "train"];
    const { status, stderr } = await mpirun([...network, ...limited, ...large, ":", ...trainOn(1, large)], place.cwd);
    expect(status).not.toBe(0);
    expect(ours(stderr)).toEqual([
      expect.stringMatching(
        /^foretoken: \S+full\/checkpoint: the checkpoint must be writable; the previous contents are unchanged; got EFBIG: .*; try another folder, or more disk space$/,
      ),
    ]);
    expect(tree(join(place.cwd, "full"))).toEqual(["README.md", "metrics.jsonl", "run.json"]);
  });
});
