import { mkdir, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { openBackend } from "#foretoken/backend/select.node.js";
import { CheckpointError, ConfigError } from "#foretoken/core/errors/errors.js";
import { writeCheckpoint } from "#foretoken/io/checkpoint.node.js";
import { readSafetensors } from "#foretoken/io/safetensors.js";
import { architectureOf } from "#foretoken/models/architectures/architecture-of.js";
import { arrayReader } from "#foretoken/models/arena.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { modelLayout } from "#foretoken/models/model.js";
import { pretrainedFiles } from "#foretoken/pretrained/files/pretrained-files.js";
import { saveGguf } from "#foretoken/pretrained/gguf/write/save.node.js";
import { loadPretrained, readPretrained } from "#foretoken/pretrained/load.node.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { train } from "#foretoken/worker/train.node.js";
import { bookModel, groupedModel, hashedWeights, qwen3Model } from "../support/models.ts";
import { useFolder } from "../support/runs.ts";

vi.mock("#foretoken/backend/select.node.js", { spy: true });

const { newPath } = useFolder();
const config = { ...bookModel, contextLength: 8, nLayer: 2, nHead: 2, nEmbd: 8 };
const tokenizer = charTokenizer([..."abc"]);
let values: Float32Array;
beforeAll(() => {
  values = hashedWeights(modelLayout(config, 3));
});

/** A new checkpoint's folder. */
const checkpoint = async (): Promise<string> => {
  const folder = newPath();
  await writeCheckpoint(folder, pretrainedFiles(config, tokenizer, arrayReader(values)));
  return folder;
};

/** Rewrites a JSON file of a checkpoint and removes its manifest. So only the contents can show the change. */
const edit = async (path: string, change: (json: { foretoken: { model: Record<string, unknown> } }) => void) => {
  const json = JSON.parse(await readFile(path, "utf8"));
  change(json);
  await writeFile(path, JSON.stringify(json));
  await rm(join(path, "..", "manifest.json"));
};

const failure = async (folder: string): Promise<Error> => {
  const error = await readPretrained(folder).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CheckpointError);
  return error as Error;
};

describe("readPretrained", () => {
  const qwen3: ModelConfig = {
    ...qwen3Model,
    contextLength: 8,
    nLayer: 2,
    nHead: 2,
    nEmbd: 8,
    mlp: { kind: "swiglu", hidden: 5 },
  };

  const tiny = { contextLength: 8, nEmbd: 8, nLayer: 2, mlp: { kind: "swiglu", hidden: 5 } } as const;
  const rope = { kind: "rope", theta: 1e4 } as const;
  const llama3 = { kind: "llama3", factor: 4, lowFrequency: 1, highFrequency: 4, originalContext: 2 } as const;

  it.each([
    ["GPT2LMHeadModel", config],
    ["GPT2LMHeadModel", { ...config, tieEmbeddings: true, bias: { qkv: true, projection: true, mlp: true } }],
    ["Qwen3ForCausalLM", qwen3],
    ["Qwen3ForCausalLM", { ...qwen3, tieEmbeddings: true }],
    ["LlamaForCausalLM", { ...qwen3, qkNorm: false }],
    ["LlamaForCausalLM", { ...groupedModel, ...tiny, position: { ...rope, scaling: llama3 } }],
    ["LlamaForCausalLM", { ...qwen3, qkNorm: false, position: { ...rope, scaling: { kind: "linear", factor: 2 } } }],
    ["Qwen3ForCausalLM", { ...qwen3, nHead: 4, nKvHead: 1, headDim: 6 }],
    ["Phi3ForCausalLM", { ...qwen3, qkNorm: false, nKvHead: 1, position: { ...rope, fraction: 0.5 } }],
  ] as readonly (readonly [string, ModelConfig])[])(
    "gives back what was written as %s, to the bit",
    async (architecture, model) => {
      const folder = newPath();
      const written = hashedWeights(modelLayout(model, 3));
      await writeCheckpoint(folder, pretrainedFiles(model, tokenizer, arrayReader(written)));
      const read = await readPretrained(folder);
      expect(read.values).toEqual(written);
      expect(read.config).toEqual(model);
      const { architectures } = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
      expect(architectures).toEqual([architecture]);
    },
  );

  it("has Qwen3's names and shapes", async () => {
    const folder = newPath();
    const written = hashedWeights(modelLayout(qwen3, 3));
    await writeCheckpoint(folder, pretrainedFiles(qwen3, tokenizer, arrayReader(written)));
    const { tensors } = readSafetensors(await readFile(join(folder, "model.safetensors")), "model.safetensors");
    const block = Object.fromEntries(
      [...tensors].flatMap(([name, { shape }]) =>
        name.startsWith("model.layers.1.") ? [[name.slice(15), shape]] : [],
      ),
    );
    expect(block).toEqual({
      "input_layernorm.weight": [8],
      "self_attn.q_proj.weight": [8, 8],
      "self_attn.k_proj.weight": [8, 8],
      "self_attn.v_proj.weight": [8, 8],
      "self_attn.q_norm.weight": [4],
      "self_attn.k_norm.weight": [4],
      "self_attn.o_proj.weight": [8, 8],
      "post_attention_layernorm.weight": [8],
      "mlp.gate_proj.weight": [5, 8],
      "mlp.up_proj.weight": [5, 8],
      "mlp.down_proj.weight": [8, 5],
    });
    const others = [...tensors.keys()].filter((name) => !name.startsWith("model.layers."));
    expect(others.sort()).toEqual(["lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"]);
  });

  it.each([
    ["mask none", { mask: "none" }, /model\.mask: must be causal, since only causal models can be saved; got none/u],
    [
      "rope with layernorm",
      { position: { kind: "rope", theta: 1e4 } },
      /model: must match an architecture .*; got rope, layernorm, gelu, biases/u,
    ],
    ["grouped queries with learned positions", { nKvHead: 1 }, /got learned, nKvHead, layernorm, gelu, biases/u],
    [
      "QK-norm with a part of a head rotated",
      { ...qwen3, position: { ...rope, fraction: 0.5 } },
      /got rope, fraction, qkNorm, rmsnorm, swiglu, no biases/u,
    ],
    ["swiglu with biases", { ...qwen3, bias: config.bias }, /got rope, qkNorm, rmsnorm, swiglu, biases/u],
  ] as [string, Partial<ModelConfig>, RegExp][])("has no form for %s", (_, change, message) => {
    expect(() => architectureOf({ ...config, ...change })).toThrow(message);
  });

  it.each([
    ["nLayer", 1e9],
    ["nEmbd", 2 ** 40],
    ["contextLength", 2 ** 52],
    ["mlp", { kind: "gelu", approximate: "none", ratio: 1e9 }],
  ])("refuses a forged %s before memory is taken for it", async (field, forged) => {
    const folder = await checkpoint();
    await edit(join(folder, "config.json"), ({ foretoken }) => {
      foretoken.model[field] = forged;
    });
    expect((await failure(folder)).message).toMatch(
      /config\.json\.foretoken\.model\..*: must be at most \d+; got \d+/u,
    );
  });

  it("refuses a size within the bounds that the tensors do not have before memory is taken for it", async () => {
    const folder = await checkpoint();
    await edit(join(folder, "config.json"), (json) => {
      Object.assign(json.foretoken.model, { nLayer: 2048, nEmbd: 2 ** 16 });
      Object.assign(json, { n_layer: 2048, n_embd: 2 ** 16, n_inner: 2 ** 18 });
    });
    expect((await failure(folder)).message).toMatch(/model\.safetensors: the file must hold transformer\.h\.2\./u);
  });

  it.each([[Number.NaN], [Number.POSITIVE_INFINITY]])("refuses weights with %d", async (bad) => {
    const damaged = values.slice();
    damaged[5] = bad;
    const folder = newPath();
    await writeCheckpoint(folder, pretrainedFiles(config, tokenizer, arrayReader(damaged)));
    expect((await failure(folder)).message).toMatch(
      new RegExp(`model\\.safetensors: transformer\\.\\S+ must hold finite numbers; got ${bad} at \\d+$`, "u"),
    );
  });
});

describe("loadPretrained", () => {
  it("closes the backend that it opened when the model finds no room there", async () => {
    const backend = await openReference();
    vi.mocked(openBackend).mockResolvedValueOnce({
      ...backend,
      alloc: () => {
        throw new ConfigError({ where: "memory", must: "must suffice" });
      },
    });
    await expect(loadPretrained(await checkpoint(), { backend: "reference" })).rejects.toThrow("must suffice");
    expect(() => backend.alloc("float32", 1)).toThrow("open");
  });

  it.skipIf(process.platform !== "linux")(
    "leaves no file open when the notice of an unchecked model throws",
    async () => {
      const folder = await checkpoint();
      await rm(join(folder, "manifest.json"));
      const onNotice = (line: string): void => {
        throw new Error(`not taken: ${line}`);
      };
      await expect(loadPretrained(folder, { backend: "reference", onNotice })).rejects.toThrow("not taken: ");
      const run = train({
        text: "abcabc".repeat(20),
        out: null,
        initFrom: folder,
        backend: "reference",
        worker: false,
        onNotice,
      });
      await expect(run.next()).rejects.toThrow("not taken: ");
      const open = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""));
      expect((await Promise.all(open)).filter((path) => path.startsWith(folder))).toEqual([]);
    },
  );

  it("takes a run's folder, and loads its best weights, then its last weights", async () => {
    const run = newPath();
    const backend = { backend: "reference" } as const;
    const write = (folder: string, own: Float32Array): Promise<unknown> =>
      writeCheckpoint(join(run, folder), pretrainedFiles(config, tokenizer, arrayReader(own)));
    const logits = async (place: string): Promise<readonly number[]> => {
      const lm = await loadPretrained(place, backend);
      const { data } = await lm.logits([0, 1]);
      await lm.close();
      return [...data];
    };
    await mkdir(run);
    await writeFile(join(run, "run.json"), "{}");
    await expect(loadPretrained(run, backend)).rejects.toThrow("npx foretoken train --resume");
    await write("checkpoint", values);
    expect(await logits(run)).toEqual(await logits(join(run, "checkpoint")));
    await write(
      "best",
      values.map((value) => value / 2),
    );
    expect(await logits(run)).toEqual(await logits(join(run, "best")));
    expect(await logits(run)).not.toEqual(await logits(join(run, "checkpoint")));
    const file = `${newPath()}.gguf`;
    await saveGguf(file, run, { encoding: "f32" });
    expect(await logits(file)).toEqual(await logits(run));
  });

  it("closes the backend that it opened with the model", async () => {
    const lm = await loadPretrained(await checkpoint(), { backend: "reference", threads: undefined });
    await lm.close();
    expect(() => lm.model.backend.alloc("float32", 1)).toThrow("open");
  });
});
