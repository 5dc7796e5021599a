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

const count = new Intl.NumberFormat("en");

let printedAt = performance.now();
const print = (line: string): void => {
  console.log(process.stdout.isTTY ? `\r${line.padEnd(60)}` : line);
  printedAt = performance.now();
};

/** A terminal shows each step in the same line. A file or a pipe gets at most one line in ten seconds. */
const showProgress = (line: string): void => {
  if (process.stdout.isTTY) process.stdout.write(`\r${line.padEnd(60)}`);
  else if (performance.now() - printedAt > 10_000) print(line);
};

const timeOf = (seconds: number): string => {
  if (seconds < 90) return `${Math.ceil(seconds)} seconds`;
  return `${Math.round(seconds / 60)} minutes`;
};

/**
 * Returns a function that gives the seconds left at a step. At first they follow from the library's estimate, then from
 * the time that the steps took.
 */
const clockFrom = (from: number, to: number, estimated: number): ((step: number) => number) => {
  const since = performance.now();
  return (step) => {
    const [done, all] = [step - from, to - from];
    const perStep = done < all / 10 ? estimated / all : (performance.now() - since) / 1000 / done;
    return perStep * (to - step);
  };
};

/** The text in quotation marks for a shell and for `--prompt`, which reads \n as a line end. */
const quoted = (text: string): string => {
  const escaped = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
  return `'${escaped.replaceAll("'", "'\\''")}'`;
};

const trainOnText = async (): Promise<void> => {
  const { signal } = interrupt;
  let steps = 0;
  let secondsLeft: ((step: number) => number) | undefined;
  const stepOf = (step: number): string => `step ${count.format(step)} of ${count.format(steps)}`;
  for await (const event of train({ data, config, finalSampleTokens: 0, signal })) {
    if (event.type === "start") {
      const sizes = `${count.format(event.parameters)} parameters, ${count.format(event.trainTokens)} tokens`;
      console.log(`${sizes}, on ${event.backend}`);
      run = event.out ?? "";
      steps = event.config.train.steps;
    }
    if (event.type === "estimate") {
      secondsLeft = clockFrom(event.step, steps, event.secondsLeft);
      print(`${count.format(steps)} steps, about ${timeOf(event.secondsLeft)}`);
    }
    if (event.type === "step") {
      const left =
        secondsLeft === undefined || event.step === steps ? "" : `, about ${timeOf(secondsLeft(event.step))} left`;
      showProgress(`${stepOf(event.step)}: loss ${event.loss.toFixed(3)}${left}`);
    }
    if (event.type === "eval") {
      print(`${stepOf(event.step)}: loss ${event.valLoss.toFixed(3)} nats per token on held-out text`);
    }
    if (event.type === "done") {
      isEnded = event.reason !== "interrupted";
      if (event.reason === "patience")
        print(
          `The loss was lowest at step ${count.format(event.bestStep ?? 0)} and no longer improves: training ends.`,
        );
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
