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
 * Computes one forward pass over `rows` sequences of `time` tokens. Position t of a row sees tokens 0 to t of the row.
 * Without the causal mask, each position sees the whole row. Rows do not see each other.
 * @experimental
 * @param context owns the temporary tensors. The context comes from `withContext(inferenceContext(…))` or
 * `Gradients.record`.
 * @param ids [rows · time], row after row, each a whole number in [0, vocabSize).
 * @param rows number of sequences, B.
 * @param time tokens of each sequence, T, from 1 to the context length.
 * @returns logits [B, T, V], a temporary of the context. The logit at [b, t, v] is the unnormalised log-probability
 * that token v follows token t of row b.
 * @throws ShapeError for an id out of range, or rows that are too long.
 */
export const forward = (context: Context, model: Model, ids: ArrayLike<number>, rows: number, time: number): Tensor => {
  checkForward("forward", context, model, ids, rows, time);
  const { config, parameters } = model;
  const hidden = transformer(context, config, parameters, uploadIds(context, model, ids, rows, time)); // [B, T, C]
  return logitsOf(context, parameters, hidden); // [B, T, V]
};

/**
 * Sum of −ln p(target) over all predictions. Divide the sum by the number of predictions to get the mean loss. Like
 * torch.nn.functional.cross_entropy with reduction "sum" and ignore_index −1.
 * @experimental
 * @param context the context in which `logits` were computed.
 * @param logits [.., V], as from `forward`.
 * @param targets the correct id for each position, in the order of `logits`; −1 skips a position.
 * @returns the sum in nats, [1], a temporary of the context.
 * @throws ShapeError if the number of targets differs from the number of predictions.
 */
export const crossEntropyLoss = (context: Context, logits: Tensor, targets: Int32Array): Tensor => {
  checkContext("crossEntropyLoss: context", context);
  checkTensor("crossEntropyLoss: logits", logits);
  checkInt32("crossEntropyLoss: targets", targets);
  return crossEntropy(context, logits, context.memory.upload(targets, logits.shape.slice(0, -1)));
};

/**
 * `forward` and `crossEntropyLoss` in one call. For a large vocabulary, this function saves memory. It computes the
 * logits for one range of the vocabulary at a time, and computes them again in the backward pass.
 * @experimental
 * @param ids as for `forward`, [rows · time].
 * @param targets as for `crossEntropyLoss`, [rows · time].
 * @param rows as for `forward`.
 * @param time as for `forward`.
 * @returns the sum in nats, [1], a temporary of the context.
 * @throws ShapeError for an id out of range, rows that are too long, or a number of targets that differs from the
 * number of predictions.
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
 * `forwardLoss` for concatenated sequences of different lengths. The sequences do not see each other: each sequence
 * gets the same positions and logits as in a separate pass.
 * @param ids ids of all sequences.
 * @param targets one target for each id; −1 skips a position.
 * @param lengths length of each sequence, from 1 to the context length.
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
