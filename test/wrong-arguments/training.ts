/** Training, learning rates, runs, and evaluation. */
import * as foretoken from "#foretoken/index.js";
import { type Case, isDefined, isNumber, isPrimitive, isText, optionCases } from "./case.ts";
import { type Setup, shortText, tinyConfig } from "./setup.ts";

const rateCases: readonly Case[] = [
  { name: "clipFactor", args: () => [1, 1], call: foretoken.clipFactor },
  { name: "learningRateAt", args: () => [foretoken.presets.quick.train, 0], call: foretoken.learningRateAt },
  ...optionCases("learningRateAt", ["learningRate", "warmupSteps", "steps", "schedule"], (wrong) =>
    foretoken.learningRateAt({ ...foretoken.presets.quick.train, ...wrong }, 100),
  ).map((one) => ({ ...one, isOpen: true })),
];

const evaluation = {
  ...{ natsPerToken: 1, natsPerCharacter: 1, bitsPerByte: 1, perplexity: 3, tokens: 4 },
  windows: [
    { nats: 1, tokens: 2 },
    { nats: 3, tokens: 2 },
  ],
};

const evaluationCases = (setup: Setup): readonly Case[] => [
  {
    name: "evaluate",
    args: () => [setup.lm, { data: setup.data }],
    call: foretoken.evaluate,
    allows: (value, place) => place === 0 || (isDefined(value) && isPrimitive(value)),
  },
  ...optionCases(
    "evaluate",
    ["data", "valFraction", "split", "signal", "onProgress", "onNotice", "other"],
    (wrong) => foretoken.evaluate(setup.lm, { data: setup.data, ...wrong }),
    (value, option) => option !== "data" || isDefined(value),
  ),
  ...optionCases("evaluate", ["text"], (wrong) => foretoken.evaluate(setup.lm, wrong), isDefined),
  {
    name: "compareRuns",
    args: () => [
      [
        { evaluations: [evaluation], seeds: [1] },
        { evaluations: [evaluation], seeds: [2] },
      ],
    ],
    call: foretoken.compareRuns,
  },
  { name: "compareEvaluations", args: () => [evaluation, evaluation], call: foretoken.compareEvaluations },
];

const options = {
  data: "",
  out: null,
  preset: "quick",
  finalSampleTokens: 0,
  backend: "reference",
  config: tinyConfig,
};

const trainCases = (setup: Setup): readonly Case[] => [
  {
    name: "train",
    args: () => [{ ...options, data: setup.data }],
    call: foretoken.train,
    allows: (value) => isDefined(value) && isPrimitive(value),
  },
  ...optionCases(
    "train",
    [
      ...["data", "valData", "valFraction", "dataName", "preset", "config", "out", "finalSampleTokens", "backend"],
      ...[
        "threads",
        "stopAt",
        "profile",
        "signal",
        "onNotice",
        "resume",
        "steps",
        "extend",
        "initFrom",
        "keepBlocks",
        "other",
      ],
    ],
    (wrong) => foretoken.train({ ...options, data: setup.data, ...wrong } as never),
    (value, option) =>
      // Some values are left out. Generating many tokens takes long, a path creates a folder, and the default text
      // comes from the network.
      !(option === "finalSampleTokens" && isNumber(value)) &&
      !(option === "out" && (isText(value) || value === undefined)) &&
      !(option === "data" && value === undefined) &&
      // Training with a whole preset takes minutes.
      !(option === "config" && (value === undefined || typeof value === "object")),
  ),
  ...optionCases(
    "train",
    ["text", "valText", "prompt", "onCheckpoint", "onAdapter"],
    (wrong) => foretoken.train({ ...options, data: undefined, text: shortText, ...wrong } as never),
    (value, option) => option !== "text" || isDefined(value),
  ).map((one) => ({ ...one, name: `${one.name}, of a text` })),
];

export const trainingCases = (setup: Setup): readonly Case[] => [
  ...rateCases,
  ...evaluationCases(setup),
  ...trainCases(setup),
  // The text is missing. This error comes after the check of the options, so nothing is written or trained.
  {
    name: "sweep",
    args: () => [{ data: "nowhere.txt", vary: { "train.steps": [1, 2] } }, { out: "nowhere" }],
    call: foretoken.sweep,
  },
  ...optionCases("sweep", ["out", "jobs", "backend", "threads", "signal", "onNotice"], (wrong) =>
    foretoken.sweep({ data: "nowhere.txt", vary: { "train.steps": [1, 2] } }, { out: "nowhere", ...wrong }),
  ),
  { name: "listRuns", args: () => [setup.checkpoint], call: foretoken.listRuns },
  ...optionCases("plotRuns", ["metric", "x", "log"], (wrong) => foretoken.plotRuns([setup.run], wrong as never)),
  { name: "plotRuns", args: () => [[setup.run]], call: foretoken.plotRuns },
];
