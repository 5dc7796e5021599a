import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { openBackend } from "#foretoken/backend/select.browser.js";
import { generate } from "#foretoken/generate/generate.js";
import type { CheckpointFiles } from "#foretoken/pretrained/files/names.js";
import { loadPretrained } from "#foretoken/pretrained/load.browser.js";
import { evaluate, type TrainOptions, train } from "#foretoken/train/train.browser.js";
import { collect, wordsText } from "../support/runs.ts";

const dist = fileURLToPath(new URL("../../dist", import.meta.url));

/** Imports from outside the package. `file` contains them, or a module of the package that `file` imports. */
const outsideImports = async (file: string, seen = new Set<string>()): Promise<string[]> => {
  if (seen.has(file)) return [];
  seen.add(file);
  const text = await readFile(file, "utf8");
  const found = [...text.matchAll(/(?:^(?:import|export)\s[^;]*?\bfrom\s*|^import\s*|\bimport\()"([^"]+)"/gm)];
  const imported = found.map(([, name]) => name as string);
  const inside = imported.filter((name) => name.startsWith("."));
  const deeper = await Promise.all(inside.map((name) => outsideImports(join(dirname(file), name), seen)));
  return [...imported.filter((name) => !name.startsWith(".")), ...deeper.flat()];
};

describe("the browser's entry", () => {
  it("reaches no module of Node, and of packages only three", async () => {
    const entries = ["browser.js", "backend/implementations/wasm/worker.browser.js", "worker/entry.browser.js"].map(
      (name) => join(dist, name),
    );
    const outside = await Promise.all(entries.map((file) => outsideImports(file)));
    expect([...new Set(outside.flat())].sort()).toEqual(["@huggingface/jinja", "@huggingface/tokenizers", "zod"]);
    // Tests the search itself: it finds such imports in a file that has them.
    expect(await outsideImports(join(dist, "index.js"))).toContain("node:fs/promises");
  });

  it("exports what Node's does, but for what only Node has", async () => {
    const names = async (entry: string): Promise<string[]> => Object.keys(await import(`#foretoken/${entry}.js`));
    const inBrowser = await names("browser");
    const onlyInNode = (await names("index")).filter((name) => !inBrowser.includes(name));
    expect(onlyInNode.sort()).toEqual([
      "chat",
      "chatWithTools",
      "describeBackends",
      "exportModel",
      "listRuns",
      "loadCorpus",
      "plotRuns",
      "saveMerged",
      "sweep",
    ]);
  });

  it("is one file that imports nothing and names no place of this machine", async () => {
    const bundle = await readFile(join(dist, "foretoken.browser.js"), "utf8");
    expect(bundle).not.toMatch(/["'`]node:|\brequire\(|\bimport\.meta\b|(?:^|[;}])import\s*[\w*{"'`]|\bimport\(/m);
    expect(bundle).not.toContain(dirname(dist));
    const names = /export\s*\{([^}]*)\}\s*;?\s*$/.exec(bundle)?.[1] ?? "";
    const source = Object.keys(await import("#foretoken/browser.js"));
    expect(names.split(",").map((name) => name.split(" as ").at(-1))).toEqual(expect.arrayContaining(source));
  });
});

const text = wordsText("entry", 300);
const small: TrainOptions = {
  text,
  backend: "reference",
  config: {
    model: { nLayer: 1, nHead: 2, nEmbd: 8, contextLength: 8 },
    train: { steps: 4, batchSize: 2, sampleTokens: 0, evalInterval: 2, checkpointInterval: 2 },
  },
  finalSampleTokens: 0,
};

describe("training on a string", () => {
  it("hands out what can be loaded, at each checkpoint and at each best", async () => {
    const given: [string, CheckpointFiles][] = [];
    const onCheckpoint = (files: CheckpointFiles, which: string): void => {
      given.push([which, files]);
    };
    const events = await collect(train({ ...small, onCheckpoint }));
    expect(events.filter(({ type }) => type === "checkpoint").map((event) => "step" in event && event.step)).toEqual([
      2, 4,
    ]);
    expect(given.map(([which]) => which).filter((which) => which === "last")).toHaveLength(2);
    const [, files] = given.at(-1) as [string, CheckpointFiles];
    expect(Object.keys(files)).toEqual(
      expect.arrayContaining(["config.json", "tokenizer.json", "generation_config.json"]),
    );
    const lm = await loadPretrained(files, { backend: "reference" });
    for await (const event of generate(lm, { prompt: "the", maxNewTokens: 2 })) {
      if (event.type === "done") expect(event).toMatchObject({ finishReason: "length", newTokens: 2 });
    }
    const done = events.at(-1);
    const valText = text.slice(Math.floor(text.length * 0.9));
    expect(done).toMatchObject({ type: "done", valLoss: (await evaluate(lm, { text: valText })).natsPerToken });
    await expect(evaluate(lm, { text: "the 7th" })).rejects.toThrow(/text.*"7"/);
    await lm.close();
  });

  it("hands out a manifest, which finds any byte that was changed", async () => {
    let files: CheckpointFiles | undefined;
    const onCheckpoint = (given: CheckpointFiles): void => {
      files = given;
    };
    await collect(train({ ...small, stopAt: 1, onCheckpoint }));
    const good = files as CheckpointFiles;
    for (const name of ["config.json", "model.safetensors", "tokenizer.json", "manifest.json"]) {
      const changed = Uint8Array.from(good[name] as Uint8Array);
      // Changes a byte in the middle of a file. The middle of a manifest is in a hash or in a name.
      const middle = changed.length >> 1;
      changed[middle] = (changed[middle] ?? 0) ^ 1;
      await expect(loadPretrained({ ...good, [name]: changed }, { backend: "reference" }), name).rejects.toThrow(
        name === "manifest.json" ? /manifest\.json/u : /must match its SHA-256 in manifest\.json/u,
      );
    }
    const { "manifest.json": _, ...unchecked } = good;
    await (await loadPretrained(unchecked as CheckpointFiles, { backend: "reference" })).close();
  });

  it("begins with the weights of a checkpoint, whose model and characters it keeps", async () => {
    let files: CheckpointFiles | undefined;
    const onCheckpoint = (given: CheckpointFiles, which: string): void => {
      if (which === "last") files = given;
    };
    await collect(train({ ...small, onCheckpoint }));
    const initFrom = files as CheckpointFiles;
    const lm = await loadPretrained(initFrom, { backend: "reference" });
    const valText = text.slice(Math.floor(text.length * 0.9));
    const { natsPerToken } = await evaluate(lm, { text: valText });
    await lm.close();
    const given: string[] = [];
    const config = { ...small.config };
    // At this learning rate, no weight changes.
    const plan = { ...config.train, steps: 2, learningRate: 1e-30, schedule: { kind: "constant" } } as const;
    const options = { ...small, initFrom, config: { train: plan } };
    const events = await collect(train({ ...options, onCheckpoint: (_, which) => void given.push(which) }));
    expect(events[0]).toMatchObject({
      type: "start",
      step: 0,
      initFrom: "checkpoint",
      config: { model: config.model },
    });
    expect(events.at(-1)).toMatchObject({ type: "done", step: 2, valLoss: natsPerToken });
    // No checkpoint is passed on before the first step.
    expect(given).toEqual(["best", "last"]);
    const refused = (change: object): Promise<unknown> => collect(train({ ...options, ...change } as TrainOptions));
    // The model that is already loaded may be passed again.
    expect(await refused({ config })).toContainEqual(expect.objectContaining({ type: "done", step: 4 }));
    await expect(refused({ config: { model: { nEmbd: 16 } } })).rejects.toThrow(
      "config.model.nEmbd: must match the weights",
    );
    await expect(refused({ text: text.replaceAll("a", "ä") })).rejects.toThrow('knows; got another: "ä" (U+00E4)');
    await expect(refused({ initFrom: 5 })).rejects.toThrow("train: initFrom: checkpoint: must be an address");
  });

  it("validates on another text where one is given, and stops where it is told", async () => {
    const events = await collect(train({ ...small, valText: "the cat", stopAt: 1 }));
    expect(events[0]).toMatchObject({ type: "start", trainTokens: text.length, valTokens: 7, out: null });
    expect(events.at(-1)).toMatchObject({ type: "done", step: 1, reason: "interrupted" });
  });

  const bad: readonly [string, Partial<Record<keyof TrainOptions | "txt" | "steps", unknown>>, string][] = [
    ["an unknown option", { txt: "a" }, 'train: every key must be a known one; got "txt"; try text'],
    [
      "a field of the configuration",
      { steps: 5 },
      'train: every key must be a known one; got "steps"; try config.train.steps',
    ],
    ["no text", { text: undefined }, "train: text: there must be a text, or documents; got neither"],
    [
      "too short a text",
      { text: "abc" },
      "training split: the part of the text to learn from must have at least 9 tokens",
    ],
    ["two ways to hold out", { valText: "the", valFraction: 0.1 }, "valText and valFraction: only one of them"],
    ["a fraction of 1", { valFraction: 1 }, "train.valFraction: must be below 1; got 1"],
    ["an unknown preset", { preset: "bok" }, "preset: must be "],
    [
      "an unknown field",
      { config: { model: { nLayers: 1 } } },
      'config.model: every key must be a known one; got "nLayers"',
    ],
    ["a prompt with a character that the text lacks", { prompt: "é" }, "prompt"],
    ["no threads", { threads: 0 }, "train.threads: must be at least 1; got 0"],
    ["an unknown backend", { backend: "native" }, "backend: must be wasm or reference; got native"],
  ];
  it.each(bad)("refuses %s", async (_, change, message) => {
    await expect(collect(train({ ...small, ...change } as TrainOptions))).rejects.toThrow(message);
  });

  it("does not begin where it is aborted already", async () => {
    const signal = AbortSignal.abort();
    await expect(collect(train({ ...small, signal }))).rejects.toThrow(signal.reason);
  });
});

describe("a checkpoint that is served", () => {
  it("is named where it is not there", async () => {
    await expect(loadPretrained("data:text/plain,x#/", { backend: "reference" })).rejects.toThrow(/config\.json/);
    await expect(loadPretrained("http://127.0.0.1:1/model/")).rejects.toThrow(
      "http://127.0.0.1:1/model/config.json: the server must have the file; got no answer",
    );
  });
});

describe("the WebAssembly backend for browsers", () => {
  it("refuses a number of threads that cannot be", async () => {
    await expect(openBackend("wasm", { threads: 300 })).rejects.toThrow(
      "threads: must be a whole number from 1 to 256",
    );
  });
});
