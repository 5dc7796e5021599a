// @ts-check
// Trains a model on a text, and writes with it:
//
//     npm start                    text.txt
//     npm start -- notes.txt       a text of yours, or a folder of texts
//     npm start -- notes.txt Dear  with the beginning of what it writes
import { generate, loadPretrained, train } from "foretoken";

const [data = "text.txt", prompt = "\n"] = process.argv.slice(2);
const steps = 400;
const config = { train: { steps, evalInterval: 100 } };

let run = "";
for await (const event of train({ data, preset: "quick", config, finalSampleTokens: 0 })) {
  if (event.type === "start") {
    console.log(`${event.parameters} parameters, ${event.trainTokens} tokens, on ${event.backend}`);
    run = event.out ?? "";
  }
  if (event.type === "step" && process.stdout.isTTY) {
    process.stdout.write(`\rstep ${event.step} of ${steps}: loss ${event.loss.toFixed(3)} `);
  }
  if (event.type === "eval") {
    if (process.stdout.isTTY) process.stdout.write("\r");
    console.log(`step ${event.step} of ${steps}: loss ${event.valLoss.toFixed(3)} nats per token on held-out text`);
  }
}

const lm = await loadPretrained(`${run}/best`);
process.stdout.write(`\nThe model writes:\n\n${prompt}`);
for await (const event of generate(lm, { prompt, maxNewTokens: 200 })) {
  if (event.type === "token") process.stdout.write(event.text);
}
await lm.close();
console.log(`\n\nThe model is in ${run}. Next:\n\n  npx foretoken generate ${run} --prompt ${JSON.stringify(prompt)}`);
