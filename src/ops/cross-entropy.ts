/**
 * L = Σ over rows of logSumExp(z) − z[target], in nats
 *
 *   z [.., V]   targets [..]   →   L [1]
 *   dz = dL·(softmax(z) − onehot(target))
 *
 * The op equals torch.nn.functional.cross_entropy with reduction "sum" and ignore_index −1. The scale of the backward
 * pass turns the gradient of the sum into the gradient of a mean.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { requireShape, rowsOf } from "./op.ts";

/** Returns the sum of the losses, [1]. A row with a negative target is ignored. */
export const crossEntropy = (context: Context, logits: Tensor, targets: Tensor): Tensor => {
  const { backend, memory, tape } = context;
  const vocabSize = logits.shape.at(-1) ?? 0;
  const rows = rowsOf("crossEntropy", logits, vocabSize);
  requireShape("crossEntropy", "targets", targets, logits.shape.slice(0, -1));

  const sizes = { rows, columns: vocabSize, first: 0, vocabSize };
  const losses = memory.allocate([rows]);
  const logSumExp = memory.allocate([rows]);
  const loss = memory.allocate([1]);
  backend.run("crossEntropyForward", { logits, targets, losses, logSumExp, ...sizes });
  backend.run("sum", { x: losses, y: loss, n: rows });
  memory.release(losses);

  if (tape === null) {
    memory.release(logSumExp);
    return loss;
  }
  tape.record(loss, [logits], [logSumExp], (dLoss) => {
    const dLogits = memory.allocate(logits.shape, backend.capabilities.activations);
    backend.run("crossEntropyBackward", { logits, targets, logSumExp, dLoss, dLogits, ...sizes });
    tape.accumulate(logits, dLogits);
  });
  return loss;
};
