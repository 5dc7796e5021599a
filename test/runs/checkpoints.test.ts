import { cp, mkdir, readdir, readFile, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadNamed, modelDirectory } from "#foretoken/cli/model/checkpoint-path.js";
import { readInitial } from "#foretoken/runs/begin/initial.node.js";
import { train } from "#foretoken/train/train.node.js";
import { anyBackend, checkpointHashes, collect, timelessMetrics } from "../support/runs.ts";
import { failure, resume, useWholeRun } from "./whole-run.ts";

const { newPath, run, options } = useWholeRun();

describe("a checkpoint", () => {
  it("is alone again where a run that kept more is to keep one", async () => {
    const out = newPath();
    await collect(train({ ...options(out), keepLast: 3, stopAt: 9 }));
    await collect(train({ resume: out, ...anyBackend, keepLast: 1 }));
    expect((await readdir(out)).filter((name) => name.startsWith("checkpoint"))).toEqual(["checkpoint"]);
  });

  it("that is damaged is refused by name, and the line names the one before where more are kept", async () => {
    const out = newPath();
    await collect(train({ ...options(out), keepLast: 2 }));
    expect((await readdir(out)).filter((name) => name.startsWith("checkpoint")).sort()).toEqual([
      "checkpoint",
      "checkpoint-8",
    ]);
    // Restores the state before the end of the run: the last checkpoint is from step 8.
    const half = newPath();
    await collect(train({ ...options(half), keepLast: 3, stopAt: 9 }));
    expect((await readdir(half)).filter((name) => name.startsWith("checkpoint")).sort()).toEqual([
      "checkpoint",
      "checkpoint-4",
      "checkpoint-8",
    ]);
    const damage = async (checkpoint: string): Promise<void> => {
      const path = join(half, checkpoint, "optimizer.safetensors");
      const bytes = await readFile(path);
      bytes[bytes.length - 9] = (bytes.at(-9) ?? 0) ^ 4;
      await writeFile(path, bytes);
    };
    await damage("checkpoint");
    await damage("checkpoint-8");
    expect((await failure(resume(half))).message).toBe(
      `${join(half, "checkpoint", "optimizer.safetensors")}: the file must match its SHA-256 in manifest.json; got other contents; try resume ${join(half, "checkpoint-4")}`,
    );
    await resume(join(half, "checkpoint-4"));
    expect(await checkpointHashes(half)).toEqual(await checkpointHashes(run.whole));
    expect(await timelessMetrics(half)).toEqual(await timelessMetrics(run.whole));
    // No checkpoint that might still be needed is deleted.
    expect(await readdir(half)).toContain("checkpoint-set-aside");
  });

  it("of another step is refused, and so is one whose step was edited", async () => {
    const [earlier, later] = [newPath(), newPath()];
    await collect(train({ ...options(earlier), stopAt: 4 }));
    await collect(train({ ...options(later), stopAt: 6 }));
    for (const name of ["model.safetensors", "optimizer.safetensors", "trainer_state.json", "manifest.json"]) {
      const mixed = newPath();
      await cp(later, mixed, { recursive: true });
      await cp(join(earlier, "checkpoint", name), join(mixed, "checkpoint", name));
      expect((await failure(resume(mixed))).message, name).toContain("must match its SHA-256");
    }
    const edited = newPath();
    await cp(later, edited, { recursive: true });
    const path = join(edited, "checkpoint", "manifest.json");
    await writeFile(path, (await readFile(path, "utf8")).replace('"step": 6', '"step": 5'));
    expect((await failure(resume(edited))).message).toContain("got step 6 with a manifest of step 5");
  });

  it("keeps what somebody else has put into its folder", async () => {
    const out = newPath();
    await collect(train({ ...options(out), stopAt: 5 }));
    await writeFile(join(out, "checkpoint", "letter.txt"), "Dear");
    await writeFile(join(out, "best", "letter.txt"), "Dear");
    await resume(out);
    expect(await readFile(join(out, "checkpoint", "letter.txt"), "utf8")).toBe("Dear");
    expect(await readFile(join(out, "best", "letter.txt"), "utf8")).toBe("Dear");
    for (const name of ["checkpoint", "best"]) await unlink(join(out, name, "letter.txt"));
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(run.whole));
  });

  it("that somebody has copied stays, where the run itself keeps one alone", async () => {
    const out = newPath();
    await collect(train({ ...options(out), stopAt: 6 }));
    await cp(join(out, "checkpoint"), join(out, "checkpoint-6"), { recursive: true });
    await resume(out);
    expect(await readdir(out)).toContain("checkpoint-6");
  });

  it("whose place is taken is noticed before anything is computed", async () => {
    for (const name of ["best", "checkpoint"]) {
      const out = newPath();
      await collect(train({ ...options(out), stopAt: 4 }));
      await rename(join(out, "checkpoint"), join(out, "elsewhere"));
      if (name === "best") await rename(join(out, "elsewhere"), join(out, "checkpoint"));
      if (name === "best") await mkdir(join(out, name));
      if (name === "best") await writeFile(join(out, name, "letter.txt"), "Dear");
      else await symlink(join(out, "elsewhere"), join(out, name));
      const types: string[] = [];
      const work = (async () => {
        for await (const { type } of train({ resume: out, ...anyBackend })) types.push(type);
      })();
      expect((await failure(work)).message).toMatch(/must be new, empty or a checkpoint that foretoken wrote/u);
      expect(types).toEqual([]);
    }
  });

  it("that is lost is not taken for one that was never there", async () => {
    const out = newPath();
    await collect(train({ ...options(out), stopAt: 6 }));
    const metrics = await readFile(join(out, "metrics.jsonl"), "utf8");
    await rm(join(out, "checkpoint"), { recursive: true });
    expect((await failure(resume(out))).message).toMatch(/checkpoint: the run must have the checkpoint that it saved/u);
    expect(await readFile(join(out, "metrics.jsonl"), "utf8")).toBe(metrics);
  });

  it("that is lost leads to one that is there, from every command, or to a new run", async () => {
    const out = newPath();
    await collect(train({ ...options(out), keepLast: 2, stopAt: 9 }));
    for (const name of ["checkpoint", "best"]) await rm(join(out, name), { recursive: true });
    const asked = async (): Promise<readonly string[]> => {
      const works = [modelDirectory(out), loadNamed(out, {}, {}), readInitial(out), resume(out)];
      return Promise.all(works.map(async (work) => (await failure(work)).message));
    };
    const kept = join(out, "checkpoint-8");
    const must = "the run must have a checkpoint; got";
    const model = `${out}: ${must} only earlier checkpoints; try ${kept}`;
    expect(await asked()).toEqual([
      ...[model, model, `initFrom ${out}: ${must} only earlier checkpoints; try initFrom ${kept}`],
      `${join(out, "checkpoint")}: the run must have the checkpoint that it saved; got no such folder; try resume ${kept}`,
    ]);
    await readInitial(kept);
    const aside = join(out, "checkpoint-set-aside");
    await rename(kept, aside);
    for (const message of await asked()) expect(message.endsWith(aside)).toBe(true);
    await rm(aside, { recursive: true });
    for (const message of await asked()) {
      expect(message).toMatch(/; got none: the run has no weights left; try a new run, or restoring them$/u);
    }
  });

  it.each([
    ["m", Number.NaN],
    ["v", Number.POSITIVE_INFINITY],
    ["v", -1],
  ])("with a moment %s of %d is refused", async (kind, value) => {
    const out = newPath();
    await collect(train({ ...options(out), stopAt: 6 }));
    const path = join(out, "checkpoint", "optimizer.safetensors");
    const bytes = await readFile(path);
    const header = Number(bytes.readBigUInt64LE(0));
    const entries = JSON.parse(bytes.subarray(8, 8 + header).toString()) as Record<string, { data_offsets: number[] }>;
    const [name, entry] = Object.entries(entries).find(([key]) => key.startsWith(`${kind}.`)) ?? [];
    bytes.writeFloatLE(value, 8 + header + (entry?.data_offsets[0] ?? 0));
    await writeFile(path, bytes);
    await unlink(join(out, "checkpoint", "manifest.json"));
    expect((await failure(resume(out))).message).toContain(`${name} must hold finite numbers`);
  });
});
