import type { CurvePoint } from "./canvas.ts";

/** Losses of a run in bounded memory. If there are too many points, neighbouring points are merged into their mean. */
export interface LossHistory {
  add(step: number, loss: number): void;
  points(): readonly CurvePoint[];
}

/** @param limit maximum number of points; must be even. */
export const lossHistory = (limit = 4096): LossHistory => {
  let points: CurvePoint[] = [];
  /** Number of steps in one point. */
  let stride = 1;
  let pending: CurvePoint[] = [];

  const mean = (some: readonly CurvePoint[]): CurvePoint => ({
    step: (some.at(-1) as CurvePoint).step,
    loss: some.reduce((sum, { loss }) => sum + loss, 0) / some.length,
  });

  return {
    add(step, loss) {
      pending.push({ step, loss });
      if (pending.length < stride) return;
      points.push(mean(pending));
      pending = [];
      if (points.length < limit) return;
      points = Array.from({ length: limit / 2 }, (_, i) => mean(points.slice(2 * i, 2 * i + 2)));
      stride *= 2;
    },
    points: () => (pending.length === 0 ? points : [...points, mean(pending)]),
  };
};
