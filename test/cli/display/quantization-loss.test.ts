import { describe, expect, test } from "vitest";
import { quantizationLoss } from "#foretoken/cli/display/texts/quantization-loss.js";
import type { Evaluation } from "#foretoken/evaluate/evaluate.js";

/** An evaluation of windows of 1,000 tokens with these losses in nats per token. */
const evaluationOf = (...losses: readonly number[]): Evaluation => {
  const natsPerToken = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  return {
    ...{ natsPerToken, natsPerCharacter: natsPerToken / 4, bitsPerByte: natsPerToken / 4 / Math.LN2 },
    ...{ perplexity: Math.exp(natsPerToken), tokens: 1000 * losses.length },
    windows: losses.map((loss) => ({ nats: 1000 * loss, tokens: 1000 })),
  };
};

const linesOf = (before: Evaluation, after: Evaluation, couldCalibrate: boolean): readonly string[] =>
  quantizationLoss({ before, after }, "notes.txt", couldCalibrate).split("\n");

describe("losses before and after encoding", () => {
  const calibrate = "To lose less: --calibrate FILE, with a text like the texts that the model will read and write.";

  test("are a table with an interval, the tokens and the text", () => {
    const before = evaluationOf(3, 3.1, 2.9, 3, 3.2, 2.8, 3.1, 2.9);
    const after = evaluationOf(3.001, 3.101, 2.902, 3.001, 3.203, 2.801, 3.101, 2.902);
    expect(linesOf(before, after, true)).toEqual([
      "                    before      after       difference",
      expect.stringMatching(/^nats per token {6}3\.0000 {6}3\.0015 {6}\+0\.0015 ± 0\.00\d\d$/u),
      "nats per character  0.7500      0.7504",
      "perplexity          20.0855     20.1157",
      "measured on         8,000 tokens of notes.txt",
      "",
    ]);
  });

  test("of a short text say why there is no interval", () => {
    const lines = linesOf(evaluationOf(3, 3.1), evaluationOf(3, 3.1), true);
    expect(lines[1]).toBe("nats per token      3.0500      3.0500      0.0000");
    expect(lines.slice(5)).toEqual([
      "The text is too short for a confidence interval: it has 2 windows, but 8 windows are needed. Use more text, or a smaller --context-length.",
      "",
    ]);
  });

  test("propose a calibration if more than 0.01 nats are lost and a calibration could help", () => {
    const before = evaluationOf(3, 3.1);
    expect(linesOf(before, evaluationOf(3.009, 3.109), true)).not.toContain(calibrate);
    expect(linesOf(before, evaluationOf(3.011, 3.111), true).at(-2)).toBe(calibrate);
    expect(linesOf(before, evaluationOf(3.011, 3.111), false)).not.toContain(calibrate);
  });
});
