import { checkNumber } from "../core/checks/check-arguments.ts";

/**
 * Returns the factor that limits the gradient's global norm `norm` to `maxGradNorm`, as in
 * torch.nn.utils.clip_grad_norm_ (Pascanu et al. 2013). `maxGradNorm` = 0 means no clipping.
 * @experimental
 */
export const clipFactor = (norm: number, maxGradNorm: number): number => {
  checkNumber("clipFactor: norm", norm);
  checkNumber("clipFactor: maxGradNorm", maxGradNorm);
  return maxGradNorm > 0 ? Math.min(1, maxGradNorm / (norm + 1e-6)) : 1;
};
