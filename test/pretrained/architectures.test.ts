import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { generate } from "#foretoken/generate/generate.js";
import { architectureOf } from "#foretoken/models/architectures/architecture-of.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { freshModel } from "#foretoken/models/model.js";
import { saveGguf } from "#foretoken/pretrained/gguf/write/save.node.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { architectureConfigs } from "../support/architectures.ts";
import { forEachBackend } from "../support/backends.ts";
import { expectClose, forwardError, furthest, largest } from "../support/closeness.ts";
import { layersModels } from "../support/hugging-face-layers.ts";
import { useFolder } from "../support/runs.ts";

const { newPath } = useFolder();
const vocabSize = 31;
/** The number of characters equals the models' number of tokens. */
const tokenizer = charTokenizer(Array.from({ length: vocabSize }, (_, i) => String.fromCharCode(0x100 + i)));

/** Mean loss in nats of all tokens except the first. */
const lossOf = (logits: Float32Array, ids: readonly number[]): number => {
  let sum = 0;
  for (let t = 1; t < ids.length; t++) {
    const row = logits.subarray((t - 1) * vocabSize, t * vocabSize);
    const most = largest(row);
    const all = row.reduce((total, value) => total + Math.exp(value - most), 0);
    sum += most + Math.log(all) - (row[ids[t] ?? 0] ?? 0);
  }
  return sum / (ids.length - 1);
};

const greedy = async (lm: LanguageModel, prompt: readonly number[], count: number, cache: boolean) => {
  const ids: number[] = [];
  const settings = { prompt, maxNewTokens: count, temperature: 0, endTokens: [], cache };
  for await (const event of generate(languageModel(lm.model, tokenizer), settings)) {
    if (event.type === "token") ids.push(event.id);
  }
  return ids;
};

describe("a saved model whose fields another program changed", () => {
  /** Saves a model of an architecture, changes its config.json, and opens it. */
  const reopened = async (
    config: ModelConfig,
    change: (json: Record<string, unknown>) => object,
  ): Promise<ModelConfig> => {
    const backend = await openReference();
    const saved = newPath();
    await savePretrained(saved, languageModel(freshModel(backend, config, vocabSize, 1), tokenizer));
    const path = join(saved, "config.json");
    await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, "utf8")))));
    await rm(join(saved, "manifest.json"));
    try {
      return (await loadPretrained(saved, { backend })).model.config;
    } finally {
      await backend.close();
    }
  };

  it.each([
    ["gemma3", { sliding_window: 3 }, "sliding_window must describe the same model; got 5 and 3"],
    ["gemma3", { query_pre_attn_scalar: 16 }, "query_pre_attn_scalar must describe the same model; got 12 and 16"],
    ["llama", { rms_norm_eps: 0.1 }, "rms_norm_eps must describe the same model; got 0.000001 and 0.1"],
    ["qwen3", { num_hidden_layers: 2 }, "num_hidden_layers must describe the same model; got 4 and 2"],
    ["olmo2", { rope_theta: 0 }, "rope_theta must describe the same model; got 500 and 0"],
    ["llama", { rope_theta: undefined }, "rope_theta must describe the same model; got 500 and nothing"],
    [
      "llama",
      { rope_theta: undefined, rope_parameters: { rope_type: "default", rope_theta: 7 } },
      "rope_parameters must describe the same model; got nothing and an object",
    ],
    ["gpt2", { n_head: 2 }, "n_head must describe the same model; got 4 and 2"],
    ["llama", { model_type: "gemma3_text" }, "model_type must describe the same model"],
  ])("is refused by the field: %s, %j", async (name, fields, message) => {
    const [, , config] = architectureConfigs.find(([one]) => one === name) ?? [];
    await expect(reopened(config as ModelConfig, (json) => ({ ...json, ...fields }))).rejects.toThrow(
      new RegExp(`config\\.json: the block foretoken and the field ${message}.*; try deleting the block`, "u"),
    );
  });

  it.each(architectureConfigs)(
    "opens where the fields are the same in another form: %s with %s",
    async (_, _what, config) => {
      const read = await reopened(config, (json) => {
        const { rope_theta: theta, rope_scaling: scaling, rope_local_base_freq: local, ...rest } = json;
        const one = { rope_type: "default", ...(scaling as object), rope_theta: theta };
        const both = { full_attention: one, sliding_attention: { rope_type: "default", rope_theta: local } };
        const rotary =
          theta === undefined || "rope_parameters" in rest ? {} : { rope_parameters: local === undefined ? one : both };
        return { use_cache: true, ...rest, dtype: "bfloat16", transformers_version: "5.24.0", ...rotary };
      });
      expect(read).toEqual(JSON.parse(JSON.stringify(config)));
    },
  );
});

describe.each(layersModels)(
  "$name, as transformers wrote it",
  ({ name, directory, ids, loss, prompt, ...expected }) => {
    forEachBackend("has what transformers computes", ({ name: backendName, open }) => {
      it("in float32: logits, the loss, and greedy tokens with a cache and without", async () => {
        const backend = await open(2);
        const lm = await loadPretrained(directory, { backend });
        const { data } = await lm.logits(ids);
        const error = forwardError({ ...lm.model.config, vocabSize }) * largest(expected.logits);
        expectClose(`${name}, ${backendName}`, [
          furthest("logits", data, expected.logits, error),
          furthest("loss", [lossOf(data, ids)], [loss], error),
        ]);
        const { greedy: wanted } = expected;
        expect(await greedy(lm, prompt, wanted.length, true)).toEqual(wanted);
        expect(await greedy(lm, prompt, 12, false)).toEqual(wanted.slice(0, 12));
        await lm.close();
        await backend.close();
      });
    });

    it("is the same model when it has been saved here, by the class's own fields alone, and as a GGUF file", async () => {
      const backend = await openReference();
      const lm = await loadPretrained(directory, { backend });
      const saved = newPath();
      await savePretrained(saved, languageModel(lm.model, tokenizer));
      const path = join(saved, "config.json");
      const { foretoken: _, ...json } = JSON.parse(await readFile(path, "utf8"));
      await writeFile(path, JSON.stringify(json));
      await rm(join(saved, "manifest.json"));
      const again = await loadPretrained(saved, { backend });
      expect(again.model.config).toEqual(lm.model.config);
      const { data } = await lm.logits(ids);
      expect((await again.logits(ids)).data).toEqual(data);

      const file = `${newPath()}.gguf`;
      const form = architectureOf(lm.model.config).gguf;
      if (form === null || form.lacks(lm.model.config) !== null) {
        await expect(saveGguf(file, saved)).rejects.toThrow(ConfigError);
      } else {
        await saveGguf(file, saved);
        const fromFile = await loadPretrained(file, { backend });
        expect((await fromFile.logits(ids)).data).toEqual(data);
      }
      await backend.close();
    });
  },
);
