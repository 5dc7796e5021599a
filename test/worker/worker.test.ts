import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { CheckpointError, ConfigError, DataError, ForetokenError } from "#foretoken/core/errors/errors.js";
import { errorOfMessage, messageOfError } from "#foretoken/core/remote/error-message.js";
import { loadCorpus } from "#foretoken/data/corpora.node.js";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import { evaluateCorpus } from "#foretoken/evaluate/evaluate-corpus.js";
import { type GenerateEvent, generate } from "#foretoken/generate/generate.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { savePretrained as savedInPage } from "#foretoken/pretrained/save.browser.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { evaluate as evaluateInPage } from "#foretoken/train/train.browser.js";
import { train as trainHere } from "#foretoken/train/train.node.js";
import { loadInWorker, type WorkerModel } from "#foretoken/worker/model.node.js";
import { type NewRun, train } from "#foretoken/worker/train.node.js";
import { outcomeOf } from "../outcome-of.ts";
import { checkpointHashes, collect, timelessMetrics, tinyRun, useFolder, wordsText } from "../support/runs.ts";

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

/** The longest time, in milliseconds, that a timer of this thread waited for its turn while `work` went on. */
const longestPause = async <T>(work: Promise<T>): Promise<{ readonly pause: number; readonly result: T }> => {
  let pause = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    pause = Math.max(pause, now - last);
    last = now;
  }, 5);
  try {
    return { result: await work, pause };
  } finally {
    clearInterval(timer);
  }
};

describe("training in a thread of its own", () => {
  it("gives the same events, notes and bits", async () => {
    const [here, there] = [newPath(), newPath()];
    const inThread = await collect(trainHere(options(here)));
    const inWorker = await collect(train(options(there)));
    const timeless = (events: readonly TrainEvent[], run: string): unknown =>
      events
        .filter(({ type }) => type !== "estimate")
        .map((event) =>
          JSON.parse(
            JSON.stringify({ ...event, tokensPerSecond: 0, memory: 0, availableMemory: 0 }).replaceAll(run, "run"),
          ),
        );
    expect(timeless(inWorker, there)).toEqual(timeless(inThread, here));
    expect(await checkpointHashes(there)).toEqual(await checkpointHashes(here));
    expect((await timelessMetrics(there)).length).toBe((await timelessMetrics(here)).length);
  });

  // A step that takes the reference backend half a second.
  const slow = {
    model: { ...tinyRun.model, contextLength: 128, nLayer: 2, nEmbd: 128 },
    train: {
      ...tinyRun.train,
      steps: 100,
      batchSize: 3,
      gradAccumSteps: 1,
      evalInterval: 100,
      checkpointInterval: 100,
    },
  };

  it("leaves the thread that calls free during long steps, and hears its signal", async () => {
    const text = await writeText(wordsText("long", 3000));
    const controller = new AbortController();
    const seen: TrainEvent[] = [];
    let stepMilliseconds = 0;
    const work = async (): Promise<void> => {
      let began = performance.now();
      for await (const event of train(options(null, { data: text, config: slow, signal: controller.signal }))) {
        if (event.type === "start") began = performance.now();
        if (event.type === "step") {
          stepMilliseconds ||= performance.now() - began;
          controller.abort();
        }
        seen.push(event);
      }
    };
    const { pause } = await longestPause(work());
    expect(stepMilliseconds).toBeGreaterThan(300);
    expect(pause).toBeLessThan(stepMilliseconds / 2);
    expect(seen.at(-1)).toMatchObject({ type: "done", reason: "interrupted" });
    // It may be at the next step already.
    expect(seen.filter(({ type }) => type === "step").length).toBeLessThanOrEqual(2);
  });

  it("computes on the thread that calls where that has opened the backend, or says so", async () => {
    const backend = await openReference();
    let most = 0;
    for await (const _ of train(options(null, { backend }))) most = Math.max(most, backend.bytesInUse());
    expect(most).toBeGreaterThan(0);
    const events = await collect(train(options(null, { worker: false })));
    expect(events.at(-1)?.type).toBe("done");
    await expect(collect(train(options(null, { worker: "yes" as never })))).rejects.toThrow(
      'train: worker: must be true or false; got "yes"',
    );
  });

  it("fails with the errors of the library, as it would here", async () => {
    const cases: (readonly [changes: object, type: new (...args: never[]) => Error])[] = [
      [{ data: join(newPath(), "none.txt") }, DataError],
      [{ config: { model: { nEmbd: 7 } } }, ConfigError],
      [{ config: { model: { nEmbd: () => 8 } } }, ConfigError],
      [{ resume: newPath() }, CheckpointError],
    ];
    for (const [changes, type] of cases) {
      const all = "resume" in changes ? { ...changes, backend: "reference" as const } : options(null, changes);
      const errors = await Promise.all(
        [train, trainHere].map((run) =>
          collect(run(all as NewRun)).then(
            () => undefined,
            (error: unknown) => error,
          ),
        ),
      );
      for (const error of errors) expect(error).toBeInstanceOf(type);
      expect((errors[0] as Error).message).toBe((errors[1] as Error).message);
      expect((errors[0] as ConfigError).details.must).toBe((errors[1] as ConfigError).details.must);
    }
  });

  it("ends where the loop is left", async () => {
    const out = newPath();
    let steps = 0;
    for await (const event of train(options(out))) if (event.type === "step" && ++steps === 3) break;
    // The folder is free again.
    const rest = await collect(train({ resume: out, backend: "reference" }));
    expect(rest.at(-1)).toMatchObject({ type: "done", reason: "finished" });
  });

  it.each([false, true])("waits for a callback, and goes no further where that throws (worker: %s)", async (worker) => {
    const out = newPath();
    let steps = 0;
    for await (const event of trainHere(options(out))) if (event.type === "step" && ++steps === 3) break;
    const metrics = join(out, "metrics.jsonl");
    const before = await readFile(metrics, "utf8");
    expect(before.split("\n").length).toBeGreaterThan(3);
    const resume = (onNotice: (line: string) => void | Promise<void>) =>
      collect(train({ resume: out, backend: "reference", worker, onNotice }));
    for (const thrown of [new RangeError("mine"), new CheckpointError({ where: "a", must: "b", got: "c" }), "a text"]) {
      const error = await resume(() => {
        throw thrown;
      }).catch((caught: unknown) => caught);
      expect(error).toBe(thrown);
      expect(await readFile(metrics, "utf8")).toBe(before);
      expect(await readdir(out)).not.toContain(".lock");
    }
    await expect(resume(() => Promise.reject(new RangeError("later")))).rejects.toThrow("later");
    expect(await readFile(metrics, "utf8")).toBe(before);
    let during = "";
    const rest = await resume(async (line) => {
      expect(line).toContain("no checkpoint yet");
      await new Promise((resolve) => setTimeout(resolve, 50));
      during = await readFile(metrics, "utf8");
    });
    expect(during).toBe(before);
    expect(rest.at(-1)).toMatchObject({ type: "done", reason: "finished" });
  });

  it("fails where its thread is ended while that waits for a callback", async () => {
    const out = newPath();
    for await (const event of trainHere(options(out))) if (event.type === "step") break;
    const posted = vi.spyOn(Worker.prototype, "postMessage");
    const onNotice = async (): Promise<void> => {
      await (posted.mock.contexts[0] as Worker).terminate();
    };
    const ended = collect(train({ resume: out, backend: "reference", onNotice }));
    await expect(ended).rejects.toThrow("the worker thread has ended (1)");
    posted.mockRestore();
    expect((await collect(train({ resume: out, backend: "reference" }))).at(-1)).toMatchObject({ type: "done" });
  });

  it("lets the program end while it waits for a callback", async () => {
    const out = newPath();
    for await (const event of trainHere(options(out))) if (event.type === "step") break;
    const url = new URL("../../dist/index.js", import.meta.url).href;
    const program = (callback: string, after: string): string => `
      const { train } = await import(${JSON.stringify(url)});
      const onNotice = () => { console.log("told"); ${callback} };
      const events = train({ resume: ${JSON.stringify(out)}, backend: "reference", onNotice });
      const next = events.next();
      ${after}`;
    const cases = [
      ["process.exit(3)", "await next;", 3],
      // Nothing is left that could answer.
      ["return new Promise(() => {});", "", 0],
      // The engine's own status for it.
      ["return new Promise(() => {});", "await next;", 13],
      ["setTimeout(() => process.exit(4), 50); return new Promise(() => {});", "await events.return();", 4],
    ] as const;
    for (const [callback, after, status] of cases) {
      const args = ["--input-type=module", "-e", program(callback, after)];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
      expect(await outcomeOf(child)).toMatchObject({ status, stdout: "told\n" });
    }
  });

  it("leaves a run that can go on where its thread is ended from outside", async () => {
    const out = newPath();
    const posted = vi.spyOn(Worker.prototype, "postMessage");
    const resumed = () => collect(train({ resume: out, backend: "reference" }));
    const work = async (): Promise<void> => {
      let steps = 0;
      for await (const event of train(options(out))) {
        if (event.type !== "step" || ++steps !== 5) continue;
        await expect(resumed()).rejects.toThrow(`got process ${process.pid}, this one;`);
        await (posted.mock.contexts[0] as Worker).terminate();
      }
    };
    await expect(work()).rejects.toThrow("the worker thread has ended (1)");
    posted.mockRestore();
    expect(await readdir(out)).toContain(".lock");
    expect((await resumed()).at(-1)).toMatchObject({ type: "done", step: tinyRun.train.steps, reason: "finished" });
    expect(await readdir(out)).not.toContain(".lock");
    const whole = newPath();
    await collect(trainHere(options(whole)));
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
  });

  it("leaves nothing where it is left at its first event", async () => {
    const out = newPath();
    for await (const _ of train(options(out))) break;
    expect(existsSync(out)).toBe(false);
  });

  it("stays in its folder where the program goes to another one", async () => {
    const [here, there] = [newPath(), newPath()];
    for (const folder of [here, there]) await mkdir(folder);
    const before = process.cwd();
    try {
      process.chdir(there);
      await collect(train(options("run", { finalSampleTokens: 0 })));
      const theirs = await readFile(join(there, "run", "metrics.jsonl"), "utf8");
      process.chdir(here);
      for await (const { type } of train(options("run"))) if (type === "start") process.chdir(there);
      expect(await readFile(join(there, "run", "metrics.jsonl"), "utf8")).toBe(theirs);
      expect(existsSync(join(here, "run", "checkpoint", "model.safetensors"))).toBe(true);
    } finally {
      process.chdir(before);
    }
  });

  it("hands on what a system says, so that a full disk is told as one", () => {
    const error = Object.assign(new Error("ENOSPC: no space left"), { code: "ENOSPC", syscall: "write" });
    expect(errorOfMessage(structuredClone(messageOfError(error)))).toMatchObject({
      ...{ message: "ENOSPC: no space left", code: "ENOSPC", syscall: "write" },
    });
    expect(errorOfMessage(messageOfError(Object.create(null))).message).toBe("an object");
    const unsendable = Object.assign(new Error("a"), { name: () => 1 });
    const unreadable = Object.defineProperty(new Error("a"), "stack", {
      get() {
        throw new Error("b");
      },
    });
    for (const strange of [unsendable, unreadable]) {
      expect(structuredClone(messageOfError(strange)).message).toBe("an error that cannot be sent to another thread");
    }
  });

  it("throws the reason of a signal that was aborted before", async () => {
    const signal = AbortSignal.abort(new Error("not today"));
    await expect(collect(train(options(null, { signal })))).rejects.toThrow("not today");
  });

  it("keeps no process alive that does not wait for it", async () => {
    const url = new URL("../../dist/index.js", import.meta.url).href;
    const program = `
      const { train } = await import(${JSON.stringify(url)});
      const events = train({ data: ${JSON.stringify(data)}, out: null, backend: "reference", preset: "book" });
      console.log((await events.next()).value.type);`;
    const file = `${await writeText(program)}.mjs`;
    await writeFile(file, program);
    // The engine's flags are for the thread too, and may not be refused.
    const flags = ["--expose-gc", "--max-old-space-size=500"];
    for (const args of [["--input-type=module", "-e", program], [file]]) {
      const child = spawn(process.execPath, [...flags, ...args], { stdio: ["ignore", "pipe", "pipe"] });
      expect(await outcomeOf(child)).toEqual({ status: 0, stdout: "start\n", stderr: "" });
    }
  });
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
    for (const given of [undefined, { prompt: "the", signal: {} }, { prompt: "the", seed: () => 1 }]) {
      expect(() => lm.generate(given as never)).toThrow(ConfigError);
    }
    for (const given of ["text.txt", { txt: "the" }, undefined]) {
      await expect(lm.evaluate(given as never)).rejects.toThrow(/corpus: must be a text, as loadCorpus gives it; got/u);
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
      `${where}: model: must be a language model, as loadPretrained gives it; got a worker model, as loadInWorker gives ` +
      `it; try ${hint}`;
    expect(await told(() => generate(inWorker, { prompt: "the" }).next())).toBe(
      own("generate", "its own method, lm.generate()"),
    );
    expect(await told(() => evaluate(inWorker, { data }))).toBe(
      own("evaluate", "its own method, lm.evaluate(await loadCorpus(path))"),
    );
    expect(await told(() => evaluateInPage(inWorker, { text: "the" }))).toBe(
      own("evaluate", "its own method, lm.evaluate({ text })"),
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
      "evaluate: corpus: must be a text, as loadCorpus gives it; got an object; try await loadCorpus(path)",
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
    await expect(closed.score("the cat")).rejects.toThrow("score: the model must be open; got one that was closed");
    expect(() => closed.generate({ prompt: "the " })).toThrow(
      "generate: the model must be open; got one that was closed",
    );
  });

  it("says that it was closed where that comes in the middle of work, its thread ended or not", async () => {
    const load = () => loadInWorker(join(run, "checkpoint"), { backend: "reference" });
    const isClosed = (where: string): string => `${where}: the model must be open; got one that was closed`;
    const text = wordsText("closed", 3000);
    const corpus = { name: "text", train: "", val: text, parts: [{ where: "text", start: 0 }] };
    const rest = async (events: AsyncIterable<GenerateEvent>): Promise<void> => {
      for await (const _ of events);
    };
    for (const count of [1, 2]) {
      // Of several threads that are given back, one is kept.
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
