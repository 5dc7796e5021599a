/** Evaluates a run's model and writes samples. */
import { CheckpointError, ConfigError } from "../../core/errors/errors.ts";
import { yieldToHost } from "../../core/system/yield.ts";
import { type Evaluation, evaluate } from "../../evaluate/evaluate.ts";
import { generate } from "../../generate/generate.ts";
import {
  type AveragedEvaluation,
  type EvalEvent,
  type OverfittingEvent,
  type SampleEvent,
  eventVersion as v,
} from "../../runs/events.ts";
import { hasTurned } from "../../runs/progress.ts";
import { checkHealth } from "../faults/leave-out.ts";
import { evaluateTogether } from "./evaluate-together.ts";
import { note, type Running } from "./running.ts";

/** Refuses a loss whose perplexity is not finite. */
const checkFinite = (
  where: string,
  valLoss: number,
  perplexity: number,
  hint = "a lower train.learningRate, train.warmupSteps, or train.maxGradNorm 1",
): void => {
  if (Number.isFinite(perplexity)) return;
  throw new ConfigError({
    where,
    must: "the perplexity of the held-out text must stay finite",
    got: `the perplexity of ${valLoss} nats per token`,
    hint,
  });
};

/** Evaluates on this machine or with the team; undefined if a request to stop interrupted the evaluation. */
const evaluation = async ({ trainer: { model }, input: { team, val } }: Running): Promise<Evaluation | undefined> => {
  if (team.size > 1) return evaluateTogether(team, model, val);
  const signal = team.asked;
  return evaluate(model, val, signal).catch((error: unknown) => {
    if (signal?.aborted === true) return undefined;
    throw error;
  });
};

/**
 * Evaluates the averaged weights, and saves them if they are the best averaged ones.
 * @returns null if there are none: without `train.average`, and before the first step. Undefined if a request to stop
 * interrupted the evaluation.
 */
const averagedEvaluation = async (run: Running): Promise<AveragedEvaluation | null | undefined> => {
  const { input, trainer, position } = run;
  const { step, bestAverage } = position.progress;
  const { average } = trainer;
  if (average === null || step === 0) return null;
  return average.during(step, async () => {
    const evaluated = await evaluation(run);
    if (evaluated === undefined) return undefined;
    const { natsPerToken: valLoss, natsPerCharacter, bitsPerByte, perplexity } = evaluated;
    checkFinite(`evaluation of the averaged weights after step ${step}`, valLoss, perplexity);
    const best = bestAverage === undefined || valLoss < bestAverage.valLoss;
    if (best) {
      await checkHealth(trainer, step);
      await input.store?.saveAveraged?.(trainer.snapshot().weights.read, step);
    }
    return { valLoss, natsPerCharacter, bitsPerByte, perplexity, best };
  });
};

/**
 * Evaluates on the whole validation split.
 * @returns undefined if a request to stop interrupted the evaluation; then nothing has changed.
 */
export const measure = async (run: Running, reason: EvalEvent["reason"]): Promise<EvalEvent | undefined> => {
  const { input, trainer, position } = run;
  const evaluated = await evaluation(run);
  if (evaluated === undefined) return undefined;
  const { natsPerToken: valLoss, ...rest } = evaluated;
  const { step, lossSum, lossCount, best } = position.progress;
  if (reason === "begin") {
    checkFinite("evaluation of the initial weights", valLoss, rest.perplexity, "another model: this model is damaged");
  } else {
    checkFinite(`evaluation after step ${step}`, valLoss, rest.perplexity);
  }
  const averaged = await averagedEvaluation(run);
  if (averaged === undefined) return undefined;
  const isBest = best === null || valLoss < best.valLoss;
  if (isBest) {
    await checkHealth(trainer, step);
    await input.store?.saveBest(trainer.snapshot().weights.read, step);
  }
  position.measuredNow(valLoss, averaged?.valLoss);
  const trainLoss = lossCount === 0 ? null : lossSum / lossCount;
  const also = averaged === null ? {} : { averaged };
  const event = await note(input, {
    v,
    type: "eval",
    step,
    trainLoss,
    valLoss,
    ...rest,
    reason,
    best: isBest,
    ...also,
  });
  // The evaluation counts only from here on, after events and weights are stored. So if storing fails, the saved run
  // repeats the evaluation when it is resumed.
  position.evaluated(isBest, averaged?.best === true);
  return event;
};

/** The event is sent once per run, at the first evaluation that shows overfitting. */
export async function* tellOverfitting(
  { input, position }: Running,
  valLoss: number,
): AsyncGenerator<OverfittingEvent, void, undefined> {
  const { step, best, overfitting } = position.progress;
  if (best === null || overfitting || !hasTurned(position.progress, valLoss)) return;
  position.toldOverfitting();
  yield await note(input, {
    v,
    type: "overfitting",
    step,
    valLoss,
    bestValLoss: best.valLoss,
    bestStep: best.step,
  });
}

/**
 * Writes a sample.
 * @returns whether the sample is complete. An interrupted sample is not shown; a resumed run writes it again.
 */
export async function* writeSample(
  run: Running,
  maxNewTokens: number,
): AsyncGenerator<SampleEvent, boolean, undefined> {
  const { input, position } = run;
  const text = await input.team.fromFirst(() => sampleText(run, maxNewTokens));
  if (text === null) return false;
  yield await note(input, { v, type: "sample", step: position.progress.step, prompt: input.prompt, text });
  return true;
}

/** The text of a sample; null if it is interrupted. */
const sampleText = async ({ input, lm }: Running, maxNewTokens: number): Promise<string | null> => {
  const { prompt, team, config, documents } = input;
  const stop = team.asked === undefined ? {} : { signal: team.asked };
  let text = "";
  const options = { prompt: documents?.promptIds ?? prompt, maxNewTokens, seed: config.train.seed, ...stop };
  try {
    for await (const event of generate(lm, options)) {
      if (event.type === "token") text += event.text;
      else if (event.finishReason === "aborted") return null;
      await yieldToHost();
    }
  } catch (error) {
    // The logits were not finite. The steps and evaluations decide whether the run ends; a sample does not.
    if (!(error instanceof CheckpointError)) throw error;
  }
  return text;
};
