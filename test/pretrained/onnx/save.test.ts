import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Tokenizer as PeerTokenizer } from "@huggingface/tokenizers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { CheckpointError, ConfigError } from "#foretoken/core/errors/errors.js";
import { withoutHeads } from "#foretoken/inside/heads.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { loraModel } from "#foretoken/models/lora/model.js";
import { createModel, freshModel } from "#foretoken/models/model.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { onnxFolder, sourceOf } from "#foretoken/pretrained/onnx/contents.js";
import { saveOnnx as onnxFilesOf } from "#foretoken/pretrained/onnx/save.browser.js";
import { saveOnnx } from "#foretoken/pretrained/onnx/save.node.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { trainBpeTokenizer } from "#foretoken/tokenizer/bpe/learn/train.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import type { Tokenizer } from "#foretoken/tokenizer/tokenizer.js";
import { hashInteger } from "../../support/hash.ts";
import { bookModel, qwen3Model } from "../../support/models.ts";
import { readWhole } from "../../support/onnx/read.ts";
import { useFolder, wordsText } from "../../support/runs.ts";

const { newPath } = useFolder();
let backend: Backend;
beforeAll(async () => {
  backend = await openReference();
});
afterAll(() => backend.close());
const small = { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8 };
const char = charTokenizer([..." acst"], ["<|endoftext|>"]);

const modelOf = (tokenizer: Tokenizer = char, config: ModelConfig = { ...qwen3Model, ...small }): LanguageModel =>
  languageModel(freshModel(backend, config, tokenizer.vocabSize, 1), tokenizer);

const jsonOf = async (directory: string, name: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(join(directory, name), "utf8"));

/** The paths of all files in a folder and its subfolders. */
const filesIn = async (directory: string): Promise<readonly string[]> => {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
};

const texts = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"];

describe("a folder for transformers.js", () => {
  it("has the texts of a checkpoint, a graph in float32 and one in eight bits, and a manifest", async () => {
    const directory = join(newPath(), "new", "folders");
    const { path, files } = await saveOnnx(directory, modelOf());
    expect(path).toBe(directory);
    const graphs = ["onnx/model.onnx", "onnx/model_quantized.onnx"];
    expect(await filesIn(directory)).toEqual([...texts, ...graphs, "manifest.json"].sort());
    expect(Object.keys(files)).toEqual([...texts, ...graphs]);
    for (const [name, length] of Object.entries(files)) {
      expect(await readFile(join(directory, name)), name).toHaveLength(length);
    }
    const config = await jsonOf(directory, "config.json");
    expect(config).toMatchObject({ model_type: "qwen3", head_dim: 4, num_key_value_heads: 2, eos_token_id: 5 });
    expect(config).not.toHaveProperty("transformers.js_config");
    // A graph contains positions only up to the context length.
    expect(await jsonOf(directory, "generation_config.json")).toEqual({
      ...{ do_sample: true, temperature: 0.8, top_k: 40, eos_token_id: 5, max_length: 8 },
    });
  });

  it.each([
    ["float32", "fp32", "onnx/model.onnx"],
    ["int8", "q8", "onnx/model_quantized.onnx"],
  ] as const)("names the form that is there alone: %s", async (dtype, name, file) => {
    const directory = newPath();
    await saveOnnx(directory, modelOf(), { dtype });
    expect(await filesIn(directory)).toEqual([...texts, file, "manifest.json"].sort());
    expect(await jsonOf(directory, "config.json")).toMatchObject({ "transformers.js_config": { dtype: name } });
  });

  it("has the bytes that a page gets", async () => {
    const directory = newPath();
    await saveOnnx(directory, modelOf());
    for (const [name, bytes] of Object.entries(await onnxFilesOf(modelOf()))) {
      expect(Buffer.compare(await readFile(join(directory, name)), bytes), name).toBe(0);
    }
  });

  it("names the files beside a graph that is too large for one", async () => {
    const limits = { inside: 1000, beside: 4000 };
    const files = onnxFolder(sourceOf(modelOf()), "saveOnnx", {}, limits);
    const bytes: Record<string, Uint8Array> = {};
    for (const [name, { pieces }] of Object.entries(files)) {
      const chunks: Uint8Array[] = [];
      for await (const piece of pieces()) chunks.push(piece);
      bytes[name] = Buffer.concat(chunks);
    }
    const config = JSON.parse(new TextDecoder().decode(bytes["config.json"])) as Record<string, unknown>;
    const beside = Object.keys(files).filter((name) => name.startsWith("onnx/model.onnx_data"));
    expect(beside.length).toBeGreaterThan(1);
    expect(config["transformers.js_config"]).toMatchObject({
      use_external_data_format: { "model.onnx": beside.length },
    });
    const others = Object.fromEntries(beside.map((name) => [name.slice(5), bytes[name] ?? new Uint8Array()]));
    const whole = await onnxFilesOf(modelOf());
    const { numbers } = await readWhole(bytes["onnx/model.onnx"] ?? new Uint8Array(), others);
    expect(numbers).toEqual((await readWhole(whole["onnx/model.onnx"] ?? new Uint8Array())).numbers);
  });
});

describe("a tokenizer's files", () => {
  const corpus = wordsText("corpus", 2000);
  const tokenizers: Readonly<Record<string, { tokenizer: Tokenizer; alphabet: readonly string[] }>> = {
    characters: { tokenizer: charTokenizer([..."\n\t\\ abcé日😀"]), alphabet: [..."\n\t\\ abcé日😀"] },
    ...Object.fromEntries(
      (["gpt2", "gpt4", "qwen2", "smollm"] as const).map((pattern) => [
        `BPE, ${pattern}`,
        {
          tokenizer: trainBpeTokenizer({ vocabSize: 300, pattern, specialTokens: ["<|endoftext|>"] }, corpus),
          alphabet: [..."\n\t\\ abcé日😀", "the ", "cat", " sat", "'ll", "12", " ½", "²", "'S", "  ", "\r\n", "\u0301"],
        },
      ]),
    ),
  };

  it.each(Object.entries(tokenizers))(
    "mean the same ids in transformers.js: %s",
    async (_, { tokenizer, alphabet }) => {
      const files = await onnxFilesOf(modelOf(tokenizer), { dtype: "int8" });
      const json = (name: string): object => JSON.parse(new TextDecoder().decode(files[name])) as object;
      const peer = new PeerTokenizer(json("tokenizer.json"), json("tokenizer_config.json"));
      for (let i = 0; i < 300; i++) {
        const length = 1 + hashInteger("length", i, 12);
        const text = Array.from({ length }, (_, j) => alphabet[hashInteger(`text ${i}`, j, alphabet.length)]).join("");
        const ids = [...tokenizer.encode(text)];
        expect(peer.encode(text).ids, JSON.stringify(text)).toEqual(ids);
        expect(peer.decode(ids), JSON.stringify(text)).toBe(text);
      }
    },
  );
});

describe("a model that the form cannot hold", () => {
  it.each([
    [
      "without a mask",
      () => modelOf(char, { ...qwen3Model, ...small, mask: "none" }),
      /mask: must be causal, .*; got none/u,
    ],
    [
      "of a shape without a class",
      () => modelOf(char, { ...bookModel, ...small, norm: { kind: "rmsnorm", eps: 1e-6 } }),
      /must match an architecture/u,
    ],
    [
      "with an adapter in use",
      () => {
        const { model, tokenizer } = modelOf();
        const adapters = { one: loraModel(model, {}, 1) };
        return languageModel(model, tokenizer, undefined, { adapters });
      },
      /saveOnnx: model: the model must have no adapter in use/u,
    ],
    [
      "with heads switched off",
      () => withoutHeads(modelOf(), [{ layer: 0, head: 1 }]),
      /saveOnnx: model: the model must have all of its heads/u,
    ],
  ])("is refused before anything is written: %s", async (_, make, message) => {
    const directory = newPath();
    await expect(saveOnnx(directory, make())).rejects.toThrow(ConfigError);
    await expect(saveOnnx(directory, make())).rejects.toThrow(message);
    await expect(onnxFilesOf(make())).rejects.toThrow(message);
    await expect(readdir(directory)).rejects.toThrow("ENOENT");
  });

  it("is not written if a number is not finite", async () => {
    const model = createModel(backend, { ...qwen3Model, ...small }, char.vocabSize);
    backend.write(model.arena.storage, Float32Array.of(Number.NaN), 3);
    const directory = newPath();
    await expect(saveOnnx(directory, languageModel(model, char))).rejects.toThrow(
      "saveOnnx: tokens.weight must hold finite numbers; got NaN",
    );
    expect(await readdir(dirname(directory))).not.toContainEqual(expect.stringContaining(".tmp-"));
    await expect(readdir(directory)).rejects.toThrow("ENOENT");
  });
});

describe("a folder that is there", () => {
  it("is replaced whole if it is an earlier model of ONNX", async () => {
    const directory = newPath();
    await saveOnnx(directory, modelOf());
    await saveOnnx(directory, modelOf(), { dtype: "int8" });
    expect(await filesIn(directory)).toEqual([...texts, "manifest.json", "onnx/model_quantized.onnx"].sort());
    expect((await readdir(dirname(directory))).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it.each([
    ["alone", "letter.txt", async () => {}],
    ["beside a model of ONNX", "letter.txt", (directory: string) => saveOnnx(directory, modelOf())],
    ["beside its graphs", "onnx/model_q4.onnx", (directory: string) => saveOnnx(directory, modelOf())],
    ["beside a checkpoint", "letter.txt", (directory: string) => savePretrained(directory, modelOf())],
  ])("is left as it is if it has another file: %s", async (_, name, make) => {
    const directory = newPath();
    await mkdir(directory);
    await make(directory);
    await writeFile(join(directory, name), "Dear");
    const before = await filesIn(directory);
    await expect(saveOnnx(directory, modelOf())).rejects.toThrow(CheckpointError);
    await expect(saveOnnx(directory, modelOf())).rejects.toThrow(`a folder that contains "${name}"`);
    expect(await filesIn(directory)).toEqual(before);
  });

  it("is left as it is if the work is ended", async () => {
    const directory = newPath();
    await saveOnnx(directory, modelOf(), { dtype: "float32" });
    const before = await filesIn(directory);
    const end = new AbortController();
    const seen: number[] = [];
    const onProgress = (bytes: number, all: number): void => {
      seen.push(bytes / all);
      if (bytes > all / 2) end.abort();
    };
    await expect(saveOnnx(directory, modelOf(), { signal: end.signal, onProgress })).rejects.toThrow(/aborted/u);
    expect(seen.at(-1)).toBeLessThan(1);
    expect(await filesIn(directory)).toEqual(before);
    expect((await readdir(dirname(directory))).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it("is completed after a kill between two renames, and remains of a killed writer are removed", async () => {
    const directory = newPath();
    await saveOnnx(directory, modelOf(), { dtype: "float32" });
    const [parent, name] = [dirname(directory), directory.slice(dirname(directory).length + 1)];
    const left = join(parent, `.tmp-0123456789ab-${name}`);
    await mkdir(join(left, "onnx"), { recursive: true });
    await writeFile(join(left, "config.json"), "{");
    await writeFile(join(left, "onnx", "model.onnx"), "half");
    await saveOnnx(directory, modelOf(), { dtype: "float32" });
    expect((await readdir(parent)).filter((entry) => entry.startsWith("."))).toEqual([]);
    expect(await filesIn(directory)).toContain("onnx/model.onnx");
  });
});
