import type { Backend } from "../backend/backend.ts";
import type { AdamConfig, AdamWConfig } from "./config.ts";
import type { Moments } from "./state.ts";
import type { Stretch } from "./stretches.ts";
import type { Update } from "./update.ts";

/**
 * One step of Adam (Kingma & Ba 2014) or AdamW (Loshchilov & Hutter 2017) with bias correction, for a range of the
 * weights.
 */
export const adamUpdate = (
  backend: Backend,
  { kind, beta1, beta2, eps }: Omit<AdamConfig | AdamWConfig, "weightDecay">,
  { m, v, unreal }: Moments,
  { values, gradients, step, learningRate, gradScale, rounded = null }: Update,
): ((stretch: Pick<Stretch, "from" | "to" | "m" | "v">, weightDecay: number) => void) => {
  const stepSize = learningRate / (1 - beta1 ** step);
  const sqrtCorrection2 = Math.sqrt(1 - beta2 ** step);
  return ({ from: offset, to, ...moments }, weightDecay) =>
    backend.run("adamStep", {
      param: { storage: values.storage, offset },
      grad: { storage: gradients.storage, offset },
      m: { storage: m, offset: moments.m },
      v: { storage: v, offset: moments.v },
      rounded: rounded === null || offset >= rounded.storage.length ? null : { storage: rounded.storage, offset },
      unreal,
      n: to - offset,
      beta1,
      beta2,
      eps,
      stepSize,
      sqrtCorrection2,
      decayFactor: kind === "adamw" ? 1 - learningRate * weightDecay : 1,
      coupledDecay: kind === "adam" ? weightDecay : 0,
      gradScale,
    });
};
