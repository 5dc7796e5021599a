/** Steps on several ranks that are not finite or explode, with the real mpirun. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cli, tree, workplace } from "../../cli/cli.ts";
import { expectGone, missingMpi, mpirun, mpiTitle, ours, startMpirun, trainOn } from "../../support/mpi.ts";
import { checkpointHashes, smallRun, timelessMetrics } from "../../support/runs.ts";

/** A run with gradients that differ much. So a low limit skips some steps. */
const exploding = { steps: 44, batchSize: 1, gradAccumSteps: 4, evalInterval: 10, checkpointInterval: 8 };
const plans = {
  exploding: { ...exploding, maxGradNormRatio: 0.7 },
  // The update of step 1 makes all weights infinite.
  infinite: { ...exploding, learningRate: 1e38, warmupSteps: 0, schedule: { kind: "constant" }, checkpointInterval: 9 },
} as const;

let place: Awaited<ReturnType<typeof workplace>>;
beforeAll(async () => {
  place = await workplace();
  for (const [name, train] of Object.entries(plans)) {
    const config = { preset: "book", ...smallRun, train: { ...smallRun.train, ...train } };
    await writeFile(join(place.cwd, `${name}.json`), JSON.stringify(config));
  }
});
afterAll(() => place.remove());

const flags = (plan: keyof typeof plans, action: string, out: string, ...others: readonly string[]): string[] => [
  ...["--data", "text.txt", "--backend", "native", "--config", `${plan}.json`, "--dtype", "float32", "--json"],
  ...["--on-nonfinite", action, "--out", out, ...others],
];

/** Events and records of a run, without the fields that depend on the time, the folder or the number of processes. */
const noted = async (out: string) => {
  const folder = join(place.cwd, out);
  const records = (await readdir(folder)).filter((name) => name.startsWith("nonfinite-"));
  const metrics = (await timelessMetrics(folder)) as readonly Record<string, unknown>[];
  return {
    records: await Promise.all(
      records.map(async (name) => [name, (await readFile(join(folder, name))).toString("hex")]),
    ),
    metrics: metrics.map(
      (event): Record<string, unknown> => ({ ...event, file: String(event.file).slice(out.length) }),
    ),
  };
};

describe.skipIf(missingMpi !== undefined)(mpiTitle("a step that cannot be used"), () => {
  it.each(["skip", "rollback"])("is left out on 2 and 4 ranks as on one: %s", async (action) => {
    const one = `${action}-1`;
    expect((await cli(["train", ...flags("exploding", action, one)], place)).status).toBe(0);
    const alone = { ...(await noted(one)), files: await checkpointHashes(join(place.cwd, one)) };
    expect(alone.metrics.filter(({ type }) => type === "nonfinite").length).toBeGreaterThan(1);
    for (const ranks of [2, 4]) {
      const out = `${action}-${ranks}`;
      const { status, stderr } = await mpirun(trainOn(ranks, flags("exploding", action, out)), place.cwd);
      expect(status, stderr).toBe(0);
      const files = await checkpointHashes(join(place.cwd, out));
      expect({ ...(await noted(out)), files }, `${ranks} ranks`).toEqual(alone);
    }
  });

  it("NaN: rolled back on 2 ranks as on one", async () => {
    const stop = ["--stop-at", "7"];
    await cli(["train", ...flags("infinite", "rollback", "nan-1", ...stop)], place);
    const { metrics, records } = await noted("nan-1");
    expect(metrics.filter(({ type, loss }) => type === "nonfinite" && loss === null)).not.toEqual([]);
    await mpirun(trainOn(2, flags("infinite", "rollback", "nan-2", ...stop)), place.cwd);
    expect(await noted("nan-2")).toEqual({ metrics, records });
  });

  it("NaN: ends all ranks in one line, that of one process", async () => {
    const alone = await cli(["train", ...flags("infinite", "stop", "stop")], place);
    expect(ours(alone.stderr)).toEqual([
      expect.stringMatching(/^foretoken: step 2: loss and gradient must stay finite;/),
    ]);
    const before = tree(join(place.cwd, "stop"));
    const { status, stderr } = await mpirun(trainOn(4, flags("infinite", "stop", "stop-4")), place.cwd);
    expect(status).not.toBe(0);
    expect(ours(stderr)).toEqual(ours(alone.stderr).map((line) => line.replaceAll("stop/", "stop-4/")));
    expect(tree(join(place.cwd, "stop-4"))).toEqual(before);
  });

  it("NaN on one rank alone, as of broken memory, is told of that rank", async () => {
    const program = fileURLToPath(new URL("rank.mjs", import.meta.url));
    let pids: readonly number[] = [];
    const args = ["-n", "2", process.execPath, program, "own", "1", "7", "nan"];
    const started = startMpirun(args, place.cwd, (stdout) => {
      if (stdout.includes("fails")) pids = started.pids();
    });
    const { status, stderr } = await started.outcome;
    expect(status).not.toBe(0);
    expect(ours(stderr)[0]).toMatch(
      /^foretoken: rank [01]: step 8: loss and gradient must stay finite; got loss NaN, gradient norm NaN, first in embeddingForward\.y \[\d+\], forward, \S+ on rank 1 of 2; try /u,
    );
    expect(pids).toHaveLength(2);
    await expectGone(pids);
    const state = await readFile(join(place.cwd, "own/checkpoint/trainer_state.json"), "utf8");
    expect(JSON.parse(state)).toMatchObject({ progress: { step: 5 } });
  });
});
