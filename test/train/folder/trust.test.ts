import { cp, mkdir, readdir, readFile, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { CheckpointError, ConfigError } from "#foretoken/core/errors.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import type { RunConfig } from "#foretoken/train/config/config.js";
import type { PartialConfig } from "#foretoken/train/config/merge.js";
import { train } from "#foretoken/train/train.node.js";
import {
  checkpointHashes,
  collect,
  ofType,
  smallRun,
  timelessMetrics,
  useFolder,
  wordsText,
} from "../../support/runs.ts";

const { newPath, writeText } = useFolder();
let data = "";
/** Twelve steps, evaluations at 5, 10 and 12, checkpoints at 4, 8 and 12. */
let whole = "";

type TrainChanges = NonNullable<PartialConfig<RunConfig>["train"]>;
const options = (out: string, changes: TrainChanges = {}) =>
  ({
    preset: "book",
    config: { ...smallRun, train: { ...smallRun.train, ...changes } },
    data,
    out,
    backend: "reference",
    finalSampleTokens: 3,
  }) as const;
const resume = (path: string, more: object = {}) => collect(train({ resume: path, backend: "reference", ...more }));

beforeAll(async () => {
  data = await writeText(wordsText("trust", 300));
  whole = newPath();
  await collect(train(options(whole)));
});

/** Ends a run like a kill, in the middle of the work after the event. */
const killedAt = async (out: string, type: string, step: number, changes?: TrainChanges): Promise<void> => {
  for await (const event of train(options(out, changes))) {
    if (event.type === type && "step" in event && event.step === step) break;
  }
};

const failure = async (work: Promise<unknown>): Promise<Error> => {
  const error = await work.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Error);
  return error as Error;
};

/** A folder of the user's with files that a run would write, and others. */
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
    const lm = await loadPretrained(join(whole, "best"), { backend: "reference" });
    for (const directory of [out, folder, join(folder, "best")]) {
      expect(await failure(savePretrained(directory, lm))).toBeInstanceOf(CheckpointError);
    }
    // Paths that resolve to the working directory, or to one above it.
    for (const directory of ["", ".", "new/..", "..", "/", dirname(process.cwd())]) {
      const error = await failure(savePretrained(directory, lm));
      expect(error, directory).toBeInstanceOf(CheckpointError);
    }
    await lm.close();
    expect(await notesOf(folder)).toEqual(before);
  });

  it("that is a file, or goes through one, is refused", async () => {
    for (const out of [data, join(data, "below")]) {
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
    expect(refused?.message).toMatch(/no other process may be working in the folder; got process \d+, this one/u);
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
    expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
    expect(await readdir(out)).not.toContain(".lock");
  });
});

describe("a checkpoint", () => {
  it("is alone again where a run that kept more is to keep one", async () => {
    const out = newPath();
    await collect(train({ ...options(out), keepLast: 3, stopAt: 9 }));
    await collect(train({ resume: out, backend: "reference", keepLast: 1 }));
    expect((await readdir(out)).filter((name) => name.startsWith("checkpoint"))).toEqual(["checkpoint"]);
  });

  it("that is damaged is refused by name, and the line names the one before where more are kept", async () => {
    const out = newPath();
    await collect(train({ ...options(out), keepLast: 2 }));
    expect((await readdir(out)).filter((name) => name.startsWith("checkpoint")).sort()).toEqual([
      "checkpoint",
      "checkpoint-8",
    ]);
    // As if it had not ended: the last checkpoint is of step 8 then.
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
      `${join(half, "checkpoint", "optimizer.safetensors")}: the file must be the one that was saved, by its SHA-256 in manifest.json; got other contents; try resume ${join(half, "checkpoint-4")}`,
    );
    await resume(join(half, "checkpoint-4"));
    expect(await checkpointHashes(half)).toEqual(await checkpointHashes(whole));
    expect(await timelessMetrics(half)).toEqual(await timelessMetrics(whole));
    // Nothing is thrown away that might still be wanted.
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
      expect((await failure(resume(mixed))).message, name).toContain("must be the one that was saved, by its SHA-256");
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
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
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
        for await (const { type } of train({ resume: out, backend: "reference" })) types.push(type);
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
    expect((await failure(resume(out))).message).toMatch(
      /checkpoint: the run's checkpoint must be there, since one was/u,
    );
    expect(await readFile(join(out, "metrics.jsonl"), "utf8")).toBe(metrics);
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

describe("a run's folder", () => {
  it("that is deleted or replaced under its hands is saved in another, which can be resumed", async () => {
    for (const way of ["deleted", "replaced"] as const) {
      const out = newPath();
      const events = (async () => {
        for await (const event of train(options(out))) {
          if (event.type !== "step" || event.step !== 6) continue;
          await rename(out, `${out}-away`);
          if (way === "replaced") await mkdir(out);
        }
      })();
      const error = await failure(events);
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error.message).toContain(`saved in ${out}-rescued instead; try resume ${out}-rescued`);
      if (way === "replaced") expect(await readdir(out)).toEqual([]);
      await resume(`${out}-rescued`);
      const [found, expected] = [await checkpointHashes(`${out}-rescued`), await checkpointHashes(whole)];
      expect(found["checkpoint/model.safetensors"]).toBe(expected["checkpoint/model.safetensors"]);
    }
  });

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
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
  });

  it("whose description is empty, since its process was killed, is free for a new run, and resume says so", async () => {
    for (const left of ["", "\0\0"]) {
      const out = newPath();
      await mkdir(out);
      await writeFile(join(out, "run.json"), left);
      expect((await failure(resume(out))).message).toMatch(
        /run\.json: the file must say what the run is; got an empty/u,
      );
      await collect(train(options(out)));
      expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
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

describe("the notes of a run", () => {
  it("are whole after a kill between a checkpoint and its note", async () => {
    const out = newPath();
    await killedAt(out, "checkpoint", 8);
    const path = join(out, "metrics.jsonl");
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    expect(lines.at(-1)).toContain('"checkpoint"');
    await writeFile(path, `${lines.slice(0, -1).join("\n")}\n{"v":1,"type":"che`);
    await resume(out);
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
    expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
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
    expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
    for (const name of ["README.md", "samples.txt"])
      expect(await readFile(join(out, name), "utf8")).toBe(await readFile(join(whole, name), "utf8"));
    expect((await failure(resume(out))).message).toContain("the run must have steps left; got all 12 done");
  });
});

describe("a run of an earlier version, without a manifest", () => {
  const fixture = fileURLToPath(new URL("../../fixtures/run-a9ede5f", import.meta.url));

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
      ["best", "checkpoint"].map((name) => expect.stringMatching(`${name}: unchecked, since it has no manifest.json`)),
    );
    const hashes = await checkpointHashes(out);
    // An uninterrupted run of that version ended within 3e-8 of these weights: norms have been summed piece by piece since.
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
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
    expect(await timelessMetrics(out)).toEqual(await timelessMetrics(whole));
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
    expect((await failure(resume(out))).message).toContain("try --data with the path that it has now");
    const other = await writeText(wordsText("another", 300));
    expect((await failure(resume(out, { data: other }))).message).toContain("must be the one that the run began with");
    await resume(out, { data: moved });
    const [found, expected] = [await checkpointHashes(out), await checkpointHashes(whole)];
    expect(found["checkpoint/model.safetensors"]).toBe(expected["checkpoint/model.safetensors"]);
  });
});
