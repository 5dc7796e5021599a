/** Runs with adapters, and their base models. The tests check which weights are accepted and which are refused. */
import { cp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll } from "vitest";
import { readSafetensors, writeSafetensors } from "#foretoken/io/safetensors.js";
import { baseFilesOf, keepBase } from "#foretoken/pretrained/adapter/base/keep.node.js";
import { type LoadOptions, loadPretrained } from "#foretoken/pretrained/load.node.js";
import { openPretrained } from "#foretoken/pretrained/open.node.js";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import { collect, tinyRun, useFolder, wordsText } from "../../../support/runs.ts";

export const on = { backend: "reference" } as const;
const text = "the cat sat on a mat";

/** A run of 4 steps, and a second run that trains an adapter for the last weights of the first run. */
interface Runs {
  readonly base: string;
  readonly adapters: string;
}

export const useBases = () => {
  const { newPath, writeText } = useFolder();
  const nowhere: Runs = { base: "", adapters: "" };
  const runs = {
    data: "",
    begun: nowhere,
    /** The same two runs. The base was trained further, so it has other weights. */
    gone: nowhere,
  };

  const tune = async (initFrom: string, more: Partial<NewRun> = {}): Promise<string> => {
    const out = newPath();
    const plan = { ...tinyRun.train, steps: 4, batchSize: 2, evalInterval: 2, learningRate: 0.05, sampleTokens: 0 };
    const config = { lora: { rank: 2 }, train: plan, ...more.config } as NonNullable<NewRun["config"]>;
    await collect(
      train({ preset: "book", initFrom, data: runs.data, out, ...on, finalSampleTokens: 0, ...more, config } as NewRun),
    );
    return out;
  };

  const goOn = async (base: string, keepLast?: number): Promise<void> => {
    await collect(train({ resume: base, steps: 6, ...on, ...(keepLast && { keepLast }) }));
  };

  /** A copy of the base, and a run that trains an adapter for it. */
  const begin = async (from: string): Promise<Runs> => {
    const base = newPath();
    await cp(from, base, { recursive: true });
    return { base, adapters: await tune(join(base, "checkpoint")) };
  };

  beforeAll(async () => {
    runs.data = await writeText(wordsText("base", 200));
    const base = newPath();
    const plan = { ...tinyRun.train, steps: 4, batchSize: 2, sampleTokens: 0 };
    const config = { model: tinyRun.model, train: plan };
    await collect(train({ preset: "book", config, data: runs.data, out: base, ...on, finalSampleTokens: 0 }));
    runs.begun = { base, adapters: await tune(join(base, "checkpoint")) };
    runs.gone = await begin(base);
    await goOn(runs.gone.base);
  });

  /** The folders of the runs, with a copy of the run with the adapter. A test may change this copy. */
  const copyOf = async ({ base, adapters: from }: Runs) => {
    const adapters = newPath();
    await cp(from, adapters, { recursive: true });
    return {
      base,
      weights: join(base, "checkpoint"),
      adapters,
      adapter: join(adapters, "best"),
      kept: join(adapters, "base"),
    };
  };

  return { newPath, runs, tune, goOn, begin, copyOf };
};

/** An adapter without the hash of a base model, as PEFT writes it. */
export const withoutHash = async (adapter: string): Promise<void> => {
  const path = join(adapter, "adapter_model.safetensors");
  const { tensors } = readSafetensors(await readFile(path), path);
  await writeFile(path, writeSafetensors(tensors.values(), { format: "pt" }));
  await rm(join(adapter, "manifest.json"));
};

/** Replaces a file by a copy with one flipped bit. Hard links to the old file do not change. */
export const damage = async (path: string): Promise<void> => {
  const bytes = await readFile(path);
  const last = bytes.length - 2;
  bytes[last] = (bytes[last] ?? 0) ^ 1;
  await writeFile(`${path}.new`, bytes);
  await rename(`${path}.new`, path);
};

/** Stores the model `from` in a run, as when a run is resumed. Returns the notices. */
export const keepAgain = async (run: string, from: string): Promise<readonly string[]> => {
  const lines: string[] = [];
  const opened = await openPretrained(from);
  await keepBase({ root: run, shown: "run" }, await baseFilesOf(opened), (line) => void lines.push(line));
  await opened.weights.close();
  return lines;
};

export const scoreOf = async (path: string, options: LoadOptions = {}) => {
  const lines: string[] = [];
  const lm = await loadPretrained(path, { ...on, onNotice: (line) => lines.push(line), ...options });
  const { mean } = await lm.score(text);
  await lm.close();
  return { mean, lines: lines.filter((line) => !line.includes("unchecked")) };
};

export const others =
  "the model must have the weights that the adapter was trained on; got a different SHA-256 than in ";
