import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { presets } from "#foretoken/config/presets.js";
import { parseConfig } from "#foretoken/core/checks/config.js";
import { writeCheckpoint } from "#foretoken/io/checkpoint.node.js";
import { readSafetensors } from "#foretoken/io/safetensors.js";
import { arrayReader } from "#foretoken/models/arena.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { type LoraConfig, loraConfigSchema } from "#foretoken/models/lora/config.js";
import { loraLayout } from "#foretoken/models/lora/layout.js";
import { loraModel } from "#foretoken/models/lora/model.js";
import { freshModel } from "#foretoken/models/model.js";
import { openAdapter } from "#foretoken/pretrained/adapter/open.node.js";
import { saveAdapter as saveInPage } from "#foretoken/pretrained/adapter/save.browser.js";
import { saveAdapter } from "#foretoken/pretrained/adapter/save.node.js";
import { adapterFiles } from "#foretoken/pretrained/adapter/write.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { hashUniform } from "../../support/hash.ts";
import { baseModel, peftAdapter } from "../../support/peft.ts";
import { useFolder } from "../../support/runs.ts";

const { newPath } = useFolder();
const reference = { backend: "reference" } as const;

const lora = (changes: Partial<LoraConfig> = {}): LoraConfig => parseConfig(loraConfigSchema, changes, "lora");

/** Values of an adapter. No value is zero. */
const hashedAdapter = (config: ModelConfig, adapter: LoraConfig): Float32Array => {
  const { parameters, length } = loraLayout(config, adapter);
  const values = new Float32Array(length);
  for (const { name, offset, size } of parameters) {
    for (let i = 0; i < size; i++) values[offset + i] = hashUniform(name, i) / 4;
  }
  return values;
};

const configOf = async (name: string): Promise<ModelConfig> => {
  const lm = await loadPretrained(baseModel(name), { backend: "reference" });
  await lm.close();
  return lm.model.config;
};

const write = async (
  config: ModelConfig,
  adapter: LoraConfig,
  values: Float32Array,
  base: Parameters<typeof adapterFiles>[3] = { name: null },
): Promise<string> => {
  const path = newPath();
  await writeCheckpoint(path, adapterFiles(config, adapter, arrayReader(values), base));
  return path;
};

const readBack = async (path: string, config: ModelConfig, expected?: LoraConfig) => {
  const { read, source } = await openAdapter(path);
  try {
    return await read(config, expected);
  } finally {
    await source.close();
  }
};

const jsonOf = async (path: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(join(path, "adapter_config.json"), "utf8")) as Record<string, unknown>;

const shapesOf = async (path: string) => {
  const file = join(path, "adapter_model.safetensors");
  const { tensors } = readSafetensors(await readFile(file), file);
  return Object.fromEntries([...tensors.values()].map(({ name, shape }) => [name, shape]));
};

describe("an adapter on the disk", () => {
  it.each(["llama3", "qwen2", "qwen3", "mistral", "phi3", "gpt2"])("is read back to the bit: %s", async (name) => {
    const config = await configOf(name);
    for (const changes of [
      { rank: 3, alpha: 5 },
      { rank: 2, targets: ["query", "value"] },
      { rank: 2, targets: ["key"] },
    ] as const) {
      const adapter = lora(changes);
      const values = hashedAdapter(config, adapter);
      const path = await write(config, adapter, values);
      for (const expected of [adapter, undefined]) {
        const read = await readBack(path, config, expected);
        expect(read.lora).toMatchObject(changes);
        expect(read.values).toEqual(values);
      }
    }
  });

  it("keeps the matrices A of one that has not learned anything yet, where its targets are known", async () => {
    const config = await configOf("gpt2");
    const adapter = lora({ rank: 2, targets: ["value", "down"] });
    const { parameters } = loraLayout(config, adapter);
    const values = hashedAdapter(config, adapter);
    for (const { name, offset, size } of parameters) if (name.endsWith("B")) values.fill(0, offset, offset + size);
    const path = await write(config, adapter, values);
    expect((await readBack(path, config, adapter)).values).toEqual(values);
    // Without the adapter, the model is unchanged.
    const read = await readBack(path, config);
    expect(read.lora.targets).toContain("value");
    const places = loraLayout(config, read.lora).parameters.filter(({ name }) => name.endsWith("B"));
    expect(places.every(({ offset, size }) => read.values.subarray(offset, offset + size).every((x) => x === 0))).toBe(
      true,
    );
  });

  it("has a module of PEFT for each target, by its short name", async () => {
    const config = await configOf("llama3");
    const adapter = lora({ rank: 2, alpha: 6, dropout: 0.05, targets: ["query", "down"] });
    const path = await write(config, adapter, hashedAdapter(config, adapter), { name: "org/name", revision: "v1" });
    expect(await jsonOf(path)).toMatchObject({
      ...{ peft_type: "LORA", task_type: "CAUSAL_LM", base_model_name_or_path: "org/name", revision: "v1" },
      ...{ r: 2, lora_alpha: 6, lora_dropout: 0.05, target_modules: ["down_proj", "q_proj"], fan_in_fan_out: false },
      ...{ rank_pattern: {}, alpha_pattern: {}, bias: "none", use_rslora: false },
    });
    const inBlock = (i: number) => ({
      [`base_model.model.model.layers.${i}.mlp.down_proj.lora_A.weight`]: [2, 32],
      [`base_model.model.model.layers.${i}.mlp.down_proj.lora_B.weight`]: [24, 2],
      [`base_model.model.model.layers.${i}.self_attn.q_proj.lora_A.weight`]: [2, 24],
      [`base_model.model.model.layers.${i}.self_attn.q_proj.lora_B.weight`]: [40, 2],
    });
    expect(await shapesOf(path)).toEqual({ ...inBlock(0), ...inBlock(1) });
  });

  it("has targets of one module side by side, with their own factor", async () => {
    const config = await configOf("gpt2");
    const adapter = lora({ rank: 2, alpha: 6 });
    const path = await write(config, adapter, hashedAdapter(config, adapter));
    expect(await jsonOf(path)).toMatchObject({
      ...{ r: 2, lora_alpha: 6, target_modules: ["attn.c_proj", "c_attn", "c_fc", "mlp.c_proj"], fan_in_fan_out: true },
      ...{ rank_pattern: { c_attn: 6 }, alpha_pattern: { c_attn: 18 } },
    });
    const shapes = await shapesOf(path);
    expect(shapes["base_model.model.transformer.h.1.attn.c_attn.lora_A.weight"]).toEqual([6, 24]);
    expect(shapes["base_model.model.transformer.h.1.attn.c_attn.lora_B.weight"]).toEqual([72, 6]);
    expect(shapes["base_model.model.transformer.h.1.mlp.c_proj.lora_B.weight"]).toEqual([24, 2]);
  });

  it("fits a model whose files have fused layers, though its class need not", async () => {
    const config = await configOf("mistral");
    const adapter = lora({ rank: 2 });
    const values = hashedAdapter(config, adapter);
    const path = await write(config, adapter, values, { name: null, fused: true });
    expect((await jsonOf(path)).target_modules).toEqual(["down_proj", "gate_up_proj", "o_proj", "qkv_proj"]);
    expect((await readBack(path, config)).values).toEqual(values);
  });

  it("is another one than a run expects, if its shape is", async () => {
    const config = await configOf("qwen3");
    const adapter = lora({ rank: 2 });
    const path = await write(config, adapter, hashedAdapter(config, adapter));
    await expect(readBack(path, config, lora({ rank: 2, alpha: 3 }))).rejects.toThrow(
      /: the adapter must have the configuration rank 2, alpha 3, down, gate, .*; got rank 2, alpha 16, down, gate, /u,
    );
  });

  it("is refused for a model that has no class of transformers, before anything is written", () => {
    const config = { ...presets.book.model, mask: "none" } as const;
    expect(() => adapterFiles(config, lora(), arrayReader(new Float32Array()), { name: null })).toThrow(
      "model.mask: must be causal, since only causal models can be saved; got none",
    );
  });
});

describe("the adapter that a model has in use", () => {
  it("is saved as it is, for its model, and replaces an earlier one", async () => {
    const { directory, base, ids } = peftAdapter("gpt2");
    const lm = await loadPretrained(base, { ...reference, adapters: { one: directory, other: directory } });
    const path = newPath();
    await saveAdapter(path, lm);
    await saveAdapter(path, lm, { base });
    expect(await jsonOf(path)).toMatchObject({ base_model_name_or_path: base, r: 4, lora_alpha: 10 });
    const { data } = await lm.logits(ids);
    const again = await loadPretrained(path, reference);
    expect((await again.logits(ids)).data).toEqual(data);
    const inPage = await saveInPage(lm);
    const fromFiles = await loadPretrained(base, { ...reference, adapter: inPage });
    expect((await fromFiles.logits(ids)).data).toEqual(data);
    await expect(savePretrained(newPath(), lm)).rejects.toThrow(
      'savePretrained: model: the model must have no adapter in use: the adapter would not be saved; got a model with "one"',
    );
    lm.useAdapter(null);
    await expect(saveAdapter(path, lm)).rejects.toThrow(
      "saveAdapter: model: the model must have an adapter in use; got none",
    );
    await savePretrained(newPath(), lm);
    for (const model of [lm, again, fromFiles]) await model.close();
  });

  it("can be one of loraModel's, and is closed with its model", async () => {
    const backend = await openReference();
    const config = { ...presets.book.model, contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8, dropout: 0 };
    const base = freshModel(backend, config, 5, 1);
    const drawn = loraModel(base, { rank: 2 }, 3);
    const lm = languageModel(base, trainCharTokenizer("abcde"), undefined, { adapters: { drawn } });
    expect([lm.adapters, lm.adapter, lm.model]).toEqual([["drawn"], "drawn", drawn]);
    const path = newPath();
    await saveAdapter(path, lm, { base: "hf:org/name@v1" });
    expect(await jsonOf(path)).toMatchObject({ base_model_name_or_path: "org/name", revision: "v1" });
    const stranger = freshModel(backend, config, 5, 1);
    expect(() => languageModel(stranger, lm.tokenizer, undefined, { adapters: { drawn } })).toThrow(
      "languageModel: adapters.drawn: must be a model that loraModel made from the same base model; got an adapter of another model",
    );
    expect(() => languageModel(stranger, lm.tokenizer, undefined, { adapters: { base } })).toThrow(
      /got a model without an adapter/u,
    );
    stranger.close();
    await lm.close();
    expect(backend.bytesInUse()).toBe(0);
    await backend.close();
  });
});
