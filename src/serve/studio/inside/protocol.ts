/**
 * Protocol between page and server for looking inside a model. All requests are POST to addresses that begin with
 * `inside/`. Each response contains the shape of the model, so the page can draw its axes without another request.
 * Tokens beyond the context length are left out; `left` is the number of these tokens. Only `patch` refuses such texts.
 */
import { z } from "zod";
import type { LensPosition } from "../../../inside/lens.ts";
import type { Neighbours } from "../../../inside/neighbours.ts";
import type { NamedToken } from "../../../inside/tokens.ts";
import type { Candidate } from "../../../pretrained/model/likeliest.ts";

const model = z.string().min(1);
const text = z.string().min(1).max(200_000);
const whole = z.int().min(0);

/** Heads that are switched off for this request only. */
export const headsOffSchema = z.array(z.strictObject({ layer: whole, head: whole })).max(65_536);

/** Shape of the model. */
export interface InsideShape {
  readonly nLayer: number;
  /** Number of query heads in each layer. */
  readonly nHead: number;
  readonly contextLength: number;
  readonly vocabSize: number;
  /** Whether no position sees later positions. */
  readonly isCausal: boolean;
  /** Whether the head and the embedding have the same weights. */
  readonly tieEmbeddings: boolean;
  /** Number of learned parameters. */
  readonly parameters: number;
}

interface InsideAnswer {
  readonly shape: InsideShape;
}

/** POST inside/text: `TokensAnswer`. */
export const tokensSchema = z.strictObject({ model, text });
export type TokensRequest = z.infer<typeof tokensSchema>;
export interface TokensAnswer extends InsideAnswer {
  readonly tokens: readonly NamedToken[];
  readonly left: number;
}

/**
 * Two limits: the maximum number of cells along one side of a map, and the maximum number of cells in all maps of a
 * response together.
 */
export const mostSideCells = 256;
export const mostAnswerCells = 2 ** 18;

/** POST inside/attention: `AttentionAnswer`. */
export const attentionSchema = z.strictObject({
  model,
  text,
  /** Default: all. */
  layers: z.array(whole).min(1).max(4096).optional(),
  heads: z.array(whole).min(1).max(4096).optional(),
  /** Positions that get rows: `from` is included, `to` is not. Default: all positions. */
  from: whole.optional(),
  to: z.int().min(1).optional(),
  /** Maximum number of rows of a map. More positions are combined into groups of equal size. Default: 128. */
  cells: z.int().min(1).max(mostSideCells).optional(),
});
export type AttentionRequest = z.infer<typeof attentionSchema>;

/** A range of positions: `from` is included, `to` is not. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface AttentionAnswer extends InsideAnswer {
  /** Tokens of all columns. */
  readonly tokens: readonly NamedToken[];
  readonly left: number;
  /** The positions of each row. */
  readonly rows: readonly Span[];
  /**
   * The positions of each column. The columns have the same groups as the rows. One more column contains all positions
   * before these groups. Another column contains all positions after these groups.
   */
  readonly columns: readonly Span[];
  /**
   * `values[r][c]`: attention of row r to column c. The attention is summed over the positions of the column and
   * averaged over the positions of the row. So each row adds up to 1. Values are rounded to 8 decimal places. With a
   * causal mask, a row ends with the last column that the row can see.
   */
  readonly maps: readonly {
    readonly layer: number;
    readonly head: number;
    readonly values: readonly (readonly number[])[];
  }[];
}

/**
 * Maximum number of positions of one lens request. For each position, each stage of the model needs one matrix product
 * with the vocabulary.
 */
export const mostLensPositions = 64;

/**
 * POST inside/lens: `LensAnswer` for a range of positions: `from` is included, `to` is not. Default of `from`: 0.
 * Default of `to`: the maximum number of positions.
 */
export const lensSchema = z.strictObject({
  model,
  text,
  from: whole.optional(),
  to: z.int().min(1).optional(),
  /** Number of most probable tokens to report. Default: 5. */
  top: z.int().min(1).max(20).optional(),
  /**
   * Id of a token to use after the last position instead of the text's own token. The response then has the probability
   * and the rank of this token at each stage. Not allowed if the context is full. Also not allowed for a model without
   * a causal mask, because earlier positions would see the token.
   */
  next: whole.optional(),
});
export type LensRequest = z.infer<typeof lensSchema>;
export interface LensAnswer extends InsideAnswer {
  readonly left: number;
  readonly positions: readonly LensPosition[];
}

/** POST inside/neighbours: `NeighboursAnswer`. `token` is the id or the text of a token. */
export const neighboursSchema = z.strictObject({
  model,
  token: z.union([whole, z.string().min(1).max(1000)]),
  top: z.int().min(1).max(100).optional(),
  of: z.enum(["embedding", "head"]).optional(),
});
export type NeighboursRequest = z.infer<typeof neighboursSchema>;
export type NeighboursAnswer = InsideAnswer & Neighbours;

/** POST inside/pair: `PairAnswer`, two texts for `inside/patch`. */
export const pairSchema = z.strictObject({
  model,
  text,
  /** Whether the clean text must be the whole text. Default: false; it may be any part of the text. */
  whole: z.boolean().optional(),
});
export type PairRequest = z.infer<typeof pairSchema>;
export interface PairAnswer extends InsideAnswer {
  /**
   * Two texts that differ in one token, and after which the model predicts different tokens. Null: no such change of one
   * token was found, or the text is too long or too short.
   */
  readonly pair: { readonly clean: string; readonly corrupted: string } | null;
}

/** Maximum number of places of one patch request. The model computes two forward passes for each place. */
export const mostPlaces = 64;

/** POST inside/patch: `PatchAnswer`. Both texts must have the same number of tokens. */
export const patchSchema = z.strictObject({
  model,
  clean: text,
  corrupted: text,
  /**
   * Places to patch, each in a separate experiment. Without places, the response describes only the two texts without
   * patches.
   */
  places: z
    .array(z.strictObject({ layer: whole, position: whole, part: z.enum(["attention", "mlp", "residual"]) }))
    .max(mostPlaces),
  /** The position with the reported prediction. Default: the last position. */
  at: whole.optional(),
  /** Id of the token with the reported probability. Default: the most probable token after the clean text. */
  answer: whole.optional(),
});
export type PatchRequest = z.infer<typeof patchSchema>;
export type PatchPart = PatchRequest["places"][number]["part"];

/** The prediction at position `at`. */
export interface PatchReading {
  /** Probability of the token `answer`. */
  readonly probability: number;
  readonly top: readonly Candidate[];
  /** Loss of the whole text, in nats per token. Null: the text has only one token. */
  readonly loss: number | null;
}

export interface PatchAnswer extends InsideAnswer {
  readonly tokens: { readonly clean: readonly NamedToken[]; readonly corrupted: readonly NamedToken[] };
  readonly at: number;
  readonly answer: NamedToken;
  readonly clean: PatchReading;
  readonly corrupted: PatchReading;
  /**
   * One prediction for each entry of `places`. The prediction is for the corrupted text, in which one activation is
   * replaced by the same activation of the clean text.
   */
  readonly patched: readonly PatchReading[];
}
