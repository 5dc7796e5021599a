import { describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import type { RunConfig } from "#foretoken/config/config.js";
import { CheckpointError } from "#foretoken/core/errors/errors.js";
import type { NamedTensor } from "#foretoken/core/tensors/named-tensor.js";
import { joinChunks, readSafetensors, writeSafetensors } from "#foretoken/io/safetensors.js";
import { type FlightRecord, parseRecord, recordChunks } from "#foretoken/runs/record/flight-record.js";
import { findBad } from "#foretoken/train/faults/flight-recorder.js";
import { replay } from "#foretoken/train/faults/replay.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { readPart, readSnapshot } from "#foretoken/trainer/state.js";
import { createTrainer, type Trainer } from "#foretoken/trainer/trainer.js";
import { forEachBackend } from "../../support/backends.ts";
import { hashedIds } from "../../support/models.ts";
import { smallMuonRun, smallRun } from "../../support/runs.ts";

const vocabSize = 13;
const tokens = hashedIds("flight", 400, vocabSize);
const book = resolveConfig("book", [smallRun, { train: { dtype: "float32" } }]);
const shakespeare = resolveConfig("shakespeare", [smallMuonRun, { train: { dtype: "float32" } }]);

const withTrainer = async <T>(
  backend: Backend,
  config: RunConfig,
  work: (trainer: Trainer) => Promise<T>,
): Promise<T> => {
  const trainer = createTrainer(backend, config, vocabSize, tokens);
  try {
    return await work(trainer);
  } finally {
    trainer.close();
    expect(backend.bytesInUse()).toBe(0);
  }
};

/** Changes a parameter between two steps. */
const change = async (trainer: Trainer, name: string, edit: (values: Float32Array) => void): Promise<void> => {
  const { offset, shape } = trainer.model.arena.tensors.get(name) ?? expect.fail(`no parameter ${name}`);
  const size = shape.reduce((product, length) => product * length, 1);
  const state = await readSnapshot(trainer.snapshot());
  edit(state.get("values")?.subarray(offset, offset + size) ?? expect.fail("no weights"));
  trainer.restore(state);
};

const find = async (backend: Backend, trainer: Trainer, step: number) =>
  findBad(backend, trainer, step, await readPart(trainer.snapshot().weights));

forEachBackend("the flight recorder", ({ open }) => {
  it.each([
    ["book", book],
    ["shakespeare", shakespeare],
  ])("finds nothing in a step that went well, and changes no bit of it: %s", async (_, config) => {
    const backend = await open(2);
    await withTrainer(backend, config, async (trainer) => {
      for (let step = 0; step < 3; step++) await trainer.step(step);
      const measured = await trainer.measure(3);
      const before = await readPart(trainer.snapshot().weights);
      const found = await find(backend, trainer, 3);
      expect(found.measured).toEqual(measured);
      expect(found.tensor).toMatch(/^no tensor: all finite, largest gradient \S+$/u);
      expect(await readPart(trainer.snapshot().weights)).toEqual(before);
    });
    await backend.close();
  });

  it("looks through bfloat16 as well", async () => {
    const backend = await open(2, "bfloat16");
    const config = { ...book, train: { ...book.train, dtype: "bfloat16" } } as const;
    await withTrainer(backend, config, async (trainer) => {
      await trainer.step(0);
      const measured = await trainer.measure(1);
      const found = await find(backend, trainer, 1);
      expect(found).toEqual({ measured, tensor: expect.stringMatching(/^no tensor: all finite, /u), isOwn: false });
      await change(trainer, "head.weight", (values) => {
        for (let at = 0; at < 13; at++) values[at * 16] = 3.3e38;
      });
      expect((await find(backend, trainer, 1)).tensor).toMatch(/ \[\d+\], forward, head\.weight$/u);
    });
    await backend.close();
  });

  it("names a weight that was bad before the step", async () => {
    const backend = await open(1);
    await withTrainer(backend, shakespeare, async (trainer) => {
      await change(trainer, "blocks.1.mlp.down.weight", (values) => {
        values[5] = Number.NaN;
      });
      const { measured, tensor } = await find(backend, trainer, 0);
      expect(tensor).toBe("weight blocks.1.mlp.down.weight, before the step");
      expect(measured.loss).toBeNaN();
    });
    await backend.close();
  });

  it.each(["blocks.1.attention.qkv.weight", "head.weight"])(
    "names the first output that is not finite, and the weight in it: %s",
    async (name) => {
      const backend = await open(2);
      await withTrainer(backend, book, async (trainer) => {
        // In at least one row, the output of the norm is above 1. Multiplied by this value, it overflows.
        await change(trainer, name, (values) => {
          for (let at = 0; at < 13; at++) values[at * 16] = 3.4e38;
        });
        const { measured, tensor, isOwn } = await find(backend, trainer, 0);
        expect(isOwn).toBe(true);
        expect(tensor).toMatch(new RegExp(`^linearForward\\.y \\[\\d+\\], forward, ${name}$`, "u"));
        expect(Number.isFinite(measured.loss)).toBe(false);
      });
      await backend.close();
    },
  );

  it("says so where all is finite, and names the largest gradient", async () => {
    const backend = await open(2);
    await withTrainer(backend, book, async (trainer) => {
      // For any input of the output head, all logits are 0, so the loss is ln V. Only the output head has a gradient,
      // and this gradient is huge.
      await change(trainer, "head.weight", (values) => values.fill(0));
      await change(trainer, "norm.weight", (values) => values.fill(1e10));
      const { measured, tensor } = await find(backend, trainer, 0);
      expect(measured.loss).toBeCloseTo(Math.log(vocabSize), 5);
      expect(measured.gradNorm).toBeGreaterThan(1e8);
      expect(tensor).toBe("no tensor: all finite, largest gradient head.weight");
    });
    await backend.close();
  });

  it("leaves a record that makes the same step again, to the bit", async () => {
    const backend = await open(2);
    const record = await withTrainer(backend, shakespeare, async (trainer): Promise<FlightRecord> => {
      for (let step = 0; step < 2; step++) await trainer.step(step);
      await change(trainer, "tokens.weight", (values) => {
        values[3] = Number.POSITIVE_INFINITY;
      });
      return recorded(backend, trainer, shakespeare, 3);
    });
    const read = parseRecord(joinChunks(recordChunks(record)), "record");
    expect(read).toEqual({ ...record, batch: { ...record.batch } });
    expect(await replay(backend, read)).toMatchObject({ reproduced: true, isSame: true, tensor: record.tensor });
    expect((await replay(backend, { ...read, loss: 1 })).reproduced).toBe(false);
    expect((await replay(backend, { ...read, tensor: "another" })).reproduced).toBe(false);
    expect(backend.bytesInUse()).toBe(0);
    await backend.close();
  });
});

const recorded = async (backend: Backend, trainer: Trainer, config: RunConfig, step: number): Promise<FlightRecord> => {
  const values = await readPart(trainer.snapshot().weights);
  const { measured, tensor } = await findBad(backend, trainer, step - 1, values);
  const passes = [...trainer.passes(step - 1)];
  const ids = (which: "x" | "y"): Float32Array => Float32Array.from(passes.flatMap((pass) => [...pass[which]]));
  const rows = passes.reduce((sum, pass) => sum + pass.rows, 0);
  const { instructionSet, dtype } = backend.capabilities;
  return {
    ...measured,
    config,
    vocabSize,
    step,
    reason: "nonfinite",
    tensor,
    backend: backend.name,
    instructionSet,
    dtype,
    values,
    batch: { x: ids("x"), y: ids("y"), rows, time: config.model.contextLength },
  };
};

describe("a forged record", async () => {
  const { openReference } = await import("#foretoken/backend/implementations/reference/reference.js");
  const backend = await openReference();
  const record = await withTrainer(backend, shakespeare, (trainer) => recorded(backend, trainer, shakespeare, 2));
  const whole = joinChunks(recordChunks(record));
  const { tensors, metadata } = readSafetensors(whole, "record");

  const forged = (change: {
    readonly metadata?: Readonly<Record<string, string | undefined>>;
    readonly tensors?: (given: readonly NamedTensor[]) => readonly NamedTensor[];
  }): string => {
    const told = Object.entries({ ...metadata, ...change.metadata }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    const given = [...tensors.values()];
    const bytes = writeSafetensors(change.tensors?.(given) ?? given, Object.fromEntries(told));
    try {
      parseRecord(bytes, "record");
      return "accepted";
    } catch (error) {
      expect(error).toBeInstanceOf(CheckpointError);
      return (error as Error).message;
    }
  };
  const changed = (name: string, data: (data: Float32Array) => Float32Array) => (given: readonly NamedTensor[]) =>
    given.map((one) => (one.name === name ? { ...one, data: data(one.data) } : one));
  const spoil = (value: number) => (data: Float32Array) => data.map((one, i) => (i === 7 ? value : one));
  const config = (changes: object): string =>
    JSON.stringify({ ...shakespeare, model: { ...shakespeare.model, ...changes } });

  it("is not this one", () => {
    expect(forged({})).toBe("accepted");
  });

  it.each([
    ["no mark", { metadata: { format: undefined } }, /must be the record of a step; got another safetensors file/u],
    ["a later version", { metadata: { formatVersion: "99" } }, /format version must be 1 or less; got 99/u],
    ["no step", { metadata: { step: undefined } }, /record\.step: must be a text; got nothing/u],
    ["a step past the end", { metadata: { step: "9999" } }, /step must be from 1 to 12; got 9999/u],
    ["a step that is no number", { metadata: { step: "1e9" } }, /record\.step: must be a whole number as text/u],
    ["a loss that is no number", { metadata: { loss: "high" } }, /record\.loss: must be a number as text/u],
    ["another seed", { metadata: { seed: "77" } }, /the seed must equal the config's seed, 1; got 77/u],
    ["another dtype", { metadata: { dtype: "bfloat16" } }, /dtype must equal the config's dtype/u],
    [
      "a backend of another world",
      { metadata: { backend: "gpu" } },
      /record\.backend: must be reference, wasm or native/u,
    ],
    ["an unknown key", { metadata: { more: "1" } }, /every key must be a known one; got "more"/u],
    ["a config that is no JSON", { metadata: { config: "{" } }, /config: must be JSON/u],
    [
      "a deep config",
      { metadata: { config: "[".repeat(8000) } },
      /must be JSON of at most 16 levels; got 8000 levels/u,
    ],
    [
      "a long config",
      { metadata: { config: `"${"x".repeat(2 ** 15)}"` } },
      /the metadata config must have at most 16384 characters; got 32770/u,
    ],
    ["a long tensor", { metadata: { tensor: "x".repeat(500) } }, /the metadata tensor must have at most 200/u],
    ["a long key", { metadata: { ["x".repeat(500)]: "" } }, /the metadata x{40} must have at most 200/u],
    ["another config", { metadata: { config: config({ nEmbd: 32 }) } }, /must hold .* with shape/u],
    ["many layers", { metadata: { config: config({ nLayer: 2048 }) } }, /each layer must have its tensors/u],
    ["another vocabulary", { metadata: { vocabSize: "14" } }, /must hold tokens\.weight with shape \[14, 16\]/u],
    ["a vast vocabulary", { metadata: { vocabSize: "999999999999" } }, /vocabSize must be from 1 to 16777216/u],
    [
      "no batch",
      { tensors: (all: readonly NamedTensor[]) => all.filter(({ name }) => name !== "batch.y") },
      /must hold batch\.y with shape \[6, 16\]; got no such tensor/u,
    ],
    [
      "a tensor too many",
      { tensors: (all: readonly NamedTensor[]) => [...all, { name: "x", shape: [1], data: new Float32Array(1) }] },
      /the file must hold \d+ tensors/u,
    ],
    [
      "an id out of range",
      { tensors: changed("batch.x", spoil(13)) },
      /batch\.x must hold whole numbers in \[0, 13\); got 13 at position 7/u,
    ],
    [
      "an id below 0",
      { tensors: changed("batch.y", spoil(-1)) },
      /batch\.y must hold whole numbers .*; got -1 at position 7/u,
    ],
    ["half an id", { tensors: changed("batch.y", spoil(0.5)) }, /batch\.y must hold whole numbers/u],
    ["an id that is NaN", { tensors: changed("batch.x", spoil(Number.NaN)) }, /batch\.x must hold whole numbers/u],
  ])("is refused in one line: %s", (_, change, expected) => {
    const message = forged(change);
    expect(message).toMatch(expected);
    expect(message).not.toContain("\n");
    expect(message.length).toBeLessThanOrEqual(300);
  });

  it("may hold weights that are not finite: that is what it is for", () => {
    expect(forged({ tensors: changed("tokens.weight", spoil(Number.NaN)) })).toBe("accepted");
  });
});
