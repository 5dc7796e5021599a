/**
 * Runs that are resumed from files in memory, in the code for pages, and between pages and Node. The results have the
 * same bits as without an interruption.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openBackend } from "#foretoken/backend/select.node.js";
import type { CheckpointFiles } from "#foretoken/pretrained/files/names.js";
import { type FolderFiles, type RunFiles, runFromFolder, runToFolder } from "#foretoken/runs/folder-in-memory.js";
import { type TrainOptions, train as trainInPage } from "#foretoken/train/train.browser.js";
import { train } from "#foretoken/train/train.node.js";
import { comparable, notesOf } from "../support/handed-files.ts";
import { collect, tinyRun, useFolder, wordsText } from "../support/runs.ts";

const { newPath } = useFolder();
const text = wordsText("going on", 300);
/** Twelve steps, with evaluations at 5, 10 and 12 and checkpoints at 4, 8 and 12. */
const plan = { preset: "book", config: tinyRun, finalSampleTokens: 3 } as const;

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend("wasm", { threads: 1 });
});
afterAll(() => backend.close());

type Train = (options: TrainOptions) => AsyncIterable<unknown>;
const inNode = (options: TrainOptions) => train({ ...options, out: null } as Parameters<typeof train>[0]);
const sides: readonly (readonly [string, Train, Train])[] = [
  ["a page goes on with a run of Node", inNode, trainInPage],
  ["a page goes on with its own", trainInPage, trainInPage],
];

/** Trains, and returns the files of the last checkpoint and of the best checkpoint. */
const handed = async (run: Train, options: Partial<TrainOptions>): Promise<RunFiles> => {
  const saved: Partial<Record<"last" | "best", CheckpointFiles>> = {};
  const onCheckpoint = (files: CheckpointFiles, which: "last" | "best"): void => {
    saved[which] = files;
  };
  await collect(run({ text, backend, onCheckpoint, ...options }) as never);
  return { text, ...saved } as RunFiles;
};

const messageOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "no error",
    (error: unknown) => (error as Error).message,
  );

let whole: RunFiles;
beforeAll(async () => {
  whole = await handed(trainInPage, plan);
});

const write = async (path: string, files: FolderFiles): Promise<void> => {
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), bytes);
  }
};
const read = async (path: string): Promise<Record<string, Uint8Array>> => {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [file.slice(path.length + 1), await readFile(file)] as const)),
  );
};

const pick = (files: Record<string, Uint8Array>, names: readonly string[]): Record<string, Uint8Array> =>
  Object.fromEntries(Object.entries(files).filter(([name]) => names.includes(name)));

describe.each(sides)("%s", (_, first, second) => {
  // The run stops after a planned checkpoint, between two checkpoints, and at an evaluation.
  it.each([4, 5, 7])("stopped after %d steps, to the bits and notes of an uninterrupted one", async (stopAt) => {
    const { last } = await handed(first, { ...plan, stopAt });
    const rest = await handed(second, { resume: last });
    expect(comparable(rest.last)).toEqual(comparable(whole.last));
  });
});

describe("a run in a page that goes on", () => {
  it("may get more steps, as in Node", async () => {
    const path = newPath();
    await collect(train({ text, ...plan, out: path, backend }));
    await collect(train({ resume: path, steps: 15, extend: "restart", backend }));
    const more = await handed(trainInPage, { resume: whole.last, steps: 15, extend: "restart" });
    const { last } = await runFromFolder(await read(path));
    const { "manifest.json": manifest } = comparable(more.last);
    expect(manifest).toBe(comparable(last)["manifest.json"]);
    // From here on the run has the new plan.
    expect(await messageOf(handed(trainInPage, { resume: more.last }))).toMatch(
      /^train: resume: the run must have steps left; got all 15 done; try steps 45/u,
    );
  });

  it("writes the last sample that its stop had broken off", async () => {
    const stop = new AbortController();
    let files: CheckpointFiles | undefined;
    const onCheckpoint = (given: CheckpointFiles, which: string): void => {
      if (which === "last") files = given;
    };
    const options = { text, backend, ...plan, finalSampleTokens: 50, onCheckpoint, signal: stop.signal };
    for await (const event of trainInPage(options)) if (event.type === "eval" && event.step === 12) stop.abort();
    const events = await collect(trainInPage({ text, backend, resume: files, onCheckpoint }));
    expect(events.map(({ type }) => type)).toEqual(["start", "sample", "checkpoint", "done"]);
    expect(events.at(-1)).toMatchObject({ reason: "finished", step: 12 });
  });

  it("learns documents as one that was not interrupted", async () => {
    const documents = Array.from({ length: 30 }, (_, i) => ({ text: wordsText(`document ${i}`, 12) }));
    const learn = { ...plan, text: undefined, documents };
    const expected = await handed(trainInPage, learn);
    const { last } = await handed(trainInPage, { ...learn, stopAt: 7 });
    const opened = await runFromFolder(runToFolder({ documents, last }));
    const { documents: kept, last: again } = opened;
    const rest = await handed(trainInPage, { text: undefined, documents: kept, resume: again });
    expect(comparable(rest.last)).toEqual(comparable(expected.last));
    const others = handed(trainInPage, { text: undefined, documents: documents.slice(1), resume: last });
    expect(await messageOf(others)).toMatch(/^documents: the documents must be the ones that the run began with/u);
  });

  it("refuses another text, files that are not whole, and options that would change it", async () => {
    const { last } = await handed(trainInPage, { ...plan, stopAt: 7 });
    const refusal = (change: object): Promise<string> => messageOf(handed(trainInPage, { resume: last, ...change }));
    expect(await refusal({ text: `${text}!` })).toBe(
      "text: the text must be the one that the run began with; got another one (its SHA-256 differs); try the same text, or a new run with initFrom",
    );
    expect(await refusal({ resume: whole.best })).toMatch(
      /^train: resume: must have all files of a run's last checkpoint; got no file named optimizer\.safetensors, trainer_state\.json or run\.json; try/u,
    );
    expect(await refusal({ resume: "run" })).toMatch(/^train: resume: must be an object with the files/u);
    const damaged = Uint8Array.from(last["optimizer.safetensors"] as Uint8Array, (byte, i) =>
      i === 900 ? ~byte : byte,
    );
    expect(await refusal({ resume: { ...last, "optimizer.safetensors": damaged } })).toMatch(
      /^checkpoint\/optimizer\.safetensors: the file must match its SHA-256/u,
    );
    const mixed = { ...last, "run.json": whole.last["run.json"] };
    expect(await refusal({ resume: mixed })).toBe("no error");
    const foreign = new TextDecoder().decode(last["run.json"]).replace('"steps": 12', '"steps": 13');
    expect(await refusal({ resume: { ...last, "run.json": new TextEncoder().encode(foreign) } })).toMatch(
      /^checkpoint: the checkpoint must belong to the run's plan of 13 steps; got a checkpoint of a plan of 12 steps/u,
    );
    expect(await refusal({ stopAt: 7 })).toMatch(/^stopAt: must be a whole number above the 7 steps done; got 7/u);
    expect(await refusal({ extend: "restart" })).toMatch(/^extend: must be used with steps/u);
    for (const option of ["preset", "config", "prompt", "valFraction", "finalSampleTokens", "initFrom"]) {
      expect(await refusal({ [option]: 1 })).toMatch(
        new RegExp(`^resume: options that change the run must be absent; got ${option}; try `, "u"),
      );
    }
  });
});

describe("the folder of a run from a page", () => {
  it("goes on in Node to the folder of an uninterrupted one, and from there in a page again", async () => {
    const [expected, path] = [newPath(), newPath()];
    await collect(train({ text, ...plan, out: expected, backend }));
    const begun = await handed(trainInPage, { ...plan, stopAt: 7 });
    await write(path, runToFolder(begun));
    await collect(train({ resume: path, backend, stopAt: 10 }));
    const opened = await runFromFolder(await read(path));
    expect(opened.text).toBe(text);
    const rest = await handed(trainInPage, { resume: opened.last });
    await write(path, runToFolder({ ...rest, best: rest.best ?? opened.best }));
    const [one, other] = [await read(expected), await read(path)];
    const names = Object.keys(one).filter((name) => !/^(?:README\.md|samples\.txt|metrics\.jsonl)$/u.test(name));
    expect(names).toContain("best/manifest.json");
    expect(comparable(pick(other, names))).toEqual(comparable(pick(one, names)));
    // All events except the last event, because a page writes its last checkpoint before the end of the run.
    expect(notesOf(other)).toEqual(notesOf(one).slice(0, -2));
    // Node records the end.
    await collect(train({ resume: path, backend }));
    expect(notesOf(await read(path)).at(-1)).toMatchObject({ type: "done", reason: "finished" });
  });

  it("is that of one run, the one that lies least deep", async () => {
    const folder = runToFolder(whole);
    const below = (...roots: readonly string[]): FolderFiles =>
      Object.fromEntries(
        roots.flatMap((root) => Object.entries(folder).map(([path, bytes]) => [`${root}/${path}`, bytes])),
      );
    expect(await messageOf(runFromFolder(below("runs/b", "runs/a", "runs/long")))).toBe(
      'runFromFolder: folder: must be the folder of one run; got a folder of 3 runs, such as "runs/a" and "runs/b"; try the folder of a single run',
    );
    const damaged = Object.fromEntries(Object.keys(folder).map((path) => [`a/b/${path}`, new Uint8Array()]));
    expect(await runFromFolder({ ...damaged, ...below("a-long-name") })).toEqual(await runFromFolder(folder));
  });

  it("has data of the kind that the run learns", async () => {
    const documents = Array.from({ length: 30 }, (_, i) => ({ text: wordsText(`document ${i}`, 12) }));
    const valText = wordsText("held out", 60);
    const learn = { ...plan, text: undefined, documents: documents.slice(2), valDocuments: documents.slice(0, 2) };
    const { last } = await handed(trainInPage, { ...learn, stopAt: 1 });
    const withVal = await handed(trainInPage, { ...plan, valText, stopAt: 1 });
    const refusal = (run: RunFiles): Promise<string> => messageOf(Promise.resolve().then(() => runToFolder(run)));
    expect(await refusal({ text, last })).toBe(
      "runToFolder: run: must have the documents that the run trains on; got a text",
    );
    expect(await refusal({ documents, last: whole.last })).toBe(
      "runToFolder: run: must have the text that the run trains on; got documents",
    );
    expect(await refusal({ documents, last })).toMatch(
      /documents to validate on.* got none; try valDocuments as well$/u,
    );
    expect(await refusal({ text, last: withVal.last })).toMatch(
      /text to validate on.* got none; try valText as well$/u,
    );
    expect(await refusal({ text, valText, last: withVal.last })).toBe("no error");
  });

  it("is found among the files of a page's input, below their folder's name", async () => {
    const folder = runToFolder(whole);
    const files = Object.entries(folder).map(([path, bytes]) =>
      Object.defineProperty(new File([bytes as Uint8Array<ArrayBuffer>], path), "webkitRelativePath", {
        value: `download/my-run/${path}`,
      }),
    );
    expect(await runFromFolder(files)).toEqual(await runFromFolder(folder));
    expect(await messageOf(runFromFolder(files.slice(2)))).toMatch(
      /^runFromFolder: folder: must be the folder of a run, with run\.json and a checkpoint; got no run\.json/u,
    );
    const damaged = { ...folder, "text.txt": Uint8Array.of(0x61, 0xff, 0x62) };
    expect(await messageOf(runFromFolder(damaged))).toBe(
      "runFromFolder: text.txt: the run's text must be UTF-8; got bytes that are not UTF-8; try another copy of the folder",
    );
    expect(await messageOf(runFromFolder({ "run.json": folder["run.json"] as Uint8Array }))).toMatch(
      /got no checkpoint\//u,
    );
    expect(await messageOf(Promise.resolve().then(() => runToFolder({ last: whole.last })))).toMatch(
      /^runToFolder: run: must have the run's text or documents; got neither/u,
    );
  });
});
