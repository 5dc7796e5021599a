/** Numbers and results of the lesson in words. */
import { knowsByHeart } from "../../../src/lesson/small-model-config.ts";
import { inPercent, percent } from "../../parts/format.ts";
import { meaningOf, recentLoss } from "./meaning.ts";

/** A probability in percent, without powers of ten. */
export const percentText = (probability: number): string => {
  if (probability > 0 && probability < 0.001) return inPercent("<\u00a00.1");
  if (probability > 0.999 && probability < 1) return inPercent(">\u00a099.9");
  return percent(probability);
};

interface Measured {
  readonly step: number;
  readonly loss: number;
}

/** Losses of a training at its newest measurement, in nats per character. */
export interface Standing {
  readonly step: number;
  readonly heldOut: number;
  /**
   * Training loss: mean over the last steps before this measurement. Only losses from about the same step are
   * comparable.
   */
  readonly training: number;
  readonly best: Measured;
}

/** Number of steps. The shown training loss is the mean over the last tenth of them. */
const shownSteps = 40;

/** Shown training loss: mean of the last four steps. */
export const trainingLoss = (losses: readonly number[]): number => recentLoss(losses.slice(-shownSteps));

/** Losses at the newest measurement. Undefined before the first measured step. */
export const standingOf = (losses: readonly number[], measured: readonly Measured[]): Standing | undefined => {
  const last = measured.at(-1);
  if (last === undefined || last.step === 0 || losses.length < last.step) return undefined;
  const best = measured.reduce((a, b) => (b.loss < a.loss ? b : a));
  return { step: last.step, heldOut: last.loss, training: trainingLoss(losses.slice(0, last.step)), best };
};

const two = (value: number): string => value.toFixed(2);

/** Explains the losses in a text. */
export const standingText = ({ step, heldOut, training, best }: Standing, vocabSize: number): string => {
  const memory = knowsByHeart(training, heldOut)
    ? `At step ${step} the loss is ${two(training)} on the training text and ${two(heldOut)} on held-out text. A training loss far below the held-out loss means that the model has memorised its text. A longer text helps.`
    : "";
  // A smaller rise is noise.
  if (heldOut > best.loss + 0.05)
    return `The best held-out loss was ${two(best.loss)} at step ${best.step}. After that step, the model learned your text by heart and became worse on other text. This is called overfitting. ${memory}`.trim();
  if (memory !== "") return memory;
  const { timesGuessing } = meaningOf(heldOut, vocabSize);
  return `The model never learns from the held-out end of the text. On this text, the model gives the right characters ${timesGuessing.toFixed(1)} times the probability of guessing.`;
};

/** Remaining time of a training, estimated from the time of its steps so far. */
export const timeLeftText = (milliseconds: number, stepsDone: number, stepsLeft: number): string => {
  const seconds = (milliseconds / 1000 / stepsDone) * stepsLeft;
  if (seconds < 10) return "a few seconds left";
  if (seconds < 90) return `about ${10 * Math.round(seconds / 10)} seconds left`;
  return `about ${Math.round(seconds / 60)} minutes left`;
};
