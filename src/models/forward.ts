import { type Context, spend } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import {
  checkContext,
  checkIdList,
  checkInt32,
  checkModel,
  checkNumber,
  checkTensor,
} from "../core/checks/check-arguments.ts";
import { crossEntropy } from "../ops/cross-entropy.ts";
import { linearCrossEntropy } from "../ops/linear-cross-entropy.ts";
import { createSegments } from "../ops/segments.ts";
import { type Model, uploadIds, uploadSegments } from "./model.ts";
import { logitsOf, transformer } from "./transformer.ts";

const checkForward = (
  where: string,
  context: Context,
  model: Model,
  ids: unknown,
  rows: number,
  time: number,
): void => {
  checkContext(`${where}: context`, context);
  checkModel(`${where}: model`, model);
  checkIdList(`${where}: ids`, ids);
  checkNumber(`${where}: rows`, rows);
  checkNumber(`${where}: time`, time);
};

/**
 * One pass over `rows` sequences of `time` tokens, all positions of all of them at once. Position t of a row sees
 * tokens 0 to t of that row and no other (without the causal mask all of that row).
 * @experimental
 * @param context where temporaries live: of `withContext(inferenceContext(…))` or `Gradients.record`.
 * @param ids [rows · time], row after row, each a whole number in [0, vocabSize).
 * @param rows sequences, B.
 * @param time tokens of each, T, from 1 to the context length.
 * @returns logits [B, T, V], a temporary of the context: at [b, t, v] the unnormalised log-probability that token v
 *   follows token t of row b.
 * @throws ShapeError for an id out of range, or rows that are too long.
 */
export const forward = (context: Context, model: Model, ids: ArrayLike<number>, rows: number, time: number): Tensor => {
  checkForward("forward", context, model, ids, rows, time);
  const { config, parameters } = model;
  const hidden = transformer(context, config, parameters, uploadIds(context, model, ids, rows, time)); // [B, T, C]
  return logitsOf(context, parameters, hidden); // [B, T, V]
};

/**
 * −ln p(target), summed over all predictions: divide by their number for the mean that is called the loss. As
 * torch.nn.functional.cross_entropy with reduction "sum" and ignore_index −1.
 * @experimental
 * @param context the one that `logits` were computed in.
 * @param logits [.., V], as of `forward`.
 * @param targets the id that should have been predicted at each position, in the same order; −1 leaves one out.
 * @returns the sum in nats, [1], a temporary of the context.
 * @throws ShapeError if there is not one target for each prediction.
 */
export const crossEntropyLoss = (context: Context, logits: Tensor, targets: Int32Array): Tensor => {
  checkContext("crossEntropyLoss: context", context);
  checkTensor("crossEntropyLoss: logits", logits);
  checkInt32("crossEntropyLoss: targets", targets);
  return crossEntropy(context, logits, context.memory.upload(targets, logits.shape.slice(0, -1)));
};

/**
 * `forward` and `crossEntropyLoss` in one. The logits of a large vocabulary are then never all in memory, but computed a
 * range of it at a time, and once more on the way back.
 * @experimental
 * @param ids as for `forward`, [rows · time].
 * @param targets as for `crossEntropyLoss`, [rows · time].
 * @param rows as for `forward`.
 * @param time as for `forward`.
 * @returns the sum in nats, [1], a temporary of the context.
 * @throws ShapeError for an id out of range, rows that are too long, or if there is not one target for each prediction.
 */
export const forwardLoss = (
  context: Context,
  model: Model,
  ids: ArrayLike<number>,
  targets: Int32Array,
  rows: number,
  time: number,
): Tensor => {
  checkForward("forwardLoss", context, model, ids, rows, time);
  checkInt32("forwardLoss: targets", targets);
  const { config, parameters } = model;
  const hidden = transformer(context, config, parameters, uploadIds(context, model, ids, rows, time)); // [B, T, C]
  const loss = linearCrossEntropy(context, hidden, parameters.head, context.memory.upload(targets, [rows, time]));
  spend(context, hidden);
  return loss;
};

/**
 * `forwardLoss` of sequences of different lengths, one after the other, that do not see each other: each has the positions
 * and the logits that it would have alone.
 * @param ids of all of them.
 * @param targets as many; −1 leaves one out.
 * @param lengths of each sequence, from 1 to the context length.
 * @returns the sum in nats, [1], a temporary of the context.
 */
export const segmentsLoss = (
  context: Context,
  model: Model,
  ids: Int32Array,
  targets: Int32Array,
  lengths: readonly number[],
): Tensor => {
  const { config, parameters } = model;
  const segments = createSegments(
    context.memory,
    lengths.map((length) => ({ length })),
  );
  const uploaded = uploadSegments(context, model, ids, segments); // [1, T]
  const hidden = transformer(context, config, parameters, uploaded, { segments }); // [1, T, C]
  const loss = linearCrossEntropy(context, hidden, parameters.head, context.memory.upload(targets, [1, ids.length]));
  spend(context, hidden);
  return loss;
};
