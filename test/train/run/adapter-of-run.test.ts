import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { openPretrained } from "#foretoken/pretrained/open.node.js";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import { modelWithText } from "../../support/peft.ts";
import { anyBackend, checkpointHashes, collect, smallRun, useFolder } from "../../support/runs.ts";

const { newPath, writeText } = useFolder();
const reference = anyBackend;

describe("a run that trains an adapter", () => {
  it.each([
    ["qwen3", ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]],
    ["gpt2", ["attn.c_proj", "c_attn", "c_fc", "mlp.c_proj"]],
    // Foretoken's class for this model is Llama. In the model's own files, one layer contains queries, keys and values.
    ["phi3", ["down_proj", "gate_up_proj", "o_proj", "qkv_proj"]],
  ])(
    "saves it with the modules of %s's files, resumes to the bit, and has its model by its name",
    async (name, modules) => {
      const initFrom = await modelWithText(name, newPath());
      const data = await writeText("0123456789:;<=>?@ABCDEFGH".repeat(20));
      const config = {
        lora: { rank: 2, alpha: 4 },
        model: { dropout: 0 },
        train: { ...smallRun.train, steps: 6, batchSize: 2, learningRate: 0.01 },
      } as NonNullable<NewRun["config"]>;
      const options = { preset: "book", initFrom, data, config, ...reference, finalSampleTokens: 0 } as const;
      const [whole, out] = [newPath(), newPath()];
      await collect(train({ ...options, out: whole }));
      await collect(train({ ...options, out, stopAt: 3 }));
      await collect(train({ resume: out, ...reference }));
      expect(await checkpointHashes(out)).toEqual(await checkpointHashes(whole));
      const adapter = join(out, "best");
      const json = JSON.parse(await readFile(join(adapter, "adapter_config.json"), "utf8"));
      expect(json).toMatchObject({ base_model_name_or_path: initFrom, r: 2, lora_alpha: 4, target_modules: modules });
      const lm = await loadPretrained(adapter, reference);
      const text = "0123456789:;<=>";
      const adapted = (await lm.score(text)).mean;
      lm.useAdapter(null);
      expect(adapted).toBeGreaterThan((await lm.score(text)).mean);
      await lm.close();
      const base = await openPretrained(initFrom);
      await base.weights.close();
      expect(base.weights.fused).toBe(name === "phi3");
    },
  );
});
