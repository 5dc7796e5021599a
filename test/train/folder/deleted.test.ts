import { existsSync, readdirSync, rmSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { CheckpointError } from "#foretoken/core/errors.js";
import { train } from "#foretoken/train/train.node.js";
import { checkpointHashes, timelessMetrics } from "../../support/runs.ts";
import { failure, resume, useWholeRun } from "./whole-run.ts";

const { newPath, run, options } = useWholeRun();

/** Does `work` after step 6 of a run; its checkpoints are of the steps 4, 8 and 12. */
const trainWith = async (out: string, work: () => Promise<void>, backend: Backend | "reference" = "reference") => {
  for await (const event of train({ ...options(out), backend })) {
    if (event.type === "step" && event.step === 6) await work();
  }
};

/** The reference backend, which does `work` once, in the middle of writing a checkpoint, after `begin` was called. */
const whileWriting = async (out: string, work: () => void) => {
  const backend = await openReference();
  let isWaiting = false;
  const read: Backend["read"] = (...given) => {
    if (isWaiting && existsSync(out) && readdirSync(out).some((name) => /^\.tmp-.*-checkpoint$/u.test(name))) {
      isWaiting = false;
      work();
    }
    return backend.read(...given);
  };
  return {
    backend: { ...backend, read },
    begin: async () => {
      isWaiting = true;
    },
    wasDone: () => !isWaiting,
  };
};

const expectRescued = async (out: string): Promise<void> => {
  await resume(`${out}-rescued`);
  const [found, expected] = [await checkpointHashes(`${out}-rescued`), await checkpointHashes(run.whole)];
  expect(found["checkpoint/model.safetensors"]).toBe(expected["checkpoint/model.safetensors"]);
};

const expectWhole = async (out: string): Promise<void> => {
  const names = ["checkpoint/model.safetensors", "checkpoint/optimizer.safetensors", "run.json"];
  const [found, expected] = [await checkpointHashes(out), await checkpointHashes(run.whole)];
  for (const name of names) expect(found[name], name).toBe(expected[name]);
};

describe("a run's folder that is deleted while it trains", () => {
  it("or replaced, is saved in another, which can be resumed", async () => {
    for (const way of ["deleted", "replaced"] as const) {
      const out = newPath();
      const training = trainWith(out, async () => {
        await rename(out, `${out}-away`);
        if (way === "replaced") await mkdir(out);
      });
      const error = await failure(training);
      expect(error).toBeInstanceOf(CheckpointError);
      const got = "got no such folder any more";
      expect(error.message).toContain(`${got}; saved in ${out}-rescued instead; try resume ${out}-rescued`);
      if (way === "replaced") expect(await readdir(out)).toEqual([]);
      await expectRescued(out);
    }
  });

  it("in the moment of a save, is saved in another", async () => {
    const out = newPath();
    const { backend, begin, wasDone } = await whileWriting(out, () => rmSync(out, { recursive: true }));
    const error = await failure(trainWith(out, begin, backend));
    expect(wasDone()).toBe(true);
    expect(error.message).toContain(`saved in ${out}-rescued instead`);
    await expectRescued(out);
    await backend.close();
  });

  it("in part, in the moment of a save, is written again, and the run ends as if nothing was", async () => {
    const out = newPath();
    const { backend, begin, wasDone } = await whileWriting(out, () => {
      for (const name of readdirSync(out)) rmSync(join(out, name), { recursive: true });
    });
    await trainWith(out, begin, backend);
    expect(wasDone()).toBe(true);
    await expectWhole(out);
    await backend.close();
  });

  it("loses no step where the description or the notes alone are deleted", async () => {
    for (const name of ["run.json", "metrics.jsonl"]) {
      const out = newPath();
      await trainWith(out, () => rm(join(out, name)));
      await expectWhole(out);
      const [found, expected] = [await timelessMetrics(out), await timelessMetrics(run.whole)];
      // Notes from before the deletion are gone with their file.
      expect(found).toEqual(expected.slice(-found.length));
      expect(found.length).toBeGreaterThan(4);
      expect((await readFile(join(out, "README.md"), "utf8")).length).toBeGreaterThan(100);
    }
  });

  it("is saved in another where the rest of its checkpoint is not known as one", async () => {
    const out = newPath();
    const error = await failure(
      trainWith(out, async () => {
        for (const name of ["manifest.json", "config.json"]) await rm(join(out, "checkpoint", name));
      }),
    );
    expect(error.message).toContain(`saved in ${out}-rescued instead`);
    expect(await readdir(join(out, "checkpoint"))).toContain("model.safetensors");
    await expectRescued(out);
  });
});
