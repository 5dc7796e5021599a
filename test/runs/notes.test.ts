import { cp, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { train } from "#foretoken/train/train.node.js";
import { checkpointHashes, collect, timelessMetrics, wordsText } from "../support/runs.ts";
import { failure, resume, useWholeRun } from "./whole-run.ts";

const { newPath, writeText, run, options, killedAt } = useWholeRun();

describe("the notes of a run", () => {
  it("are whole after a kill between a checkpoint and its note", async () => {
    const out = newPath();
    await killedAt(out, "checkpoint", 8);
    const path = join(out, "metrics.jsonl");
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    expect(lines.at(-1)).toContain('"checkpoint"');
    await writeFile(path, `${lines.slice(0, -1).join("\n")}\n{"v":1,"type":"che`);
    await resume(out);
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(run.whole));
    expect(await timelessMetrics(out)).toEqual(await timelessMetrics(run.whole));
  });

  it.each([0, 1])("are whole after a kill between the last checkpoint and the end: %d notes of it", async (notes) => {
    const out = newPath();
    await killedAt(out, "checkpoint", 12);
    const path = join(out, "metrics.jsonl");
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    expect(lines.at(-1)).toContain('"checkpoint"');
    if (notes === 0) await writeFile(path, `${lines.slice(0, -1).join("\n")}\n`);
    const told: string[] = [];
    const events = await resume(out, { onNotice: (line: string) => told.push(line) });
    expect(events.map(({ type }) => type)).toEqual(["done"]);
    expect(told.join()).toContain("the run had ended");
    expect(await timelessMetrics(out)).toEqual(await timelessMetrics(run.whole));
    for (const name of ["README.md", "samples.txt"])
      expect(await readFile(join(out, name), "utf8")).toBe(await readFile(join(run.whole, name), "utf8"));
    expect((await failure(resume(out))).message).toContain("the run must have steps left; got all 12 done");
  });
});

describe("a run in the first form, without a manifest", () => {
  const fixture = fileURLToPath(new URL("../fixtures/run-a9ede5f", import.meta.url));

  it("resumes to the same bits each time, and is called unchecked", async () => {
    const folder = newPath();
    await cp(fixture, folder, { recursive: true });
    const out = join(folder, "run");
    const description = JSON.parse(await readFile(join(out, "run.json"), "utf8")) as { data: { data: string } };
    description.data.data = join(folder, "text.txt");
    await writeFile(join(out, "run.json"), JSON.stringify(description));
    const told: string[] = [];
    const onNotice = (line: string): void => {
      told.push(line);
    };
    const lm = await loadPretrained(join(out, "best"), { backend: "reference", onNotice });
    await lm.close();
    await collect(train({ resume: out, backend: "wasm", threads: 1, onNotice }));
    expect(told).toEqual(
      ["best", "checkpoint"].map((name) =>
        expect.stringMatching(`${name}: unchecked, because it has no manifest.json`),
      ),
    );
    const hashes = await checkpointHashes(out);
    // The fixture's version also trained a run without interruption. The weights of that run differ from these weights
    // by at most 3e-8, because norms are now summed piece by piece.
    expect(hashes["checkpoint/model.safetensors"]).toBe(
      "cc8233f643f9aa572bcc9c03c553e5e49c2773a0105588b6805f883900080f7b",
    );
    expect(hashes["checkpoint/optimizer.safetensors"]).toBe(
      "d1706a43e62b05fb6fca37c67c47fed8899a8bb50d952e6fbcb2cc997ac8ad1e",
    );
    expect((await readdir(join(out, "checkpoint"))).sort()).toContain("manifest.json");
    expect(basename(out)).toBe("run");
  });
});

describe("a sample that is broken off", () => {
  it.each([5, 12])("at step %d is made up for, so that the notes are whole and in order", async (step) => {
    const out = newPath();
    const controller = new AbortController();
    for await (const event of train({ ...options(out), signal: controller.signal })) {
      if (event.type === "eval" && event.step === step) controller.abort();
      if (event.type === "done") expect(event).toMatchObject({ reason: "interrupted", step });
    }
    await resume(out);
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(run.whole));
    expect(await timelessMetrics(out)).toEqual(await timelessMetrics(run.whole));
  });

  it("is made up for before the checkpoint of its step, where there is one", async () => {
    const changes = { evalInterval: 4, checkpointInterval: 4 };
    const uninterrupted = newPath();
    await collect(train(options(uninterrupted, changes)));
    const out = newPath();
    const controller = new AbortController();
    for await (const event of train({ ...options(out, changes), signal: controller.signal })) {
      if (event.type === "eval" && event.step === 4) controller.abort();
    }
    await resume(out);
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(uninterrupted));
    expect(await timelessMetrics(out)).toEqual(await timelessMetrics(uninterrupted));
  });
});

describe("a text that was moved", () => {
  it("is named where the run is resumed, and must be the same", async () => {
    const text = await writeText(wordsText("trust", 300));
    const out = newPath();
    await collect(train({ ...options(out), data: text, stopAt: 6 }));
    const moved = newPath();
    await rename(text, moved);
    expect((await failure(resume(out))).message).toContain("try --data with its new path");
    const other = await writeText(wordsText("another", 300));
    expect((await failure(resume(out, { data: other }))).message).toContain("must be the one that the run began with");
    await resume(out, { data: moved });
    const [found, expected] = [await checkpointHashes(out), await checkpointHashes(run.whole)];
    expect(found["checkpoint/model.safetensors"]).toBe(expected["checkpoint/model.safetensors"]);
  });
});
