import type { HostKernels } from "./host-args.ts";

export const adam: HostKernels<"adamStep"> = {
  adamStep(args) {
    const { param, grad, m, v, rounded, unreal, n, beta1, beta2, eps, stepSize, sqrtCorrection2 } = args;
    const { decayFactor, coupledDecay, gradScale } = args;
    for (let i = 0; i < n; i++) {
      const before = param[i] as number;
      const g = gradScale * (grad[i] as number) + coupledDecay * before;
      const mean = beta1 * (m[i] as number) + (1 - beta1) * g;
      const square = beta2 * (v[i] as number) + (1 - beta2) * g * g;
      m[i] = mean;
      v[i] = square;
      param[i] = decayFactor * before - (stepSize * mean) / (Math.sqrt(square) / sqrtCorrection2 + eps);
      if (rounded !== null) rounded[i] = param[i] as number;
      // Values are rounded here exactly as when they are stored. A value too large for float32 becomes infinite.
      if (unreal !== null && ![param, m, v].every((one) => Number.isFinite(one[i]))) unreal[0] = 1;
    }
  },
};
