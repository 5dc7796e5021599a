// Trains a model on a text, and generates text with it:
//
//     npm start                    text.txt
//     npm start -- notes.txt       a text of yours, or a folder of texts
//     npm start -- notes.txt Dear  with a prompt
import { ForetokenError, generate, loadPretrained, train } from "foretoken";

const [data = "text.txt", asked = "\n"] = process.argv.slice(2);
// The size of the text decides the model and the number of steps. Change single fields here, such as { train: { steps:
// 2000 } }.
const config = {};

// The first Ctrl-C or SIGTERM saves the run; a second one quits at once.
const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => interrupt.abort());

/** The run's folder. */
let run = "";
/** Whether the run reached its end. */
let isEnded = false;

const print = (line: string): void => console.log(process.stdout.isTTY ? `\r${line.padEnd(40)}` : line);

/** The text in quotation marks for a shell and for `--prompt`, which reads \n as a line end. */
const quoted = (text: string): string => {
  const escaped = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
  return `'${escaped.replaceAll("'", "'\\''")}'`;
};

const trainOnText = async (): Promise<void> => {
  const { signal } = interrupt;
  let steps = 0;
  for await (const event of train({ data, config, finalSampleTokens: 0, signal })) {
    if (event.type === "start") {
      console.log(`${event.parameters} parameters, ${event.trainTokens} tokens, on ${event.backend}`);
      run = event.out ?? "";
      steps = event.config.train.steps;
    }
    if (event.type === "estimate") {
      const seconds = Math.ceil(event.secondsLeft);
      print(`${steps} steps, about ${seconds < 90 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`}`);
    }
    if (event.type === "step" && process.stdout.isTTY) {
      process.stdout.write(`\rstep ${event.step} of ${steps}: loss ${event.loss.toFixed(3)} `);
    }
    if (event.type === "eval") {
      print(`step ${event.step} of ${steps}: loss ${event.valLoss.toFixed(3)} nats per token on held-out text`);
    }
    if (event.type === "done") {
      isEnded = event.reason !== "interrupted";
      if (event.reason === "patience")
        print(`The loss was lowest at step ${event.bestStep} and no longer improves: training ends.`);
    }
  }
};

const write = async (): Promise<void> => {
  const lm = await loadPretrained(`${run}/best`);
  // A prompt may contain only characters of the training text.
  const known = [...asked].filter((character) => {
    try {
      return lm.tokenizer.encode(character).length > 0;
    } catch {
      return false;
    }
  });
  const unknown = [...new Set(asked)].filter((character) => !known.includes(character));
  const prompt = known.join("") || lm.tokenizer.token(0);
  if (unknown.length > 0) {
    console.log(
      `\nThe model does not know ${unknown.map((character) => JSON.stringify(character)).join(", ")}: the prompt is used without these characters.`,
    );
  }
  process.stdout.write(`\nThe model writes:\n\n${prompt}`);
  for await (const event of generate(lm, { prompt, maxNewTokens: 200, signal: interrupt.signal })) {
    if (event.type === "token") process.stdout.write(event.text);
  }
  await lm.close();
  console.log(`\n\nThe model is in ${run}. Next:\n\n  npx foretoken generate ${run} --prompt ${quoted(prompt)}`);
};

try {
  await trainOnText();
  if (isEnded) await write();
  else console.log(`\nSaved in ${run}. To resume:\n\n  npx foretoken train --resume ${run}`);
} catch (error) {
  // A ForetokenError means that the text cannot be used, and one line says why. Any other error is a bug.
  if (!(error instanceof ForetokenError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
