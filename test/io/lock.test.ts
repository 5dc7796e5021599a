import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker, type WorkerOptions } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { lockHolder, takeLock } from "#foretoken/io/lock.node.js";
import { outcomeOf } from "../outcome-of.ts";

let folder = "";
let path = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-lock-"));
  path = join(folder, ".lock");
});
afterEach(() => rm(folder, { recursive: true }));

const refusal = async (): Promise<string> => {
  const error = await takeLock(path, "resume run").catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ConfigError);
  return (error as ConfigError).message;
};

/** A process that takes the lock, prints that it has the lock, and waits until it is killed. */
const other = async () => {
  const module = JSON.stringify(import.meta.resolve("#foretoken/io/lock.node.js"));
  const program = `
    const { takeLock } = await import(${module});
    await takeLock(${JSON.stringify(path)}, "other");
    console.log("taken");
    process.stdin.resume();
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["pipe", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return child;
};

/** A thread of this process that takes the lock and reports this. Then it calls `after`. */
const otherThread = async (after: string, options: WorkerOptions = {}): Promise<Worker> => {
  const program = `
    import { parentPort, workerData } from "node:worker_threads";
    const { takeLock } = await import(workerData.module);
    const lock = await takeLock(workerData.path, "other");
    parentPort.postMessage("taken");
    ${after}`;
  const thread = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), {
    ...options,
    workerData: { module: import.meta.resolve("#foretoken/io/lock.node.js"), path },
  });
  await once(thread, "message");
  return thread;
};

/** Waits until the thread has ended, by itself or because memory was exhausted. */
const end = (thread: Worker): Promise<void> =>
  new Promise((resolve) => {
    thread.on("error", () => {}).on("exit", () => resolve());
  });

describe("a lock", () => {
  it("is held by one, and free once it is given back, as often as that is said", async () => {
    const lock = await takeLock(path, "run");
    expect(await refusal()).toBe(
      `resume run: no other process may use the folder; got process ${process.pid}, this process; try waiting for it, or ending it`,
    );
    await lock.release();
    await lock.release();
    expect(await readdir(folder)).toEqual([]);
    const again = await takeLock(path, "run");
    // The first owner has already released the lock, so it must not remove the lock of the next owner.
    await lock.release().catch(() => undefined);
    await again.release();
    expect(await readdir(folder)).toEqual([]);
  });

  it("of another process is refused while that runs, and taken over once it has been killed", async () => {
    const child = await other();
    expect(await refusal()).toContain(`got process ${child.pid};`);
    child.kill("SIGKILL");
    await once(child, "exit");
    const lock = await takeLock(path, "run");
    expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject({ pid: process.pid });
    await lock.release();
    expect(await readdir(folder)).toEqual([]);
  });

  it("of another thread is refused while that runs, in this process and in others", async () => {
    const thread = await otherThread("setInterval(() => {}, 1000);");
    expect(await refusal()).toContain(`got process ${process.pid}, this process;`);
    await expect(otherThread("")).rejects.toThrow(`got process ${process.pid}, this process;`);
    const program = `
      const { takeLock } = await import(${JSON.stringify(import.meta.resolve("#foretoken/io/lock.node.js"))});
      await takeLock(${JSON.stringify(path)}, "run").catch(({ message }) => console.log(message));`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    expect((await outcomeOf(child)).stdout).toContain(`got process ${process.pid};`);
    await thread.terminate();
  });

  it.each([
    ["terminated", "setInterval(() => {}, 1000);", {}],
    ["terminated while it computes", "for (;;);", {}],
    ["out of memory", "const all = []; for (;;) all.push(new Array(1000).fill(0));", { maxOldGenerationSizeMb: 30 }],
    ["ended of itself", "process.exit();", {}],
  ])("of a thread that is %s is taken over by the rest of its process", async (_, after, resourceLimits) => {
    const thread = await otherThread(after, { resourceLimits });
    const ended = end(thread);
    if (after.startsWith("set") || after.startsWith("for")) await thread.terminate();
    await ended;
    expect(await readdir(folder)).toEqual([".lock"]);
    const text = await readFile(path, "utf8");
    const lock = await takeLock(path, "run");
    expect(await refusal()).toContain("this process");
    await lock.release();
    // If a thread ends while it replaces an old lock, another thread can still take the lock.
    await writeFile(path, text);
    await writeFile(`${path}-taking`, text);
    await (await takeLock(path, "run")).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it("of an ended thread is had by one of the threads that want it at once", async () => {
    const wanting = `
      import { parentPort, workerData } from "node:worker_threads";
      const { takeLock } = await import(workerData.module);
      const { go, path } = workerData;
      parentPort.postMessage("ready");
      Atomics.wait(new Int32Array(go), 0, 0);
      const outcome = await takeLock(path, "run").then(() => "taken", ({ message }) => message);
      parentPort.postMessage(outcome);
      setInterval(() => {}, 1000);`;
    const url = new URL(`data:text/javascript,${encodeURIComponent(wanting)}`);
    for (let round = 0; round < 5; round++) {
      await (await otherThread("setInterval(() => {}, 1000);")).terminate();
      const go = new SharedArrayBuffer(4);
      const workerData = { module: import.meta.resolve("#foretoken/io/lock.node.js"), path, go };
      const threads = Array.from({ length: 4 }, () => new Worker(url, { workerData }));
      await Promise.all(threads.map((thread) => once(thread, "message")));
      const outcomes = Promise.all(threads.map((thread) => once(thread, "message")));
      Atomics.store(new Int32Array(go), 0, 1);
      Atomics.notify(new Int32Array(go), 0);
      const taken = (await outcomes).filter(([outcome]) => outcome === "taken");
      expect(taken).toHaveLength(1);
      await Promise.all(threads.map((thread) => thread.terminate()));
      await (await takeLock(path, "run")).release();
    }
  });

  it.skipIf(process.platform !== "linux")(
    "whose process number is another's by now, or of an earlier boot, is taken over",
    async () => {
      await takeLock(path, "run");
      const holder = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
      for (const change of [{ started: "1" }, { boot: "0000 pid:[1]" }]) {
        await writeFile(path, JSON.stringify({ ...holder, ...change }));
        await (await takeLock(path, "run")).release();
      }
    },
  );

  it.skipIf(process.platform !== "linux")("of another machine or container is refused, with what to do", async () => {
    await takeLock(path, "run");
    const holder = JSON.parse(await readFile(path, "utf8")) as { boot: string };
    const [boot] = holder.boot.split(" ");
    for (const change of [{ boot: "0000 pid:[1]", host: "other" }, { boot: `${boot} pid:[1]` }]) {
      await writeFile(path, JSON.stringify({ ...holder, ...change }));
      expect(await refusal()).toMatch(
        /which this process cannot see; try removing .*\.lock if that process has ended$/u,
      );
    }
  });

  it.each(["my notes", '{"pid":1,"owner":"another program"}\n'])(
    "that is somebody's file of that name is left alone, and said to be: %j",
    async (contents) => {
      await writeFile(path, contents);
      expect(await refusal()).toMatch(/\.lock must be a lock file of foretoken; got another file/u);
      expect(await readFile(path, "utf8")).toBe(contents);
    },
  );

  it.each(["", "{", '{"pid":7,"started":"5', "\0\0\0"])("that is damaged is taken over: %j", async (contents) => {
    await writeFile(path, contents);
    await (await takeLock(path, "run")).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it("that several want at once, beside one left by a crash, is had by one only", async () => {
    for (let round = 0; round < 30; round++) {
      await writeFile(path, round % 2 === 0 ? '{"pid":1' : "");
      const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => takeLock(path, "run")));
      const taken = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
      expect(taken).toHaveLength(1);
      await taken[0]?.release();
      expect(await readdir(folder)).toEqual([]);
    }
  });
});

describe("the holder", () => {
  it("is this process while it holds the lock, and nobody before and after", async () => {
    expect(await lockHolder(path)).toBeNull();
    const lock = await takeLock(path, "run");
    expect(await lockHolder(path)).toEqual({ pid: process.pid, isOwn: true, isNear: true });
    await lock.release();
    expect(await lockHolder(path)).toBeNull();
  });

  it("is another process as long as that lives", async () => {
    const child = await other();
    expect(await lockHolder(path)).toEqual({ pid: child.pid, isOwn: false, isNear: true });
    child.kill("SIGKILL");
    await once(child, "close");
    const left = await readFile(path, "utf8");
    expect(await lockHolder(path)).toBeNull();
    // Reading who has the lock changes nothing.
    expect(await readFile(path, "utf8")).toBe(left);
  });

  it("on another machine is not near; another file names nobody", async () => {
    await writeFile(path, JSON.stringify({ pid: 1, started: "1", boot: "elsewhere", host: "elsewhere" }));
    expect(await lockHolder(path)).toEqual({ pid: 1, isOwn: false, isNear: false });
    for (const text of ["", "{", "[]", '{"pid":-1}', "\0\0"]) {
      await writeFile(path, text);
      expect(await lockHolder(path)).toBeNull();
    }
  });
});
