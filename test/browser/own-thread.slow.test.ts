import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Evaluation } from "#foretoken/evaluate/evaluate.js";
import { evaluateCorpus } from "#foretoken/evaluate/evaluate-corpus.js";
import { generate } from "#foretoken/generate/generate.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import type { Score } from "#foretoken/pretrained/model/score.js";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { train } from "#foretoken/train/train.node.js";
import { mostAhead } from "#foretoken/worker/engine-methods.js";
import { collect, useFolder, wordsText } from "../support/runs.ts";
import { isolation, missingChromium, policy, timeless } from "./chromium.ts";
import { type Browser, openBrowser } from "./tab.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const { newPath, writeText } = useFolder();
let browser: Browser;
beforeAll(async () => {
  if (missingChromium === undefined) browser = await openBrowser();
});
afterAll(() => browser?.close());

const text = wordsText("own thread", 1000);
const settings = {
  text,
  preset: "quick",
  config: {
    model: { contextLength: 32, nEmbd: 32, dropout: 0.1 },
    train: { steps: 10, batchSize: 8, warmupSteps: 2, learningRate: 1e-2, evalInterval: 5, sampleTokens: 5 },
  },
  // The values equal the values of a run in Node.
  prompt: text.split(" ")[0] as string,
  threads: 2,
  constraint: { kind: "regex", pattern: "([a-z]{2,4} ){3}[a-z]{2,4}" },
  // Steps that take at least about 100 ms on the reference backend.
  slow: {
    backend: "reference",
    preset: "quick",
    config: {
      model: { contextLength: 64, nEmbd: 64, nLayer: 2, nHead: 2 },
      train: { steps: 100, batchSize: 32, evalInterval: 100, sampleTokens: 0 },
    },
    finalSampleTokens: 0,
  },
} as const;

interface Thrown {
  readonly name: string;
  readonly message: string;
  readonly isOwnClass: boolean;
}

interface PageResult {
  readonly error?: string;
  readonly bits: {
    readonly events: readonly TrainEvent[];
    readonly modelHash: string;
    readonly written: readonly string[];
    readonly constrained: { readonly text: string; readonly finishReason: string };
    readonly refused: Thrown;
    readonly evaluations: readonly Evaluation[];
    readonly scores: readonly Score[];
    readonly predicted: number;
    readonly abort: { readonly finishReason: string; readonly tokens: number; readonly milliseconds: number };
    readonly afterwards: Thrown;
  };
  readonly responsive: {
    readonly steps: readonly number[];
    readonly reason: string;
    readonly frames: number;
    readonly longest: number;
    /** Time from the signal to the end, in milliseconds. */
    readonly untilDone: number;
  };
  readonly mistakes: { readonly own: boolean } & Readonly<
    Record<"unknown" | "uncloneable" | "reason" | "files" | "missing", Thrown>
  >;
}

const title = (what: string): string => (missingChromium === undefined ? what : `${what}: ${missingChromium}`);

const pages = async (checkpoint: string, changes: object = {}) => ({
  "/": here("pages/index.html"),
  "/page.js": here("pages/own-thread.js"),
  "/settings.json": await writeText(JSON.stringify({ ...settings, ...changes })),
  "/foretoken/": here("../../dist"),
  "/checkpoint/": checkpoint,
});

describe.skipIf(missingChromium !== undefined)(title("a page that has workers compute"), () => {
  let checkpoint = "";
  let inNode: readonly TrainEvent[];
  let inPage: PageResult;

  beforeAll(async () => {
    const { preset, config, threads } = settings;
    const out = newPath();
    checkpoint = join(out, "checkpoint");
    const data = await writeText(text);
    inNode = await collect(train({ data, preset, config, out, backend: "wasm", threads, finalSampleTokens: 20 }));
    const headers = { ...isolation, "Content-Security-Policy": policy };
    inPage = (await browser.openPage({ files: await pages(checkpoint), headers })) as PageResult;
    expect(inPage.error).toBeUndefined();
  });

  it("has the events and the checkpoint of the same run in Node, to the bit", async () => {
    expect(timeless(inPage.bits.events)).toEqual(timeless(inNode));
    const model = await readFile(join(checkpoint, "model.safetensors"));
    expect(inPage.bits.modelHash).toBe(createHash("sha256").update(model).digest("hex"));
  });

  it("writes and measures as Node does, with a model from files and from an address", async () => {
    const lm = await loadPretrained(checkpoint, { backend: "wasm", threads: 1 });
    let written = "";
    for await (const event of generate(lm, { prompt: settings.prompt, maxNewTokens: 30 })) {
      if (event.type === "token") written += event.text;
    }
    const { constraint, prompt } = settings;
    for await (const event of generate(lm, { prompt, constraint })) {
      if (event.type === "done") expect(inPage.bits.constrained).toEqual(event);
    }
    expect(inPage.bits.constrained.text).toMatch(new RegExp(`^${constraint.pattern}$`, "u"));
    expect(inPage.bits.refused).toMatchObject({
      ...{
        name: "ConfigError",
        isOwnClass: true,
        message: expect.stringMatching(/^constraint\.pattern: must have a \)/u),
      },
    });
    const corpus = { name: "text", train: "", val: settings.text, parts: [] };
    const evaluation = await evaluateCorpus(lm, corpus, { split: "all" });
    const score = await lm.score(settings.text, { stride: 5 });
    await lm.close();
    const { bits } = inPage;
    expect(bits.scores.map(({ tokens }) => tokens.length)).toEqual(Array(3).fill(score.tokens.length));
    for (const { tokens, total } of bits.scores) {
      // The logits have the same bits, although the two engines compute exponentials with different last digits.
      expect(total / score.total).toBeCloseTo(1, 12);
      for (const [place, { id, text, logProb }] of tokens.entries()) {
        const own = score.tokens[place];
        expect({ id, text }).toEqual({ id: own?.id, text: own?.text });
        if (place === 0) expect(logProb).toBeNull();
        else expect((logProb ?? 0) / (own?.logProb ?? 0)).toBeCloseTo(1, 11);
      }
    }
    expect(bits.written).toEqual([written, written, written]);
    expect(bits.evaluations).toEqual([evaluation, evaluation, evaluation]);
    expect(bits.predicted).toBe(evaluation.tokens);
  });

  it("writes four words by the block of docs/guides/constrained-output.md", async () => {
    const guide = await readFile(here("../../docs/guides/constrained-output.md"), "utf8");
    const block = /```js\n([\s\S]*?)```/.exec(guide)?.[1] ?? "";
    const page = `${block
      .replace("foretoken/browser", "/foretoken/foretoken.browser.js")
      .replace("Four words: ", settings.prompt)}
      fetch("/result", { method: "POST", body: JSON.stringify({ written: document.body.textContent.trim() }) });`;
    const files = { ...(await pages("")), "/page.js": await writeText(page), "/model/": checkpoint };
    const { written } = (await browser.openPage({ files, headers: isolation })) as { written: string };
    expect(written).toMatch(/^[a-z]{2,9}( [a-z]{2,9}){3}$/u);
  });

  it("draws its frames while a step takes long, and stops the run after the step under way", () => {
    const { steps, reason, frames, longest, untilDone } = inPage.responsive;
    const [step = 0] = steps;
    expect(step).toBeGreaterThan(100);
    expect(frames).toBeGreaterThan(5);
    expect(longest).toBeLessThan(step / 2);
    expect(reason).toBe("interrupted");
    // The run is aborted in the middle of the second step. If the second step is faster than the first step, a third
    // step follows.
    expect(steps.length).toBeLessThanOrEqual(3);
    expect(untilDone).toBeLessThan(3 * Math.max(...steps));
  });

  it("breaks off writing where its signal says so, and has no more of a model that was closed", () => {
    const { abort, afterwards } = inPage.bits;
    expect(abort.finishReason).toBe("aborted");
    // After the abort, some events still arrive: three events, the other events of the same message, one message that
    // was being sent, and `done`.
    expect(abort.tokens).toBeLessThanOrEqual(2 * mostAhead + 1);
    expect(abort.milliseconds).toBeLessThan(5000);
    expect(afterwards.message).toBe("generate: the model must be open; got a closed model");
  });

  it("fails with the errors of the library, and the caller's own", () => {
    const { own, unknown, uncloneable, reason, files, missing } = inPage.mistakes;
    expect(own).toBe(true);
    expect(unknown).toEqual({
      ...{ name: "ConfigError", isOwnClass: true },
      message: 'train: every key must be a known one; got "txt"; try text',
    });
    expect(uncloneable).toMatchObject({ name: "ConfigError", message: expect.stringContaining("config.model.nEmbd") });
    expect(reason.message).toBe("not today");
    expect(files.message).toMatch(
      /^loadInWorker: checkpoint: must be an address, or an object with a checkpoint's files/u,
    );
    expect(missing).toMatchObject({
      ...{ name: "CheckpointError", isOwnClass: true },
      message: expect.stringMatching(/^http:.*\/nowhere\/[\w.]+: the server must have the file; got status 404$/u),
    });
  });
});

describe.skipIf(missingChromium !== undefined)(title("a page that is not cross-origin isolated"), () => {
  it("is told by its worker which headers it lacks, and has the reference backend", async () => {
    const told = await browser.openPage({ files: await pages("", { only: "plain" }), headers: {} });
    const message = expect.stringMatching(
      /^wasm backend: the page must be cross-origin isolated, .*headers Cross-Origin/u,
    );
    expect(told).toEqual({ wasm: { name: "UnsupportedKernelError", message, isOwnClass: true }, reference: "done" });
  });
});

describe.skipIf(missingChromium !== undefined)(title("a page that may start no worker"), () => {
  it("is told so in one line, and computes on its own thread where that is asked for", async () => {
    const headers = {
      ...isolation,
      "Content-Security-Policy": policy.replace("worker-src 'self' blob:", "worker-src 'self'"),
    };
    const refused = await browser.openPage({ files: await pages("", { only: "refused" }), headers });
    const line = {
      ...{ name: "ConfigError", isOwnClass: true },
      message: expect.stringMatching(
        /^worker: the page must be able to start a worker; got .*; try a Content-Security-Policy whose worker-src has blob:, or train with worker: false and loadPretrained$/u,
      ),
    };
    expect(refused).toEqual({ training: line, loading: line, here: "done" });
  });
});

describe.skipIf(missingChromium !== undefined)(title("the page of docs/browser.md"), () => {
  it("trains, writes and measures", async () => {
    const docs = await readFile(here("../../docs/browser.md"), "utf8");
    const block = /\n```js\n\/\/ page\.js\n([\s\S]*?)```/.exec(docs)?.[1] ?? "";
    const asPrinted = "{ train: { steps: 200 } }";
    expect(block).toContain(asPrinted);
    const smaller =
      "{ model: { contextLength: 16, nLayer: 1, nHead: 2, nEmbd: 16 }, train: { steps: 10, batchSize: 4, sampleTokens: 0 } }";
    const page = `${block.replace(asPrinted, smaller).replace("foretoken/browser", "/foretoken/foretoken.browser.js")}
      fetch("/result", { method: "POST", body: JSON.stringify({ title: document.title, written: document.body.textContent }) });`;
    const files = {
      ...(await pages("")),
      "/page.js": await writeText(page),
      "/notes.txt": await writeText(`The ${text}`),
    };
    const shown = (await browser.openPage({ files, headers: isolation })) as { title: string; written: string };
    expect(shown.title).toMatch(/^loss \d\.\d\d$/u);
    expect(shown.written).toHaveLength(100);
  });
});
