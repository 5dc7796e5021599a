import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { CheckpointError, ConfigError, DataError } from "#foretoken/core/errors/errors.js";
import { errorOfMessage, messageOfError } from "#foretoken/core/remote/error-message.js";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { train as trainHere } from "#foretoken/train/train.node.js";
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

  // A step needs half a second on the reference backend.
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
    // Counts how often a timer fires in this thread during the first step. If this thread computed the step, the timer
    // would never fire.
    let turns = 0;
    let turnsOfStep = 0;
    const timer = setInterval(() => turns++, 5);
    try {
      for await (const event of train(options(null, { data: text, config: slow, signal: controller.signal }))) {
        if (event.type === "start") turns = 0;
        if (event.type === "step") {
          turnsOfStep ||= turns;
          controller.abort();
        }
        seen.push(event);
      }
    } finally {
      clearInterval(timer);
    }
    expect(turnsOfStep).toBeGreaterThan(5);
    expect(seen.at(-1)).toMatchObject({ type: "done", reason: "interrupted" });
    // The run may already have reached the next step.
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
    // The folder can be used again.
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
    const program = (run: string, callback: string, after: string): string => `
      const { train } = await import(${JSON.stringify(url)});
      const onNotice = () => { console.log("told"); ${callback} };
      const events = train({ resume: ${JSON.stringify(run)}, backend: "reference", onNotice });
      const next = events.next();
      ${after}`;
    const cases = [
      ["process.exit(3)", "await next;", 3],
      // The callback never answers, and the process has no other work.
      ["return new Promise(() => {});", "", 0],
      // In this case, 13 is the exit status of Node itself.
      ["return new Promise(() => {});", "await next;", 13],
      ["setTimeout(() => process.exit(4), 50); return new Promise(() => {});", "await events.return();", 4],
    ] as const;
    // Only one process at a time may use a run, so each process gets its own copy.
    await Promise.all(
      cases.map(async ([callback, after, status], i) => {
        const copy = `${out}-${i}`;
        await cp(out, copy, { recursive: true });
        const args = ["--input-type=module", "-e", program(copy, callback, after)];
        const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
        expect(await outcomeOf(child)).toMatchObject({ status, stdout: "told\n" });
      }),
    );
  });

  it("leaves a run that can go on where its thread is ended from outside", async () => {
    const out = newPath();
    const posted = vi.spyOn(Worker.prototype, "postMessage");
    const resumed = () => collect(train({ resume: out, backend: "reference" }));
    const work = async (): Promise<void> => {
      let steps = 0;
      for await (const event of train(options(out))) {
        if (event.type !== "step" || ++steps !== 5) continue;
        await expect(resumed()).rejects.toThrow(`got process ${process.pid}, this process;`);
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
      const config = ${JSON.stringify({ ...tinyRun, train: { ...tinyRun.train, steps: 10_000_000 } })};
      const events = train({ data: ${JSON.stringify(data)}, out: null, backend: "reference", preset: "book", config });
      console.log((await events.next()).value.type);`;
    const file = `${await writeText(program)}.mjs`;
    await writeFile(file, program);
    // The engine's flags also apply to the thread. The thread must not refuse them.
    const flags = ["--expose-gc", "--max-old-space-size=500"];
    const ways = [["--input-type=module", "-e", program], [file]];
    const outcomes = ways.map((args) =>
      outcomeOf(spawn(process.execPath, [...flags, ...args], { stdio: ["ignore", "pipe", "pipe"] })),
    );
    const expected = { status: 0, stdout: "start\n", stderr: "" };
    expect(await Promise.all(outcomes)).toEqual(ways.map(() => expected));
  });
});
