import { mkdir, readdir, readFile, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { CheckpointError, ConfigError } from "#foretoken/core/errors/errors.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { train } from "#foretoken/train/train.node.js";
import { checkpointHashes, collect, ofType, timelessMetrics } from "../support/runs.ts";
import { failure, resume, useWholeRun } from "./whole-run.ts";

const { newPath, run, options } = useWholeRun();

/** A user's folder. The folder contains files with the names of a run's files, and other files. */
const folderOfNotes = async (): Promise<string> => {
  const folder = newPath();
  await mkdir(join(folder, "best"), { recursive: true });
  for (const name of ["samples.txt", "README.md", "metrics.jsonl", "best/letter.txt"])
    await writeFile(join(folder, name), `mine: ${name}`);
  return folder;
};

const notesOf = async (folder: string): Promise<Record<string, string>> => {
  const notes: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) notes[path.slice(folder.length + 1)] = await readFile(path, "utf8");
  }
  return notes;
};
describe("a path", () => {
  it("is resolved once: `new/..` is the folder above, and refused where that has anything in it", async () => {
    const folder = await folderOfNotes();
    const before = await notesOf(folder);
    const out = `${folder}/new/..`;
    expect((await failure(collect(train(options(out))))).message).toContain(
      "the folder must be new or empty; got a folder with other files",
    );
    const lm = await loadPretrained(join(run.whole, "best"), { backend: "reference" });
    for (const directory of [out, folder, join(folder, "best")]) {
      expect(await failure(savePretrained(directory, lm))).toBeInstanceOf(CheckpointError);
    }
    // Paths that resolve to the working directory, or to a parent folder.
    for (const directory of ["", ".", "new/..", "..", "/", dirname(process.cwd())]) {
      const error = await failure(savePretrained(directory, lm));
      expect(error, directory).toBeInstanceOf(CheckpointError);
    }
    await lm.close();
    expect(await notesOf(folder)).toEqual(before);
  });

  it("that is a file, or goes through one, is refused", async () => {
    for (const out of [run.data, join(run.data, "below")]) {
      expect(await failure(collect(train(options(out))))).toBeInstanceOf(ConfigError);
    }
  });

  it("of the program's own choice is never that of another run of the same second", async () => {
    const folder = newPath();
    await mkdir(folder);
    const before = process.cwd();
    process.chdir(folder);
    try {
      const outs = await Promise.all(
        Array.from({ length: 3 }, async () => {
          const { out: _, ...rest } = options("");
          const events = await collect(train({ ...rest, stopAt: 1 }));
          return ofType(events, "start")[0]?.out ?? "";
        }),
      );
      expect(new Set(outs).size).toBe(3);
      expect((await readdir(join(folder, "runs"))).length).toBe(3);
    } finally {
      process.chdir(before);
    }
  });
});

describe("two processes", () => {
  it("never work in one run's folder: the second is refused, the first unharmed", async () => {
    const out = newPath();
    let refused: Error | undefined;
    for await (const event of train(options(out))) {
      if (event.type !== "step" || event.step !== 6) continue;
      refused = await failure(resume(out));
      expect((await failure(collect(train(options(out))))).message).toMatch(/must be new or empty|no other process/u);
    }
    expect(refused?.message).toMatch(/no other process may use the folder; got process \d+, this process/u);
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(run.whole));
    expect(await timelessMetrics(out)).toEqual(await timelessMetrics(run.whole));
    expect(await readdir(out)).not.toContain(".lock");
  });
});

describe("a run's folder", () => {
  it.skipIf(process.platform === "win32")("is never written through a link that lies in it", async () => {
    const out = newPath();
    await collect(train({ ...options(out), stopAt: 5 }));
    const mine = newPath();
    await writeFile(mine, "mine");
    for (const name of ["README.md.tmp", "samples.txt.tmp", "metrics.jsonl.tmp", "run.json.tmp"])
      await symlink(mine, join(out, name));
    for (const name of ["README.md", "samples.txt"]) {
      await rm(join(out, name));
      await symlink(mine, join(out, name));
    }
    await resume(out, { stopAt: 7 });
    expect(await readFile(mine, "utf8")).toBe("mine");
    await rename(join(out, "metrics.jsonl"), `${out}-metrics`);
    await symlink(mine, join(out, "metrics.jsonl"));
    expect((await failure(resume(out))).message).toContain("got a link");
    expect(await readFile(mine, "utf8")).toBe("mine");
    await unlink(join(out, "metrics.jsonl"));
    await rename(`${out}-metrics`, join(out, "metrics.jsonl"));
    await resume(out);
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(run.whole));
  });

  it("whose description is empty, since its process was killed, is free for a new run, and resume says so", async () => {
    for (const left of ["", "\0\0"]) {
      const out = newPath();
      await mkdir(out);
      await writeFile(join(out, "run.json"), left);
      expect((await failure(resume(out))).message).toMatch(/run\.json: the file must describe the run; got an empty/u);
      await collect(train(options(out)));
      expect(await checkpointHashes(out)).toEqual(await checkpointHashes(run.whole));
    }
  });

  it("is not left behind by a run that fails before its first step, nor are those above it", async () => {
    const above = newPath();
    const backend = await openReference();
    const failing = { ...backend, alloc: () => { throw new ConfigError({ where: "test", must: "have memory" }); } }; // biome-ignore format: short
    expect(await failure(collect(train({ ...options(join(above, "deep", "run")), backend: failing })))).toBeInstanceOf(
      ConfigError,
    );
    await expect(readdir(above)).rejects.toThrow(/ENOENT/u);
    await mkdir(above);
    await failure(collect(train({ ...options(above), backend: failing })));
    expect(await readdir(above)).toEqual([]);
    await backend.close();
  });

  it("that cannot be written to is refused before anything is computed", async () => {
    const types: string[] = [];
    const error = await failure(
      (async () => {
        for await (const { type } of train(options("/proc/foretoken"))) types.push(type);
      })(),
    );
    expect(error).toBeInstanceOf(ConfigError);
    expect(types).toEqual([]);
  });
});
