/** A run that goes on from a point before its best weights. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readManifest } from "#foretoken/io/owned-folder.node.js";
import { train } from "#foretoken/train/train.node.js";
import { checkpointHashes, collect, ofType } from "../../support/runs.ts";
import { resume, useWholeRun } from "./whole-run.ts";

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
    const aside = join(out, "best-set-aside");
    expect(notices).toHaveLength(2);
    expect(notices).toContain(
      `${aside}: the best weights from after this point, of step 5, kept until the run has come as far again`,
    );
    expect(await stepOf(aside)).toBe(5);
    await resume(out);
    expect((await readdir(out)).sort()).toEqual((await readdir(run.whole)).sort());
    const [found, expected] = [await checkpointHashes(out), await checkpointHashes(run.whole)];
    expect(found["best/model.safetensors"]).toBe(expected["best/model.safetensors"]);
  });

  it("are set aside once, however often it begins again", async () => {
    const out = newPath();
    await killedAt(out, "step", 7, { checkpointInterval: 100 });
    for (let i = 0; i < 2; i++) {
      for await (const event of train({ resume: out, backend: "reference" })) {
        if (event.type === "step" && event.step === 7) break;
      }
    }
    const names = (await readdir(out)).filter((name) => name.startsWith("best"));
    expect(names.sort()).toEqual(["best", "best-set-aside"]);
  });

  it("are set aside for good if an earlier checkpoint is resumed with another plan", async () => {
    const out = newPath();
    await collect(train({ ...options(out), keepLast: 3 }));
    const later = await stepOf(join(out, "best"));
    const { events } = await resumeNoting(join(out, "checkpoint-4"), { steps: 6 });
    expect(events.at(-1)).toMatchObject({ type: "done", step: 6 });
    expect(await stepOf(join(out, "best-set-aside"))).toBe(later);
    expect(await stepOf(join(out, "best"))).toBe(ofType(events, "eval").findLast(({ best }) => best)?.step);
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
    `${notes}: notes are missing, the best evaluation among them: the list of runs does not know of it`,
  ]);
});
