import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { describe, expect, it } from "vitest";
import { CheckpointError, DataError } from "#foretoken/core/errors/errors.js";
import { memorySource } from "#foretoken/io/byte-source.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { collectWeights } from "#foretoken/pretrained/files/weights.js";
import { type GgufPretrained, pretrainedOfGguf } from "#foretoken/pretrained/gguf/gguf.js";
import { inHalves } from "#foretoken/pretrained/gguf/interleaved.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { openPretrained } from "#foretoken/pretrained/open.node.js";
import {
  f32,
  flag,
  float32Tensor,
  i32s,
  type TypedValue,
  text,
  texts,
  u32,
  type WrittenTensor,
  writeGguf,
} from "../../support/gguf.ts";
import {
  endId,
  type GgufKind,
  ggufConfigs,
  ggufModel,
  ggufVocabSize,
  toolId,
  turnId,
} from "../../support/gguf-models.ts";
import { useFolder } from "../../support/runs.ts";

const { newPath } = useFolder();
const kinds = Object.keys(ggufConfigs) as readonly GgufKind[];
const open = (bytes: Uint8Array): Promise<GgufPretrained> => pretrainedOfGguf(memorySource(bytes), "model.gguf");

/** The file of a model with changed fields and tensors. A value of undefined removes a field or a tensor. */
const changed = (
  kind: GgufKind,
  fields: Readonly<Record<string, TypedValue | undefined>>,
  tensors: Readonly<Record<string, WrittenTensor | undefined>> = {},
  config?: ModelConfig,
): Uint8Array => {
  const { file } = ggufModel(kind, config);
  const isThere = ([, value]: readonly [string, unknown]): boolean => value !== undefined;
  const merge = <T>(old: Readonly<Record<string, T>>, rest: Readonly<Record<string, T | undefined>>) =>
    Object.fromEntries(Object.entries({ ...old, ...rest }).filter(isThere)) as Record<string, T>;
  return writeGguf({ metadata: merge(file.metadata, fields), tensors: merge(file.tensors, tensors) });
};

const failure = async (bytes: Uint8Array): Promise<string> => {
  const error = await open(bytes).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CheckpointError);
  return (error as Error).message;
};

/** The configuration without the rule for initial weights. No file contains this rule. */
const comparable = ({ initStd: _, zeroProjections: __, ...config }: ModelConfig): object => config;

describe("a model of a GGUF file", () => {
  it.each(kinds)("of %s has its configuration and weights, to the bit", async (kind) => {
    const { file, values } = ggufModel(kind);
    const found = await collectWeights(await open(writeGguf(file)));
    const eps = Math.fround(ggufConfigs[kind].norm.eps);
    const expected = { ...ggufConfigs[kind], norm: { ...ggufConfigs[kind].norm, eps } };
    expect(comparable(found.config)).toEqual(comparable(expected));
    expect(found.vocabSize).toBe(ggufVocabSize);
    expect(found.values).toEqual(values);
  });

  it.each([
    ["biases", { ...ggufConfigs.llama, bias: { qkv: true, projection: true, mlp: true } }, {}],
    ["heads of their own width", { ...ggufConfigs.llama, headDim: 12 }, {}],
  ])("of llama may have %s", async (_, config, fields) => {
    const { values } = ggufModel("llama", config);
    const found = await collectWeights(await open(changed("llama", fields, {}, config)));
    expect(found.config).toMatchObject({ bias: config.bias });
    expect(found.values).toEqual(values);
  });

  it("has the rows of a part of a head in another order where only that part is rotated", async () => {
    const whole = await collectWeights(await open(changed("llama", {})));
    const part = await collectWeights(await open(changed("llama", { "llama.rope.dimension_count": u32(4) })));
    expect(part.config.position).toMatchObject({ fraction: 0.5 });
    // The file has the rows of a head in the order 0, 4, 1, 5, 2, 6, 3, 7. Only the first four of these rows are
    // rotated, so only these rows are reordered: two neighbouring rows move to different halves.
    const row = (values: Float32Array, index: number): Float32Array => values.subarray(index * 32, index * 32 + 32);
    const qkv = 263 * 32;
    const [a, b] = [whole.values.subarray(qkv), part.values.subarray(qkv)];
    const inFile = [0, 4, 1, 5, 2, 6, 3, 7];
    for (const [ours, place] of [0, 2, 1, 3, 4, 5, 6, 7].entries()) {
      expect(row(b, ours)).toEqual(row(a, inFile[place] ?? 0));
    }
  });

  it("takes all of the tokenizer", async () => {
    const { tokenizer, chatTemplate, endTokens } = await open(changed("llama", {}));
    const [hel = 0] = tokenizer.encode("hel");
    const [space = 0] = tokenizer.encode(" ");
    expect([...tokenizer.encode("hel <tool>hel")]).toEqual([hel, space, toolId, hel]);
    expect(tokenizer.specialTokens).toEqual([
      { id: endId, name: "<|end|>" },
      { id: turnId, name: "<|turn|>" },
    ]);
    expect([tokenizer.endOfText, endTokens, chatTemplate]).toEqual([
      endId,
      [endId, turnId],
      { template: "{{ messages }}", bosToken: "", eosToken: "<|end|>" },
    ]);
    expect(tokenizer.decode(tokenizer.encode("grüße 🙂\n"))).toBe("grüße 🙂\n");
  });

  it.each([
    ["no tokenizer", { "tokenizer.ggml.model": undefined }, /a GGUF file without a tokenizer/],
    ["WordPiece", { "tokenizer.ggml.model": text("bert") }, /a tokenizer of kind "bert"/],
    [
      "another pre-tokenizer",
      { "tokenizer.ggml.pre": text("tekken") },
      /the pre-tokenizer "tekken"; supported pre-tokenizers are gpt-2, llama-bpe, qwen2, smollm, dbrx or stablelm2/,
    ],
    ["no pre-tokenizer", { "tokenizer.ggml.pre": undefined }, /a file that names no pre-tokenizer/],
  ])("loads with %s, and says so where text is needed", async (_, fields, reason) => {
    const { tokenizer, weights } = await open(changed("llama", fields));
    expect(tokenizer.vocabSize).toBe(ggufVocabSize);
    expect(() => tokenizer.encode("a")).toThrow(DataError);
    expect(() => tokenizer.encode("a")).toThrow(reason);
    await weights.close();
  });

  const factors = (factor: number, change = 1): WrittenTensor => {
    const theta = 500_000;
    const values = Array.from({ length: 4 }, (_, i) => {
      const wavelength = 2 * Math.PI * theta ** (i / 4);
      if (wavelength < 8192 / 4) return change;
      if (wavelength > 8192) return factor;
      const smooth = (8192 / wavelength - 1) / 3;
      return 1 / ((1 - smooth) / factor + smooth);
    });
    return float32Tensor([4], Float32Array.from(values));
  };
  const long = { "llama.context_length": u32(131_072), "llama.rope.freq_base": f32(500_000) };
  const llama3 = { lowFrequency: 1, highFrequency: 4, originalContext: 8192 };

  it.each([
    ["Llama 3.1's factors", long, factors(8), { kind: "llama3", factor: 8, ...llama3 }],
    ["Llama 3.2's factors", long, factors(32), { kind: "llama3", factor: 32, ...llama3 }],
    ["factors of 1", long, factors(1), undefined],
    [
      "a linear factor",
      { "llama.rope.scaling.type": text("linear"), "llama.rope.scaling.factor": f32(4) },
      undefined,
      { kind: "linear", factor: 4 },
    ],
    ["a factor alone", { "llama.rope.scale_linear": f32(4) }, undefined, { kind: "linear", factor: 4 }],
    [
      "a factor that is off",
      { "llama.rope.scaling.type": text("none"), "llama.rope.scaling.factor": f32(4) },
      undefined,
      undefined,
    ],
  ])("has the wavelengths of %s", async (_, fields, frequencies, scaling) => {
    const { config, weights } = await open(changed("llama", fields, { "rope_freqs.weight": frequencies }));
    expect("scaling" in config.position ? config.position.scaling : undefined).toEqual(scaling);
    await weights.close();
  });

  const extra = float32Tensor([4], new Float32Array(4));
  it.each<
    [string, GgufKind, Record<string, TypedValue | undefined>, Record<string, WrittenTensor | undefined>, RegExp]
  >([
    [
      "another architecture",
      "llama",
      { "general.architecture": text("mamba") },
      {},
      /general.architecture: must be gpt2, llama, qwen2, qwen3, phi3.* or .*; got "mamba"/,
    ],
    [
      "no architecture",
      "llama",
      { "general.architecture": undefined },
      {},
      /general.architecture: must be .*; got nothing/,
    ],
    ["an adapter", "llama", { "general.type": text("adapter") }, {}, /general.type: must be model/],
    ["a part of a split file", "llama", { "split.count": u32(3) }, {}, /split.count: must be 1: join the parts/],
    ["experts", "llama", { "llama.expert_count": u32(8) }, {}, /expert_count: must be 0/],
    ["a setting that is not known", "llama", { "llama.logit_scale": f32(2) }, {}, /llama.logit_scale: must be absent/],
    [
      "YaRN",
      "qwen2",
      { "qwen2.rope.scaling.type": text("yarn") },
      {},
      /scaling.type: must be none or linear; got "yarn"/,
    ],
    ["a scale of attention", "llama", { "llama.rope.scaling.attn_factor": f32(2) }, {}, /attn_factor: must be 1/],
    [
      "a window",
      "llama",
      { "llama.attention.sliding_window": u32(8) },
      {},
      /sliding_window: must be 0 or at least the context of 16/,
    ],
    ["attention to what comes later", "llama", { "llama.attention.causal": flag(false) }, {}, /causal: must be true/],
    [
      "branches side by side",
      "llama",
      { "llama.use_parallel_residual": flag(true) },
      {},
      /use_parallel_residual: must be false/,
    ],
    [
      "values of another width",
      "qwen3",
      { "qwen3.attention.value_length": u32(8) },
      {},
      /value_length: must equal the length of keys, 16; got 8/,
    ],
    [
      "layers of different widths",
      "llama",
      { "llama.feed_forward_length": i32s([64, 32]) },
      {},
      /must be a whole number from 1, equal in all layers/,
    ],
    ["no epsilon", "llama", { "llama.attention.layer_norm_rms_epsilon": undefined }, {}, /rms_epsilon: must be there/],
    ["no context", "gpt2", { "gpt2.context_length": undefined }, {}, /gpt2.context_length: must be there/],
    [
      "a context in words",
      "llama",
      { "llama.context_length": text("16") },
      {},
      /context_length: must be a whole number from 1; got "16"/,
    ],
    [
      "grouped heads in GPT-2",
      "gpt2",
      { "gpt2.attention.head_count_kv": u32(2) },
      {},
      /must equal the number of query heads, 4; got 2/,
    ],
    [
      "a width that is no multiple",
      "gpt2",
      { "gpt2.feed_forward_length": u32(65) },
      {},
      /must be a multiple of 32; got 65/,
    ],
    [
      "more heads than any model",
      "qwen3",
      { "qwen3.attention.head_count": u32(2 ** 32 - 1) },
      {},
      /nHead: must be at most 65536; got 4294967295/,
    ],
    ["heads that do not divide", "llama", { "llama.attention.head_count": u32(5) }, {}, /nEmbd|nKvHead|head/],
    [
      "an odd number of rotated channels",
      "llama",
      { "llama.rope.dimension_count": u32(3) },
      {},
      /must be even and at most 8/,
    ],
    [
      "another vocabulary's size",
      "llama",
      { "llama.vocab_size": u32(300) },
      {},
      /vocab_size: must be the number of rows of token_embd.weight, 263; got 300/,
    ],
    [
      "a layer too many",
      "llama",
      { "llama.block_count": u32(3) },
      {},
      /must hold blk.2.attn_norm.weight; got no such tensor/,
    ],
    ["more layers than any model", "llama", { "llama.block_count": u32(2 ** 31) }, {}, /nLayer/],
    [
      "a tensor too many",
      "llama",
      {},
      { "blk.0.ffn_gate_inp.weight": extra },
      /every tensor must belong to the model; got "blk.0.ffn_gate_inp.weight"/,
    ],
    [
      "frequencies in GPT-2",
      "gpt2",
      {},
      { "rope_freqs.weight": extra },
      /every tensor must belong to the model; got "rope_freqs.weight"/,
    ],
    ["a tensor too few", "qwen3", {}, { "blk.1.attn_q_norm.weight": undefined }, /must hold blk.1.attn_q_norm.weight/],
    [
      "another shape",
      "llama",
      {},
      { "output_norm.weight": extra },
      /output_norm.weight must have shape \[32\]; got \[4\]/,
    ],
    [
      "factors of its own",
      "llama",
      long,
      { "rope_freqs.weight": factors(8, 1.5) },
      /must contain the factors of Llama 3's scaling/,
    ],
    [
      "too few factors",
      "llama",
      long,
      { "rope_freqs.weight": float32Tensor([3], new Float32Array(3)) },
      /must have shape \[4\]/,
    ],
    [
      "two scalings",
      "llama",
      { ...long, "llama.rope.scaling.factor": f32(2) },
      { "rope_freqs.weight": factors(8) },
      /must be absent in a file that has/,
    ],
    [
      "a vocabulary without bytes",
      "llama",
      { "tokenizer.ggml.tokens": texts(["<a>"]), "tokenizer.ggml.token_type": undefined },
      {},
      /must have tokens for single bytes/,
    ],
    [
      "types of other tokens",
      "llama",
      { "tokenizer.ggml.token_type": i32s([1]) },
      {},
      /must have a type for each of the 263 tokens; got 1/,
    ],
    [
      "an end beyond the tokens",
      "llama",
      { "tokenizer.ggml.eos_token_id": u32(263) },
      {},
      /eos_token_id: must be below 263/,
    ],
    [
      "a merge of unknown tokens",
      "llama",
      { "tokenizer.ggml.merges": texts(["x yz"]) },
      {},
      /every merge must join two tokens/,
    ],
  ])("is refused with %s", async (_, kind, fields, tensors, message) => {
    expect(await failure(changed(kind, fields, tensors))).toMatch(message);
  });

  it("is refused for a number that is not finite", async () => {
    const bad = float32Tensor([32], new Float32Array(32).fill(Number.NaN));
    const found = await open(changed("llama", {}, { "output_norm.weight": bad }));
    await expect(collectWeights(found)).rejects.toThrow(/output_norm.weight must hold finite numbers; got NaN at 0/);
  });
});

describe("inHalves", () => {
  it("gives any rows of a tensor as it gives all of them", async () => {
    const data = Float32Array.from({ length: 24 * 2 }, (_, i) => i);
    const readRows = async (first: number, count: number) => data.slice(first * 2, (first + count) * 2);
    const tensor = inHalves({ name: "attn_q", shape: [24, 2], bytes: 96 * 2, readRows }, 8, 4);
    const all = await tensor.readRows(0, 24);
    expect([...all.subarray(0, 16)]).toEqual([0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    for (const [first, count] of [
      [0, 1],
      [3, 10],
      [7, 2],
      [8, 8],
      [23, 1],
      [1, 23],
    ] as const) {
      expect(await tensor.readRows(first, count)).toEqual(all.slice(first * 2, (first + count) * 2));
    }
  });
});

describe("a path to a GGUF file", () => {
  it("loads as any model, with progress", async () => {
    const path = `${newPath()}.gguf`;
    await writeFile(path, changed("qwen2", {}));
    const progress: [number, number][] = [];
    const lm = await loadPretrained(path, { backend: "reference", onProgress: (...bytes) => progress.push(bytes) });
    const [bytes, all] = progress.at(-1) ?? [];
    expect(bytes).toBe(all);
    expect(lm.endTokens).toEqual([endId, turnId]);
    const { shape } = await lm.logits([1, 2, 3]);
    expect(shape).toEqual([3, ggufVocabSize]);
    await lm.close();
  });

  it("names the file and its encodings", async () => {
    const path = `${newPath()}.gguf`;
    const bytes = changed("llama", {});
    await writeFile(path, bytes);
    const found = await openPretrained(path);
    expect(found.weightFiles).toMatchObject([{ name: basename(path), path, bytes: bytes.length }]);
    expect(await found.sha256()).toBe(createHash("sha256").update(bytes).digest("hex"));
    expect(found.dtypes).toEqual(["F32"]);
    await found.weights.close();
  });

  it("fails with one line for a file that is missing, or cut off while it is read", async () => {
    const path = `${newPath()}.gguf`;
    await expect(openPretrained(path)).rejects.toThrow(CheckpointError);
    const bytes = changed("llama", {});
    await writeFile(path, bytes);
    const found = await openPretrained(path);
    await writeFile(path, bytes.subarray(0, bytes.length - 20_000));
    await expect(collectWeights(found)).rejects.toThrow(/must not change while it is read/);
  });
});
