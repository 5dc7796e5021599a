import { resolve } from "node:path";
import { expect, it } from "vitest";
import { comparedOptions } from "#foretoken/train/ranks/compared-options.node.js";
import { checkDivides, checkSameFacts, type RankFacts, type RankOptions } from "#foretoken/train/ranks/meeting.js";

const facts: RankFacts = {
  version: "1.2.3",
  backend: "native",
  instructionSet: "avx512",
  dtype: "float32",
  hashes: { text: "a1b2", weights: "none" },
  chatTemplate: null,
  step: 0,
  progress: { step: 0, lossSum: 0, means: { count: 0, loss: 0 } },
  stopAt: null,
  finalSampleTokens: 400,
  config: { model: { nLayer: 2 }, train: { seed: 1, schedule: { kind: "cosine" } } },
};

it("lets ranks that are alike begin", () => {
  checkSameFacts([facts, structuredClone(facts), structuredClone(facts)]);
});

it.each([
  [{ version: "1.2.4" }, /^rank 2 of 3: must have the version of rank 0; got "?1\.2\.4"? and "?1\.2\.3"?$/],
  [{ instructionSet: "avx2" }, /^rank 2 of 3: must have the instruction set of rank 0; got "?avx2"? and/],
  [{ dtype: "bfloat16" }, /^rank 2 of 3: must have the dtype of rank 0; got "?bfloat16"? and/],
  [{ hashes: { text: "ffff", weights: "none" } }, /^rank 2 of 3: must have the SHA-256 of text of rank 0; got "?ffff/],
  [{ stopAt: 20 }, /^rank 2 of 3: must have the step to stop at of rank 0; got 20 and none$/],
  [{ chatTemplate: "{{ x }}" }, /^rank 2 of 3: must have the chat template of rank 0; got \{\{ x \}\} and none$/],
  // Copies of one folder. One copy is from another training.
  [
    { progress: { step: 0, lossSum: 0, means: { count: 0, loss: 0.5 } } },
    /^rank 2 of 3: must have the checkpoint's means\.loss of rank 0; got 0\.5 and 0$/,
  ],
  [{ step: 4 }, /^rank 2 of 3: must have the steps done of rank 0; got 4 and 0$/],
  [
    { config: { model: { nLayer: 2 }, train: { seed: 2, schedule: { kind: "cosine" } } } },
    /^rank 2 of 3: must have the configuration train\.seed of rank 0; got 2 and 1$/,
  ],
])("names the rank and what differs: %j", (change, message) => {
  expect(() => checkSameFacts([facts, facts, { ...facts, ...change }])).toThrow(message);
});

const options: RankOptions = {
  version: "1.2.3",
  resume: null,
  out: "runs/a-long-name-1",
  prompt: null,
  keepLast: null,
};

it.each([
  [
    { out: "runs/a-long-name-2" },
    /the run's folder \(out\) of rank 0; got runs\/a-long-name-2 and runs\/a-long-name-1$/,
  ],
  [{ out: null }, /the run's folder \(out\) of rank 0; got none and runs\/a-long-name-1$/],
  [{ resume: "runs/b" }, /the run to resume \(resume\) of rank 0; got runs\/b and none$/],
  [{ prompt: "A\nB" }, /the prompt of the samples of rank 0; got A\\nB and none$/],
  [{ keepLast: 3 }, /the number of checkpoints to keep \(keepLast\) of rank 0; got 3 and none$/],
])("names an option that rank 0 alone would follow: %j", (change, message) => {
  checkSameFacts([options, { ...options }]);
  expect(() => checkSameFacts([options, { ...options, ...change }])).toThrow(message);
});

it("compares folders by their places, not by the words that name them", () => {
  const one = comparedOptions({ out: "runs/sp", prompt: "A" });
  checkSameFacts([
    one,
    comparedOptions({ out: "./runs/sp/", prompt: "A" }),
    comparedOptions({ out: resolve("runs/sp"), prompt: "A" }),
  ]);
  checkSameFacts([comparedOptions({ resume: "runs/sp" }), comparedOptions({ resume: "runs/../runs/sp" })]);
  expect(() => checkSameFacts([one, comparedOptions({ out: "runs/sq", prompt: "A" })])).toThrow(
    /must have the run's folder \(out\) of rank 0; got runs.sq and runs.sp$/,
  );
  checkSameFacts([comparedOptions({ out: "../sp" }), comparedOptions({ out: resolve("..", "sp") })]);
  expect(comparedOptions({ out: null })).toMatchObject({ out: null, resume: null });
});

it("refuses micro-batches that cannot be shared out alike", () => {
  checkDivides(8, { gradAccumSteps: 8, batchSize: 1 }, 4);
  const refused = (gradAccumSteps: number, batchSize: number) => () =>
    checkDivides(gradAccumSteps, { gradAccumSteps, batchSize }, 4);
  expect(refused(6, 3)).toThrow(/^train\.gradAccumSteps: must be divisible .*, 4: .*; got 6; try 8$/);
  expect(refused(1, 16)).toThrow(/; got 1; try 4 with train\.batchSize 4: the same number of tokens per step$/);
});
