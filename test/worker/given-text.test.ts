/**
 * In Node, `train({ text })` and `onCheckpoint` work as in a page. Both functions work in the run's own thread and on
 * the calling thread.
 */
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { ConfigError, DataError } from "#foretoken/core/errors/errors.js";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import type { CheckpointFiles } from "#foretoken/pretrained/files/names.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { readRunDescription } from "#foretoken/runs/description.node.js";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { loadRunCorpus } from "#foretoken/runs/resume/run-corpus.node.js";
import type { WhichWeights } from "#foretoken/train/run/callbacks.js";
import { train as trainInPage } from "#foretoken/train/train.browser.js";
import { loadInWorker } from "#foretoken/worker/model.node.js";
import { type NewRun, type TrainOptions, train } from "#foretoken/worker/train.node.js";
import { comparable } from "../support/handed-files.ts";
import { checkpointHashes, collect, ofType, tinyRun, useFolder, wordsText } from "../support/runs.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const { newPath, writeText } = useFolder();
const text = wordsText("given", 300);
const valText = wordsText("held out", 60);
const small = { preset: "book", config: tinyRun, backend: "reference", finalSampleTokens: 5 } as const;

/** Events without the fields for the time, the memory and the paths. */
const timeless = (events: readonly TrainEvent[]): unknown[] =>
  events
    .filter(({ type }) => type !== "estimate")
    .map((event) => ({
      ...event,
      ...{ tokensPerSecond: 0, memory: 0, availableMemory: 0, corpus: "", out: "", path: "" },
    }));

interface Handed {
  readonly events: readonly TrainEvent[];
  readonly files: readonly CheckpointFiles[];
  readonly which: readonly WhichWeights[];
}

const handedOut = async (
  run: (onCheckpoint: NonNullable<TrainOptions["onCheckpoint"]>) => AsyncIterable<TrainEvent>,
): Promise<Handed> => {
  const files: CheckpointFiles[] = [];
  const which: WhichWeights[] = [];
  const events = await collect(
    run((given, kind) => {
      files.push(given);
      which.push(kind);
    }),
  );
  return { events, files, which };
};

describe.each([true, false])("a run of a string, with worker: %s", (worker) => {
  let inPage: Handed;
  let inNode: Handed;
  beforeAll(async () => {
    inPage = await handedOut((onCheckpoint) => trainInPage({ ...small, text, onCheckpoint }));
    inNode = await handedOut((onCheckpoint) => train({ ...small, text, onCheckpoint, worker }));
  });

  it("has the events and hands out the files of the same run in a page, to the bit", () => {
    expect(timeless(inNode.events)).toEqual(timeless(inPage.events));
    expect(inNode.which).toEqual(inPage.which);
    expect(new Set(inNode.which)).toEqual(new Set(["last", "best"]));
    expect(inNode.files.map(comparable)).toEqual(inPage.files.map(comparable));
    expect(inNode.events.at(-1)).toMatchObject({ type: "done", task: "train", out: "onCheckpoint" });
  });

  it("may have a name, which its folder keeps", async () => {
    const out = newPath();
    const named = { ...small, text, out, worker, dataName: "letters.txt" };
    const events = await collect(train({ ...named, stopAt: 2 }));
    expect(events[0]).toMatchObject({ type: "start", corpus: "letters.txt" });
    const [on] = await collect(train({ resume: out, backend: "reference", worker }));
    expect(on).toMatchObject({ type: "start", corpus: "letters.txt" });
    const wrong = collect(train({ ...small, data: "letters.txt", out: null, worker, dataName: "letters" }));
    await expect(wrong).rejects.toThrow(/^dataName: must be used only with text or documents/u);
  });

  it("hands out what loads, here and in a thread, and measures what the run did", async () => {
    const { valLoss, bestValLoss } = ofType(inNode.events, "done")[0] ?? {};
    const held = text.slice(Math.floor(0.9 * text.length));
    for (const [kind, loss] of [["last", valLoss] as const, ["best", bestValLoss] as const]) {
      const files = inNode.files[inNode.which.lastIndexOf(kind)] as CheckpointFiles;
      const lm = await loadPretrained(files, { backend: "reference" });
      const inThread = await loadInWorker(files, { backend: "reference" });
      expect((await evaluate(lm, { text: held })).natsPerToken).toBe(loss);
      expect((await inThread.evaluate({ text: held })).natsPerToken).toBe(loss);
      expect(await inThread.score(held, { stride: 8 })).toEqual(await lm.score(held, { stride: 8 }));
      await Promise.all([lm.close(), inThread.close()]);
      // The caller's files are unchanged.
      expect(comparable(files)).toEqual(comparable(inPage.files[inPage.which.lastIndexOf(kind)] as CheckpointFiles));
    }
  });

  it("has the bits of a run of the same text in a file, and of a text to validate on", async () => {
    const [data, valData] = [await writeText(text), await writeText(valText)];
    for (const [given, onDisk] of [
      [{ text }, { data }],
      [
        { text, valFraction: 0.2 },
        { data, valFraction: 0.2 },
      ],
      [
        { text, valText },
        { data, valData },
      ],
    ] as const) {
      const own = await collect(train({ ...small, ...given, worker }));
      expect(own[0]).toMatchObject({ type: "start", out: null, corpus: "text" });
      expect(timeless(own)).toEqual(timeless(await collect(train({ ...small, ...onDisk, out: null, worker }))));
    }
  });

  it("writes in the folder, and hands out the same files, where it has both", async () => {
    const out = newPath();
    const { files, which, events } = await handedOut((onCheckpoint) =>
      train({ ...small, text, out, onCheckpoint, worker }),
    );
    expect(timeless(events)).toEqual(timeless(inNode.events));
    expect(files.map(comparable)).toEqual(inNode.files.map(comparable));
    const kept = (folder: string, name: string): Promise<Uint8Array> => readFile(join(out, folder, name));
    for (const name of ["model.safetensors", "config.json", "tokenizer.json"]) {
      const last = files[which.lastIndexOf("last")]?.[name] as Uint8Array;
      const best = files[which.lastIndexOf("best")]?.[name] as Uint8Array;
      expect(Buffer.from(last).equals(await kept("checkpoint", name))).toBe(true);
      expect(Buffer.from(best).equals(await kept("best", name))).toBe(true);
    }
  });

  it("continues from its folder to the same bits, and hands out its files from there on", async () => {
    const [whole, stopped] = [newPath(), newPath()];
    await collect(train({ ...small, text, valText, out: whole, worker }));
    await collect(train({ ...small, text, valText, out: stopped, stopAt: 6, worker }));
    expect((await readdir(stopped)).sort()).toEqual(expect.arrayContaining(["text.txt", "val-text.txt"]));
    const rest = await handedOut((onCheckpoint) =>
      train({ resume: stopped, backend: "reference", onCheckpoint, worker }),
    );
    expect(rest.events.at(-1)).toMatchObject({ type: "done", reason: "finished" });
    expect(rest.which).toContain("last");
    expect(await checkpointHashes(stopped)).toEqual(await checkpointHashes(whole));
  });

  it("ends with the error of the callback, as it was thrown", async () => {
    const mine = new RangeError("mine");
    const onCheckpoint = async (): Promise<void> => {
      throw mine;
    };
    await expect(collect(train({ ...small, text, onCheckpoint, worker }))).rejects.toBe(mine);
  });
});

describe("a text in a run's folder", () => {
  // A byte order mark, and line ends that would change if the text were read from a file.
  const strange = `\uFEFF${text.replaceAll("\n", "\r\n")}né 🐋 `.repeat(2);

  it("is kept as it was given, is named on the run's page, and goes with the folder", async () => {
    const [out, moved] = [newPath(), newPath()];
    await collect(train({ ...small, text: strange, out, stopAt: 2, prompt: "🐋 " }));
    expect(await readFile(join(out, "text.txt"), "utf8")).toBe(strange);
    expect(await readFile(join(out, "README.md"), "utf8")).toContain("| `text.txt` | the text");
    await cp(out, moved, { recursive: true });
    await rm(out, { recursive: true });
    const { data } = await readRunDescription(moved);
    expect(data.prompt).toBe("🐋 ");
    const { kind, corpus } = await loadRunCorpus(data);
    expect(kind === "text" ? corpus.train + corpus.val : kind).toBe(strange);
    expect((await collect(train({ resume: moved, backend: "reference" }))).at(-1)).toMatchObject({
      reason: "finished",
    });
  });

  it("is looked for in the folder alone, whatever the description says", async () => {
    const out = newPath();
    await collect(train({ ...small, text, out, stopAt: 2 }));
    const path = join(out, "run.json");
    const json = await readFile(path, "utf8");
    await writeFile(path, json.replace('"text.txt"', '"../elsewhere.txt"'));
    expect((await readRunDescription(out)).data.data).toBe(join(out, "text.txt"));
  });

  it("is asked for in one line where it is gone, and taken from a copy", async () => {
    const out = newPath();
    await collect(train({ ...small, text, out, stopAt: 2 }));
    await rm(join(out, "text.txt"));
    const resumed = (data?: string) => collect(train({ resume: out, backend: "reference", data }));
    await expect(resumed()).rejects.toThrow(DataError);
    await expect(resumed()).rejects.toThrow(
      `${join(out, "text.txt")}: the run's text must be a readable file; got nothing there; try --data with a copy of it`,
    );
    await expect(resumed(await writeText(`${text}!`))).rejects.toThrow(
      "the text must be the one that the run began with",
    );
    expect((await resumed(await writeText(text))).at(-1)).toMatchObject({ reason: "finished" });
  });
});

describe("options for the text", () => {
  const held = "only one of them may define the validation data; got both; try one of them";
  const both = "both texts must be strings, or both must be paths; got both; try text and valText, or data and valData";
  it.each<[Partial<NewRun> & object, string]>([
    [
      { text, data: "a.txt" },
      "data and text: only one of them may define the training data; got both; try one of them",
    ],
    [{ text, valText, valFraction: 0.2 }, `valText and valFraction: ${held}`],
    [{ data: "a.txt", valData: "b.txt", valText }, `valData and valText: ${held}`],
    [{ text, valData: "b.txt" }, `text and valData: ${both}`],
    [{ data: "a.txt", valText }, `data and valText: ${both}`],
    [{ valText }, "valText: must be given together with the text to train on; got valText alone; try text as well"],
    [{ text: 7 as never }, "text: must be a text; got 7"],
    [{ text, onCheckpoint: 7 as never }, "train: onCheckpoint: must be a function; got 7"],
    [{ text, prompt: "7" }, "prompt: "],
    [{ text: "" }, "tokenizer: the text must have at least one character; got none"],
    [{ text: "ab" }, "training split: the part of the text to learn from must have at least"],
  ])("are refused in one line: %#", async (given, line) => {
    for (const worker of [true, false]) {
      const refused = collect(train({ ...small, ...given, worker }));
      const message = await refused.then(
        () => "none",
        (error: Error) => error.message,
      );
      expect(message.startsWith(line), message).toBe(true);
      expect(message).not.toContain("\n");
    }
  });

  it("are proposed in the form of the given data, in a page and in Node", async () => {
    const refusal = (run: AsyncIterable<TrainEvent>): Promise<string> =>
      collect(run).then(
        () => "no error",
        (error: Error) => error.message,
      );
    const [first, ...rest] = Array.from({ length: 20 }, () => ({ text: "a word" }));
    for (const [given, hint] of [
      [{ documents: [first] }, /; try more documents, or valDocuments with other documents$/u],
      [{ documents: rest, valDocuments: [{ text: "a" }] }, /; try .*, or other valDocuments$/u],
      [{ text, valText: "a" }, /; try .*, or another valText$/u],
    ] as const) {
      expect(await refusal(train({ ...small, ...given, out: null, worker: false } as NewRun))).toMatch(hint);
      expect(await refusal(trainInPage({ ...small, ...given } as Parameters<typeof trainInPage>[0]))).toMatch(hint);
    }
    const data = join(newPath(), "one.jsonl");
    await mkdir(dirname(data));
    await writeFile(data, JSON.stringify(first));
    const onDisk = { ...small, data, out: null, worker: false };
    expect(await refusal(train(onDisk))).toMatch(/; try more documents, or valData with other documents$/u);
    const valData = await writeText("a");
    expect(await refusal(train({ ...onDisk, data: await writeText(text), valData }))).toMatch(/, or another valData$/u);
  });

  it("cannot be given to a run that is resumed", async () => {
    const given = { resume: "runs/a", text } as never;
    await expect(collect(train(given))).rejects.toThrow("resume: options that change the run must be absent; got text");
  });

  it("need a model that can be saved where it is handed out", async () => {
    const config = { ...tinyRun, model: { ...tinyRun.model, mask: "none" } } as const;
    await expect(collect(train({ ...small, config, text, onCheckpoint() {} }))).rejects.toThrow(ConfigError);
    expect((await collect(train({ ...small, config, text }))).at(-1)).toMatchObject({ type: "done", out: null });
  });

  it("of evaluate do not contradict each other", async () => {
    const { files } = await handedOut((onCheckpoint) =>
      train({ ...small, text, stopAt: 1, onCheckpoint, backend: "reference" }),
    );
    const lm = await loadPretrained(files[0] as CheckpointFiles, { backend: await openReference() });
    for (const other of [{ data: "a.txt" }, { valFraction: 0.1 }, { split: "val" as const }]) {
      await expect(evaluate(lm, { text, ...other })).rejects.toThrow(
        `text and ${Object.keys(other)[0]}: only one of them may be given: an evaluation on a given text uses the whole text; got both`,
      );
    }
    const whole = await evaluate(lm, { text });
    expect(await evaluate(lm, { text, split: "all" })).toEqual(whole);
    expect(whole.tokens).toBe(text.length - 1);
    await lm.close();
  });
});
