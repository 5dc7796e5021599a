/**
 * Answers requests about the inside of a loaded model. Each request takes a turn. The studio's run is paused during the
 * turn.
 */

import { ConfigError } from "../../../core/errors/errors.ts";
import { mostAttentionCells } from "../../../inside/attention.ts";
import type { NamedToken } from "../../../inside/tokens.ts";
import { namedToken, namesOf } from "../../../inside/tokens.ts";
import { modelLayout } from "../../../models/model.ts";
import type { Logits } from "../../../pretrained/model/language-model.ts";
import { likeliestOf, softmaxSum } from "../../../pretrained/model/likeliest.ts";
import { withBegin } from "../../../tokenizer/begin.ts";
import type { WorkerModel } from "../../../worker/model.node.ts";
import type { Models } from "../models.ts";
import type { Turns } from "../turns.ts";
import { inRequest } from "./field.ts";
import { gridOf, valuesOf } from "./groups.ts";
import { findPair } from "./pair.ts";
import {
  type AttentionAnswer,
  type AttentionRequest,
  type InsideShape,
  type LensAnswer,
  type LensRequest,
  mostAnswerCells,
  mostLensPositions,
  type NeighboursAnswer,
  type NeighboursRequest,
  type PairAnswer,
  type PairRequest,
  type PatchAnswer,
  type PatchReading,
  type PatchRequest,
  type TokensAnswer,
  type TokensRequest,
} from "./protocol.ts";

export interface InsideParts {
  readonly models: Models;
  readonly turns: Turns;
}

/** A request with the place of the model instead of the model's key. */
type Asked<Request> = Omit<Request, "model"> & { readonly place: string };

const shapeOf = ({ config, tokenizer }: WorkerModel): InsideShape => {
  const { nLayer, nHead, contextLength, mask, tieEmbeddings } = config;
  const { vocabSize } = tokenizer;
  const parameters = modelLayout(config, vocabSize).count;
  return { nLayer, nHead, contextLength, vocabSize, isCausal: mask === "causal", tieEmbeddings, parameters };
};

/** Takes a turn and executes `work` on the model with all heads switched on. */
const withModel = async <T>(
  { models, turns }: InsideParts,
  place: string,
  signal: AbortSignal,
  work: (model: WorkerModel) => Promise<T>,
): Promise<T> => {
  const turn = await turns.take(signal);
  try {
    const model = await models.load(place, { headsOff: [], signal });
    return await work(model).catch((error: unknown) => {
      throw inRequest(error);
    });
  } finally {
    turn.release();
  }
};

const named = ({ tokenizer }: WorkerModel, ids: ArrayLike<number>): readonly NamedToken[] => {
  const names = namesOf(tokenizer);
  return Array.from(ids, (id) => namedToken(names, id));
};

/** The first tokens of a text, cut to the context length, and the number of tokens that were left out. */
const readTokens = ({ tokenizer, config }: WorkerModel, text: string) => {
  const all = withBegin(tokenizer, tokenizer.encode(text, "text"));
  const ids = all.slice(0, config.contextLength);
  return { ids, left: all.length - ids.length };
};

/**
 * Checks the range of positions: `from` is included, `to` is not. @throws ConfigError for an empty range, or for
 * positions beyond the text.
 */
const rangeOf = (from: number, to: number, time: number): void => {
  if (to > time)
    throw new ConfigError({
      where: "to",
      must: `must be at most ${time}, the number of the text's tokens`,
      got: `${to}`,
    });
  if (from >= to) throw new ConfigError({ where: "from", must: `must be below to, ${to}`, got: String(from) });
};

export const tokensOf = (
  parts: InsideParts,
  { place, text }: Asked<TokensRequest>,
  signal: AbortSignal,
): Promise<TokensAnswer> =>
  withModel(parts, place, signal, async (model) => {
    const { ids, left } = readTokens(model, text);
    return { shape: shapeOf(model), tokens: named(model, ids), left };
  });

const checkCells = (maps: number, cells: number, computed: number): void => {
  const tooMany = (must: string, got: string) =>
    new ConfigError({ where: "attention", must, got, hint: "fewer layers, heads or positions" });
  if (cells > mostAnswerCells)
    throw tooMany(`heads times rows times columns must be at most ${mostAnswerCells}`, `${maps} heads, ${cells} cells`);
  if (computed > mostAttentionCells)
    throw tooMany(`heads times positions times tokens must be at most ${mostAttentionCells}`, String(computed));
};

export const attentionMaps = (
  parts: InsideParts,
  { place, text, layers, heads, from = 0, to, cells = 128 }: Asked<AttentionRequest>,
  signal: AbortSignal,
): Promise<AttentionAnswer> =>
  withModel(parts, place, signal, async (model) => {
    const shape = shapeOf(model);
    const { ids, left } = readTokens(model, text);
    const end = to ?? ids.length;
    rangeOf(from, end, ids.length);
    // With a causal mask, later tokens have no effect on earlier positions, so leave them out.
    const read = shape.isCausal ? ids.subarray(0, end) : ids;
    const time = read.length;
    const grid = gridOf(from, end, time, cells);
    const maps = (layers?.length ?? shape.nLayer) * (heads?.length ?? shape.nHead);
    checkCells(maps, maps * grid.rows.length * grid.columns.length, maps * (end - from) * time);
    const found = await model.attentionOf(read, { layers, heads, from, to: end });
    signal.throwIfAborted();
    const values = found.maps.map((map) => ({
      layer: map.layer,
      head: map.head,
      values: valuesOf(map, time, grid, shape.isCausal),
    }));
    return { shape, tokens: named(model, read), left, ...grid, maps: values };
  });

/**
 * The ids before `end`, followed by `next`. @throws ConfigError if `next` does not fit into the model. Also throws if
 * there is no causal mask, because earlier positions would see `next`.
 */
const followedBy = (
  ids: ArrayLike<number>,
  end: number,
  next: number,
  { contextLength, vocabSize, isCausal }: InsideShape,
): readonly number[] => {
  const refuse = (must: string, got: string) => new ConfigError({ where: "next", must, got, hint: "no next" });
  if (!isCausal) throw refuse("must be used with a model that has a causal mask", "a model without a causal mask");
  if (end >= contextLength) throw refuse(`must follow one of the first ${contextLength - 1} tokens`, `token ${end}`);
  if (next >= vocabSize) throw refuse(`must be below ${vocabSize}`, String(next));
  return [...Array.from(ids).slice(0, end), next];
};

export const lensReadings = (
  parts: InsideParts,
  { place, text, from = 0, to, top, next }: Asked<LensRequest>,
  signal: AbortSignal,
): Promise<LensAnswer> =>
  withModel(parts, place, signal, async (model) => {
    const shape = shapeOf(model);
    const { ids, left } = readTokens(model, text);
    const end = to ?? Math.min(ids.length, from + mostLensPositions);
    rangeOf(from, end, ids.length);
    if (end - from > mostLensPositions) {
      const must = `must be at most ${mostLensPositions} positions after from`;
      throw new ConfigError({ where: "to", must, got: String(end), hint: String(from + mostLensPositions) });
    }
    const positions = Array.from({ length: end - from }, (_, i) => from + i);
    // With a causal mask, only one later token matters: the token after the last position. Its probability is reported.
    const read =
      next !== undefined ? followedBy(ids, end, next, shape) : shape.isCausal ? ids.subarray(0, end + 1) : ids;
    return { shape, left, positions: await model.lensOf(read, { positions, top, signal }) };
  });

export const neighbours = (
  parts: InsideParts,
  { place, token, ...options }: Asked<NeighboursRequest>,
  signal: AbortSignal,
): Promise<NeighboursAnswer> =>
  withModel(parts, place, signal, async (model) => ({
    shape: shapeOf(model),
    ...(await model.neighboursOf(token, options)),
  }));

/** Without a causal mask, a token is predicted from later tokens too, so there is no pair. */
export const proposePair = (
  parts: InsideParts,
  { place, text, whole = false }: Asked<PairRequest>,
  signal: AbortSignal,
): Promise<PairAnswer> =>
  withModel(parts, place, signal, async (model) => {
    const shape = shapeOf(model);
    const { parameters, isCausal } = shape;
    const { left } = readTokens(model, text);
    const canSearch = isCausal && (!whole || left === 0);
    return { shape, pair: (canSearch && (await findPair(model, text, { whole, parameters, signal }))) || null };
  });

/**
 * Maximum number of logits of a forward pass: 64 MiB. The number is limited because the logits are sent between
 * threads.
 */
const mostLogits = 2 ** 24;

/** Reads the two texts of a patch. @throws ConfigError if the texts do not match each other or the model. */
const readPair = (model: WorkerModel, { clean, corrupted, at }: Pick<PatchRequest, "clean" | "corrupted" | "at">) => {
  const { tokenizer, config } = model;
  const read = (text: string, where: string): Int32Array => withBegin(tokenizer, tokenizer.encode(text, where));
  const texts = { clean: read(clean, "clean"), corrupted: read(corrupted, "corrupted") };
  const time = texts.clean.length;
  const most = Math.min(config.contextLength, Math.floor(mostLogits / tokenizer.vocabSize));
  if (time > most)
    throw new ConfigError({ where: "clean", must: `must be at most ${most} tokens for this model`, got: String(time) });
  if (time !== texts.corrupted.length) {
    const got = `${time} and ${texts.corrupted.length}`;
    throw new ConfigError({ where: "corrupted", must: "must have the same number of tokens as the clean text", got });
  }
  const position = at ?? time - 1;
  if (position >= time)
    throw new ConfigError({
      where: "at",
      must: `must be below ${time}, the number of tokens of each text`,
      got: String(position),
    });
  return { ...texts, position };
};

/**
 * Checks all places before anything is computed. @throws ConfigError for a place that does not exist in the model or in
 * the texts.
 */
const checkPlaces = (places: PatchRequest["places"], { nLayer }: WorkerModel["config"], time: number): void => {
  for (const [i, { layer, position }] of places.entries()) {
    if (layer >= nLayer)
      throw new ConfigError({ where: `places.${i}.layer`, must: `must be at most ${nLayer - 1}`, got: String(layer) });
    if (position >= time) {
      const must = `must be below ${time}, the number of tokens of each text`;
      throw new ConfigError({ where: `places.${i}.position`, must, got: String(position) });
    }
  }
};

export const patches = (
  parts: InsideParts,
  { place, places, answer: asked, ...texts }: Asked<PatchRequest>,
  signal: AbortSignal,
): Promise<PatchAnswer> =>
  withModel(parts, place, signal, async (model) => {
    const { clean, corrupted, position } = readPair(model, texts);
    checkPlaces(places, model.config, clean.length);
    const names = namesOf(model.tokenizer);
    if (asked !== undefined && asked >= names.vocabSize)
      throw new ConfigError({ where: "answer", must: `must be below ${names.vocabSize}`, got: String(asked) });
    const nameLikeliest = likeliestOf(names, 5);
    const predict = ({ data, shape: [, width] }: Logits) => {
      const row = position * width;
      const sum = softmaxSum(data, row, width);
      return {
        top: nameLikeliest(data, row, sum),
        probabilityOf: (id: number) => Math.exp((data[row + id] ?? 0) - sum.highest) / sum.sum,
      };
    };
    const pass = async (from: ArrayLike<number>, one: PatchRequest["places"][number]) => {
      signal.throwIfAborted();
      const { logits, loss } = await model.patched({ clean: from, corrupted, ...one });
      return { ...predict(logits), loss };
    };
    // If a text is patched with its own residual stream, its logits stay exactly the same.
    const itself = { layer: 0, position: 0, part: "residual" } as const;
    const whole = await model.patched({ clean, corrupted: clean, ...itself });
    const right = { ...predict(whole.logits), loss: whole.loss };
    const answer = asked ?? right.top[0]?.id ?? 0;
    const reading = ({ top, loss, probabilityOf }: typeof right): PatchReading => ({
      probability: probabilityOf(answer),
      top,
      loss,
    });
    const wrong = await pass(corrupted, itself);
    const patched: PatchReading[] = [];
    for (const one of places) patched.push(reading(await pass(clean, one)));
    return {
      shape: shapeOf(model),
      tokens: { clean: named(model, clean), corrupted: named(model, corrupted) },
      at: position,
      answer: namedToken(names, answer),
      clean: reading(right),
      corrupted: reading(wrong),
      patched,
    };
  });
