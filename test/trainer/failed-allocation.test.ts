import { expect, test } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { createSequenceEngine } from "#foretoken/engine/engine.js";
import { freshModel } from "#foretoken/models/model.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { createTrainer } from "#foretoken/trainer/trainer.js";
import { smallMuonRun } from "../support/runs.ts";

const vocabSize = 20;
const config = resolveConfig("shakespeare", [smallMuonRun]);

/** `backend` with memory for at most `most` more storages. */
const withRoomFor = (most: number, backend: Backend): Backend => {
  let taken = 0;
  return {
    ...backend,
    alloc(dtype, length) {
      if (taken++ === most) throw new ConfigError({ where: "memory", must: "must suffice" });
      return backend.alloc(dtype, length);
    },
  };
};

/** Tries to create something, each time with more memory, until it succeeds. Returns the number of failures. */
const failures = async (make: (backend: Backend) => { close(): void }): Promise<number> => {
  const backend = await openReference();
  try {
    for (let failed = 0; ; failed++) {
      try {
        make(withRoomFor(failed, backend)).close();
        return failed;
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        expect(backend.bytesInUse()).toBe(0);
      }
    }
  } finally {
    expect(backend.bytesInUse()).toBe(0);
    await backend.close();
  }
};

test("a trainer for which memory does not suffice leaves none taken", async () => {
  // The arrays are the weights, two tables of angles, gradients of two passes, two moments and a flag, a direction, and
  // four scratch matrices.
  expect(await failures((backend) => createTrainer(backend, config, vocabSize, new Int32Array(100)))).toBe(13);
});

test("an engine for which memory does not suffice leaves none taken", async () => {
  const opened = await openReference();
  // With this number of layers, the pages need several storages.
  const layers = 11;
  const model = freshModel(opened, { ...config.model, nLayer: layers }, vocabSize, 1);
  const before = opened.bytesInUse();
  for (let room = 0; room < layers; room++) {
    const short = { ...model, backend: withRoomFor(room, opened) };
    expect(() => createSequenceEngine(short, { cacheBytes: 1, maxSequences: 1 })).toThrow(ConfigError);
    expect(opened.bytesInUse()).toBe(before);
  }
  model.close();
  await opened.close();
});
