import { expect, it } from "vitest";
import { failureWords } from "../../web/parts/failure-words.ts";

const replay = "npx foretoken replay '/tmp/a run/faulty-step-00000004.safetensors'";
const first = "first in linearDropoutForward.y [49152], forward, blocks.0.attention.projection.weight";

const failureAt = (condition: string, got: string, hint = `a lower train.learningRate; ${replay}`): string =>
  `step 1204: ${condition}; got ${got}, ${first}; try ${hint}`;

it.each([
  ["loss and gradient must stay finite", "loss NaN, gradient norm NaN", "The loss became NaN at step 1,204."],
  ["loss and gradient must stay finite", "loss Infinity, gradient norm NaN", "The loss became infinite at step 1,204."],
  ["loss and gradient must stay finite", "loss 2.5, gradient norm NaN", "The gradient became NaN at step 1,204."],
  [
    "the loss must not exceed 3 × 4.17 (train.maxLossRatio)",
    "loss 31.25, gradient norm 4",
    "The loss jumped to 31.25 at step 1,204.",
  ],
  [
    "the gradient norm must not exceed 10 × its mean 1.23 (train.maxGradNormRatio)",
    "loss 3.25, gradient norm 1.5e+20",
    "The gradient norm jumped to 1.5e+20 at step 1,204.",
  ],
  [
    "at most 10 steps in a row may be left out",
    "one more: loss NaN, gradient norm NaN",
    "Too many faulty steps in a row were skipped; the last was step 1,204.",
  ],
])("says in a sentence what happened: %s", (condition, got, what) => {
  const failure = failureAt(condition, got);
  expect(failureWords(failure)).toEqual({
    what,
    advice: "Try a lower learning rate.",
    command: replay,
    details: failure.slice(0, -`; ${replay}`.length),
  });
});

it("names one way that the form has, and a command only where it is whole", () => {
  const weight = "step 8: weights and moments must stay finite; got infinity or NaN in weight embedding.weight";
  const ways = "; try a lower train.learningRate, train.warmupSteps or train.maxGradNorm 1";
  expect(failureWords(`${weight}${ways}`)).toMatchObject({
    what: "A weight became NaN or infinite at step 8.",
    advice: "Try a lower learning rate.",
    command: undefined,
  });
  const condition = "loss and gradient must stay finite";
  expect(failureWords(failureAt(condition, "loss NaN", "a smaller model.initStd")).advice).toBe(
    "Try a smaller initial standard deviation.",
  );
  expect(
    failureWords(failureAt(condition, "loss NaN", "a lower train.learningRate; npx foretoken replay /a…b")),
  ).toEqual(expect.objectContaining({ advice: "Try a lower learning rate.", command: undefined }));
});

it("leaves another error whole, as a sentence", () => {
  expect(failureWords("runs/a: must be writable; got no space left")).toEqual({
    what: "runs/a: must be writable; got no space left.",
    advice: undefined,
    command: undefined,
    details: undefined,
  });
  expect(failureWords("memory access out of bounds").what).toBe("Memory access out of bounds.");
});
