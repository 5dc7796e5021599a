/**
 * Activation patching: copies an activation from the forward pass of one text into the forward pass of another text.
 */
import { z } from "zod";
import { type Context, inferenceContext, withContext } from "../autograd/context.ts";
import { readTensor, slice, type Tensor } from "../autograd/tensor.ts";
import { checkKeys, checkLanguageModel } from "../core/checks/check-arguments.ts";
import { parseConfig } from "../core/checks/config.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { type HostArray, hostArray } from "../core/tensors/dtype.ts";
import type { Model } from "../models/model.ts";
import { logitsOf } from "../models/transformer.ts";
import { norm } from "../nn/norm.ts";
import { whileOpen } from "../pretrained/model/closed.ts";
import type { LanguageModel, Logits } from "../pretrained/model/language-model.ts";
import { softmaxSum } from "../pretrained/model/likeliest.ts";
import { checkFinite } from "./finite.ts";
import { below } from "./options.ts";
import { residualStream, type StreamStage } from "./residual-stream.ts";
import { argument, modelHint, readIds } from "./tokens.ts";

const parts = ["attention", "mlp", "residual"] as const;

/**
 * Options of `patched`: what it replaces.
 * @experimental
 */
export interface PatchOptions {
  /**
   * Clean text, or its token ids: T tokens, from 1 to the context length. `patched` copies the activation from the
   * forward pass of this text.
   */
  readonly clean: string | ArrayLike<number>;
  /**
   * Corrupted text, or its token ids: also T tokens. `patched` replaces an activation in the forward pass of this text.
   */
  readonly corrupted: string | ArrayLike<number>;
  /** From 0 to nLayer − 1. */
  readonly layer: number;
  /** From 0 to T − 1. */
  readonly position: number;
  /**
   * `attention` or `mlp`: the vector that the layer's branch adds to the residual stream. `residual`: the whole
   * residual stream after the layer.
   */
  readonly part: "attention" | "mlp" | "residual";
}

/**
 * Result of the forward pass of the corrupted text, with one activation of the clean text.
 * @experimental
 */
export interface Patched {
  /** Logits of every position. Positions before `position` have the same logits as without the patch. */
  readonly logits: Logits;
  /**
   * Mean of −ln p over the corrupted text's tokens except the first, in nats per token. Null for a text of one token.
   */
  readonly loss: number | null;
}

/** The options without the two texts. */
type PatchPlace = Pick<PatchOptions, "layer" | "position" | "part">;

const parsePlace = (place: PatchPlace, { nLayer }: Model["config"], time: number): PatchPlace =>
  parseConfig(
    z.strictObject({
      layer: below(nLayer),
      position: below(time),
      part: z.enum(parts),
    }),
    place,
    "patched",
  );

/** Whether the activation can be read after this stage. */
const isPlace = ({ stage }: StreamStage, { layer, part }: PatchPlace): boolean =>
  stage.kind === (part === "attention" ? "attention" : "mlp") && stage.layer === layer;

const rowOf = (x: Tensor, position: number): Tensor => {
  const width = x.shape.at(-1) ?? 0;
  return slice(x, position * width, [width]);
};

/** The residual stream at a position, before and after a branch. */
const readRows = async (
  { backend }: Context,
  { before, after }: StreamStage,
  position: number,
): Promise<{ readonly before: HostArray; readonly after: HostArray }> => {
  if (before === null) throw new Error("the residual stream before the branch must exist");
  return {
    before: await readTensor(backend, rowOf(before, position)),
    after: await readTensor(backend, rowOf(after, position)),
  };
};

/** Mean of −ln p over the tokens except the first. */
const lossOf = (logits: ArrayLike<number>, ids: Int32Array, vocabSize: number): number | null => {
  if (ids.length === 1) return null;
  let total = 0;
  for (let t = 0; t + 1 < ids.length; t++) {
    const { highest, sum } = softmaxSum(logits, t * vocabSize, vocabSize);
    total += highest + Math.log(sum) - (logits[t * vocabSize + (ids[t + 1] as number)] as number);
  }
  return total / (ids.length - 1);
};

/**
 * Activation patching (Vig et al. 2020, Meng et al. 2022). The call computes a forward pass of the corrupted text. One
 * activation is replaced with the clean text's activation at the same place. The change of the logits shows what the
 * activation encodes.
 * @experimental
 * @param lm a model from `loadPretrained` or `languageModel`.
 * @param options two texts with the same number of tokens, and the place.
 * @returns the logits and the loss of the corrupted text. A branch's vector is the difference between the residual
 * stream after the branch and before the branch, so it is rounded twice. If both texts are the same, the result equals
 * the text's own logits only up to rounding. With the part `residual`, both are exactly equal.
 * @throws DataError for no tokens, or a character that the tokenizer lacks.
 * @throws ShapeError for too many tokens, an invalid id, or texts of different lengths.
 * @throws ConfigError for invalid options, logits that are not finite, or a closed model.
 */
export const patched = async (lm: LanguageModel, options: PatchOptions): Promise<Patched> => {
  checkLanguageModel("patched: model", lm, modelHint);
  checkKeys("patched", options, ["clean", "corrupted", "layer", "position", "part"]);
  const { model } = lm;
  const { backend, config, parameters, vocabSize } = model;
  const { clean, corrupted, ...rest } = options;
  const from = readIds(argument("patched", "clean"), lm, clean);
  const ids = readIds(argument("patched", "corrupted"), lm, corrupted);
  if (from.length !== ids.length) {
    const must = "clean and corrupted must have the same number of tokens";
    throw new ShapeError({ where: "patched", must, got: `${from.length} and ${ids.length}` });
  }
  const place = parsePlace(rest, config, ids.length);
  const { position, part } = place;
  const data = await whileOpen("patched", model, () =>
    withContext(inferenceContext(backend), async (context) => {
      let source: Awaited<ReturnType<typeof readRows>> | undefined;
      for (const found of residualStream(context, model, from)) {
        if (!isPlace(found, place)) continue;
        source = await readRows(context, found, position);
        break;
      }
      let last: Tensor | undefined;
      for (const found of residualStream(context, model, ids)) {
        last = found.after;
        if (source === undefined || !isPlace(found, place)) continue;
        const { before, after } = source;
        let row = after;
        if (part !== "residual") {
          const own = (await readRows(context, found, position)).before;
          row = hostArray(last.storage.dtype, own.length);
          for (let c = 0; c < own.length; c++) {
            row[c] = (own[c] as number) + ((after[c] as number) - (before[c] as number));
          }
        }
        backend.write(last.storage, row, rowOf(last, position).offset);
      }
      if (source === undefined || last === undefined) throw new Error(`the pass has no layer ${place.layer}`);
      const hidden = norm(context, config.norm, parameters.norm, last); // [1, T, C]
      return Float32Array.from(await readTensor(backend, logitsOf(context, parameters, hidden))); // [1, T, V]
    }),
  );
  checkFinite("patched", "logits", data);
  return { logits: { data, shape: [ids.length, vocabSize] }, loss: lossOf(data, ids, vocabSize) };
};
