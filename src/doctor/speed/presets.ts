/**
 * Expected training speed of each preset. If the steps are short, the speed is measured. Otherwise it is estimated from
 * the work of the kernels.
 */
import type { Backend } from "../../backend/backend.ts";
import { kernelCost } from "../../backend/calls/cost.ts";
import { type MemoryKind, openCounting } from "../../backend/observers/counting.ts";
import { type PresetName, presetNames, presets } from "../../config/presets.ts";
import { randomKey, randomStream } from "../../core/random.ts";
import { formatBytes } from "../../core/text/format-bytes.ts";
import { formatCount, formatDuration, formatSeconds } from "../../core/text/format-numbers.ts";
import { passesOfText } from "../../trainer/passes.ts";
import { alone } from "../../trainer/team.ts";
import { createTrainer, trainerOn } from "../../trainer/trainer.ts";
import { ok, type Verdict, warning } from "../check.ts";
import { builtInText, memoryOfPreset } from "../machine/needs.ts";
import type { Rates } from "./rates.ts";

/** Training speed of a preset. */
export interface PresetSpeed {
  readonly preset: PresetName;
  readonly secondsPerStep: number;
  readonly tokensPerSecond: number;
  readonly steps: number;
  /** Whether steps were timed. If false, the speed is an estimate from the rates of the kernels. */
  readonly measured: boolean;
  /** Maximum memory of a run. */
  readonly memoryBytes: number;
}

const { vocabSize } = builtInText;

/**
 * Estimated seconds of a step's kernels. The time of a kernel is the larger of two times: the time of its arithmetic,
 * and the time of its reads and writes.
 */
const kernelSeconds = async (name: PresetName, kind: MemoryKind, rates: Rates): Promise<number> => {
  const counting = openCounting(kind);
  let seconds = 0;
  const backend: Backend = {
    ...counting,
    run(kernel, args) {
      const { flops, read, written } = kernelCost(kernel, args);
      seconds += Math.max(flops / rates.flopsPerSecond, (read + written) / rates.bytesPerSecond);
      counting.run(kernel, args);
    },
  };
  const config = presets[name];
  const source = passesOfText(config, new Int32Array(config.model.contextLength + 1));
  const trainer = trainerOn(backend, config, vocabSize, source, alone, () => undefined);
  const before = seconds;
  await trainer.step(0);
  trainer.close();
  return seconds - before;
};

/** Maximum seconds of a step. A longer step is not timed. */
const longestTimed = 0.5;
/** Total seconds for timing steps. The median of the steps' times is used. */
const timedSeconds = 0.6;
const mostTimed = 5;

/** Seconds of a real step. The first step is not counted, because it allocates memory. */
const timeStep = async (backend: Backend, name: PresetName): Promise<number> => {
  const stream = randomStream(randomKey(1, "batches"));
  const text = Int32Array.from({ length: 20_000 }, () => stream.integer(vocabSize));
  const trainer = createTrainer(backend, presets[name], vocabSize, text);
  try {
    const times: number[] = [];
    const began = performance.now();
    for (let step = 0; step <= mostTimed; step++) {
      const from = performance.now();
      await trainer.step(step);
      if (step > 0) times.push((performance.now() - from) / 1000);
      if (step > 0 && performance.now() - began > 1000 * timedSeconds) break;
    }
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;
  } finally {
    trainer.close();
  }
};

/**
 * Usual ratio of a step's time to the estimated time of its kernels. The ratio is used if no step was timed. The ratio
 * is above 1 because small kernels do not reach the measured rates.
 */
const usualRatio = 1.5;

/**
 * Yields the speed of each preset. Presets with short steps are timed. Other times are estimated: the estimated time of
 * the kernels, multiplied by the ratio from the timed presets.
 * @param freeBytes memory available for timed steps.
 */
export async function* presetSpeeds(
  backend: Backend,
  rates: Rates,
  freeBytes: number,
): AsyncGenerator<PresetSpeed, void, undefined> {
  const kind: MemoryKind = { ...backend.capabilities, name: backend.name };
  const estimates = await Promise.all(
    presetNames.map(async (preset) => ({
      preset,
      kernels: await kernelSeconds(preset, kind, rates),
      memoryBytes: await memoryOfPreset(preset, kind),
    })),
  );
  estimates.sort((a, b) => a.kernels - b.kernels);
  let ratio = usualRatio;
  for (const { preset, kernels, memoryBytes } of estimates) {
    const measured = kernels * ratio <= longestTimed && memoryBytes <= freeBytes;
    const secondsPerStep = measured ? await timeStep(backend, preset) : kernels * ratio;
    if (measured) ratio = Math.max(1, secondsPerStep / kernels);
    const { model, train } = presets[preset];
    const tokens = train.batchSize * train.gradAccumSteps * model.contextLength;
    const tokensPerSecond = tokens / secondsPerStep;
    yield { preset, secondsPerStep, tokensPerSecond, steps: train.steps, measured, memoryBytes };
  }
}

const day = 86_400;

/** As 22 ms, 1.4 s, 12:05, 1:02:03, 3 days. */
const formatTime = (seconds: number): string => {
  if (seconds >= 2 * day) return `${formatCount(seconds / day)} days`;
  if (seconds >= 100) return formatDuration(seconds);
  return seconds < 9.95 ? formatSeconds(Number(seconds.toPrecision(2))) : `${Math.round(seconds)} s`;
};

/** Describes a speed. */
export const speedVerdict = (speed: PresetSpeed, freeBytes: number): Verdict => {
  const { secondsPerStep, tokensPerSecond, steps, measured, memoryBytes } = speed;
  const about = measured ? "" : "about ";
  const tokens = formatCount(Number(tokensPerSecond.toPrecision(2)));
  const all = formatTime(secondsPerStep * steps);
  const fact = `${about}${formatTime(secondsPerStep)} a step, ${formatCount(steps)} steps in ${all} (${tokens} tokens/s)`;
  if (memoryBytes <= freeBytes) return ok(fact);
  return warning(
    `${fact}; needs ${formatBytes(memoryBytes)} of memory, but only ${formatBytes(freeBytes)} is free`,
    "use a smaller --batch-size, --model.contextLength or model",
  );
};
