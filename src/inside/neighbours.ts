/** Tokens with vectors that point in similar directions. */

import { z } from "zod";
import { inferenceContext, withContext } from "../autograd/context.ts";
import { readTensor, type Tensor } from "../autograd/tensor.ts";
import type { Backend } from "../backend/backend.ts";
import { checkLanguageModel, checkOptions } from "../core/checks/check-arguments.ts";
import { parseConfig, withoutUndefined } from "../core/checks/config.ts";
import { DataError } from "../core/errors/errors.ts";
import { yieldToHost } from "../core/system/yield.ts";
import type { HostArray } from "../core/tensors/dtype.ts";
import { widenRows } from "../ops/blocks.ts";
import { whileOpen } from "../pretrained/model/closed.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { highestIds } from "../pretrained/model/likeliest.ts";
import { checkFinite } from "./finite.ts";
import { argument, encodeArgument, modelHint, type NamedToken, namedToken, namesOf, readIds } from "./tokens.ts";

/** Number of matrix values read at a time (4 MiB). */
const readAtATime = 2 ** 20;

const optionsSchema = z.strictObject({
  top: z.int().min(1).max(1000).default(10),
  of: z.enum(["embedding", "head"]).default("embedding"),
});

/**
 * Options of `neighboursOf`.
 * @experimental
 */
export interface NeighbourOptions {
  /** Number of neighbours. Whole number from 1 to 1000. Default 10. */
  readonly top?: number | undefined;
  /**
   * Matrix with the rows to compare. A row of `embedding` (the default) represents a token in the input. A row of
   * `head` predicts a token. With tied embeddings, both matrices are the same.
   */
  readonly of?: "embedding" | "head" | undefined;
}

/**
 * A token near another token.
 * @experimental
 */
export interface Neighbour extends NamedToken {
  /** Cosine of the angle between the two rows, from −1 to 1; 0 for a row of zeros. */
  readonly cosine: number;
}

/**
 * The tokens nearest to one token.
 * @experimental
 */
export interface Neighbours {
  /** The token itself. */
  readonly token: NamedToken;
  /**
   * Nearest tokens first. Equally near tokens are in the order of their ids. The list does not contain the token
   * itself.
   */
  readonly neighbours: readonly Neighbour[];
}

/** @throws DataError if a text does not consist of exactly one token. */
const readToken = (lm: LanguageModel, token: number | string): number => {
  const at = argument("neighboursOf", "token");
  if (typeof token !== "string") return readIds(at, lm, [token])[0] as number;
  const ids = encodeArgument(lm.tokenizer, token, at);
  if (ids.length === 1) return ids[0] as number;
  const must = "must be the text of one token, or its id";
  throw new DataError({ ...at, must, got: ids.length === 0 ? "no token" : `${ids.length} tokens` });
};

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
};

/** Rows of a matrix, [count, width]. */
const readRows = (backend: Backend, matrix: Tensor, first: number, count: number): Promise<HostArray> => {
  const { storage, offset, shape, blocks } = matrix;
  const width = shape[1] ?? 0;
  if (blocks === undefined) return backend.read(storage, offset + first * width, count * width);
  return withContext(inferenceContext(backend), (context) =>
    readTensor(backend, widenRows(context, matrix, { first, count })),
  );
};

/**
 * Finds the tokens that are nearest to a token. Tokens are near if the cosine between their rows of the embedding, or
 * of the head, is high. Mikolov et al. 2013 compare word vectors in this way.
 * @experimental
 * @param lm a model from `loadPretrained` or `languageModel`. Adapters do not change these rows.
 * @param token an id, or a text that is one token.
 * @param options number of neighbours, and the matrix.
 * @returns the token and its neighbours. If there are fewer than `top` other tokens, all other tokens are returned.
 * Sums are in double precision.
 * @throws DataError for a text that is not one token.
 * @throws ShapeError for an invalid id.
 * @throws ConfigError for invalid options, rows that are not finite, or a closed model.
 */
export const neighboursOf = async (
  lm: LanguageModel,
  token: number | string,
  options: NeighbourOptions = {},
): Promise<Neighbours> => {
  checkLanguageModel("neighboursOf: model", lm, modelHint);
  checkOptions("neighboursOf: options", options);
  const { model, tokenizer } = lm;
  const { backend, parameters, config } = model;
  const { top, of } = parseConfig(optionsSchema, withoutUndefined(options), "neighboursOf");
  const id = readToken(lm, token);
  const matrix = of === "head" ? parameters.head.weight : parameters.tokens;
  const width = config.nEmbd;
  // An embedding may have more rows than the tokenizer has tokens.
  const count = tokenizer.vocabSize;
  const cosines = new Float64Array(count);
  await whileOpen("neighboursOf", model, async () => {
    const own = await readRows(backend, matrix, id, 1);
    const ownLength = Math.sqrt(dot(own, own));
    const most = Math.max(1, Math.floor(readAtATime / width));
    for (let first = 0; first < count; first += most) {
      const rows = Math.min(most, count - first);
      const values = await readRows(backend, matrix, first, rows);
      for (let i = 0; i < rows; i++) {
        const row = values.subarray(i * width, (i + 1) * width);
        const product = dot(row, own);
        cosines[first + i] = product === 0 ? 0 : product / (ownLength * Math.sqrt(dot(row, row)));
      }
      await yieldToHost();
    }
  });
  checkFinite("neighboursOf", "rows", cosines);
  // Excludes the token itself.
  cosines[id] = Number.NEGATIVE_INFINITY;
  const names = namesOf(tokenizer);
  const nearest = highestIds(cosines, 0, count, Math.min(top + 1, count)).filter((other) => other !== id);
  return {
    token: namedToken(names, id),
    neighbours: nearest
      .slice(0, top)
      .map((other) => ({ ...namedToken(names, other), cosine: cosines[other] as number })),
  };
};
