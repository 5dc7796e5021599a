import { describe, expect, it } from "vitest";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { memorySource } from "#foretoken/io/byte-source.js";
import { ggufPieces } from "#foretoken/io/gguf/write.js";
import { architectureOf } from "#foretoken/models/architectures/architecture-of.js";
import { arrayReader } from "#foretoken/models/arena.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { modelLayout } from "#foretoken/models/model.js";
import { collectWeights } from "#foretoken/pretrained/files/weights.js";
import { pretrainedOfGguf } from "#foretoken/pretrained/gguf/gguf.js";
import { modelFile } from "#foretoken/pretrained/gguf/write/contents.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { architectureConfigs } from "../../support/architectures.ts";
import { join } from "../../support/gguf.ts";
import { hashedWeights } from "../../support/models.ts";

const tokenizer = charTokenizer([..."abc "]);

/** The file of a model with pseudo-random weights, and these weights. */
const written = async (config: ModelConfig) => {
  const values = hashedWeights(modelLayout(config, tokenizer.vocabSize));
  const facts = {
    where: "model",
    config,
    vocabSize: tokenizer.vocabSize,
    tokenizer,
    chatTemplate: null,
    endTokens: [],
  };
  const { contents } = modelFile(facts, "small", arrayReader(values), { encoding: "f32" });
  const parts: Uint8Array[] = [];
  for await (const piece of ggufPieces(contents)) parts.push(piece);
  return { values, bytes: join(parts) };
};

/**
 * The configuration without the rule for initial weights. No file contains this rule. Numbers are rounded to float32.
 */
const comparable = ({ initStd: _, zeroProjections: __, ...config }: ModelConfig): unknown =>
  JSON.parse(JSON.stringify(config, (_, value: unknown) => (typeof value === "number" ? Math.fround(value) : value)));

const configOf = (name: string): ModelConfig => {
  const [, , config] = architectureConfigs.find(([one]) => one === name) ?? [];
  if (config === undefined) throw new Error(`no configuration of ${name}`);
  return config;
};
const [llama, qwen3, olmo2, gemma3] = [configOf("llama"), configOf("qwen3"), configOf("olmo2"), configOf("gemma3")];

/**
 * Architectures for which the file contains the whole configuration. GPT-2 is not in this list, because it always has
 * biases.
 */
const whole = architectureConfigs.filter(([name, , config]) => {
  const { gguf } = architectureOf(config);
  return name !== "gpt2" && gguf !== null && gguf.lacks(config) === null;
});

describe("a GGUF file", () => {
  it.each(whole)("of %s with %s is read back, to the bit", async (_, __, config) => {
    const { bytes, values } = await written(config);
    const found = await collectWeights(await pretrainedOfGguf(memorySource(bytes), "model.gguf"));
    expect(comparable(found.config)).toEqual(comparable(config));
    expect(found.values).toEqual(values);
  });

  it.each([
    [
      "a window of Qwen3",
      { ...qwen3, window: { size: 4 } },
      /window: must be absent for a GGUF file: .*; got one of 4$/u,
    ],
    [
      "a window of Mistral",
      { ...llama, window: { size: 4 } },
      /: window: must be absent to write a GGUF file: llama\.cpp does not support windows for mistral; got a window of 4$/u,
    ],
    [
      "other layers of SmolLM3",
      { ...llama, position: { kind: "rope", theta: 500, noneEvery: 2 } },
      /position\.noneEvery: must be 4 for a GGUF file, .*; got 2$/u,
    ],
    [
      "a tied head of OLMo 2",
      { ...olmo2, tieEmbeddings: true },
      /tieEmbeddings: must be false for a GGUF file.*; got true; try training a new run with --model\.tieEmbeddings false/u,
    ],
    ["wide heads of OLMo 2", { ...olmo2, headDim: 16 }, /headDim: must be nEmbd \/ nHead for a GGUF file.*; got 16$/u],
    [
      "another base in windows of OLMo 3",
      { ...olmo2, window: { size: 4, theta: 100 } },
      /window\.theta: must be 500, the base of the other layers, for a GGUF file.*; got 100$/u,
    ],
    [
      "scaled wavelengths in windows",
      { ...olmo2, position: { kind: "rope", theta: 500, scaling: { kind: "linear", factor: 2 } }, window: { size: 4 } },
      /must match an architecture/u,
    ],
    ["another scale of Gemma 3", { ...gemma3, attentionScale: 1 / 4 }, /attentionScale: must be 1 \/ √12 for a GGUF/u],
  ] as const)("is refused for %s", async (_, config, says) => {
    const error = await written(config).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(says);
  });
});
