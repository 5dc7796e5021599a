import { existsSync, readdirSync, rmSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openBackend } from "#foretoken/backend/select.node.js";
import { CheckpointError } from "#foretoken/core/errors/errors.js";
import { train } from "#foretoken/train/train.node.js";
import { anyBackend, checkpointHashes, timelessMetrics, wordsText } from "../support/runs.ts";
import { failure, resume, useWholeRun } from "./whole-run.ts";

const { newPath, run, options } = useWholeRun();

/** Calls `work` after step 6 of a run. The run has checkpoints at the steps 4, 8 and 12. */
const trainWith = async (out: string, work: () => Promise<void>, backend?: Backend) => {
  for await (const event of train({ ...options(out), ...(backend && { backend }) })) {
    if (event.type === "step" && event.step === 6) await work();
  }
};

/** A backend that calls `work` once. After `begin` was called, it does this in the middle of writing a checkpoint. */
const whileWriting = async (out: string, work: () => void) => {
  const { backend: name, ...openedWith } = anyBackend;
  const backend = await openBackend(name, openedWith);
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

/** The rescued run has the earlier events and the earlier best weights. */
const expectComplete = async (rescued: string): Promise<void> => {
  const [found, expected] = [await timelessMetrics(rescued), await timelessMetrics(run.whole)];
  expect(found.length).toBeGreaterThan(8);
  expect(found).toEqual(expected.slice(0, found.length));
  expect(await readdir(join(rescued, "best"))).toContain("model.safetensors");
};

const expectWhole = async (out: string): Promise<void> => {
  const names = [
    "checkpoint/model.safetensors",
    "checkpoint/optimizer.safetensors",
    "best/model.safetensors",
    "run.json",
  ];
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
      const got = "got a deleted or moved folder";
      expect(error.message).toContain(`${got}; saved in ${out}-rescued instead; try resume ${out}-rescued`);
      if (way === "replaced") expect(await readdir(out)).toEqual([]);
      await expectComplete(`${out}-rescued`);
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

  it("loses nothing where the description, the notes or the best weights are deleted", async () => {
    for (const name of ["run.json", "metrics.jsonl", "best", "best/model.safetensors"]) {
      const out = newPath();
      await trainWith(out, () => rm(join(out, name), { recursive: true }));
      await expectWhole(out);
      expect(await timelessMetrics(out)).toEqual(await timelessMetrics(run.whole));
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

describe("best weights that are deleted between two parts of a run", () => {
  it("are replaced by those of the next evaluation, and a line says so", async () => {
    const out = newPath();
    for await (const event of train(options(out))) if (event.type === "checkpoint" && event.step === 8) break;
    await rm(join(out, "best"), { recursive: true });
    const notices: string[] = [];
    await resume(out, { onNotice: (line: string) => notices.push(line) });
    expect(notices).toEqual([`${join(out, "best")}: the best weights are gone; the next evaluation replaces them`]);
    const names = ["best/model.safetensors", "checkpoint/model.safetensors"];
    const [found, expected] = [await checkpointHashes(out), await checkpointHashes(run.whole)];
    for (const name of names) expect(found[name], name).toBe(expected[name]);
  });
});

describe("a run's folder that cannot be written to any more", () => {
  it("because its notes are a folder now, or its checkpoint is a file, is saved in another", async () => {
    for (const name of ["metrics.jsonl", "run.json", "checkpoint"]) {
      const out = newPath();
      const error = await failure(
        trainWith(out, async () => {
          await rm(join(out, name), { recursive: true });
          if (name === "checkpoint") await writeFile(join(out, name), "mine");
          else await mkdir(join(out, name));
        }),
      );
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error.message).toContain(`saved in ${out}-rescued instead`);
      if (name === "checkpoint") expect(await readFile(join(out, name), "utf8")).toBe("mine");
      await expectRescued(out);
    }
  });

  it("because another process has saved in it, keeps that one's work", async () => {
    const out = newPath();
    const error = await failure(
      trainWith(out, async () => {
        await rm(join(out, ".lock"));
        await resume(out);
      }),
    );
    expect(error.message).toContain("got a checkpoint of step 12 from another process; saved in");
    await expectWhole(out);
    await expectRescued(out);
  });

  it("because another process has saved in it before this one did, keeps that one's work, its best weights too", async () => {
    const out = newPath();
    for await (const event of train(options(out))) if (event.type === "checkpoint" && event.step === 4) break;
    const training = (async () => {
      for await (const event of train({ resume: out, ...anyBackend })) {
        if (event.type !== "step" || event.step !== 5) continue;
        await rm(join(out, ".lock"));
        await resume(out);
      }
    })();
    expect((await failure(training)).message).toContain("a checkpoint of step 12 from another process; saved in");
    await expectWhole(out);
    await expectRescued(out);
  });

  it("because another process has its lock, keeps that one's work", async () => {
    const out = newPath();
    const other = train({ resume: out, ...anyBackend });
    const error = await failure(
      trainWith(out, async () => {
        await rm(join(out, ".lock"));
        // The other process has the lock, but has not saved anything yet.
        await other.next();
      }),
    );
    expect(error.message).toContain(
      ".lock: no other process may save in the run's folder while the run trains; got the lock of",
    );
    for await (const _ of other);
    await expectWhole(out);
    await expectRescued(out);
  });

  it("is saved beside a file of the name that it would have", async () => {
    const out = newPath();
    await writeFile(`${out}-rescued`, "mine");
    const error = await failure(trainWith(out, () => rename(out, `${out}-away`)));
    expect(error.message).toContain(`saved in ${out}-rescued-2 instead`);
    expect(await readFile(`${out}-rescued`, "utf8")).toBe("mine");
  });

  it("keeps the text that was given, of which it has the only copy", async () => {
    const [out, text, valText] = [newPath(), wordsText("given", 300), wordsText("given", 60)];
    const { data: _, ...rest } = options(out);
    const training = (async () => {
      for await (const event of train({ ...rest, text, valText })) {
        if (event.type === "step" && event.step === 6) await rename(out, `${out}-away`);
      }
    })();
    expect((await failure(training)).message).toContain(`saved in ${out}-rescued`);
    await rm(`${out}-away`, { recursive: true });
    expect(await readFile(`${out}-rescued/text.txt`, "utf8")).toBe(text);
    expect(await readFile(`${out}-rescued/val-text.txt`, "utf8")).toBe(valText);
    expect((await resume(`${out}-rescued`)).at(-1)).toMatchObject({ type: "done", step: 12 });
  });
});
