import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import type { RunConfig } from "#foretoken/config/config.js";
import type { PartialConfig } from "#foretoken/config/merge.js";
import type { TrainEvent } from "#foretoken/runs/events.js";
import { hashInteger } from "./hash.ts";

/**
 * A folder for the tests of one file. The folder is removed after the tests. `newPath` returns an unused name in this
 * folder.
 */
export const useFolder = (): {
  readonly newPath: () => string;
  readonly writeText: (text: string) => Promise<string>;
} => {
  let folder = "";
  let taken = 0;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "foretoken-test-"));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const newPath = (): string => join(folder, String(taken++));
  return {
    newPath,
    writeText: async (text) => {
      const path = `${newPath()}.txt`;
      await writeFile(path, text);
      return path;
    },
  };
};

/** Words of a small artificial language. The name determines the words. */
export const wordsText = (name: string, words: number): string =>
  Array.from(
    { length: words },
    (_, i) => ["the", "cat", "sat", "on", "a", "mat", "and", "ran"][hashInteger(name, i, 8)],
  )
    .map((word, i) => (i % 9 === 8 ? `${word}.\n` : `${word} `))
    .join("");

/** A model and a plan that together use every feature: dropout, accumulation, clipping, warm-up and decay. */
export const smallRun = {
  model: { contextLength: 16, nLayer: 2, nHead: 2, nEmbd: 16, dropout: 0.2 },
  train: {
    steps: 12,
    batchSize: 3,
    gradAccumSteps: 2,
    learningRate: 1e-2,
    warmupSteps: 3,
    schedule: { kind: "cosine", minLearningRate: 1e-3 },
    optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1 },
    maxGradNorm: 1,
    evalInterval: 5,
    checkpointInterval: 4,
    patience: 0,
    sampleTokens: 3,
  },
} satisfies PartialConfig<RunConfig>;

/** The plan above with a tiny model that needs almost no time, for tests of plans and folders. */
export const tinyRun = {
  model: { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8, dropout: 0.2 },
  train: smallRun.train,
} satisfies PartialConfig<RunConfig>;

/** The backend for tests that work with any backend: the fastest backend that gives the same bits on every machine. */
export const anyBackend = { backend: "wasm", threads: 1 } as const;

/** `smallRun` with the other architecture and the other optimizer, based on the preset "shakespeare". */
export const smallMuonRun = {
  model: { ...smallRun.model, mlp: { kind: "swiglu", hidden: 24 } },
  train: {
    ...smallRun.train,
    schedule: { kind: "linear", minLearningRate: 1e-3 },
    optimizer: { kind: "muon", beta2: 0.99 },
  },
} satisfies PartialConfig<RunConfig>;

/** The run above with grouped queries and scaled wavelengths, for LlamaForCausalLM. */
export const smallGroupedRun = {
  ...smallMuonRun,
  model: {
    ...smallMuonRun.model,
    ...{ nHead: 4, nKvHead: 2, headDim: 6, qkNorm: false },
    position: { scaling: { kind: "llama3", originalContext: 4 } },
  },
} satisfies PartialConfig<RunConfig>;

export const collect = async (events: AsyncIterable<TrainEvent>): Promise<TrainEvent[]> => {
  const all: TrainEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
};

/** The events of one type. */
export const ofType = <T extends TrainEvent["type"]>(
  events: readonly TrainEvent[],
  type: T,
): readonly Extract<TrainEvent, { type: T }>[] =>
  events.filter((event): event is Extract<TrainEvent, { type: T }> => event.type === type);

/** Whether the run in this folder is writing a checkpoint or replacing the previous checkpoint. */
export const isSaving = (run: string): boolean =>
  existsSync(run) && readdirSync(run).some((name) => /^(?:\.tmp-[0-9a-f]+-|\.old-)(?:checkpoint|best)$/u.test(name));

/** SHA-256 of every checkpoint file of a run, by path. Equal runs give equal results. */
export const checkpointHashes = async (run: string): Promise<Readonly<Record<string, string>>> => {
  const hashes: Record<string, string> = {};
  for (const folder of ["checkpoint", "best", "averaged"]) {
    if (folder === "averaged" && !existsSync(join(run, folder))) continue;
    for (const file of (await readdir(join(run, folder))).sort()) {
      const bytes = await readFile(join(run, folder, file));
      hashes[`${folder}/${file}`] = createHash("sha256").update(bytes).digest("hex");
    }
  }
  return hashes;
};

/** The recorded events, without the fields that depend on the time, the folder or the process. */
export const timelessMetrics = async (run: string): Promise<readonly unknown[]> => {
  const lines = (await readFile(join(run, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
  return lines.map((line) => {
    const { tokensPerSecond, path, out, threads, ranks, memory, availableMemory, ...rest } = JSON.parse(line) as Record<
      string,
      unknown
    >;
    return rest;
  });
};
