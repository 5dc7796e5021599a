import { describe, expect, it } from "vitest";
import { CheckpointError } from "#foretoken/core/errors/errors.js";
import type { GgufValue } from "#foretoken/io/gguf/values.js";
import { architectures } from "#foretoken/models/architectures/list.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { fieldsOf } from "#foretoken/pretrained/gguf/fields.js";

const sizes = {
  ...{ context_length: 64, embedding_length: 32, block_count: 6, feed_forward_length: 48, "attention.head_count": 4 },
  "attention.layer_norm_rms_epsilon": 1e-6,
};

/** The configuration in a GGUF file of an architecture. Besides the sizes, the file has these keys. */
const read = async (name: string, keys: Readonly<Record<string, GgufValue>>): Promise<ModelConfig> => {
  const form = architectures.find((one) => one.name === name)?.gguf;
  if (form === undefined || form === null) throw new Error(`no form of ${name}`);
  const at = (key: string): string => `${form.name}.${key}`;
  const metadata = new Map(Object.entries({ ...sizes, ...keys }).map(([key, value]) => [at(key), value]));
  return form.read({ fields: fieldsOf(metadata, "file"), at, tensors: new Map(), where: "file" });
};

describe("keys of a GGUF file", () => {
  it.each([
    ["gemma3", {}, undefined],
    ["gemma3", { "attention.sliding_window": 8 }, { size: 8, fullEvery: 6 }],
    ["gemma3", { "attention.sliding_window": 8, "rope.freq_base": 1e6 }, { size: 8, fullEvery: 6, theta: 1e4 }],
    ["gemma3", { "attention.sliding_window": 64 }, undefined],
    ["gemma3", { "attention.sliding_window": 64, "rope.freq_base": 1e6 }, { size: 64, fullEvery: 6, theta: 1e4 }],
    ["gemma3", { "attention.sliding_window": 8, "attention.sliding_window_pattern": 2 }, { size: 8, fullEvery: 2 }],
    ["gemma3", { "attention.sliding_window": 8, "attention.sliding_window_pattern": 0 }, { size: 8 }],
    ["gemma3", { "attention.sliding_window": 8, "attention.sliding_window_pattern": 1 }, undefined],
    ["olmo2", { "attention.sliding_window": 8, "rope.freq_base": 5e5 }, { size: 8, fullEvery: 4 }],
    ["olmo2", { "attention.sliding_window": 8, "rope.scaling.factor": 2 }, { size: 8, fullEvery: 4, theta: 10_000 }],
    [
      "olmo2",
      { "attention.sliding_window": 8, "attention.sliding_window_pattern": [true, true, false, true, true, false] },
      { size: 8, fullEvery: 3 },
    ],
  ] as const)("of %s: %j are the window %j", async (name, keys, window) => {
    expect((await read(name, keys)).window).toEqual(window);
  });

  it.each([
    [
      [false, true, true, false, true, true],
      /sliding_window_pattern: must leave every n-th layer, and no other layer, without a window/,
    ],
    [[true, true], /sliding_window_pattern: must have a value for each of 6 layers; got 2/],
  ])("are refused where layers with a window are %j", async (pattern, message) => {
    const keys = { "attention.sliding_window": 8, "attention.sliding_window_pattern": pattern };
    const error = await read("gemma3", keys).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as Error).message).toMatch(message);
  });

  it("of olmo2 may name no other base for layers with a window", async () => {
    await expect(read("olmo2", { "attention.sliding_window": 8, "rope.freq_base_swa": 100 })).rejects.toThrow(
      /olmo2\.rope\.freq_base_swa: must equal the base of the other layers, 10000; got 100/,
    );
  });

  it.each([
    [6, undefined],
    [62, 1 / Math.sqrt(8)],
  ])("of gemma3 with %d layers have the scale %d", async (layers, scale) => {
    const config = await read("gemma3", {
      block_count: layers,
      "attention.key_length": 16,
      "attention.value_length": 16,
    });
    expect(config.attentionScale).toBe(scale);
    expect(config.embeddingScale).toBe(Math.sqrt(32));
  });

  it.each([
    [3, undefined],
    [4, 4],
  ])("of smollm3 with %d layers leave each n-th unrotated: %d", async (layers, noneEvery) => {
    const { position } = await read("smollm3", { block_count: layers });
    expect(position).toEqual({ kind: "rope", theta: 10_000, ...(noneEvery === undefined ? {} : { noneEvery }) });
  });
});
