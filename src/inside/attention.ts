/** Attention matrices of chosen heads. */
import { z } from "zod";
import { type Context, inferenceContext, spend, withContext } from "../autograd/context.ts";
import { readTensor, type Tensor } from "../autograd/tensor.ts";
import { checkLanguageModel, checkOptions } from "../core/checks/check-arguments.ts";
import { parseConfig, withoutUndefined } from "../core/checks/config.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { yieldToHost } from "../core/system/yield.ts";
import { layerOf } from "../models/layers.ts";
import type { Model } from "../models/model.ts";
import { branchInput } from "../nn/block.ts";
import { headsOf, queriesKeysValues } from "../nn/causal-self-attention.ts";
import { anglesFor, type LayerSpec } from "../nn/layer-spec.ts";
import type { AttentionMask, Heads } from "../ops/causal-attention.ts";
import { whileOpen } from "../pretrained/model/closed.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { checkFinite } from "./finite.ts";
import { below, someBelow } from "./options.ts";
import { residualStream } from "./residual-stream.ts";
import { argument, modelHint, type NamedToken, namedToken, namesOf, readIds } from "./tokens.ts";

/**
 * Maximum number of probabilities in one call (32 MiB). This number suffices for four heads over 1,024 tokens, or for
 * 144 heads over 170 tokens.
 */
export const mostAttentionCells = 2 ** 22;

/**
 * Options of `attentionOf`.
 * @experimental
 */
export interface AttentionOfOptions {
  /** Layers to return, each from 0 to nLayer − 1. Default: all. */
  readonly layers?: readonly number[] | undefined;
  /** Query heads to return from each layer, each from 0 to nHead − 1. Default: all. */
  readonly heads?: readonly number[] | undefined;
  /** First position to return. Whole number from 0. Default 0. */
  readonly from?: number | undefined;
  /** Position after the last position to return, at most the number of tokens, T. Default T. */
  readonly to?: number | undefined;
}

/**
 * Attention of one head.
 * @experimental
 */
export interface AttentionMap {
  /** From 0 to nLayer − 1. */
  readonly layer: number;
  /** From 0 to nHead − 1. */
  readonly head: number;
  /**
   * [to − from, T], row after row. Element (i − from) · T + j is the share of position i's attention that position j
   * gets. The sum of a row is 1. An element is 0 if i does not see j: j is after i, or j is before the window.
   */
  readonly probabilities: Float64Array;
}

/**
 * Attention of the positions of a text.
 * @experimental
 */
export interface AttentionMaps {
  /** All T tokens of the text. */
  readonly tokens: readonly NamedToken[];
  /** First position that has a row in the matrices. */
  readonly from: number;
  /** Position after the last position that has a row in the matrices. */
  readonly to: number;
  /** All heads of each layer, in the requested order. */
  readonly maps: readonly AttentionMap[];
}

const parseOptions = (options: AttentionOfOptions, { nLayer, nHead }: Model["config"], time: number) => {
  checkOptions("attentionOf: options", options);
  const schema = z.strictObject({
    layers: someBelow(nLayer),
    heads: someBelow(nHead),
    from: below(time).default(0),
    to: z.int().min(1).max(time).default(time),
  });
  const parsed = parseConfig(schema, withoutUndefined(options), "attentionOf");
  const { layers, heads, from, to } = parsed;
  if (from >= to) {
    throw new ConfigError({ ...argument("attentionOf", "from"), must: `must be below to, ${to}`, got: String(from) });
  }
  const maps = layers.length * heads.length;
  const cells = maps * (to - from) * time;
  if (cells > mostAttentionCells) {
    const rows = Math.floor(mostAttentionCells / (maps * time));
    throw new ConfigError({
      where: "attentionOf",
      must: `heads times positions times tokens must be at most ${mostAttentionCells}`,
      got: `${maps} heads, ${to - from} positions and ${time} tokens`,
      hint: rows > 0 ? `{ to: ${from + rows} } or less` : "one layer and one head",
    });
  }
  return parsed;
};

/** Which keys a position sees, and the factor by which q·k is multiplied. */
export interface AttentionWays extends Pick<LayerSpec, "window" | "scale"> {
  readonly mask: AttentionMask;
}

/**
 * Softmax of the scaled q·k over the keys that a position sees, for positions [from, to) of one head: [to − from, T].
 */
export const attentionProbabilities = (
  qkv: ArrayLike<number>,
  time: number,
  { heads, keyHeads, headDim }: Heads,
  { mask, window, scale }: AttentionWays,
  { head, from, to }: { readonly head: number; readonly from: number; readonly to: number },
): Float64Array => {
  const stride = (heads + 2 * keyHeads) * headDim;
  const queries = head * headDim;
  const keys = (heads + Math.floor((head * keyHeads) / heads)) * headDim;
  // The keys of the head are copied next to each other, because each key is read for many queries. In qkv the keys are
  // far apart.
  const near = new Float64Array(time * headDim);
  for (let j = 0; j < time; j++) {
    for (let d = 0; d < headDim; d++) near[j * headDim + d] = qkv[j * stride + keys + d] as number;
  }
  const query = new Float64Array(headDim);
  const probabilities = new Float64Array((to - from) * time);
  for (let i = from; i < to; i++) {
    const row = probabilities.subarray((i - from) * time, (i - from + 1) * time);
    const end = mask === "causal" ? i + 1 : time;
    const begin = window === null ? 0 : Math.max(0, end - window);
    for (let d = 0; d < headDim; d++) query[d] = qkv[i * stride + queries + d] as number;
    let highest = Number.NEGATIVE_INFINITY;
    for (let j = begin; j < end; j++) {
      const k = j * headDim;
      let product = 0;
      for (let d = 0; d < headDim; d++) product += (query[d] as number) * (near[k + d] as number);
      row[j] = product * scale;
      highest = Math.max(highest, product * scale);
    }
    let sum = 0;
    for (let j = begin; j < end; j++) {
      const weight = Math.exp((row[j] as number) - highest);
      row[j] = weight;
      sum += weight;
    }
    for (let j = begin; j < end; j++) row[j] = (row[j] as number) / sum;
  }
  return probabilities;
};

/** Queries, keys and values of a layer with input x. */
const projected = (context: Context, { config, parameters }: Model, layer: number, x: Tensor): Tensor => {
  const block = parameters.blocks[layer];
  if (block === undefined) throw new Error(`the model has no layer ${layer}`);
  const spec = layerOf(config, layer);
  const input = branchInput(context, config, block.attentionNorm, x);
  const angles = anglesFor(spec, parameters.angles);
  const qkv = queriesKeysValues(context, config, spec, block.attention, input, angles, null);
  if (input !== x) spend(context, input);
  return qkv;
};

/**
 * Returns how much each position of a text attends to each other position, for chosen heads. The result is the softmax
 * over j ≤ i of q[i]·k[j] / √D (Vaswani et al. 2017). The window and the factor of the model's configuration are used.
 * Without the causal mask a position attends to all positions.
 * Queries and keys are computed as for `logits`, with norms, rotation and adapters. The softmax is computed in double
 * precision.
 * @experimental
 * @param lm a model from `loadPretrained` or `languageModel`. A head that `withoutHeads` switched off still has
 * probabilities: only its values are not used.
 * @param text a text, or its token ids: T tokens, from 1 to the context length.
 * @param options layers, heads and positions: together at most 4,194,304 probabilities, for example four heads over
 * 1,024 tokens.
 * @returns a matrix for each head, owned by the caller.
 * @throws DataError for no tokens, or a character that the tokenizer lacks.
 * @throws ShapeError for too many tokens, or an invalid id.
 * @throws ConfigError for invalid options, too many probabilities, values that are not finite, or a closed model.
 */
export const attentionOf = async (
  lm: LanguageModel,
  text: string | ArrayLike<number>,
  options: AttentionOfOptions = {},
): Promise<AttentionMaps> => {
  checkLanguageModel("attentionOf: model", lm, modelHint);
  const { model, tokenizer } = lm;
  const { config, backend } = model;
  const ids = readIds(argument("attentionOf", "text"), lm, text);
  const time = ids.length;
  const { layers, heads, from, to } = parseOptions(options, config, time);
  const last = Math.max(...layers);
  const maps = new Map<string, AttentionMap>();
  await whileOpen("attentionOf", model, () =>
    withContext(inferenceContext(backend), async (context) => {
      for (const { stage, after } of residualStream(context, model, ids)) {
        if (stage.kind === "attention") continue;
        // The layer that reads the residual stream at this stage.
        const layer = stage.kind === "embedding" ? 0 : stage.layer + 1;
        if (layers.includes(layer)) {
          const qkv = projected(context, model, layer, after);
          const values = await readTensor(backend, qkv);
          spend(context, qkv);
          const ways = { ...layerOf(config, layer), mask: config.mask };
          for (const head of heads) {
            const place = { head, from, to };
            const probabilities = attentionProbabilities(values, time, headsOf(config), ways, place);
            checkFinite("attentionOf", "probabilities", probabilities);
            maps.set(`${layer} ${head}`, { layer, head, probabilities });
            await yieldToHost();
          }
        }
        if (layer >= last) break;
      }
    }),
  );
  const names = namesOf(tokenizer);
  return {
    tokens: Array.from(ids, (id) => namedToken(names, id)),
    from,
    to,
    maps: layers.flatMap((layer) =>
      heads.map((head) => {
        const map = maps.get(`${layer} ${head}`);
        if (map === undefined) throw new Error(`head ${head} of layer ${layer} was not computed`);
        return map;
      }),
    ),
  };
};
