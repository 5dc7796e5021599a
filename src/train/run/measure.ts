/** Evaluations and samples of a run. */
import { ConfigError } from "../../core/errors/errors.ts";
import { yieldToHost } from "../../core/system/yield.ts";
import { type Evaluation, evaluate } from "../../evaluate/evaluate.ts";
import { generate } from "../../generate/generate.ts";
import { type EvalEvent, type OverfittingEvent, type SampleEvent, eventVersion as v } from "../../runs/events.ts";
import { hasTurned, type Progress } from "../../runs/progress.ts";
import { checkHealth } from "../faults/leave-out.ts";
import { evaluateTogether } from "./evaluate-together.ts";
import { note, type RunState } from "./run-state.ts";

/** Fails if the loss cannot be computed. */
const checkFinite = (step: number, valLoss: number, perplexity: number): void => {
  if (Number.isFinite(perplexity)) return;
  throw new ConfigError({
    where: `evaluation after step ${step}`,
    must: "the perplexity of the held-out text must stay finite",
    got: `that of ${valLoss} nats per token`,
    hint: "a lower train.learningRate, train.warmupSteps, or train.maxGradNorm 1",
  });
};

/** The progress after an evaluation; keeps the weights if they are the best. */
const countEvaluation = async (
  { trainer, input, progress }: RunState,
  valLoss: number,
  isBest: boolean,
): Promise<Progress> => {
  const { step, best, evalsSinceBest } = progress;
  if (isBest) await checkHealth(trainer, step);
  if (isBest) await input.store?.saveBest(trainer.snapshot().weights.read, step);
  return {
    ...progress,
    lossSum: 0,
    lossCount: 0,
    leftOut: 0,
    best: isBest ? { step, valLoss } : best,
    evalsSinceBest: isBest ? 0 : evalsSinceBest + 1,
  };
};

/** Evaluates, alone or with the team; undefined if it was broken off, since the run is to stop. */
const evaluation = async ({ trainer: { model }, input: { team, val } }: RunState): Promise<Evaluation | undefined> => {
  if (team.size > 1) return evaluateTogether(team, model, val);
  const signal = team.asked;
  return evaluate(model, val, signal).catch((error: unknown) => {
    if (signal?.aborted === true) return undefined;
    throw error;
  });
};

/**
 * Measures the whole validation split.
 * @returns undefined if the evaluation was broken off, since the run is to stop: then nothing has changed.
 */
export const measure = async (run: RunState, reason: EvalEvent["reason"]): Promise<EvalEvent | undefined> => {
  const { input } = run;
  const evaluated = await evaluation(run);
  if (evaluated === undefined) return undefined;
  const { natsPerToken: valLoss, ...rest } = evaluated;
  const { step, lossSum, lossCount, best } = run.progress;
  checkFinite(step, valLoss, rest.perplexity);
  const isBest = best === null || valLoss < best.valLoss;
  const after = await countEvaluation(run, valLoss, isBest);
  run.measured = { step, valLoss };
  const trainLoss = lossCount === 0 ? null : lossSum / lossCount;
  const event = await note(input, { v, type: "eval", step, trainLoss, valLoss, ...rest, reason, best: isBest });
  // Only now: a run that is saved since its weights or its notes cannot be kept here makes up for the evaluation.
  run.progress = after;
  return event;
};

/** Once per run, at the evaluation that shows it. */
export async function* tellOverfitting(
  run: RunState,
  valLoss: number,
): AsyncGenerator<OverfittingEvent, void, undefined> {
  const { step, best, overfitting } = run.progress;
  if (best === null || overfitting || !hasTurned(run.progress, valLoss)) return;
  run.progress = { ...run.progress, overfitting: true };
  yield await note(run.input, {
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
 * @returns whether the sample is complete. An interrupted sample is not shown; a resumed run makes up for it.
 */
export async function* writeSample(
  run: RunState,
  maxNewTokens: number,
): AsyncGenerator<SampleEvent, boolean, undefined> {
  const { input, progress } = run;
  const text = await input.team.fromFirst(() => sampleText(run, maxNewTokens));
  if (text === null) return false;
  yield await note(input, { v, type: "sample", step: progress.step, prompt: input.prompt, text });
  return true;
}

/** The text of a sample; null if it is interrupted. */
const sampleText = async ({ input, lm }: RunState, maxNewTokens: number): Promise<string | null> => {
  const { prompt, team, config, documents } = input;
  const stop = team.asked === undefined ? {} : { signal: team.asked };
  let text = "";
  for await (const event of generate(lm, {
    prompt: documents?.promptIds ?? prompt,
    maxNewTokens,
    seed: config.train.seed,
    ...stop,
  })) {
    if (event.type === "token") text += event.text;
    else if (event.finishReason === "aborted") return null;
    await yieldToHost();
  }
  return text;
};
