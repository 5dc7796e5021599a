/** A run that is resumed from a point before its best weights. */
import { createHash } from "node:crypto";
import { cp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readCheckpoint } from "#foretoken/io/read-checkpoint.node.js";
import { readManifest } from "#foretoken/io/read-manifest.node.js";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { listRuns } from "#foretoken/runs/list/runs.node.js";
import { train } from "#foretoken/train/train.node.js";
import { anyBackend, checkpointHashes, collect, ofType, timelessMetrics } from "../support/runs.ts";
import { failure, resume, useWholeRun } from "./whole-run.ts";

const { newPath, run, options, killedAt } = useWholeRun();

const stepOf = async (folder: string) => (await readManifest(folder))?.run?.step;

const resumeNoting = async (path: string, more: object = {}) => {
  const notices: string[] = [];
  const events = await resume(path, { onNotice: (line: string) => notices.push(line), ...more });
  return { events, notices };
};

describe("a run's best weights from after the point that it goes on from", () => {
  it("are set aside while a run without a checkpoint begins again, until it has come as far", async () => {
    const out = newPath();
    await killedAt(out, "step", 7, { checkpointInterval: 100 });
    expect(await stepOf(join(out, "best"))).toBe(5);
    const { notices } = await resumeNoting(out, { stopAt: 3 });
    const aside = join(out, "best-set-aside-5");
    expect(notices).toHaveLength(2);
    expect(notices).toContain(
      `${aside}: the best weights so far, from a later step; kept until the run reaches that step again`,
    );
    expect(await stepOf(aside)).toBe(5);
    const page = await readFile(join(out, "README.md"), "utf8");
    expect(page).toContain("| `best-set-aside-5/` | ");
    await resume(out);
    expect((await readdir(out)).sort()).toEqual((await readdir(run.whole)).sort());
    const [found, expected] = [await checkpointHashes(out), await checkpointHashes(run.whole)];
    expect(found["best/model.safetensors"]).toBe(expected["best/model.safetensors"]);
    const [foundPage, expectedPage] = [out, run.whole].map((path) => readFile(join(path, "README.md"), "utf8"));
    expect(await foundPage).toBe(await expectedPage);
  });

  it("are set aside, too, where a kill came while they were replaced", async () => {
    const out = newPath();
    await killedAt(out, "step", 7, { checkpointInterval: 100 });
    await rename(join(out, "best"), join(out, ".old-best"));
    await resume(out, { stopAt: 3 });
    expect(await stepOf(join(out, "best-set-aside-5"))).toBe(5);
    expect(await readdir(out)).not.toContain(".old-best");
  });

  it("go again with the same weights, however often it begins again", async () => {
    const out = newPath();
    await killedAt(out, "step", 7, { checkpointInterval: 100 });
    for (let i = 0; i < 2; i++) {
      for await (const event of train({ resume: out, ...anyBackend })) {
        if (event.type === "step" && event.step === 7) break;
      }
    }
    const names = (await readdir(out)).filter((name) => name.startsWith("best"));
    expect(names.sort()).toEqual(["best"]);
  });

  it("are set aside for good if an earlier checkpoint is resumed with another plan", async () => {
    const out = newPath();
    await collect(train({ ...options(out), keepLast: 3 }));
    const later = await stepOf(join(out, "best"));
    const { events } = await resumeNoting(join(out, "checkpoint-4"), { steps: 6 });
    expect(events.at(-1)).toMatchObject({ type: "done", step: 6 });
    expect(await stepOf(join(out, `best-set-aside-${later}`))).toBe(later);
    expect(await stepOf(join(out, "best"))).toBe(ofType(events, "eval").findLast(({ best }) => best)?.step);
  });

  it("come back with the checkpoint to which they belong", async () => {
    const out = newPath();
    await collect(train({ ...options(out), keepLast: 3 }));
    expect(await stepOf(join(out, "best"))).toBe(12);
    const weights = (await checkpointHashes(out))["best/model.safetensors"];
    await resume(join(out, "checkpoint-4"), { stopAt: 6 });
    expect(await stepOf(join(out, "best"))).toBe(5);
    await rename(join(out, "checkpoint-set-aside"), join(out, "checkpoint-12"));
    await resume(join(out, "checkpoint-12"), { steps: 20, stopAt: 13 });
    expect((await checkpointHashes(out))["best/model.safetensors"]).toBe(weights);
    expect(await stepOf(join(out, "best-set-aside-5"))).toBe(5);
  });

  it("are what the run's page names, and not the ones that they had replaced", async () => {
    const out = newPath();
    const changes = { evalInterval: 3, checkpointInterval: 4 };
    await collect(train({ ...options(out, changes), keepLast: 3 }));
    expect(await stepOf(join(out, "best"))).toBe(12);
    await resume(join(out, "checkpoint-4"), { stopAt: 5 });
    const page = await readFile(join(out, "README.md"), "utf8");
    expect(page).toContain("at step 3 |");
    expect(page).toContain("| `best-set-aside-12/` | ");
    expect(page).not.toContain("`best/`");
    expect(page).toContain('from_pretrained("checkpoint")');
  });

  it("leave the run's notes as those of an undisturbed one, wherever it is stopped meanwhile", async () => {
    const changes = { evalInterval: 3, checkpointInterval: 6 };
    const [whole, out] = [newPath(), newPath()];
    await collect(train(options(whole, changes)));
    await killedAt(out, "step", 10, changes);
    expect(await stepOf(join(out, "best"))).toBe(9);
    await resume(out, { stopAt: 7 });
    const { notices } = await resumeNoting(out);
    expect(notices).toEqual([]);
    expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
    expect((await readdir(out)).sort()).toEqual((await readdir(whole)).sort());
  });

  it("are not taken for others, nor removed with a file of the user's", async () => {
    const out = newPath();
    await collect(train({ ...options(out), keepLast: 3 }));
    const best = await stepOf(join(out, "best"));
    await cp(join(out, "best"), join(out, "best-set-aside-mine"), { recursive: true });
    await symlink("best", join(out, `best-set-aside-${best}`));
    await writeFile(join(out, "best", "mine.txt"), "mine");
    await resume(join(out, "checkpoint-4"), { stopAt: 6 });
    expect(await readFile(join(out, `best-set-aside-${best}-2`, "mine.txt"), "utf8")).toBe("mine");
    expect(await readdir(join(out, `best-set-aside-${best}-2`))).toContain("model.safetensors");
    await resume(out);
    expect(await readdir(join(out, `best-set-aside-${best}-2`))).toContain("mine.txt");
    expect(await readdir(join(out, "best-set-aside-mine"))).toContain("model.safetensors");
  });
});

describe("the best weights of the point that a run goes on from", () => {
  const often = { evalInterval: 2, checkpointInterval: 8 };
  const weightsIn = async (out: string, folder: string): Promise<string> => {
    const sha256 = (await readManifest(join(out, folder)))?.files["model.safetensors"]?.sha256;
    if (sha256 === undefined) throw new Error(`no weights in ${folder}`);
    return sha256;
  };

  it("are made of its checkpoint, where a kill came after better ones", async () => {
    const [whole, out] = [newPath(), newPath()];
    await collect(train(options(whole, often)));
    await killedAt(out, "step", 11, often);
    expect(await stepOf(join(out, "best"))).toBe(10);
    const weights = await weightsIn(out, "checkpoint");
    const { notices } = await resumeNoting(out, { stopAt: 9 });
    expect(notices.at(-1)).toBe(`${join(out, "best")}: the best weights so far, copied from checkpoint`);
    expect(await stepOf(join(out, "best"))).toBe(8);
    expect(await weightsIn(out, "best")).toBe(weights);
    expect((await readdir(join(out, "best"))).sort()).toEqual((await readdir(join(whole, "best"))).sort());
    await resume(out);
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
    expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
    expect((await readdir(out)).sort()).toEqual((await readdir(whole)).sort());
  });

  it("are made of a checkpoint before it, or of itself where somebody has deleted them", async () => {
    const out = newPath();
    await collect(train({ ...options(out, { evalInterval: 4, checkpointInterval: 2 }), keepLast: 9, stopAt: 8 }));
    await rm(join(out, "best"), { recursive: true });
    await resume(join(out, "checkpoint-6"), { stopAt: 7, keepLast: 9 });
    expect(await stepOf(join(out, "best"))).toBe(4);
    expect(await weightsIn(out, "best")).toBe(await weightsIn(out, "checkpoint-4"));
    await rm(join(out, "best"), { recursive: true });
    await resume(join(out, "checkpoint-4"), { stopAt: 5, keepLast: 9 });
    expect(await stepOf(join(out, "best"))).toBe(4);
  });

  const damage = async (path: string): Promise<void> => {
    const bytes = await readFile(path);
    bytes[bytes.length - 9] = (bytes.at(-9) ?? 0) ^ 4;
    await writeFile(path, bytes);
  };

  it("are made of its checkpoint again where they are damaged", async () => {
    const out = newPath();
    await cp(run.whole, out, { recursive: true });
    const weights = await weightsIn(out, "best");
    await damage(join(out, "best", "model.safetensors"));
    const { notices } = await resumeNoting(out, { steps: 20, stopAt: 13 });
    expect(notices).toEqual([`${join(out, "best")}: the best weights so far, copied from checkpoint`]);
    const { files } = await readCheckpoint(join(out, "best"), ["model.safetensors"]);
    expect(createHash("sha256").update(files["model.safetensors"]).digest("hex")).toBe(weights);
  });

  it("are given up where they are damaged and nowhere else, with a line", async () => {
    const out = newPath();
    await collect(train({ ...options(out), stopAt: 7 }));
    await damage(join(out, "best", "model.safetensors"));
    const { events, notices } = await resumeNoting(out);
    expect(notices).toEqual([`${join(out, "best")}: the best weights are damaged; the next evaluation replaces them`]);
    expect(ofType(events, "eval")[0]).toMatchObject({ step: 10, best: true });
  });

  it("are put back where a kill came while a finished run was to go back", async () => {
    const out = newPath();
    await collect(train({ ...options(out), keepLast: 3 }));
    await rename(join(out, "best"), join(out, "best-set-aside-12"));
    expect((await failure(resume(out))).message).toContain("must have steps left");
    expect(await stepOf(join(out, "best"))).toBe(12);
    expect(await readdir(out)).not.toContain("best-set-aside-12");
  });

  it("stay where a checkpoint that has ended is named, and the run is elsewhere", async () => {
    const out = newPath();
    await collect(train({ ...options(out), keepLast: 3 }));
    await resume(join(out, "checkpoint-4"), { stopAt: 6 });
    expect(await stepOf(join(out, "best"))).toBe(5);
    expect((await failure(resume(join(out, "checkpoint-set-aside")))).message).toContain("must have steps left");
    expect(await stepOf(join(out, "best"))).toBe(5);
    expect(await stepOf(join(out, "best-set-aside-12"))).toBe(12);
  });

  it("are not made of a checkpoint that is damaged", async () => {
    const out = newPath();
    await collect(train({ ...options(out, { evalInterval: 4, checkpointInterval: 2 }), keepLast: 9, stopAt: 7 }));
    await rm(join(out, "best"), { recursive: true });
    await damage(join(out, "checkpoint-4", "model.safetensors"));
    const { notices } = await resumeNoting(join(out, "checkpoint-6"), { stopAt: 7, keepLast: 9 });
    expect(notices).toContain(`${join(out, "best")}: the best weights are gone; the next evaluation replaces them`);
    expect(await readdir(out)).not.toContain("best");
  });

  it("are not those that another plan had at the same step", async () => {
    const out = newPath();
    const changes = { evalInterval: 2, checkpointInterval: 4 };
    await collect(train({ ...options(out, changes), keepLast: 9, stopAt: 9 }));
    const left = await weightsIn(out, "best");
    await resume(join(out, "checkpoint-4"), { steps: 24, stopAt: 11, keepLast: 9 });
    expect(await stepOf(join(out, "best-set-aside-8"))).toBe(8);
    await resume(join(out, "checkpoint-8"), { stopAt: 9, keepLast: 9 });
    expect(await stepOf(join(out, "best"))).toBe(8);
    expect(await weightsIn(out, "best")).not.toBe(left);
    expect(await weightsIn(out, "best-set-aside-8")).toBe(left);
    const former = join(out, "checkpoint-set-aside");
    expect((await failure(resume(former))).message).toBe(
      `${former}: the checkpoint must belong to the run's plan of 24 steps; got a checkpoint of a plan of 12 steps, which the run no longer follows; try a new run with initFrom`,
    );
  });
});

describe("a run that goes back to before better weights, with a plan that does not come to them again", () => {
  /**
   * The losses are best at step 2, worse at step 4, and better again from step 5 on. But if a plan of 6 steps continues
   * from step 4, the losses at steps 5 and 6 are worse than at step 2.
   */
  const wild = { evalInterval: 1, checkpointInterval: 4, learningRate: 0.15, warmupSteps: 0, maxLossRatio: 0 };
  const gone = /: the best weights are (?:gone|weights of step 12); the next evaluation replaces them$/u;

  const checkBest = async (out: string, events: readonly TrainEvent[]): Promise<void> => {
    const [done] = ofType(events, "done");
    expect(done).toMatchObject({ step: 6, reason: "finished", bestStep: 6 });
    expect(await stepOf(join(out, "best"))).toBe(6);
    // The list and the README show the same loss: the loss of the run's best weights.
    expect((await listRuns(out)).runs).toMatchObject([{ best: { step: 6, valLoss: done?.bestValLoss } }]);
    expect(await readFile(join(out, "README.md"), "utf8")).toContain("on held-out data, at step 6 |");
  };

  it("has best weights at its end: those of before are gone, so the next evaluation's take their place", async () => {
    const out = newPath();
    await collect(train({ ...options(out, wild), keepLast: 3 }));
    expect(await stepOf(join(out, "best"))).toBe(12);
    const { events, notices } = await resumeNoting(join(out, "checkpoint-4"), { steps: 6 });
    expect(notices).toContainEqual(expect.stringMatching(gone));
    expect(notices).toContain(
      `${join(out, "best-set-aside-12")}: best weights of an earlier plan that the run no longer follows`,
    );
    expect(await stepOf(join(out, "best-set-aside-12"))).toBe(12);
    await checkBest(out, events);
  });

  it("has them, too, where it had gone on from there by the old plan first", async () => {
    const out = newPath();
    await collect(train({ ...options(out, wild), keepLast: 3 }));
    for await (const event of train({ resume: join(out, "checkpoint-4"), ...anyBackend })) {
      if (event.type === "step") break;
    }
    expect(await stepOf(join(out, "best-set-aside-12"))).toBe(12);
    const { events, notices } = await resumeNoting(out, { steps: 6 });
    expect(notices).toContainEqual(expect.stringMatching(gone));
    await checkBest(out, events);
  });
});

describe("checkpoints that are kept", () => {
  const every = { checkpointInterval: 2 };
  const hashesOf = async (out: string, name: string) => (await readManifest(join(out, name)))?.files;

  it("are set aside where the run takes another way from before them", async () => {
    const out = newPath();
    await collect(train({ ...options(out, every), keepLast: 9 }));
    const names = [6, 8, 10].map((step) => `checkpoint-${step}`);
    const former = await Promise.all(names.map((name) => hashesOf(out, name)));
    const { notices } = await resumeNoting(join(out, "checkpoint-4"), { steps: 11 });
    expect(notices).toContain(
      `${join(out, "checkpoint-6-set-aside")} and so on: kept checkpoints of an earlier plan that the run no longer follows (steps 6 to 10, 3 of them)`,
    );
    for (const [i, name] of names.entries()) {
      expect(await hashesOf(out, `${name}-set-aside`)).toEqual(former[i]);
      expect(await hashesOf(out, name)).not.toEqual(former[i]);
    }
    const left = join(out, "checkpoint-8-set-aside");
    expect((await failure(resume(left))).message).toMatch(
      /must belong to the run's plan of 11 steps; got a checkpoint of a plan of 12 steps/u,
    );
    const [tuned] = await collect(
      train({ initFrom: left, data: run.data, out: newPath(), ...anyBackend, config: { train: { steps: 1 } } }),
    );
    expect(tuned).toMatchObject({ type: "start", initFrom: left });
  });

  it("are set aside where another backend comes to others, and written again where it comes to the same", async () => {
    const out = newPath();
    await collect(train({ ...options(out, every), keepLast: 9, stopAt: 9 }));
    const former = await hashesOf(out, "checkpoint-6");
    await resume(join(out, "checkpoint-4"), { stopAt: 7 });
    expect(await readdir(out)).not.toContain("checkpoint-6-set-aside");
    await resume(join(out, "checkpoint-4"), { stopAt: 7, backend: "reference" });
    expect(await hashesOf(out, "checkpoint-6-set-aside")).toEqual(former);
    // This checkpoint has the same plan, so the run can be resumed from it.
    const [, step] = await resume(join(out, "checkpoint-6-set-aside"), { stopAt: 7 });
    expect(step).toMatchObject({ type: "step", step: 7 });
  });

  it("of a plan that was left are not counted among those to keep", async () => {
    const out = newPath();
    await collect(train({ ...options(out, every), keepLast: 9, stopAt: 8 }));
    await resume(join(out, "checkpoint-4"), { steps: 20, stopAt: 5 });
    // The files that an earlier version left.
    await rename(join(out, "checkpoint-6-set-aside"), join(out, "checkpoint-6"));
    const former = await hashesOf(out, "checkpoint-6");
    await resume(out, { keepLast: 2 });
    const kept = (await readdir(out)).filter((name) => name.startsWith("checkpoint-"));
    expect(kept.sort()).toEqual(["checkpoint-18", "checkpoint-6-set-aside", "checkpoint-set-aside"]);
    expect(await hashesOf(out, "checkpoint-6-set-aside")).toEqual(former);
  });
});

describe("a run whose last checkpoint was being set aside when it was killed", () => {
  const setAside = async () => {
    const out = newPath();
    await collect(train({ ...options(out), keepLast: 3, stopAt: 9 }));
    await rename(join(out, "checkpoint"), join(out, ".aside-checkpoint"));
    return out;
  };

  it("goes on from it, where no other had taken its place", async () => {
    const out = await setAside();
    await resume(out);
    expect(await checkpointHashes(out)).toMatchObject(await checkpointHashes(run.whole));
    expect(await readdir(out)).not.toContain(".aside-checkpoint");
  });

  it("goes on from the other one, and has the first one set aside: it can be resumed, too", async () => {
    const out = await setAside();
    await rename(join(out, "checkpoint-4"), join(out, "checkpoint"));
    await resume(out, { stopAt: 5 });
    expect(await stepOf(join(out, "checkpoint-set-aside"))).toBe(9);
    const events = await resume(join(out, "checkpoint-set-aside"), { keepLast: 3 });
    expect(ofType(events, "step")[0]?.step).toBe(10);
    expect(await stepOf(join(out, "checkpoint-set-aside"))).toBe(5);
  });
});

it("a run whose notes were cut says that they are missing", async () => {
  const out = newPath();
  await killedAt(out, "step", 9);
  const notes = join(out, "metrics.jsonl");
  const [begin = ""] = (await readFile(notes, "utf8")).split("\n");
  await writeFile(notes, `${begin}\n`);
  const { notices } = await resumeNoting(out);
  expect(notices).toEqual([
    `${notes}: events are missing, including the best evaluation, so the list of runs does not show that evaluation`,
  ]);
});
