/**
 * Protocol between page and server for looking inside a model. All requests are POST to addresses that begin with
 * `inside/`. Each answer contains the shape of the model, so the page needs no other request to draw its axes. Tokens
 * beyond the context length are left out; `left` is the number of these tokens. Only `patch` refuses such texts.
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
  /** Whether the head and the embedding share their weights. */
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

/** Maximum number of cells along one side of a map, and maximum number of cells in all maps of an answer together. */
export const mostSideCells = 256;
export const mostAnswerCells = 2 ** 18;

/** POST inside/attention: `AttentionAnswer`. */
export const attentionSchema = z.strictObject({
  model,
  text,
  /** Default: all. */
  layers: z.array(whole).min(1).max(4096).optional(),
  heads: z.array(whole).min(1).max(4096).optional(),
  /** Positions that get rows: from `from` up to, but not including, `to`. Default: all. */
  from: whole.optional(),
  to: z.int().min(1).optional(),
  /** Maximum number of rows of a map. More positions are combined into groups of equal size. Default 128. */
  cells: z.int().min(1).max(mostSideCells).optional(),
});
export type AttentionRequest = z.infer<typeof attentionSchema>;

/** Positions from `from` up to, but not including, `to`. */
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
   * The positions of each column. The groups are the same as in the rows. One more column is for all positions before
   * these groups, and one more for all positions after them.
   */
  readonly columns: readonly Span[];
  /**
   * `values[r][c]`: attention of row r to column c. It is summed over the positions of the column and averaged over the
   * positions of the row, so each row adds up to 1. Rounded to 8 decimal places. With a causal mask, a row ends with
   * the last column that it can see.
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
 * POST inside/lens: `LensAnswer` for the positions from `from` up to, but not including, `to`. Default of `from`: 0.
 * Default of `to`: as many positions as allowed.
 */
export const lensSchema = z.strictObject({
  model,
  text,
  from: whole.optional(),
  to: z.int().min(1).optional(),
  /** Number of most probable tokens to report. Default 5. */
  top: z.int().min(1).max(20).optional(),
  /**
   * Id of a token to put after the last position, instead of the text's own token. The answer then has the probability
   * and the rank of this token at each stage. Not allowed after the last position of a full context. Also not allowed
   * for a model without a causal mask, because earlier positions would see the token.
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

/** Maximum number of places of one patch request. The model makes two passes for each place. */
export const mostPlaces = 64;

/** POST inside/patch: `PatchAnswer`. Both texts must have the same number of tokens. */
export const patchSchema = z.strictObject({
  model,
  clean: text,
  corrupted: text,
  /**
   * Places to patch, each in a separate experiment. If there are none, the answer has only the two texts without
   * patches.
   */
  places: z
    .array(z.strictObject({ layer: whole, position: whole, part: z.enum(["attention", "mlp", "residual"]) }))
    .max(mostPlaces),
  /** The position whose prediction is reported. Default: the last. */
  at: whole.optional(),
  /** Id of the token whose probability is reported. Default: the most probable token after the clean text. */
  answer: whole.optional(),
});
export type PatchRequest = z.infer<typeof patchSchema>;
export type PatchPart = PatchRequest["places"][number]["part"];

/** The prediction at position `at`. */
export interface PatchReading {
  /** Probability of the token `answer`. */
  readonly probability: number;
  readonly top: readonly Candidate[];
  /** Loss of the whole text, in nats per token; null: the text has only one token. */
  readonly loss: number | null;
}

export interface PatchAnswer extends InsideAnswer {
  readonly tokens: { readonly clean: readonly NamedToken[]; readonly corrupted: readonly NamedToken[] };
  readonly at: number;
  readonly answer: NamedToken;
  readonly clean: PatchReading;
  readonly corrupted: PatchReading;
  /**
   * For each of `places`: the prediction for the corrupted text, in which one activation is replaced by the same
   * activation of the clean text.
   */
  readonly patched: readonly PatchReading[];
}
