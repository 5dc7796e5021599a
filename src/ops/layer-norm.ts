/**
 * y = (x − μ) / √(σ² + ε) · γ + β, with mean and variance over the last axis
 *
 *   x [.., C]   γ [C]   β [C]   →   y [.., C]
 *   with x̂ = (x − μ)·r and g = dy·γ:   dx = r·(g − mean(g) − x̂·mean(g·x̂))
 *   dγ = Σ dy·x̂     dβ = Σ dy
 *
 * Source: Ba, Kiros & Hinton 2016. The op equals torch.nn.functional.layer_norm.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { DType } from "../core/tensors/dtype.ts";
import { nowhere, requireShape, rowsOf } from "./op.ts";

/**
 * If `beta` is null, there is no offset. `eps` is added to the variance. `dtype` is the element type of y; default: the
 * backend's type of activations.
 */
export const layerNorm = (
  context: Context,
  x: Tensor,
  gamma: Tensor,
  beta: Tensor | null,
  eps: number,
  dtype?: DType,
): Tensor => {
  const { backend, memory, tape } = context;
  const channels = gamma.shape[0] ?? 0;
  const rows = rowsOf("layerNorm", x, channels);
  if (beta !== null) requireShape("layerNorm", "beta", beta, [channels]);

  const y = memory.allocate(x.shape, dtype ?? backend.capabilities.activations);
  const mean = memory.allocate([rows]);
  const rstd = memory.allocate([rows]);
  backend.run("layerNormForward", { x, gamma, beta, y, mean, rstd, rows, channels, eps });

  if (tape === null) {
    memory.release(mean);
    memory.release(rstd);
    return y;
  }
  tape.record(y, beta === null ? [x, gamma] : [x, gamma, beta], [mean, rstd], (dy) => {
    const { gradient: dx, add } = tape.destination(x) ?? nowhere;
    const dGamma = tape.accumulator(gamma);
    const dBeta = beta === null ? null : tape.accumulator(beta);
    backend.run("layerNormBackward", { dy, x, gamma, mean, rstd, dx, dGamma, dBeta, rows, channels, add });
  });
  return y;
};
