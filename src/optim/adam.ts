import type { Backend } from "../backend/backend.ts";
import { type Arena, type ArenaLayout, createArena } from "../models/arena.ts";
import type { OptimizerConfig } from "./config.ts";

/** Adam or AdamW over a whole arena. */
export interface Optimizer {
  /** First and second moments, with the parameters' layout. */
  readonly moments: { readonly m: Arena; readonly v: Arena };
  /**
   * One update of `values` by `gradients`.
   * @param step 1 for the first update (bias correction).
   * @param gradScale factor on every gradient (from clipping).
   */
  update(values: Arena, gradients: Arena, step: number, learningRate: number, gradScale: number): void;
  close(): void;
}

/** Moments start at zero. */
export const createOptimizer = (backend: Backend, layout: ArenaLayout, config: OptimizerConfig): Optimizer => {
  const m = createArena(backend, layout);
  const v = createArena(backend, layout);
  const { beta1, beta2, eps, weightDecay } = config;
  return {
    moments: { m, v },
    update(values, gradients, step, learningRate, gradScale) {
      const part = (offset: number, end: number, decay: number): void => {
        backend.run("adamStep", {
          param: { storage: values.storage, offset },
          grad: { storage: gradients.storage, offset },
          m: { storage: m.storage, offset },
          v: { storage: v.storage, offset },
          n: end - offset,
          beta1,
          beta2,
          eps,
          stepSize: learningRate / (1 - beta1 ** step),
          sqrtCorrection2: Math.sqrt(1 - beta2 ** step),
          decayFactor: config.kind === "adamw" ? 1 - learningRate * decay : 1,
          coupledDecay: config.kind === "adam" ? decay : 0,
          gradScale,
        });
      };
      part(0, layout.decayed, weightDecay);
      part(layout.decayed, layout.length, 0);
    },
    close() {
      backend.free(m.storage);
      backend.free(v.storage);
    },
  };
};
