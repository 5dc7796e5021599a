/**
 * y = x · r · γ, with r = 1/√(mean(x²) + ε) over the last axis
 *
 *   x [.., C]   γ [C]   →   y [.., C]
 *   with x̂ = x·r and g = dy·γ:   dx = r·(g − x̂·mean(g·x̂))     dγ = Σ dy·x̂
 *
 * Source: Zhang & Sennrich 2019. The op equals torch.nn.functional.rms_norm.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { DType } from "../core/tensors/dtype.ts";
import { nowhere, rowsOf } from "./op.ts";

/**
 * `weight` is γ. `eps` is added to the mean square. `dtype` is the element type of y; default: the backend's type of
 * activations.
 */
export const rmsNorm = (context: Context, x: Tensor, weight: Tensor, eps: number, dtype?: DType): Tensor => {
  const { backend, memory, tape } = context;
  const channels = weight.shape[0] ?? 0;
  const rows = rowsOf("rmsNorm", x, channels);

  const y = memory.allocate(x.shape, dtype ?? backend.capabilities.activations);
  const rstd = memory.allocate([rows]);
  backend.run("rmsNormForward", { x, gamma: weight, y, rstd, rows, channels, eps });

  if (tape === null) {
    memory.release(rstd);
    return y;
  }
  tape.record(y, [x, weight], [rstd], (dy) => {
    const { gradient: dx, add } = tape.destination(x) ?? nowhere;
    const dGamma = tape.accumulator(weight);
    backend.run("rmsNormBackward", { dy, x, gamma: weight, rstd, dx, dGamma, rows, channels, add });
  });
  return y;
};
