/**
 * Fine-tunes a model on your own text with LoRA: the model's own weights stay unchanged, and small additional matrices
 * are trained. Then it measures the model before and after fine-tuning, on the same windows. At the end, it writes
 * model and adapter as one model.
 *
 *     npm run example fine-tune -- --model model.gguf --data letters.txt
 *     npm run example fine-tune                       a small model of docs/, tuned on names
 *
 * MODEL is a Hugging Face directory, a GGUF file, hf:org/name or a checkpoint. With `--rank 0` all weights are trained.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { compareEvaluations, evaluate, generate, loadPretrained, saveMerged, train } from "foretoken";

const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    data: { type: "string", default: "examples/names.txt" },
    steps: { type: "string" },
    rank: { type: "string", default: "8" },
    prompt: { type: "string", default: "The" },
    out: { type: "string", default: join("runs", `tuned-${Date.now()}`) },
  },
});
const data = flags.data;

// Without `--model`, the example first trains a small model on another text.
const read = async (): Promise<string> => {
  const out = `${flags.out}-base`;
  const config = { train: { steps: 300 } };
  for await (const event of train({ data: "docs", config, out, finalSampleTokens: 0 })) {
    if (event.type === "start")
      console.log(`no --model: first, a model of ${event.parameters} weights is trained on docs/`);
  }
  return join(out, "best");
};
const model = flags.model ?? (await read());

// The defaults follow from the model and the text: a small learning rate, about two epochs.
const rank = Number(flags.rank);
const config = {
  ...(rank > 0 ? { lora: { rank } } : {}),
  train: { sampleTokens: 0, ...(flags.steps === undefined ? {} : { steps: Number(flags.steps) }) },
};
for await (const event of train({ data, initFrom: model, config, out: flags.out, finalSampleTokens: 0 })) {
  if (event.type === "start") {
    console.log(`${data}: ${event.trainTokens} tokens to learn from, ${event.valTokens} held out`);
    console.log(`${event.config.train.steps} steps; the run is kept in ${event.out}`);
  } else if (event.type === "eval") {
    const before = event.reason === "begin" ? ", before" : "";
    console.log(`step ${event.step}: ${event.natsPerCharacter.toFixed(4)} nats per character${before}`);
  }
}

// Measures the model before and after fine-tuning, on the same held-out windows. best/ has the weights or the adapter
// with the lowest loss.
const best = join(flags.out, "best");
const before = await loadPretrained(model);
const after = await loadPretrained(best, rank > 0 ? { base: model } : {});
const contextLength = Math.min(before.model.config.contextLength, after.model.config.contextLength, 256);
const measured = { data, contextLength, windows: true } as const;
const { natsPerCharacter, halfWidth95, blocks } = compareEvaluations(
  await evaluate(after, measured),
  await evaluate(before, measured),
);
// null: the text has fewer than eight windows.
const interval = halfWidth95 === null ? "" : ` ± ${halfWidth95.natsPerCharacter.toFixed(4)}`;
console.log(
  `difference, with its 95% interval: ${natsPerCharacter.toFixed(4)}${interval} nats per character, over ${blocks} blocks`,
);

process.stdout.write(flags.prompt);
for await (const event of generate(after, { prompt: flags.prompt, maxNewTokens: 100, temperature: 0.8 })) {
  if (event.type === "token") process.stdout.write(event.text);
}
console.log();
await before.close();
await after.close();

// Writes model and adapter as one ordinary model, for all programs that read Hugging Face directories.
if (rank > 0) {
  const merged = `${flags.out}-merged`;
  await saveMerged(merged, best, { base: model });
  console.log(`merged into ${merged}`);
}
