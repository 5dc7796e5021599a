/**
 * Runs `foretoken train` for a case. Reads the times of its steps, and the bytes and messages that its ranks have sent.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "../lib/statistics.mjs";
import { batches, models } from "./cases.mjs";
import { cores, foretoken, runRanks } from "./launch.mjs";
import { modelOf, roughCoefficients, sentIn, stepTime } from "./model.mjs";

export const vocabSize = 64;
const [warmSteps, fewestSteps, mostSteps] = [3, 7, 60];

/**
 * A text in which all characters have about the same frequency. The text is always the same. The last part of the text
 * is long enough for validation.
 */
export const writeTexts = (folder) => {
  const letters = Array.from({ length: vocabSize }, (_, i) => String.fromCharCode(48 + i));
  let state = 1;
  const text = Array.from({ length: 40_000 }, () => {
    // A linear congruential generator with the constants of Numerical Recipes.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return letters[Math.floor((state / 2 ** 32) * vocabSize)];
  }).join("");
  writeFileSync(join(folder, "text.txt"), text);
  writeFileSync(join(folder, "val.txt"), text.slice(-300));
};

/** A case with the facts that the model of the step's time needs. */
export const factsOf = ({ model, batch, dtype, ranks, network }, sent) => {
  const { batchSize, passes } = batches[batch];
  const facts = modelOf(models[model], vocabSize);
  return {
    ...facts,
    ...sentIn(facts.parameters, ranks),
    ...sent,
    ...{ dtype, ranks, passes },
    ranksPerCore: Math.max(1, ranks / cores),
    coresOfRank: 1,
    severalCores: Math.min(ranks, cores) > 1,
    tokens: batchSize * passes * models[model].contextLength,
    isTcp: network.kind === "tcp",
    bytesPerSecond: network.gigabits === null ? Number.POSITIVE_INFINITY : (network.gigabits * 1e9) / 8,
    latency: network.delayMicroseconds / 1e6,
  };
};

const configOf = ({ model, batch, ranks }, steps) => {
  const { batchSize, passes } = batches[batch];
  return {
    preset: "book",
    model: { ...models[model], dropout: 0 },
    train: {
      ...{
        steps,
        batchSize,
        gradAccumSteps: passes * ranks,
        seed: 1,
        learningRate: 1e-4,
        maxGradNorm: 1,
        sampleTokens: 0,
      },
      ...{ evalInterval: steps, checkpointInterval: steps },
      optimizer: { kind: "adamw" },
    },
  };
};

const eventsOf = (output) =>
  output
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));

/** The bytes and messages of the rank that has sent most. */
const readSent = (folder, ranks) => {
  const all = readdirSync(folder).map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")));
  if (ranks > 1 && all.length !== ranks) throw new Error(`${ranks} ranks must count what they send; got ${all.length}`);
  const most = (name) => Math.max(0, ...all.map((one) => one[name]));
  return { bytes: most("bytes"), messages: most("messages") };
};

/**
 * Runs a case for a number of steps. Returns its events, and the bytes and messages that a rank has sent in the whole
 * run.
 */
const train = async (one, folder, steps) => {
  const [out, sent, config] = ["run", "sent", "config.json"].map((name) => join(folder, name));
  for (const each of [out, sent]) rmSync(each, { recursive: true, force: true });
  mkdirSync(sent);
  writeFileSync(config, JSON.stringify(configOf(one, steps)));
  const hook = fileURLToPath(new URL("count-sent.mjs", import.meta.url));
  const args = ["--data", "text.txt", "--val-data", "val.txt", "--config", config, "--dtype", one.dtype, "--out", out];
  const program = [process.execPath, "--import", hook, foretoken, "train", ...args];
  const output = await runRanks(
    one.ranks,
    one.network,
    [...program, "--backend", "native", "--threads", "1", "--json"],
    { cwd: folder, env: { FORETOKEN_BENCH_SENT: sent }, seconds: 300 },
  );
  return { events: eventsOf(output), sent: readSent(sent, one.ranks) };
};

/**
 * The bytes and messages that a model's ranks send in one step, and outside of steps (at the start, in evaluations, in
 * saves).
 */
const sentInOneStep = new Map();
const sentInSteps = async (one, folder, sent, steps) => {
  if (one.ranks === 1) return sent;
  const key = `${one.model} ${one.ranks}`;
  if (!sentInOneStep.has(key)) {
    const network = { kind: "memory", gigabits: null, delayMicroseconds: 0 };
    sentInOneStep.set(key, (await train({ ...one, network }, folder, 1)).sent);
  }
  const first = sentInOneStep.get(key);
  const more = (name) => (sent[name] - first[name]) / (steps - 1);
  return { bytes: more("bytes"), messages: more("messages") };
};

/**
 * Seconds of a case's steps, without the first steps, and the bytes and messages that a rank sends in a step.
 * @param folder with the texts of `writeTexts`.
 * @param seconds approximate duration of its steps.
 */
export const measureCase = async (one, folder, seconds) => {
  const facts = factsOf(one);
  const guess = stepTime(roughCoefficients, facts).total;
  const steps = warmSteps + Math.min(mostSteps, Math.max(fewestSteps, Math.round(seconds / guess)));
  const { events, sent } = await train(one, folder, steps);
  const { parameters, instructionSet } = events.find(({ type }) => type === "start");
  if (parameters !== facts.parameters)
    throw new Error(`the model must have ${facts.parameters} parameters; got ${parameters}`);
  const taken = events.filter(({ type }) => type === "step");
  if (taken.length !== steps) throw new Error(`a run of ${steps} steps had ${taken.length}`);
  const times = taken.slice(warmSteps).map((event) => (one.ranks * facts.tokens) / event.tokensPerSecond);
  return {
    ...{ ...one, instructionSet, times, seconds: median(times) },
    sent: await sentInSteps(one, folder, sent, steps),
  };
};
