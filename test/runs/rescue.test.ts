/**
 * If a run's folder can no longer be written, parts of the run are saved elsewhere. These tests check which parts, and
 * where.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { CheckpointError } from "#foretoken/core/errors/errors.js";
import { readManifest } from "#foretoken/io/read-manifest.node.js";
import { rescued } from "#foretoken/runs/write/rescue.node.js";
import { train } from "#foretoken/train/train.node.js";
import { checkpointHashes, collect, ofType } from "../support/runs.ts";
import { failure, resume, type TrainChanges, useWholeRun } from "./whole-run.ts";

const { newPath, run, options } = useWholeRun();

/** The error of a run. The run's folder is moved away after a step. */
const failureWithout = (out: string, step: number, changes?: TrainChanges): Promise<Error> =>
  failure(
    (async () => {
      for await (const event of train(options(out, changes))) {
        if (event.type === "step" && event.step === step) await rename(out, `${out}-away`);
      }
    })(),
  );

/** Gradients that differ much, so that some steps count as exploding. */
const shaky = (onNonfinite: "skip" | "rollback"): TrainChanges => ({
  ...{ steps: 28, batchSize: 1, gradAccumSteps: 1, evalInterval: 100, checkpointInterval: 8 },
  ...{ onNonfinite, maxGradNormRatio: 1.15 },
});

describe("a run without its folder", () => {
  it("is saved at the first better evaluation, with the best weights of before", async () => {
    const out = newPath();
    const { message } = await failureWithout(out, 6, { checkpointInterval: 100 });
    expect(message).toContain(`saved in ${out}-rescued instead`);
    expect((await readManifest(join(`${out}-rescued`, "best")))?.run?.step).toBe(5);
    const again = await resume(`${out}-rescued`);
    expect(ofType(again, "eval").map(({ step, best }) => [step, best])).toEqual([
      [10, true],
      [12, true],
    ]);
    const [found, expected] = [await checkpointHashes(`${out}-rescued`), await checkpointHashes(run.whole)];
    for (const name of ["checkpoint/model.safetensors", "best/model.safetensors"]) {
      expect(found[name], name).toBe(expected[name]);
    }
  });

  it.each(["skip", "rollback"] as const)("leaves bad steps out without a record, and is saved: %s", async (action) => {
    const whole = newPath();
    const bad = ofType(await collect(train(options(whole, shaky(action)))), "nonfinite").map(({ step }) => step);
    const first = bad.find((step) => step > 9 && step % 8 > 1) ?? expect.fail(`bad steps: ${bad.join()}`);
    const out = newPath();
    const error = await failureWithout(out, first - 1, shaky(action));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toContain(`saved in ${out}-rescued instead`);
    await resume(`${out}-rescued`);
    const [found, expected] = [await checkpointHashes(`${out}-rescued`), await checkpointHashes(whole)];
    expect(found["checkpoint/model.safetensors"]).toBe(expected["checkpoint/model.safetensors"]);
  });

  it("goes back to a point whose files were deleted meanwhile", async () => {
    const out = newPath();
    const whole = newPath();
    const bad = ofType(await collect(train(options(whole, shaky("rollback")))), "nonfinite").map(({ step }) => step);
    const first = bad.find((step) => step > 9 && step % 8 > 1) ?? expect.fail(`bad steps: ${bad.join()}`);
    for await (const event of train(options(out, shaky("rollback")))) {
      if (event.type === "step" && event.step === first - 1) await rm(join(out, "rollback"), { recursive: true });
    }
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
  });

  it("has a shorter name where its own is as long as names can be", async () => {
    const parent = newPath();
    const out = join(parent, "🦜".repeat(63));
    const training = (async () => {
      for await (const event of train(options(out))) {
        if (event.type === "step" && event.step === 6) await rm(out, { recursive: true });
      }
    })();
    await failure(training);
    const [name = ""] = await readdir(parent);
    expect(name).toBe(`${"🦜".repeat(61)}-rescued`);
    expect((await resume(join(parent, name))).at(-1)).toMatchObject({ type: "done", step: 12 });
  });
});

describe("a place without room for all of a run", () => {
  const bytes = new TextEncoder().encode("words");
  const fault = new CheckpointError({ where: "a run", must: "it must be there", got: "nothing" });
  /** A run with a text that can be written only after a given number of tries. */
  const subject = (fits: number) => {
    let times = 0;
    async function* text(): AsyncGenerator<Uint8Array> {
      times++;
      if (times < fits) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
      yield bytes;
    }
    const weights = () => ({ "model.safetensors": bytes });
    return {
      ...{ step: 1, steps: 2, description: "{}", run: { step: 1, config: "0" } },
      checkpoint: weights,
      further: { best: { run: { step: 1, config: "0" }, files: weights } },
      others: () => ({ "text.txt": text() }),
    };
  };

  it("is left for the next one, and nothing stays there", async () => {
    const parent = newPath();
    await mkdir(parent);
    const temporary = newPath();
    vi.stubEnv("TMPDIR", temporary);
    const error = await rescued(join(parent, "run"), fault, subject(2));
    vi.unstubAllEnvs();
    const refuge = join(temporary, "run-rescued");
    expect(error.message).toContain(`got nothing; saved in ${refuge} instead; try resume ${refuge}`);
    expect(await readdir(parent)).toEqual([]);
    expect((await readdir(refuge)).sort()).toEqual(["best", "checkpoint", "run.json", "text.txt"]);
    expect(await readFile(join(refuge, "text.txt"), "utf8")).toBe("words");
  });

  it("keeps nothing of the tries if there is no place at all, nor folders that were made for them", async () => {
    const places = [newPath(), newPath()];
    for (const [i, name] of ["TMPDIR", "HOME"].entries()) vi.stubEnv(name, places[i]);
    const parent = newPath();
    const error = await rescued(join(parent, "run"), fault, {
      ...subject(0),
      checkpoint: () => ({ "../train/model": bytes }),
    });
    vi.unstubAllEnvs();
    expect(error.message).toContain("and the run could not be saved elsewhere");
    for (const path of [parent, ...places]) expect(existsSync(path)).toBe(false);
  });

  it("is taken if there is no other, and the line says what is missing", async () => {
    const parent = newPath();
    await mkdir(parent);
    for (const name of ["TMPDIR", "HOME"]) vi.stubEnv(name, newPath());
    const error = await rescued(join(parent, "run"), fault, subject(Number.POSITIVE_INFINITY));
    vi.unstubAllEnvs();
    expect(error.message).toContain("run-rescued instead, without text.txt, which could not be written");
    expect((await readdir(join(parent, "run-rescued"))).sort()).toEqual(["best", "checkpoint", "run.json"]);
  });
});
