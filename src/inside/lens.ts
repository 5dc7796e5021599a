/** The logit lens. */
import { z } from "zod";
import { type Context, inferenceContext, spend, withContext } from "../autograd/context.ts";
import { readTensor, slice, type Tensor } from "../autograd/tensor.ts";
import { checkKeys, checkLanguageModel, checkSignal } from "../core/checks/check-arguments.ts";
import { parseConfig, withoutUndefined } from "../core/checks/config.ts";
import { yieldToHost } from "../core/system/yield.ts";
import type { Model } from "../models/model.ts";
import { logitsOf } from "../models/transformer.ts";
import { norm } from "../nn/norm.ts";
import { whileOpen } from "../pretrained/model/closed.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { type Candidate, likeliestOf, mostCandidates, softmaxSum } from "../pretrained/model/likeliest.ts";
import { checkFinite } from "./finite.ts";
import { someBelow } from "./options.ts";
import { type LensStage, residualStream } from "./residual-stream.ts";
import { argument, modelHint, type NamedToken, namedToken, namesOf, readIds } from "./tokens.ts";

/** Maximum number of logits on the host at one time (64 MiB). */
const mostLogits = 2 ** 24;

/**
 * Options of `lensOf`.
 * @experimental
 */
export interface LensOptions {
  /**
   * Positions to read, each a whole number from 0 to T − 1. Default: all. For each position the call computes 2 ·
   * nLayer + 1 rows of the head.
   */
  readonly positions?: readonly number[] | undefined;
  /** Number of most probable tokens in each reading. Whole number from 1 to 50. Default 5. */
  readonly top?: number | undefined;
  /** Signal that aborts the call. The call then throws the signal's reason. Default: none. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The token that comes next in the text.
 * @experimental
 */
export interface LensTarget extends NamedToken {
  /** Probability of the token, from 0 to 1: the softmax over all logits. */
  readonly probability: number;
  /** Rank of the token; 1 is the most probable token. Among equal logits the token with the lower id comes first. */
  readonly rank: number;
}

/**
 * The prediction of the model if it ended at this stage.
 * @experimental
 */
export interface LensReading {
  /** Stage of the forward pass. */
  readonly stage: LensStage;
  /** Most probable tokens first. Equally probable tokens are in the order of their ids. */
  readonly top: readonly Candidate[];
  /** The token that comes next in the text. Null at the last position. */
  readonly next: LensTarget | null;
}

/**
 * The predictions at one position, from the embedding to the last MLP.
 * @experimental
 */
export interface LensPosition {
  /** From 0. */
  readonly position: number;
  /** Token at this position. The predictions are for the next token. */
  readonly token: NamedToken;
  /**
   * Readings after the embedding, and after the attention and the MLP of each layer. The last reading is the model's
   * own prediction.
   */
  readonly readings: readonly LensReading[];
}

const parseOptions = (options: Omit<LensOptions, "signal">, time: number) =>
  parseConfig(
    z.strictObject({
      positions: someBelow(time),
      top: z.int().min(1).max(mostCandidates).default(5),
    }),
    withoutUndefined(options),
    "lensOf",
  );

/** Rows of x at some positions, [P, C]. */
const rowsAt = ({ backend, memory }: Context, x: Tensor, positions: readonly number[]): Tensor => {
  const width = x.shape.at(-1) ?? 0;
  const y = memory.allocate([positions.length, width], x.storage.dtype);
  for (const [row, position] of positions.entries()) {
    const [from, to] = [slice(x, position * width, [width]), slice(y, row * width, [width])];
    backend.run("copyRows", { x: from, y: to, rows: 1, width, xStride: width, yStride: width });
  }
  return y;
};

/**
 * Logits of the residual stream at some positions. The final norm and the head compute them for a few rows at a time.
 */
async function* logitRows(
  context: Context,
  { backend, config, parameters, vocabSize }: Model,
  x: Tensor,
  positions: readonly number[],
): AsyncGenerator<{ readonly row: number; readonly logits: ArrayLike<number>; readonly at: number }, void, undefined> {
  const rows = rowsAt(context, x, positions); // [P, C]
  const hidden = norm(context, config.norm, parameters.norm, rows); // [P, C]
  spend(context, rows);
  const width = hidden.shape.at(-1) ?? 0;
  const most = Math.max(1, Math.floor(mostLogits / vocabSize));
  for (let first = 0; first < positions.length; first += most) {
    const count = Math.min(most, positions.length - first);
    const logits = logitsOf(context, parameters, slice(hidden, first * width, [count, width])); // [count, V]
    const values = await readTensor(backend, logits);
    spend(context, logits);
    for (let i = 0; i < count; i++) yield { row: first + i, logits: values, at: i * vocabSize };
    await yieldToHost();
  }
  spend(context, hidden);
}

/** Number of tokens with a higher logit than `id`. Among equal logits, tokens with a lower id count, too. */
const likelier = (logits: ArrayLike<number>, at: number, id: number, vocabSize: number): number => {
  const own = logits[at + id] as number;
  let count = 0;
  for (let v = 0; v < vocabSize; v++) {
    const logit = logits[at + v] as number;
    if (logit > own || (logit === own && v < id)) count++;
  }
  return count;
};

/**
 * The logit lens (nostalgebraist 2020). It applies the model's final norm and head to the residual stream after the
 * embedding, each attention and each MLP. The result is the prediction of a model that ended there.
 * @experimental
 * @param lm a model from `loadPretrained` or `languageModel`.
 * @param text a text, or its token ids: T tokens, from 1 to the context length.
 * @param options positions, and number of tokens to name.
 * @returns for each position, in the requested order, 2 · nLayer + 1 readings. Probabilities are computed in double
 * precision. The last reading has the same bits as `logits`.
 * @throws DataError for no tokens, or a character that the tokenizer lacks.
 * @throws ShapeError for too many tokens, or an invalid id.
 * @throws ConfigError for invalid options, probabilities that are not finite, or a closed model.
 */
export const lensOf = async (
  lm: LanguageModel,
  text: string | ArrayLike<number>,
  options: LensOptions = {},
): Promise<readonly LensPosition[]> => {
  checkLanguageModel("lensOf: model", lm, modelHint);
  checkKeys("lensOf", options, ["positions", "top", "signal"]);
  const { model, tokenizer } = lm;
  const { signal, ...rest } = options;
  checkSignal("lensOf: signal", signal);
  const ids = readIds(argument("lensOf", "text"), lm, text);
  const { positions, top } = parseOptions(rest, ids.length);
  const names = namesOf(tokenizer);
  const nameLikeliest = likeliestOf(names, top);
  const readings = positions.map((): LensReading[] => []);
  await whileOpen("lensOf", model, () =>
    withContext(inferenceContext(model.backend), async (context) => {
      for (const { stage, after } of residualStream(context, model, ids)) {
        signal?.throwIfAborted();
        for await (const { row, logits, at } of logitRows(context, model, after, positions)) {
          const sum = softmaxSum(logits, at, model.vocabSize);
          checkFinite("lensOf", "probabilities", [1 / sum.sum]);
          const id = ids[(positions[row] as number) + 1];
          const next: LensTarget | null =
            id === undefined
              ? null
              : {
                  ...namedToken(names, id),
                  probability: Math.exp((logits[at + id] as number) - sum.highest) / sum.sum,
                  rank: 1 + likelier(logits, at, id, names.vocabSize),
                };
          readings[row]?.push({ stage, top: nameLikeliest(logits, at, sum), next });
        }
      }
    }),
  );
  return positions.map((position, row) => ({
    position,
    token: namedToken(names, ids[position] as number),
    readings: readings[row] ?? [],
  }));
};
