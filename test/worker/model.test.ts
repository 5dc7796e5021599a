import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { CheckpointError, ConfigError, DataError, ForetokenError } from "#foretoken/core/errors/errors.js";
import { loadCorpus } from "#foretoken/data/corpora.node.js";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import { evaluateCorpus } from "#foretoken/evaluate/evaluate-corpus.js";
import type { GenerateEvent } from "#foretoken/generate/events.js";
import { generate } from "#foretoken/generate/generate.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { savePretrained as savedInPage } from "#foretoken/pretrained/save.browser.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { evaluate as evaluateInPage } from "#foretoken/train/train.browser.js";
import { train as trainHere } from "#foretoken/train/train.node.js";
import { loadInWorker, type WorkerModel } from "#foretoken/worker/model.node.js";
import type { NewRun } from "#foretoken/worker/train.node.js";
import { collect, tinyRun, useFolder, wordsText } from "../support/runs.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const { newPath, writeText } = useFolder();
let data = "";
beforeAll(async () => {
  data = await writeText(wordsText("worker", 300));
});

const options = (out: string | null, changes: object = {}): NewRun => ({
  ...{ preset: "book", config: tinyRun, data, out, backend: "reference", finalSampleTokens: 5 },
  ...changes,
});

describe("a model in a thread of its own", () => {
  const copyWithoutManifest = async (checkpoint: string): Promise<string> => {
    const copy = newPath();
    await cp(checkpoint, copy, { recursive: true });
    await rm(join(copy, "manifest.json"));
    return copy;
  };
  let run = "";
  let lm: WorkerModel;
  beforeAll(async () => {
    run = newPath();
    await collect(trainHere(options(run)));
    lm = await loadInWorker(join(run, "checkpoint"), { backend: "reference" });
  });
  afterAll(() => lm.close());

  it("writes and measures what it does here", async () => {
    const local = await loadPretrained(join(run, "checkpoint"), { backend: await openReference() });
    const settings = { prompt: "the ", maxNewTokens: 20, seed: 3 };
    const all = async (events: AsyncIterable<GenerateEvent>): Promise<GenerateEvent[]> => {
      const list: GenerateEvent[] = [];
      for await (const event of events) list.push(event);
      return list;
    };
    expect(await all(lm.generate(settings))).toEqual(await all(generate(local, settings)));
    const asking = { ...settings, candidates: 5 };
    const withCandidates = await all(lm.generate(asking));
    expect(withCandidates).toEqual(await all(generate(local, asking)));
    expect(withCandidates[0]).toMatchObject({ probability: expect.any(Number), candidates: { length: 5 } });
    const corpus = await loadCorpus(data);
    const told: number[] = [];
    const measured = await lm.evaluate(corpus, { split: "all", onProgress: (done) => told.push(done) });
    expect(measured).toEqual(await evaluateCorpus(local, corpus, { split: "all" }));
    expect(told.at(-1)).toBe(measured.tokens);
    expect(await lm.score("the cat sat on the mat")).toEqual(await local.score("the cat sat on the mat"));
    const named = { stride: 3, candidates: 2 };
    expect(await lm.score([1, 2, 3], named)).toEqual(await local.score([1, 2, 3], named));
    expect(await lm.score([1, 2, 3], { stride: 3 })).toEqual(await local.score([1, 2, 3], { stride: 3 }));
    expect(lm).toMatchObject({ config: local.model.config, parameters: local.model.layout.count });
    expect(lm.tokenizer.encode("the")).toEqual(local.tokenizer.encode("the"));
    await local.close();
  });

  it("is broken off by a signal, and by leaving the loop; and then writes again", async () => {
    const controller = new AbortController();
    let last: GenerateEvent | undefined;
    for await (const event of lm.generate({ prompt: "the ", maxNewTokens: 100_000, signal: controller.signal })) {
      last = event;
      controller.abort();
    }
    expect(last).toMatchObject({ type: "done", finishReason: "aborted" });
    for await (const _ of lm.generate({ prompt: "the ", maxNewTokens: 100_000 })) break;
    const both = await Promise.all(
      [1, 2].map(async (seed) => {
        let text = "";
        for await (const event of lm.generate({ prompt: "the ", maxNewTokens: 5, seed }))
          if (event.type === "token") text += event.text;
        return text;
      }),
    );
    for (const text of both) expect(text).toHaveLength(5);
  });

  it("tells mistakes as the library does", async () => {
    await expect(loadInWorker(newPath(), { backend: "reference" })).rejects.toThrow(CheckpointError);
    const opened = await openReference();
    for (const given of [{ backend: opened }, null, { foo: 1 }, { threads: () => 1 }, { onNotice: 1 }]) {
      await expect(loadInWorker(join(run, "checkpoint"), given as never)).rejects.toThrow(ConfigError);
    }
    for (const given of [null, { prompt: "the", signal: {} }, { prompt: "the", seed: () => 1 }]) {
      expect(() => lm.generate(given as never)).toThrow(ConfigError);
    }
    for (const given of ["text.txt", { txt: "the" }, undefined]) {
      await expect(lm.evaluate(given as never)).rejects.toThrow(/corpus: must be a text from loadCorpus; got/u);
    }
    await expect(lm.evaluate(await loadCorpus(data), { splitt: "all" } as never)).rejects.toThrow(ConfigError);
    await expect(lm.generate({ prompt: "" }).next()).rejects.toThrow(ConfigError);
    await expect(lm.generate({ prompt: "é" }).next()).rejects.toThrow(DataError);
    const told = async (call: () => unknown): Promise<string> => {
      try {
        await call();
      } catch (error) {
        if (error instanceof ConfigError) return error.message;
      }
      return "";
    };
    const load = (given: unknown) => () => loadInWorker(join(run, "checkpoint"), given as never);
    const needsName =
      "loadInWorker: backend: must be a name: auto, native, wasm or reference; got an opened backend, which stays on the " +
      'thread that opened it; try { backend: "reference" }';
    expect(await told(load({ backend: opened }))).toBe(needsName);
    expect(await told(load({ backend: {} }))).toBe(needsName.replace(/an opened.*/u, "an object"));
    expect(await told(load("wasm"))).toBe(
      'loadInWorker: options: must be an object of options; got "wasm"; try { backend: "wasm" }',
    );
    expect(await told(load("wsm"))).toBe('loadInWorker: options: must be an object of options; got "wsm"');
    const inWorker = lm as never;
    const own = (where: string, hint: string): string =>
      `${where}: model: must be a language model from loadPretrained; got a worker model from loadInWorker; ` +
      `try ${hint}`;
    expect(await told(() => generate(inWorker, { prompt: "the" }).next())).toBe(
      own("generate", "the model's own method, lm.generate()"),
    );
    expect(await told(() => evaluate(inWorker, { data }))).toBe(
      own("evaluate", "the model's own method, lm.evaluate(await loadCorpus(path))"),
    );
    expect(await told(() => evaluateInPage(inWorker, { text: "the" }))).toBe(
      own("evaluate", "the model's own method, lm.evaluate({ text })"),
    );
    for (const save of [() => savePretrained(newPath(), inWorker), () => savedInPage(inWorker)]) {
      expect(await told(save)).toBe(own("savePretrained", "a model from loadPretrained"));
    }
    const local = await loadPretrained(join(run, "checkpoint"), { backend: opened });
    for (const wrong of [{ onToken() {} }, { seed: () => 1 }, { tempreature: 1 }, { stop: [() => 1] }]) {
      const settings = { prompt: "the ", ...wrong } as never;
      const message = await told(() => generate(local, settings).next());
      expect(message).toMatch(/^generate/u);
      expect(await told(() => lm.generate(settings).next())).toBe(message);
    }
    for (const args of [
      ["t"],
      ["é the"],
      [[0, 1.5]],
      [7],
      ["the", { stride: 0 }],
      ["the", { stride: () => 1 }],
      ["the", 7],
    ]) {
      const score = (own: { readonly score: WorkerModel["score"] }): Promise<unknown> =>
        (own.score as (...args: unknown[]) => Promise<unknown>)(...args);
      const error = await score(local).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ForetokenError);
      await expect(score(lm)).rejects.toEqual(error);
    }
    await local.close();
    expect(await told(() => lm.evaluate({ data } as never))).toBe(
      "evaluate: corpus: must be a text from loadCorpus; got an object; try await loadCorpus(path)",
    );
    const late = new RangeError("later");
    await expect(
      lm.evaluate(await loadCorpus(data), {
        onProgress: async () => {
          await new Promise((resolve) => setTimeout(resolve, 20));
          throw late;
        },
      }),
    ).rejects.toBe(late);
    const unchecked = await copyWithoutManifest(join(run, "checkpoint"));
    const mine = new RangeError("mine");
    const onNotice = (): void => {
      throw mine;
    };
    await expect(loadInWorker(unchecked, { backend: "reference", onNotice })).rejects.toBe(mine);
    const closed = await loadInWorker(join(run, "checkpoint"), { backend: "reference" });
    await closed.close();
    await closed.close();
    await expect(closed.score("the cat")).rejects.toThrow("score: the model must be open; got a closed model");
    expect(() => closed.generate({ prompt: "the " })).toThrow("generate: the model must be open; got a closed model");
  });

  it("says that it was closed where that comes in the middle of work, its thread ended or not", async () => {
    const load = () => loadInWorker(join(run, "checkpoint"), { backend: "reference" });
    const isClosed = (where: string): string => `${where}: the model must be open; got a closed model`;
    const text = wordsText("closed", 3000);
    const corpus = { name: "text", train: "", val: text, parts: [{ where: "text", start: 0 }] };
    const rest = async (events: AsyncIterable<GenerateEvent>): Promise<void> => {
      for await (const _ of events);
    };
    for (const count of [1, 2]) {
      // If several threads become free, only one of them is kept for later use.
      const models = await Promise.all(Array.from({ length: count }, load));
      await Promise.all(
        models.map(async (model) => {
          const later = model.generate({ prompt: "the " });
          const events = model.generate({ prompt: "the ", maxNewTokens: 1000 });
          await events.next();
          let measuring: Promise<unknown> | undefined;
          await new Promise<void>((resolve) => {
            measuring = model.evaluate(corpus, { split: "all", onProgress: () => resolve() });
            measuring.catch(() => {});
          });
          await model.close();
          await expect(measuring).rejects.toThrow(isClosed("evaluate"));
          await expect(rest(events)).rejects.toThrow(isClosed("generate"));
          await expect(rest(later)).rejects.toThrow(isClosed("generate"));
          await expect(model.evaluate(corpus)).rejects.toThrow(isClosed("evaluate"));
        }),
      );
    }
  });
});
