/**
 * Kills a run repeatedly: SIGKILL kills a random rank, then the run is resumed on another number of ranks. Every second
 * kill comes during a save. FORETOKEN_KILLS=30 sets the number of kills. FORETOKEN_KILL_SEED repeats the random
 * choices, but the timing varies.
 */
import { createHash, randomInt, randomUUID } from "node:crypto";
import { existsSync, type FSWatcher, watch } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { manifestName } from "#foretoken/io/manifest.js";
import { readSafetensors } from "#foretoken/io/safetensors.js";
import { cli, tinyWith, workplace } from "../../cli/cli.ts";
import { hashInteger } from "../../support/hash.ts";
import { missingMpi, mpiTitle, processesWith, type StartedRanks, startMpirun, trainOn } from "../../support/mpi.ts";
import { checkpointHashes, isSaving, timelessMetrics } from "../../support/runs.ts";

const kills = Number(process.env.FORETOKEN_KILLS ?? 4);
const seed = process.env.FORETOKEN_KILL_SEED ?? String(randomInt(2 ** 31));

let drawn = 0;
/** A random integer in [0, bound). */
const draw = (bound: number): number => hashInteger(`kills ${seed}`, drawn++, bound);

let place: Awaited<ReturnType<typeof workplace>>;
beforeAll(async () => {
  place = await workplace();
});
afterAll(() => place.remove());

const running = ["--backend", "native", "--threads", "1", "--json"];

/** The model is so large that a save takes a few milliseconds. The run saves after every second step. */
const begin = (out: string): string[] => [
  ...tinyWith(
    ...["--backend", "native", "--dtype", "float32", "--train.gradAccumSteps", "4"],
    ...["--model.nEmbd", "64", "--model.dropout", "0.1", "--steps", "100000", "--eval-interval", "20"],
    ...["--checkpoint-interval", "2", "--train.sampleTokens", "0", "--patience", "0"],
  ),
  ...["--threads", "1", "--json", "--out", out],
];
const goOn = (out: string): string[] => ["--resume", out, ...running];

/**
 * Time at which a process is killed: during a save, some time after a few checkpoints, or some time after the start.
 */
const moments = ["save", "training", "save", "start"] as const;

/** Calls `act` after `turns` turns of the event loop. Each turn takes a fraction of a millisecond. */
const afterTurns = (turns: number, act: () => void): void => {
  if (turns === 0) act();
  else setImmediate(() => afterTurns(turns - 1, act));
};

interface Killed {
  readonly ranks: number;
  readonly rank: number;
  readonly moment: (typeof moments)[number];
  readonly inSave: boolean;
  /** Milliseconds until all processes have ended. */
  readonly gone: number;
}

/** Starts `ranks` ranks, kills one rank, and waits until all processes have ended. */
const live = async (run: string, args: readonly string[], ranks: number, moment: Killed["moment"]): Promise<Killed> => {
  const rank = draw(ranks);
  const checkpoints = 1 + draw(3);
  const milliseconds = draw(moment === "start" ? 2000 : 300);
  const turns = draw(60);
  const mark = randomUUID();
  let watcher: FSWatcher | undefined;
  let killedAt: number | undefined;
  let inSave = false;
  let hasEnded = false;
  const kill = (started: StartedRanks): void => {
    if (killedAt !== undefined || hasEnded) return;
    const pid = started.pids()[rank];
    // The process does not exist yet.
    if (pid === undefined) return void setTimeout(kill, 10, started);
    if (moment === "save" && !isSaving(run)) return;
    inSave = isSaving(run);
    process.kill(pid, "SIGKILL");
    killedAt = performance.now();
  };
  let reached = false;
  const started = startMpirun(
    trainOn(ranks, args),
    place.cwd,
    (stdout) => {
      if (reached || moment === "start" || stdout.split('"type":"checkpoint"').length <= checkpoints) return;
      reached = true;
      if (moment === "training") return void setTimeout(kill, milliseconds, started);
      watcher = watch(run, (_, name) => {
        if (name?.endsWith("-checkpoint") === true) afterTurns(turns, () => kill(started));
      });
    },
    { FORETOKEN_TEST_LIFE: mark },
  );
  if (moment === "start") setTimeout(kill, milliseconds, started);
  const { status, stderr } = await started.outcome;
  hasEnded = true;
  watcher?.close();
  expect(killedAt, `ended before it was killed: ${stderr}`).toBeDefined();
  expect(status).not.toBe(0);
  await expect.poll(() => processesWith("FORETOKEN_TEST_LIFE", mark), { timeout: 10_000, interval: 20 }).toEqual([]);
  return { ranks, rank, moment, inSave, gone: performance.now() - (killedAt ?? Number.NaN) };
};

/**
 * The step of a checkpoint. Checks that all files of the checkpoint are complete. Undefined if there is no checkpoint.
 */
const wholeCheckpoint = async (run: string, name: string): Promise<number | undefined> => {
  // If the writer was killed between its two renames, only the old folder exists.
  const folder = [name, `.old-${name}`].map((one) => join(run, one)).find(existsSync);
  if (folder === undefined) return undefined;
  const manifest = JSON.parse(await readFile(join(folder, manifestName), "utf8")) as {
    readonly run: { readonly step: number };
    readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
  };
  expect([...Object.keys(manifest.files), manifestName].sort()).toEqual((await readdir(folder)).sort());
  for (const [file, { bytes, sha256 }] of Object.entries(manifest.files)) {
    const content = await readFile(join(folder, file));
    expect(content.length, file).toBe(bytes);
    expect(createHash("sha256").update(content).digest("hex"), file).toBe(sha256);
    if (file.endsWith(".json")) JSON.parse(content.toString());
    if (file.endsWith(".safetensors")) readSafetensors(content, file);
  }
  return manifest.run.step;
};

const trained = async (args: readonly string[]): Promise<void> => {
  const { status, stderr } = await cli(["train", ...args], place);
  expect(status, stderr).toBe(0);
};

describe.skipIf(missingMpi !== undefined)(mpiTitle("ranks that are killed at random"), () => {
  it(
    `${kills} kills end all ranks, harm no checkpoint, and change no bit (FORETOKEN_KILL_SEED=${seed})`,
    async () => {
      const run = join(place.cwd, "run");
      const lives: Killed[] = [];
      let step = 0;
      for (let life = 0; life < kills; life++) {
        const moment = moments[life % moments.length] ?? "save";
        const ranks = [2, 4, 2, 4, 1][draw(5)] ?? 2;
        const args = existsSync(join(run, "run.json")) ? goOn("run") : begin("run");
        lives.push(await live(run, args, ranks, moment));
        const saved = (await wholeCheckpoint(run, "checkpoint")) ?? 0;
        expect(saved).toBeGreaterThanOrEqual(step);
        step = saved;
        await wholeCheckpoint(run, "best");
      }
      const stop = ["--stop-at", String(step + 21)];
      await trained([...goOn("run"), ...stop]);
      await trained([...begin("whole"), ...stop]);
      expect(await checkpointHashes(run)).toEqual(await checkpointHashes(join(place.cwd, "whole")));
      expect(await timelessMetrics(run)).toEqual(await timelessMetrics(join(place.cwd, "whole")));
      const inSaves = lives.filter(({ inSave }) => inSave).length;
      expect(inSaves).toBeGreaterThanOrEqual(lives.filter(({ moment }) => moment === "save").length);
      const gone = lives.map((one) => Math.round(one.gone));
      console.log(
        `${kills} kills, ${inSaves} inside a save, ${step} steps; gone after ${gone.join(", ")} ms (at most ${Math.max(...gone)})`,
      );
    },
    60_000 + 60_000 * kills,
  );
});
