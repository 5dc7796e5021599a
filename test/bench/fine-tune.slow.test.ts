import { expect, it } from "vitest";
import { z } from "zod";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { describeBackends } from "#foretoken/backend/select.node.js";
import { freshModel } from "#foretoken/models/model.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { qwen3Model } from "../support/models.ts";
import { useFolder, wordsText } from "../support/runs.ts";
import { runBench } from "./run-bench.ts";

const { newPath, writeText } = useFolder();
const { backends } = await describeBackends();
const isHere = backends.some(({ name, available }) => name === "native" && available);

const resultsSchema = z.object({
  measurements: z.array(
    z.object({
      method: z.string(),
      dtype: z.string(),
      tried: z.array(z.unknown()).length(0),
      results: z
        .array(
          z.object({
            name: z.string(),
            about: z.object({ parameters: z.number() }),
            times: z.array(z.number().positive()).length(2),
            losses: z.array(z.number().positive()).length(4),
            peakMemory: z.number().positive(),
          }),
        )
        .length(1),
    }),
  ),
});

it.skipIf(!isHere)("times steps of all weights and of adapters, and leaves out PyTorch with the reason", async () => {
  const text = wordsText("fine-tune", 300);
  const backend = await openReference();
  const tokenizer = trainCharTokenizer(text);
  const config = { ...qwen3Model, contextLength: 32, nLayer: 2, nHead: 2, nEmbd: 16 };
  const model = freshModel(backend, config, tokenizer.vocabSize, 1);
  const path = newPath();
  await savePretrained(path, languageModel(model, tokenizer));
  const parameters = model.layout.count;
  model.close();
  await backend.close();
  const args = ["--model", path, "--text", await writeText(text), "--context", "32", "--rank", "2", "--rounds", "2"];
  const { status, stdout, stderr, json } = await runBench("fine-tune", [...args, "--python", "no-such-program"]);
  expect(status, stderr).toBe(0);
  const { measurements } = resultsSchema.parse(json);
  expect(measurements.map(({ method, dtype }) => `${method} ${dtype}`)).toEqual([
    "full float32",
    "full bfloat16",
    "lora float32",
    "lora bfloat16",
  ]);
  const counts = measurements.map(({ results }) => results[0]?.about.parameters ?? Number.NaN);
  expect(counts.slice(0, 2)).toEqual([parameters, parameters]);
  expect(counts[2]).toBeLessThan(parameters / 2);
  // Adapters begin with zero output, so all runs begin with the loss of the same weights.
  const first = measurements.map(({ results }) => results[0]?.losses[0] ?? Number.NaN);
  for (const loss of first) expect(loss).toBeCloseTo(first[0] ?? Number.NaN, 1);
  expect(stdout).toContain("lora: foretoken bfloat16");
  expect(stderr).toContain("left out: pytorch float32 sdpa ended: spawn no-such-program ENOENT");
});
