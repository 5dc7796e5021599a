import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as browser from "#foretoken/browser.js";
import * as foretoken from "#foretoken/index.js";
import { loraModel } from "#foretoken/models/lora/model.js";
import { useFolder, wordsText } from "./support/runs.ts";

/**
 * Every public function, called as JavaScript can call it: with arguments of any kind. It answers with a ForetokenError
 * or with success, and never with a TypeError from deep inside.
 */

const { newPath, writeText } = useFolder();

const wrongValues: readonly unknown[] = [
  ...[undefined, null, true, 0, -1, 1.5, Number.NaN, 2 ** 60, 10n, Symbol("s"), "", "x", () => {}],
  ...[[], [1], ["a"], [null], {}, { length: 3 }, Object.create(null), new Map(), new Date(0), new Error("e")],
  ...[new Float32Array(2), new Int32Array(2), new Uint8Array(8), Promise.resolve()],
];

interface Case {
  readonly name: string;
  /** Arguments that work, new ones for each call. */
  readonly args: () => readonly unknown[];
  readonly call: (...args: never[]) => unknown;
  /** Whether a value may be tried in a place: values that would work there, and do more than a test should, may not. */
  readonly allows?: (value: unknown, place: number) => boolean;
}

let data = "";
let checkpoint = "";
let backend: foretoken.Backend;
let lm: foretoken.LanguageModel;
let browserLm: browser.LanguageModel;
let files: browser.CheckpointFiles;
/** A model with an adapter in use, its folder, and its files. */
let adaptedLm: foretoken.LanguageModel;
let adapter: string;
let adapterFiles: browser.AdapterFiles;

const model = { ...foretoken.presets.quick.model, contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8 };
const tinyConfig = {
  model,
  train: { steps: 1, batchSize: 1, evalInterval: 1, checkpointInterval: 1, sampleTokens: 0 },
};

beforeAll(async () => {
  data = await writeText(wordsText("arguments", 60));
  checkpoint = newPath();
  backend = await foretoken.openBackend("reference");
  const tokenizer = foretoken.trainCharTokenizer(wordsText("arguments", 60));
  lm = foretoken.languageModel(foretoken.freshModel(backend, model, tokenizer.vocabSize, 1), tokenizer);
  await foretoken.savePretrained(checkpoint, lm);
  files = await browser.savePretrained(lm);
  browserLm = await browser.loadPretrained(files, { backend: "reference" });
  const base = foretoken.freshModel(backend, model, tokenizer.vocabSize, 1);
  const adapters = { notes: loraModel(base, { rank: 1 }, 1) };
  adaptedLm = foretoken.languageModel(base, tokenizer, undefined, { adapters });
  adapter = newPath();
  await foretoken.saveAdapter(adapter, adaptedLm, { base: checkpoint });
  adapterFiles = await browser.saveAdapter(adaptedLm);
});
afterAll(async () => {
  await browserLm.close();
  await adaptedLm.close();
  await lm.close();
  await backend.close();
});

const evaluation = {
  ...{ natsPerToken: 1, natsPerCharacter: 1, bitsPerByte: 1, perplexity: 3, tokens: 4 },
  windows: [
    { nats: 1, tokens: 2 },
    { nats: 3, tokens: 2 },
  ],
};

const isPrimitive = (value: unknown): boolean => typeof value !== "object" || value === null || Array.isArray(value);
const isText = (value: unknown): boolean => typeof value === "string";
const isNumber = (value: unknown): boolean => typeof value === "number";

/** A context of its own for each call, with a result computed in it. */
const inContext =
  (work: (context: foretoken.TrainingContext, logits: foretoken.Tensor, ...args: never[]) => unknown) =>
  async (...args: never[]): Promise<unknown> => {
    const gradients = foretoken.createGradients(lm.model);
    try {
      return await gradients.record((context) =>
        work(context, foretoken.forward(context, lm.model, [0, 1], 1, 2), ...args),
      );
    } finally {
      gradients.close();
    }
  };

const instead = (own: unknown, given: unknown): never => (given === "own" ? own : given) as never;

const options = {
  data: "",
  out: null,
  preset: "quick",
  finalSampleTokens: 0,
  backend: "reference",
  config: tinyConfig,
};

const cases: readonly Case[] = [
  { name: "randomKey", args: () => [1, "init", 0], call: foretoken.randomKey },
  { name: "randomStream", args: () => [foretoken.randomKey(1, "init"), 0], call: foretoken.randomStream },
  { name: "dropoutSource", args: () => [foretoken.randomKey(1, "dropout")], call: foretoken.dropoutSource },
  { name: "splitText", args: () => ["some text", 0.5], call: foretoken.splitText },
  { name: "trainCharTokenizer", args: () => ["some", "text"], call: foretoken.trainCharTokenizer },
  {
    name: "trainBpeTokenizer",
    args: () => [{ vocabSize: 260 }, "the cat sat on the mat"],
    call: foretoken.trainBpeTokenizer,
  },
  ...["vocabSize", "pattern", "specialTokens"].map((name) => ({
    name: `trainBpeTokenizer ${name}`,
    args: () => [undefined],
    call: (value: never) => foretoken.trainBpeTokenizer({ vocabSize: 260, [name]: value }, "the cat sat"),
  })),
  {
    name: "bpeTrainer.add",
    args: () => ["the cat"],
    call: (text) => foretoken.bpeTrainer({ vocabSize: 260 }).add(text),
  },
  { name: "loadTokenizer", args: () => [lm.tokenizer.toJSON(), "file"], call: foretoken.loadTokenizer },
  {
    name: "encodeWithSpecials",
    args: () => [lm.tokenizer, "the"],
    call: foretoken.encodeWithSpecials,
  },
  {
    name: "tokenizer.encode",
    args: () => ["the", "text", ""],
    call: (...args) => lm.tokenizer.encode(...(args as [never])),
  },
  { name: "tokenizer.decode", args: () => [[0, 1]], call: (ids) => lm.tokenizer.decode(ids) },
  {
    name: "textStream",
    args: () => [lm.tokenizer, {}],
    call: (...args) => foretoken.textStream(...(args as unknown as [foretoken.Tokenizer])).push(0),
  },
  { name: "textStream.push", args: () => [0], call: (id) => foretoken.textStream(lm.tokenizer).push(id) },
  { name: "tokenizer.token", args: () => [0], call: (id) => lm.tokenizer.token(id) },
  {
    name: "trainingBatch",
    args: () => [new Int32Array(20), { batchSize: 2, contextLength: 4, seed: 1, step: 0 }],
    call: foretoken.trainingBatch,
  },
  ...["batchSize", "contextLength", "seed", "step", "microStep"].map((name) => ({
    name: `trainingBatch ${name}`,
    args: () => [undefined],
    call: (value: never) =>
      foretoken.trainingBatch(new Int32Array(20), { batchSize: 2, contextLength: 4, seed: 1, step: 0, [name]: value }),
    allows: (value: unknown) => value !== 2 ** 60,
  })),
  {
    name: "evaluationWindows",
    args: () => [new Int32Array(20), { batchSize: 2, contextLength: 4 }],
    call: foretoken.evaluationWindows,
  },
  ...["batchSize", "contextLength"].map((name) => ({
    name: `evaluationWindows ${name}`,
    args: () => [undefined],
    call: (value: never) =>
      foretoken.evaluationWindows(new Int32Array(20), { batchSize: 2, contextLength: 4, [name]: value }),
  })),
  { name: "clipFactor", args: () => [1, 1], call: foretoken.clipFactor },
  { name: "learningRateAt", args: () => [foretoken.presets.quick.train, 0], call: foretoken.learningRateAt },
  ...["learningRate", "warmupSteps", "steps", "schedule"].map((name) => ({
    name: `learningRateAt ${name}`,
    args: () => [undefined],
    call: (value: never) => foretoken.learningRateAt({ ...foretoken.presets.quick.train, [name]: value }, 100),
  })),
  {
    name: "Backend.alloc",
    args: () => ["float32", 4],
    call: (dtype, length) => backend.alloc(dtype, length),
    allows: (value) => value !== 2 ** 60,
  },
  { name: "Backend.free", args: () => [backend.alloc("float32", 4)], call: (storage) => backend.free(storage) },
  {
    name: "Backend.write",
    args: () => [backend.alloc("float32", 4), new Float32Array(4), 0],
    call: (...args) => backend.write(...(args as unknown as Parameters<foretoken.Backend["write"]>)),
  },
  {
    name: "Backend.read",
    args: () => [backend.alloc("float32", 4), 0, 4],
    call: (...args) => backend.read(...(args as unknown as Parameters<foretoken.Backend["read"]>)),
  },
  {
    name: "Backend.run",
    args: () => ["fill", { y: { storage: backend.alloc("float32", 4), offset: 0 }, n: 4, value: 0 }],
    call: (kernel, args) => backend.run(kernel, args),
  },
  ...["y", "n", "value"].map((name) => ({
    name: `Backend.run ${name}`,
    args: () => [undefined],
    call: (value: never) =>
      backend.run("fill", { y: { storage: backend.alloc("float32", 4), offset: 0 }, n: 4, value: 0, [name]: value }),
  })),
  { name: "inferenceContext", args: () => [backend], call: foretoken.inferenceContext },
  {
    name: "withContext",
    args: () => [foretoken.inferenceContext(backend), () => 1],
    call: foretoken.withContext,
  },
  {
    name: "readTensor",
    args: () => ["own"],
    call: inContext((_, logits, tensor) => foretoken.readTensor(backend, instead(logits, tensor))),
  },
  {
    name: "readTensor, of a backend",
    args: () => ["own"],
    call: inContext((_, logits, given) => foretoken.readTensor(instead(backend, given), logits)),
  },
  {
    name: "readScalar",
    args: () => ["own"],
    call: inContext((context, logits, tensor) =>
      foretoken.readScalar(backend, instead(foretoken.crossEntropyLoss(context, logits, new Int32Array(2)), tensor)),
    ),
  },
  {
    name: "crossEntropyLoss",
    args: () => ["own", "own", new Int32Array(2)],
    call: inContext((context, logits, given, tensor, targets) =>
      foretoken.crossEntropyLoss(instead(context, given), instead(logits, tensor), targets),
    ),
  },
  {
    name: "backward",
    args: () => ["own", "own", 1],
    call: inContext((context, logits, given, total, scale) =>
      foretoken.backward(
        instead(context, given),
        instead(foretoken.crossEntropyLoss(context, logits, new Int32Array(2)), total),
        scale,
      ),
    ),
  },
  {
    name: "forward",
    args: () => ["own", "own", [0, 1], 1, 2],
    call: inContext((context, _, given, net, ids, rows, time) =>
      foretoken.forward(instead(context, given), instead(lm.model, net), ids, rows, time),
    ),
  },
  {
    name: "forwardLoss",
    args: () => ["own", "own", [0, 1], new Int32Array(2), 1, 2],
    call: inContext((context, _, given, net, ids, targets, rows, time) =>
      foretoken.forwardLoss(instead(context, given), instead(lm.model, net), ids, targets, rows, time),
    ),
  },
  {
    name: "createGradients",
    args: () => [lm.model],
    call: (net) => foretoken.createGradients(net).close(),
  },
  {
    name: "Gradients.record",
    args: () => [() => 1],
    call: async (work) => {
      const gradients = foretoken.createGradients(lm.model);
      try {
        return await gradients.record(work);
      } finally {
        gradients.close();
      }
    },
  },
  {
    name: "freshModel",
    args: () => [backend, model, 5, 1],
    call: (...args) => (foretoken.freshModel as (...given: unknown[]) => foretoken.Model)(...args).close(),
    allows: (value) => value !== 2 ** 60,
  },
  {
    name: "loraModel",
    args: () => [lm.model, {}, 1],
    call: (...args) => (foretoken.loraModel as (...given: unknown[]) => foretoken.Model)(...args).close(),
    allows: (value) => value !== 2 ** 60,
  },
  ...["rank", "alpha", "dropout", "targets", "other"].map((name) => ({
    name: `loraModel ${name}`,
    args: () => [undefined],
    call: (value: never) => foretoken.loraModel(lm.model, { [name]: value }, 1).close(),
  })),
  { name: "mergeAdapter", args: () => [undefined], call: (net: never) => foretoken.mergeAdapter(net) },
  {
    name: "createOptimizer",
    args: () => [backend, lm.model.layout, { kind: "adam" }],
    call: (...args) => (foretoken.createOptimizer as (...given: unknown[]) => foretoken.Optimizer)(...args).close(),
  },
  {
    name: "Optimizer.update",
    args: () => [undefined],
    call: (update) => {
      const optimizer = foretoken.createOptimizer(backend, lm.model.layout, foretoken.presets.book.train.optimizer);
      try {
        optimizer.update(update);
      } finally {
        optimizer.close();
      }
    },
  },
  { name: "languageModel", args: () => [lm.model, lm.tokenizer, async () => {}], call: foretoken.languageModel },
  { name: "lm.logits", args: () => [[0, 1]], call: (ids) => lm.logits(ids) },
  { name: "lm.score", args: () => [[0, 1], {}], call: (...args) => lm.score(...(args as unknown as [string])) },
  ...["stride", "candidates", "signal", "other"].map((name) => ({
    name: `lm.score ${name}`,
    args: () => [undefined],
    call: (value: never) => lm.score("the cat", { [name]: value }),
  })),
  { name: "attentionOf", args: () => [lm, "the", {}], call: foretoken.attentionOf },
  ...["layers", "heads", "from", "to", "other"].map((name) => ({
    name: `attentionOf ${name}`,
    args: () => [undefined],
    call: (value: never) => foretoken.attentionOf(lm, "the", { [name]: value }),
  })),
  { name: "lensOf", args: () => [lm, "the", {}], call: foretoken.lensOf },
  ...["positions", "top", "signal", "other"].map((name) => ({
    name: `lensOf ${name}`,
    args: () => [undefined],
    call: (value: never) => foretoken.lensOf(lm, "the", { [name]: value }),
  })),
  { name: "withoutHeads", args: () => [lm, [{ layer: 0, head: 0 }]], call: foretoken.withoutHeads },
  ...["layer", "head", "other"].map((name) => ({
    name: `withoutHeads ${name}`,
    args: () => [undefined],
    call: (value: never) => foretoken.withoutHeads(lm, [{ layer: 0, head: 0, [name]: value }]),
  })),
  { name: "neighboursOf", args: () => [lm, "t", {}], call: foretoken.neighboursOf },
  ...["top", "of", "other"].map((name) => ({
    name: `neighboursOf ${name}`,
    args: () => [undefined],
    call: (value: never) => foretoken.neighboursOf(lm, "t", { [name]: value }),
  })),
  {
    name: "patched",
    args: () => [lm, { clean: "the", corrupted: "cat", layer: 0, position: 0, part: "mlp" }],
    call: foretoken.patched,
  },
  ...["clean", "corrupted", "layer", "position", "part", "other"].map((name) => ({
    name: `patched ${name}`,
    args: () => [undefined],
    call: (value: never) =>
      foretoken.patched(lm, {
        ...{ clean: "the", corrupted: "cat", layer: 0, position: 0, part: "mlp" },
        [name]: value,
      }),
  })),
  {
    name: "generate",
    args: () => [lm, { prompt: "the", maxNewTokens: 1 }],
    call: foretoken.generate,
  },
  ...[
    "prompt",
    "maxNewTokens",
    "temperature",
    "topK",
    "topP",
    "minP",
    "seed",
    "stop",
    "candidates",
    "cache",
    "signal",
    "other",
  ].map((name) => ({
    name: `generate ${name}`,
    args: () => [undefined],
    call: (value: never) => foretoken.generate(lm, { prompt: "the", maxNewTokens: 1, [name]: value }),
    allows: (value: unknown) => value !== 2 ** 60,
  })),
  {
    name: "openBackend",
    args: () => ["reference", { threads: 1 }],
    call: async (...args) => (await foretoken.openBackend(...(args as unknown as ["reference"]))).close(),
  },
  ...["threads", "dtype", "instructionSet"].flatMap((name) =>
    (["reference", "wasm"] as const).map((choice) => ({
      name: `openBackend ${choice} ${name}`,
      args: () => [undefined],
      call: async (value: never) => (await foretoken.openBackend(choice, { threads: 1, [name]: value })).close(),
    })),
  ),
  { name: "describeBackends", args: () => [undefined], call: foretoken.describeBackends },
  {
    name: "loadCorpus",
    args: () => [data, {}],
    call: foretoken.loadCorpus,
    // The default is a text of the network.
    allows: (value, place) => place > 0 || value !== undefined,
  },
  ...["valData", "valFraction", "surroundings"].map((name) => ({
    name: `loadCorpus ${name}`,
    args: () => [undefined],
    call: (value: never) => foretoken.loadCorpus(data, { [name]: value }),
  })),
  {
    name: "loadPretrained",
    args: () => [checkpoint, { backend: "reference" }],
    call: async (...args) => (await foretoken.loadPretrained(...(args as unknown as [string]))).close(),
  },
  ...["backend", "threads", "dtype", "asInTraining"].map((name) => ({
    name: `loadPretrained ${name}`,
    args: () => [undefined],
    call: async (value: never) =>
      (await foretoken.loadPretrained(checkpoint, { backend: "reference", [name]: value })).close(),
  })),
  {
    name: "savePretrained",
    args: () => [newPath(), lm],
    call: foretoken.savePretrained,
    // Any text is a path, and would be written to.
    allows: (value, place) => place > 0 || !isText(value),
  },
  ...["adapter", "adapters", "base"].map((name) => ({
    name: `loadPretrained ${name}`,
    args: () => [undefined],
    call: async (value: never) =>
      (await foretoken.loadPretrained(checkpoint, { backend: "reference", [name]: value })).close(),
    // No adapters at all.
    allows: (value: unknown) => name !== "adapters" || isPrimitive(value),
  })),
  {
    name: "saveAdapter",
    args: () => [newPath(), adaptedLm, {}],
    call: foretoken.saveAdapter,
    allows: (value, place) => place > 0 || !isText(value),
  },
  {
    name: "saveAdapter base",
    args: () => [undefined],
    call: (base: never) => foretoken.saveAdapter(newPath(), adaptedLm, { base }),
    allows: (value) => !isText(value),
  },
  {
    name: "saveMerged",
    args: () => [newPath(), adapter, {}],
    call: foretoken.saveMerged,
    allows: (value, place) => place > 0 || !isText(value),
  },
  ...["base", "dtype", "onNotice", "onProgress"].map((name) => ({
    name: `saveMerged ${name}`,
    args: () => [undefined],
    call: (value: never) => foretoken.saveMerged(newPath(), adapter, { [name]: value }),
  })),
  { name: "listRuns", args: () => [checkpoint], call: foretoken.listRuns },
  {
    name: "evaluate",
    args: () => [lm, { data }],
    call: foretoken.evaluate,
    allows: (value, place) => place === 0 || (value !== undefined && isPrimitive(value)),
  },
  ...["data", "valFraction", "split", "signal", "onProgress", "onNotice", "other"].map((name) => ({
    name: `evaluate ${name}`,
    args: () => [undefined],
    call: (value: never) => foretoken.evaluate(lm, { data, [name]: value }),
    allows: (value: unknown) => name !== "data" || value !== undefined,
  })),
  {
    name: "compareEvaluations",
    args: () => [evaluation, evaluation],
    call: foretoken.compareEvaluations,
  },
  {
    name: "evaluate text",
    args: () => ["the cat"],
    call: (text) => foretoken.evaluate(lm, { text }),
    allows: (value) => value !== undefined,
  },
  ...["text", "valText", "prompt", "onCheckpoint", "onAdapter"].map((name) => ({
    name: `train ${name}, of a text`,
    args: () => [name === "text" ? "the cat sat on a mat and ran".repeat(5) : undefined],
    call: (value: never) =>
      foretoken.train({
        ...{ ...options, data: undefined, text: "the cat sat on a mat and ran".repeat(5) },
        [name]: value,
      } as never),
    allows: (value: unknown) => name !== "text" || value !== undefined,
  })),
  {
    name: "train",
    args: () => [{ ...options, data }],
    call: foretoken.train,
    allows: (value) => value !== undefined && isPrimitive(value),
  },
  ...[
    ...[
      "data",
      "valData",
      "valFraction",
      "dataName",
      "preset",
      "config",
      "out",
      "finalSampleTokens",
      "backend",
      "threads",
    ],
    ...["stopAt", "profile", "signal", "onNotice", "resume", "steps", "extend", "initFrom", "other"],
  ].map((name) => ({
    name: `train ${name}`,
    args: () => [name === "data" ? data : name === "out" ? null : undefined],
    call: (value: never) => foretoken.train({ ...options, data, [name]: value } as never),
    allows: (value: unknown) =>
      // A number of tokens to write can take long; a folder would be made; the default text is of the network.
      !(name === "finalSampleTokens" && isNumber(value)) &&
      !(name === "out" && (isText(value) || value === undefined)) &&
      !(name === "data" && value === undefined) &&
      // A whole preset takes minutes.
      !(name === "config" && (value === undefined || value === null || !isPrimitive(value))) &&
      !(name === "config" && typeof value === "object"),
  })),
  {
    name: "browser: openBackend",
    args: () => ["reference", {}],
    call: async (...args) => (await browser.openBackend(...(args as unknown as ["reference"]))).close(),
    // Its own default looks for a page.
    allows: (value, place) => place > 0 || value !== undefined,
  },
  {
    name: "browser: loadPretrained",
    args: () => [files, { backend: "reference" }],
    call: async (...args) => (await browser.loadPretrained(...(args as unknown as [string]))).close(),
    allows: (value, place) => place === 0 || (value !== undefined && isPrimitive(value)),
  },
  {
    // Here is no page that could start a worker: a ConfigError, too.
    name: "browser: loadInWorker",
    args: () => [files, { backend: "reference" }],
    call: async (...args) => (await browser.loadInWorker(...(args as unknown as [string]))).close(),
  },
  { name: "browser: savePretrained", args: () => [browserLm], call: browser.savePretrained },
  { name: "browser: saveAdapter", args: () => [adaptedLm, {}], call: browser.saveAdapter },
  {
    name: "browser: loadPretrained adapter",
    args: () => [adapterFiles],
    call: async (value: never) =>
      (await browser.loadPretrained(files, { backend: "reference", adapter: value })).close(),
    allows: (value) => value !== undefined && isPrimitive(value),
  },
  { name: "browser: evaluate", args: () => [browserLm, { text: "the cat" }], call: browser.evaluate },
  ...["text", "signal", "onProgress", "other"].map((name) => ({
    name: `browser: evaluate ${name}`,
    args: () => [name === "text" ? "the cat" : undefined],
    call: (value: never) => browser.evaluate(browserLm, { text: "the cat", [name]: value }),
  })),
  { name: "browser: train", args: () => [{ text: "" }], call: browser.train },
  ...[
    ...["text", "valText", "valFraction", "preset", "prompt", "finalSampleTokens", "backend", "threads", "stopAt"],
    ...["profile", "signal", "onCheckpoint", "onAdapter", "worker", "initFrom", "other"],
  ].map((name) => ({
    name: `browser: train ${name}`,
    args: () => [name === "text" ? "the cat sat on a mat and ran".repeat(5) : undefined],
    call: (value: never) =>
      browser.train({
        text: "the cat sat on a mat and ran".repeat(5),
        backend: "reference",
        preset: "quick",
        config: tinyConfig as never,
        finalSampleTokens: 0,
        [name]: value,
      } as never),
    allows: (value: unknown) =>
      !(name === "finalSampleTokens" && (isNumber(value) || value === undefined)) &&
      !(name === "backend" && value === undefined),
  })),
];

const isIterator = (value: unknown): value is AsyncIterator<unknown> =>
  typeof value === "object" && value !== null && "next" in value && "return" in value;

/** Calls, waits, and takes a few events; returns the error. */
const failureOf = async ({ call }: Case, args: readonly unknown[]): Promise<unknown> => {
  try {
    const result: unknown = await call(...(args as never[]));
    if (isIterator(result)) {
      for (let taken = 0; taken < 4; taken++) if ((await result.next()).done === true) break;
      await result.return?.();
    }
    return undefined;
  } catch (error) {
    return error;
  }
};

const isRefusal = (error: unknown): boolean => error === undefined || error instanceof foretoken.ForetokenError;

const complaint = (error: unknown): string => (error instanceof Error ? String(error.stack) : String(error));

describe.each(cases)("$name", (one) => {
  const { args, allows = () => true } = one;

  it("answers a wrong argument with a ForetokenError of one line", async () => {
    for (let place = 0; place < Math.max(1, args().length); place++) {
      for (const value of wrongValues.filter((wrong) => allows(wrong, place))) {
        const error = await failureOf(one, args().with(place, value));
        expect(isRefusal(error), `place ${place}, ${typeof value}: ${complaint(error)}`).toBe(true);
        if (error !== undefined) expect((error as Error).message).toMatch(/^[^\n]{1,300}$/u);
      }
    }
  });
});

it("several wrong arguments at once are answered the same", async () => {
  const several = cases.filter(({ args }) => args.length === 0 && args().length > 1);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...several),
      fc.array(fc.option(fc.constantFrom(...wrongValues), { nil: "keep" }), { minLength: 6, maxLength: 6 }),
      async (one, values) => {
        const args = one
          .args()
          .map((own, place) =>
            values[place] === "keep" || one.allows?.(values[place], place) === false ? own : values[place],
          );
        const error = await failureOf(one, args);
        expect(isRefusal(error), `${one.name}: ${complaint(error)}`).toBe(true);
      },
    ),
    { numRuns: 200 },
  );
});
