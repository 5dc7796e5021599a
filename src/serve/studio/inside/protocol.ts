/**
 * What the page and the server say to each other about the inside of a model. All addresses are POST and begin with `inside/`;
 * an answer tells the model's shape, so that a page needs no other request to draw its axes. Text beyond the context length
 * is left out, and `left` says how many tokens that were; only `patch` refuses it.
 */
import { z } from "zod";
import type { LensPosition } from "../../../inside/lens.ts";
import type { Neighbours } from "../../../inside/neighbours.ts";
import type { NamedToken } from "../../../inside/tokens.ts";
import type { Candidate } from "../../../pretrained/model/likeliest.ts";

const model = z.string().min(1);
const text = z.string().min(1).max(200_000);
const whole = z.int().min(0);

/** Heads that are switched off in what is asked for, and only there: other requests have all heads. */
export const headsOffSchema = z.array(z.strictObject({ layer: whole, head: whole })).max(65_536);

/** Of the model that was asked. */
export interface InsideShape {
  readonly nLayer: number;
  /** Heads of queries in each layer. */
  readonly nHead: number;
  readonly contextLength: number;
  readonly vocabSize: number;
  /** Whether a position sees no later one. */
  readonly isCausal: boolean;
  /** Whether the head shares the embedding's rows. */
  readonly tieEmbeddings: boolean;
  /** How many numbers the model has learned. */
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

/** Most cells of one side of a map, and most cells of all maps of an answer. */
export const mostSideCells = 256;
export const mostAnswerCells = 2 ** 18;

/** POST inside/attention: `AttentionAnswer`. */
export const attentionSchema = z.strictObject({
  model,
  text,
  /** Default: all. */
  layers: z.array(whole).min(1).max(4096).optional(),
  heads: z.array(whole).min(1).max(4096).optional(),
  /** Positions that have rows: from `from` to before `to`. Default: all. */
  from: whole.optional(),
  to: z.int().min(1).optional(),
  /** Most rows of a map: more positions are taken together in groups of equal size. Default 128. */
  cells: z.int().min(1).max(mostSideCells).optional(),
});
export type AttentionRequest = z.infer<typeof attentionSchema>;

/** Positions from `from` to before `to`. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface AttentionAnswer extends InsideAnswer {
  /** Of all columns. */
  readonly tokens: readonly NamedToken[];
  readonly left: number;
  /** The positions of each row. */
  readonly rows: readonly Span[];
  /** The positions of each column: those of the rows, and in one column each all before them, and all after them. */
  readonly columns: readonly Span[];
  /**
   * `values[r][c]`: the part of the attention of row r's positions that goes to column c's: their mean over the row's, their sum
   * over the column's, so a row adds up to 1. To 8 digits after the point. A row ends with the last column that it may see: what is not there is masked.
   */
  readonly maps: readonly {
    readonly layer: number;
    readonly head: number;
    readonly values: readonly (readonly number[])[];
  }[];
}

/** Most positions of one request for a lens: each takes as many products with the vocabulary as the model has stages. */
export const mostLensPositions = 64;

/** POST inside/lens: `LensAnswer`, with the positions from `from` (default 0) to before `to` (default: as many as may be). */
export const lensSchema = z.strictObject({
  model,
  text,
  from: whole.optional(),
  to: z.int().min(1).optional(),
  /** Most probable tokens to name. Default 5. */
  top: z.int().min(1).max(20).optional(),
  /**
   * Id of a token that follows the last position, in place of the text's own: the answer has its probability and rank at each
   * stage. Not for the last position of a full context, nor for a model without a causal mask, which would read the token.
   */
  next: whole.optional(),
});
export type LensRequest = z.infer<typeof lensSchema>;
export interface LensAnswer extends InsideAnswer {
  readonly left: number;
  readonly positions: readonly LensPosition[];
}

/** POST inside/neighbours: `NeighboursAnswer`. `token`: its id, or its text. */
export const neighboursSchema = z.strictObject({
  model,
  token: z.union([whole, z.string().min(1).max(1000)]),
  top: z.int().min(1).max(100).optional(),
  of: z.enum(["embedding", "head"]).optional(),
});
export type NeighboursRequest = z.infer<typeof neighboursSchema>;
export type NeighboursAnswer = InsideAnswer & Neighbours;

/** Most places of one request for patches: each is two passes of the model. */
export const mostPlaces = 64;

/** POST inside/patch: `PatchAnswer`. The texts must have as many tokens. */
export const patchSchema = z.strictObject({
  model,
  clean: text,
  corrupted: text,
  /** Each alone, not all at once. None: the two texts as they are. */
  places: z
    .array(z.strictObject({ layer: whole, position: whole, part: z.enum(["attention", "mlp", "residual"]) }))
    .max(mostPlaces),
  /** The position whose prediction is read. Default: the last. */
  at: whole.optional(),
  /** Id of the token whose probability is told. Default: the most probable one in the clean text. */
  answer: whole.optional(),
});
export type PatchRequest = z.infer<typeof patchSchema>;
export type PatchPart = PatchRequest["places"][number]["part"];

/** The prediction at the position that is read. */
export interface PatchReading {
  /** Of the answer. */
  readonly probability: number;
  readonly top: readonly Candidate[];
  /** Of the whole text, in nats per token; null: it has one token. */
  readonly loss: number | null;
}

export interface PatchAnswer extends InsideAnswer {
  readonly tokens: { readonly clean: readonly NamedToken[]; readonly corrupted: readonly NamedToken[] };
  readonly at: number;
  readonly answer: NamedToken;
  readonly clean: PatchReading;
  readonly corrupted: PatchReading;
  /** The corrupted text with one activation of the clean one: in the order of `places`. */
  readonly patched: readonly PatchReading[];
}
