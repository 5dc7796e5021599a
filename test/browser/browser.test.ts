import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Evaluation } from "#foretoken/evaluate/evaluate.js";
import { evaluateCorpus } from "#foretoken/evaluate/evaluate-corpus.js";
import { generate } from "#foretoken/generate/generate.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { train } from "#foretoken/train/train.node.js";
import { collect, ofType, useFolder, wordsText } from "../support/runs.ts";
import { isolation, missingChromium, policy, timeless } from "./chromium.ts";
import { type Browser, openBrowser } from "./tab.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const { newPath, writeText } = useFolder();
let browser: Browser;
beforeAll(async () => {
  if (missingChromium === undefined) browser = await openBrowser();
});
afterAll(() => browser?.close());

const settings = {
  text: wordsText("browser", 2000),
  preset: "quick",
  // The run uses every feature that depends on random numbers or on a schedule.
  config: {
    model: { contextLength: 32, nEmbd: 32, dropout: 0.1 },
    train: { steps: 20, batchSize: 8, warmupSteps: 2, learningRate: 1e-2, evalInterval: 10, sampleTokens: 5 },
  },
  prompt: "the",
  threads: 2,
} as const;

interface PageResult {
  readonly error?: string;
  readonly events: readonly TrainEvent[];
  readonly written: string;
  readonly fromMemory: string;
  readonly fromServer: string;
  readonly evaluation: Evaluation;
  readonly bytesInUse: number;
  /** SHA-256 of the trained model's file. */
  readonly modelHash: string;
}

const title = (what: string): string => (missingChromium === undefined ? what : `${what}: ${missingChromium}`);

const pages = async (checkpoint: string) => ({
  "/": here("pages/index.html"),
  "/page.js": here("pages/page.js"),
  "/worker.js": here("pages/worker.js"),
  "/settings.json": await writeText(JSON.stringify(settings)),
  "/foretoken/": here("../../dist"),
  "/checkpoint/": checkpoint,
});

describe.skipIf(missingChromium !== undefined)(title("a page that is cross-origin isolated"), () => {
  let checkpoint = "";
  let inNode: readonly TrainEvent[];
  let inPage: PageResult;

  beforeAll(async () => {
    const { text, preset, config, threads } = settings;
    const data = await writeText(text);
    const out = newPath();
    checkpoint = join(out, "checkpoint");
    inNode = await collect(train({ data, preset, config, out, backend: "wasm", threads, finalSampleTokens: 20 }));
    const headers = { ...isolation, "Content-Security-Policy": policy };
    inPage = (await browser.openPage({ files: await pages(checkpoint), headers })) as PageResult;
    expect(inPage.error).toBeUndefined();
  });

  it("trains in a worker on two threads, and the loss falls", () => {
    const [start] = ofType(inPage.events, "start");
    expect(start).toMatchObject({ backend: "wasm", threads: 2, out: "onCheckpoint" });
    const losses = ofType(inPage.events, "step").map(({ loss }) => loss);
    expect(losses).toHaveLength(20);
    expect(losses[0]).toBeGreaterThan(2.5);
    expect(losses.at(-1)).toBeLessThan(1.5);
  });

  it("has the losses, learning rates, evaluations and samples of the same run in Node, to the bit", () => {
    expect(timeless(inPage.events)).toEqual(timeless(inNode));
  });

  it("hands out the same checkpoint, byte for byte", async () => {
    const model = await readFile(join(checkpoint, "model.safetensors"));
    expect(inPage.modelHash).toBe(createHash("sha256").update(model).digest("hex"));
  });

  it("writes and measures with it as Node does; on the page's own thread, and from files that are served, too", async () => {
    const lm = await loadPretrained(checkpoint, { backend: "wasm", threads: 1 });
    let written = "";
    for await (const event of generate(lm, { prompt: settings.prompt, maxNewTokens: 30 })) {
      if (event.type === "token") written += event.text;
    }
    const corpus = { name: "text", train: "", val: settings.text, parts: [] };
    const evaluation = await evaluateCorpus(lm, corpus, { split: "all" });
    await lm.close();
    expect(written).toHaveLength(30);
    expect(inPage).toMatchObject({ written, fromMemory: written, fromServer: written, evaluation });
  });

  it("leaves no memory behind", () => {
    expect(inPage.bytesInUse).toBe(0);
  });
});

describe.skipIf(missingChromium !== undefined)(title("a page that may not compute"), () => {
  /** Opens the backends in a page with these headers, and returns the result. */
  const open = async (headers: Readonly<Record<string, string>>): Promise<unknown> => {
    const onlyOpen = await writeText(JSON.stringify({ only: "open" }));
    return browser.openPage({ files: { ...(await pages("")), "/settings.json": onlyOpen }, headers });
  };
  const refusal = (message: string | RegExp) => ({
    refused: { name: "UnsupportedKernelError", message: expect.stringMatching(message) },
    reference: "reference",
  });

  it("is told which headers it lacks, and has the reference backend", async () => {
    const headers = `${Object.keys(isolation)[0]}: same-origin and ${Object.keys(isolation)[1]}: require-corp`;
    const must = "must be cross-origin isolated, because threads share memory";
    const got = `got a page without this isolation; try serving it with the headers ${headers}, or { threads: 1 }`;
    expect(await open({})).toEqual(refusal(`^wasm backend: the page ${must}; ${got}$`));
  });

  it("computes on one thread without the headers, with the losses of several threads", async () => {
    const settled = await writeText(JSON.stringify({ ...settings, threads: 1, only: "train" }));
    const plain = (await browser.openPage({
      files: { ...(await pages("")), "/settings.json": settled },
      headers: {},
    })) as PageResult;
    expect(plain.error).toBeUndefined();
    const { text, preset, config } = settings;
    const data = await writeText(text);
    const inNode = await collect(train({ data, preset, config, out: null, backend: "wasm", finalSampleTokens: 20 }));
    const losses = (events: readonly TrainEvent[]) => ofType(events, "step").map(({ loss }) => loss);
    expect(losses(plain.events)).toEqual(losses(inNode));
    expect(losses(plain.events)).toHaveLength(20);
    expect(ofType(plain.events, "start")[0]).toMatchObject({ backend: "wasm", threads: 1 });
  });

  it.each([
    [
      "connect-src",
      "the kernels'",
      /^wasm backend: the WebAssembly kernels must be readable; .*connect-src has blob:$/,
    ],
    ["worker-src", "the threads'", /^wasm backend: 2 threads must start; .*blob: in worker-src; try fewer threads$/],
  ])("is told that its %s forbids %s addresses", async (directive, _, message) => {
    const strict = policy.replace(new RegExp(`(${directive} 'self') blob:`), "$1");
    expect(strict).not.toBe(policy);
    expect(await open({ ...isolation, "Content-Security-Policy": strict })).toEqual(refusal(message));
  });
});

describe.skipIf(missingChromium !== undefined)(title("the page and the worker of docs/browser.md"), () => {
  it("train and write", async () => {
    const readme = await readFile(here("../../docs/browser.md"), "utf8");
    const block = (name: string): string =>
      new RegExp(`\\n\`\`\`js\\n// ${name}\\n([^]*?)\`\`\``).exec(readme)?.[1] ?? "";
    const asPrinted = "{ train: { steps: 200 } }";
    expect(block("worker.js")).toContain(asPrinted);
    const smaller =
      "{ model: { contextLength: 16, nLayer: 1, nHead: 2, nEmbd: 16 }, train: { steps: 10, batchSize: 4, evalInterval: 10, sampleTokens: 0 } }";
    const worker = block("worker.js")
      .replace(asPrinted, smaller)
      .replace("foretoken/browser", "/foretoken/foretoken.browser.js");
    // After the worker has written everything, the page sends its content back.
    const page = `const events = [];
      const show = (event) => {
        events.push(event);
        if (event.newTokens !== undefined) fetch("/result", { method: "POST", body: JSON.stringify(events) });
      };
      ${block("index.js").replace("console.log(event)", "show(event)")}`;
    const files = {
      ...(await pages("")),
      "/page.js": await writeText(page),
      "/worker.js": await writeText(worker),
      "/notes.txt": await writeText(`The ${settings.text}`),
    };
    const events = (await browser.openPage({ files, headers: isolation })) as { type: string }[];
    const types = [...new Set(events.map(({ type }) => type))];
    expect(types.filter((type) => type !== "estimate")).toEqual([
      "start",
      "step",
      "eval",
      "sample",
      "checkpoint",
      "done",
      "token",
    ]);
    expect(events.at(-1)).toMatchObject({ type: "done", finishReason: "length", newTokens: 400 });
  });
});
