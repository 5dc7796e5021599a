/**
 * A model of your own notes. The model learns from a folder of text files, and continues a prompt.
 *
 *     npm run example notes                                        the pages of docs/
 *     npm run example notes -- ~/notes --prompt "Today" --steps 1000
 *
 * runs/ has the new run. `npx foretoken generate RUN --prompt "…"` generates more text with this run.
 */
import { parseArgs } from "node:util";
import { generate, loadPretrained, train } from "foretoken";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { steps: { type: "string", default: "800" }, prompt: { type: "string" }, out: { type: "string" } },
});
const [folder = "docs"] = positionals; // UTF-8 files in the folder and its subfolders; hidden and binary files are skipped

// Notes are a small text, and the model may memorize them. Dropout makes memorizing harder. Patience ends the run when
// the loss on the held-out tenth has not improved for three evaluations. best/ has the weights with the lowest loss.
const steps = Number(flags.steps);
const config = {
  model: { contextLength: 64, nLayer: 2, nHead: 4, nEmbd: 64, mlp: { hidden: 176 }, dropout: 0.2 },
  train: { steps, batchSize: 16, evalInterval: Math.ceil(steps / 12), patience: 3, sampleTokens: 0 },
};

let run = "";
const options = { data: folder, preset: "shakespeare", config, out: flags.out, finalSampleTokens: 0 } as const;
for await (const event of train(options)) {
  if (event.type === "start") {
    run = event.out ?? "";
    console.log(`${folder}: ${event.trainTokens} characters to learn from, ${event.valTokens} held out`);
    console.log(`${event.parameters} weights, on ${event.backend}; the run is kept in ${run}\n`);
  } else if (event.type === "eval") {
    console.log(
      `step ${event.step}: ${event.natsPerCharacter.toFixed(3)} nats per character${event.best ? ", the best so far" : ""}`,
    );
  } else if (event.type === "done") {
    console.log(`lowest loss: ${event.bestValLoss?.toFixed(3)}, at step ${event.bestStep}\n`);
  }
}

const lm = await loadPretrained(`${run}/best`);
const prompt = flags.prompt ?? "The ";
process.stdout.write(prompt);
for await (const event of generate(lm, { prompt, maxNewTokens: 300, temperature: 0.7 })) {
  if (event.type === "token") process.stdout.write(event.text);
}
console.log();
await lm.close();
