import { readFileSync } from "node:fs";
import { readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { CheckpointError } from "#foretoken/core/errors/errors.js";
import { readSafetensors, writeSafetensors } from "#foretoken/io/safetensors.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { openPretrained } from "#foretoken/pretrained/open.node.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { loadInWorker } from "#foretoken/worker/model.node.js";
import { forEachBackend } from "../support/backends.ts";
import { expectClose, forwardError, furthest, largest } from "../support/closeness.ts";
import { copyForeign, foreignModel, foreignModels } from "../support/hugging-face.ts";
import { useFolder } from "../support/runs.ts";

const { newPath } = useFolder();

/** Rewrites a JSON file of a copied checkpoint. */
const edit = async (path: string, changes: Readonly<Record<string, unknown>>): Promise<void> => {
  const json = { ...JSON.parse(await readFile(path, "utf8")), ...changes };
  await writeFile(path, JSON.stringify(json));
};

const edited = async (name: string, changes: Readonly<Record<string, unknown>>): Promise<string> => {
  const directory = await copyForeign(name, newPath());
  await edit(join(directory, "config.json"), changes);
  return directory;
};

const failure = async (directory: string): Promise<string> => {
  const error = await loadPretrained(directory, { backend: "reference" }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CheckpointError);
  return (error as Error).message;
};

const logitsOf = async (directory: string, ids: readonly number[]): Promise<Float32Array> => {
  const lm = await loadPretrained(directory, { backend: "reference" });
  const { data } = await lm.logits(ids);
  await lm.close();
  return data;
};

/** The same tensors in one file, with changed names or with additional tensors. */
const rewriteWeights = async (
  directory: string,
  change: (tensors: Map<string, { shape: readonly number[]; data: Float32Array }>) => void,
): Promise<void> => {
  const path = join(directory, "model.safetensors");
  const tensors = new Map(readSafetensors(await readFile(path), path).tensors);
  change(tensors);
  await writeFile(path, writeSafetensors([...tensors].map(([name, tensor]) => ({ ...tensor, name }))));
};

describe.each(foreignModels)("$name, as transformers wrote it", ({ directory, ids, logits }) => {
  forEachBackend("has the logits of transformers", ({ name, open }) => {
    it("in float32", async () => {
      const backend = await open(2);
      const lm = await loadPretrained(directory, { backend });
      const { data, shape } = await lm.logits(ids);
      expect(shape).toEqual([ids.length, 61]);
      const tolerance = forwardError({ ...lm.model.config, vocabSize: 61 }) * largest(logits);
      expectClose(name, [furthest("logits", data, logits, tolerance)]);
      await lm.close();
      await backend.close();
    });
  });

  it("is the same model when it has been saved here", async () => {
    const backend = await openReference();
    const lm = await loadPretrained(directory, { backend });
    const saved = newPath();
    await savePretrained(saved, lm);
    const again = await loadPretrained(saved, { backend });
    expect((await again.logits(ids)).data).toEqual((await lm.logits(ids)).data);
    expect(again.endTokens).toEqual(lm.endTokens);
    await backend.close();
  });
});

describe("a directory of another program", () => {
  it("has its ends of a text, its chat template and no tokenizer where there is none", async () => {
    const directory = await copyForeign("qwen3", newPath());
    const templates = [
      { name: "tools", template: "no" },
      { name: "default", template: "{{ messages }}" },
    ];
    await writeFile(
      join(directory, "tokenizer_config.json"),
      JSON.stringify({ chat_template: templates, bos_token: "<s>", eos_token: { content: "</s>" } }),
    );
    const lm = await loadInWorker(directory, { backend: "reference" });
    expect(lm.endTokens).toEqual([2, 7]);
    expect(lm.chatTemplate).toEqual({ template: "{{ messages }}", bosToken: "<s>", eosToken: "</s>" });
    expect(() => lm.tokenizer.encode("a")).toThrow(/text needs a tokenizer; got a model without a tokenizer/u);
    await expect(lm.score("a text")).rejects.toThrow(/text needs a tokenizer/u);
    await lm.close();
    await writeFile(join(directory, "chat_template.jinja"), "{{ own }}");
    const { chatTemplate, weights } = await openPretrained(directory);
    await weights.close();
    expect(chatTemplate).toEqual({ template: "{{ own }}", bosToken: "<s>", eosToken: "</s>" });
  });

  it("may have names with or without the class's prefix, old buffers, and a tied head that is there", async () => {
    const directory = await copyForeign("gpt2", newPath());
    await rewriteWeights(directory, (tensors) => {
      for (const [name, tensor] of [...tensors]) {
        tensors.delete(name);
        tensors.set(name.replace("transformer.", ""), tensor);
      }
      tensors.set("h.0.attn.bias", { shape: [1, 1, 4, 4], data: new Float32Array(16).fill(Number.NaN) });
      tensors.set("h.0.attn.masked_bias", { shape: [], data: new Float32Array(1) });
      const tied = tensors.get("wte.weight");
      if (tied !== undefined) tensors.set("lm_head.weight", tied);
    });
    const { ids } = foreignModel("gpt2");
    expect(await logitsOf(directory, ids)).toEqual(await logitsOf(foreignModel("gpt2").directory, ids));
  });

  it("may spell rotary positions and the dtype as transformers 4 did", async () => {
    const { ids, directory } = foreignModel("llama3");
    const { rope_theta, ...rope_scaling } = JSON.parse(
      readFileSync(join(directory, "config.json"), "utf8"),
    ).rope_parameters;
    const older = await edited("llama3", {
      rope_parameters: null,
      rope_theta,
      rope_scaling,
      dtype: undefined,
      torch_dtype: "float16",
    });
    expect(await logitsOf(older, ids)).toEqual(await logitsOf(directory, ids));
  });

  it("tells its progress, and reads no more than a piece at a time", async () => {
    const told: [number, number][] = [];
    const lm = await loadPretrained(foreignModel("qwen2").directory, {
      backend: "reference",
      onProgress: (bytes, all) => told.push([bytes, all]),
    });
    await lm.close();
    const [last, all] = told.at(-1) ?? [];
    expect(last).toBe(all);
    expect(told.map(([bytes]) => bytes)).toEqual(told.map(([bytes]) => bytes).sort((a, b) => a - b));
  });

  it("of Hugging Face's cache may link to the store beside it, and to nothing else", async () => {
    const root = newPath();
    const directory = await copyForeign("gpt2", join(root, "snapshots", "main"));
    const blob = "a".repeat(64);
    await copyForeign("gpt2", join(root, "blobs"));
    await writeFile(join(root, "blobs", blob), await readFile(join(directory, "model.safetensors")));
    await rm(join(directory, "model.safetensors"));
    await symlink(`../../blobs/${blob}`, join(directory, "model.safetensors"));
    const { ids } = foreignModel("gpt2");
    expect(await logitsOf(directory, ids)).toEqual(await logitsOf(foreignModel("gpt2").directory, ids));
    await rm(join(directory, "model.safetensors"));
    await symlink("../../blobs/model.safetensors", join(directory, "model.safetensors"));
    expect(await failure(directory)).toMatch(/model\.safetensors: the path must be a regular file; got a link/u);
  });

  it.each([
    ["gpt2", { scale_attn_by_inverse_layer_idx: true }, /scale_attn_by_inverse_layer_idx: must be false; got true/u],
    ["gpt2", { scale_attn_weights: false }, /scale_attn_weights: must be true; got false/u],
    ["gpt2", { add_cross_attention: true }, /add_cross_attention: must be false/u],
    [
      "gpt2",
      { activation_function: "relu" },
      /activation_function: must be gelu, gelu_new or gelu_pytorch_tanh; got "relu"/u,
    ],
    ["gpt2", { n_inner: 50 }, /n_inner: must be a multiple of n_embd, 24; got 50/u],
    ["gpt2", { n_head: 5 }, /nEmbd: must be divisible by nHead; got 24 and 5/u],
    ["llama3", { quantization_config: { bits: 4 } }, /quantization_config: must be absent/u],
    ["qwen2", { is_causal: false }, /is_causal: must be true; got false/u],
    ["qwen2", { auto_map: { AutoModel: "own.Model" } }, /auto_map: must be absent/u],
    [
      "qwen2",
      { architectures: ["Qwen2ForRewardModel"] },
      /architectures: must be a class that predicts the next token/u,
    ],
    ["llama3", { rope_scaling: { rope_type: "yarn", factor: 4 } }, /rope_parameters and rope_scaling must be equal/u],
    ["llama3", { hidden_act: "gelu" }, /hidden_act: must be silu; got "gelu"/u],
    [
      "llama3",
      { rope_parameters: { rope_type: "yarn", factor: 4 } },
      /rope_type: must be default, linear or llama3; got "yarn"/u,
    ],
    [
      "llama3",
      { rope_parameters: null, rope_scaling: { type: "dynamic", factor: 2 } },
      /rope_type: must be .*; got "dynamic"/u,
    ],
    ["llama3", { rope_parameters: { full_attention: { rope_type: "default" } } }, /must be the same in every layer/u],
    ["llama3", { partial_rotary_factor: 0.5 }, /partial_rotary_factor: must be 1/u],
    [
      "mistral",
      { sliding_window: 16, layer_types: ["sliding_attention", "full_attention"] },
      /layer_types: .*; got "full/u,
    ],
    [
      "qwen2",
      { use_sliding_window: true, sliding_window: 8, layer_types: null, max_window_layers: 1 },
      /max_window_layers: must be full_attention in every n-th layer.*; got \["full_attention", "sliding_attention"\]/u,
    ],
    [
      "qwen2",
      { sliding_window: 8, layer_types: ["full_attention", "sliding_attention"] },
      /layer_types: must be full_attention in every layer if .*; got "sliding_attention"/u,
    ],
    [
      "qwen3",
      { use_sliding_window: true, sliding_window: 8, layer_types: ["full_attention", "sliding_attention"] },
      /layer_types: must be full_attention in every n-th layer \(n ≥ 2\) and sliding_attention in all other layers/u,
    ],
    [
      "qwen3",
      { use_sliding_window: true, sliding_window: 8, layer_types: ["chunked_attention"] },
      /got "chunked_atten/u,
    ],
    [
      "qwen3",
      { use_sliding_window: true, sliding_window: 8, layer_types: ["full_attention"] },
      /for each of 2 layers/u,
    ],
    [
      "qwen2",
      { model_type: "bert" },
      /model_type: must be gpt2, llama, mistral, qwen2, qwen3, phi3.* or .*; got "bert"/u,
    ],
    [
      "qwen2",
      { architectures: ["Qwen2ForSequenceClassification"] },
      /architectures: must be a class that predicts the next token/u,
    ],
    ["qwen2", { num_hidden_layers: 3 }, /must hold model\.layers\.2\./u],
    ["qwen2", { num_hidden_layers: 1 }, /every tensor must belong to the model; got "model\.layers\.1\./u],
    ["qwen2", { hidden_size: 1e9 }, /nEmbd: must be at most 65536/u],
    ["qwen2", { tie_word_embeddings: false }, /must hold lm_head\.weight/u],
    ["qwen3", { vocab_size: 2 ** 30 }, /embed_tokens\.weight must have shape \[1073741824, 24\]; got \[61, 24\]/u],
    ["qwen3", { hidden_size: "24" }, /hidden_size: must be a number; got "24"/u],
  ] as const)("of %s with %j is refused by name", async (name, changes, message) => {
    const text = await failure(await edited(name, changes));
    expect(text).toMatch(message);
    expect(text).toMatch(/config\.json|model\.safetensors/u);
    expect(text.split("\n").length).toBe(1);
  });

  it.each([
    ["sliding windows that no layer has", { use_sliding_window: true, sliding_window: 8, layer_types: null }],
    ["a window as long as the context", { use_sliding_window: true, sliding_window: 48 }],
    ["ids of ends that the vocabulary lacks", { eos_token_id: 50256 }],
  ])("may have %s", async (_, changes) => {
    const { ids, directory } = foreignModel("qwen2");
    expect(await logitsOf(await edited("qwen2", changes), ids)).toEqual(await logitsOf(directory, ids));
  });

  it.each([
    ["../model.safetensors"],
    ["/etc/passwd"],
    ["..\\model.safetensors"],
    ["sub/model.safetensors"],
    [".safetensors"],
    ["model.bin"],
  ])("may not name a file %s outside of it", async (name) => {
    const directory = await copyForeign("qwen2", newPath());
    await edit(join(directory, "model.safetensors.index.json"), { weight_map: { "model.norm.weight": name } });
    expect(await failure(directory)).toMatch(
      /index\.json: weight_map must name \.safetensors files of the same folder; got /u,
    );
  });

  it("must have each tensor once, and all of its files", async () => {
    const directory = await copyForeign("qwen2", newPath());
    const [first, second] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;
    await writeFile(join(directory, second), await readFile(join(directory, first)));
    expect(await failure(directory)).toMatch(
      /model-00002-of-00002\.safetensors: every tensor must be in one file only/u,
    );
    await rm(join(directory, second));
    expect(await failure(directory)).toMatch(/must have model-00002-of-00002\.safetensors; got no such file/u);
  });

  it("with more rows in the embedding than tokens writes none of them", async () => {
    const backend = await openReference();
    const lm = await loadPretrained(foreignModel("gpt2").directory, { backend });
    const { charTokenizer } = await import("#foretoken/tokenizer/char.js");
    const { generate } = await import("#foretoken/generate/generate.js");
    const few = languageModel(lm.model, charTokenizer([..."abc"]));
    let text = "";
    for await (const event of generate(few, { prompt: "a", maxNewTokens: 30, temperature: 5, topK: 0 })) {
      if (event.type === "token") text += event.text;
    }
    expect(text).toMatch(/^[abc]{30}$/u);
    await backend.close();
  });
});
