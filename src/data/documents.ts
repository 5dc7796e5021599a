/**
 * Documents that do not see each other: texts, and conversations of which the answers are learned. As they are given, and
 * as tokens.
 */
import { ConfigError, DataError } from "../core/errors/errors.ts";
import { randomKey, randomStream } from "../core/random.ts";
import { show } from "../core/text/show.ts";
import type { HeldOutOption } from "./corpus.ts";

/** A message of a conversation to learn from. */
export interface DocumentMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
  /** Whether the loss counts it: an answer, unless its line says otherwise. */
  readonly counted: boolean;
}

/** A document before it is encoded. */
export type SourceDocument =
  | { readonly kind: "chat"; readonly messages: readonly DocumentMessage[] }
  | { readonly kind: "text"; readonly text: string };

/** A document and its place, as `chat.jsonl:12`, for errors. */
export interface LocatedDocument {
  readonly where: string;
  readonly source: SourceDocument;
}

/** Documents as tokens, one after the other. */
export interface Documents {
  /** Tokens of all of them. */
  readonly ids: Int32Array;
  /** For each token 1 if the loss counts it, else 0. The first token of a document is never counted. */
  readonly counted: Uint8Array;
  /** Where each document begins, and where the last one ends: one number more than documents. */
  readonly starts: Int32Array;
}

/** Number of documents. */
export const documentCount = ({ starts }: Documents): number => starts.length - 1;

/** Number of tokens that the loss counts. */
export const countedTokens = ({ counted }: Documents): number => counted.reduce((sum, one) => sum + one, 0);

/** Most tokens of all documents of a split: their places are 32-bit numbers. */
const mostTokens = 2 ** 31 - 1;

/** Collects documents, token by token. */
export interface DocumentsBuilder {
  /** Adds tokens to the current document. */
  add(ids: Int32Array, counted: boolean): void;
  /** Ends the current document. */
  end(): void;
  build(): Documents;
}

/** @param where the name of the documents in errors. */
export const documentsBuilder = (where: string): DocumentsBuilder => {
  let ids = new Int32Array(1024);
  let counted = new Uint8Array(1024);
  let length = 0;
  const starts = [0];
  return {
    add(added, isCounted) {
      const needed = length + added.length;
      if (needed > mostTokens) {
        const must = `documents must have at most ${mostTokens} tokens together`;
        throw new DataError({ where, must, got: "more", hint: "a part of them" });
      }
      if (needed > ids.length) {
        const room = Math.max(needed, Math.min(mostTokens, 2 * ids.length));
        const more = new Int32Array(room);
        more.set(ids);
        ids = more;
        const moreCounted = new Uint8Array(room);
        moreCounted.set(counted);
        counted = moreCounted;
      }
      ids.set(added, length);
      // Nothing predicts the first token of a document.
      if (isCounted) counted.fill(1, length === starts.at(-1) ? length + 1 : length, needed);
      length = needed;
    },
    end() {
      starts.push(length);
    },
    build: () => ({ ids: ids.slice(0, length), counted: counted.slice(0, length), starts: Int32Array.from(starts) }),
  };
};

/** Documents to train on and documents that are held out. */
export interface DocumentsSplit {
  readonly train: readonly LocatedDocument[];
  readonly val: readonly LocatedDocument[];
}

/** The key of the draw below: a constant, so that the split depends on the documents alone. */
const drawSeed = 0;

/**
 * Holds out a share of n documents: n − ⌊(1 − valFraction)·n⌋ of them, drawn, since a file is often sorted. The draw
 * depends on n alone. Both parts keep the order.
 * @param where the name of the documents in errors.
 * @param heldOut the option that would say what to hold out.
 * @throws ConfigError for a fraction outside (0, 1), DataError for fewer than two documents.
 */
export const splitDocuments = (
  documents: readonly LocatedDocument[],
  where: string,
  valFraction = 0.1,
  heldOut: HeldOutOption = "valData",
): DocumentsSplit => {
  if (typeof valFraction !== "number" || !(valFraction > 0 && valFraction < 1)) {
    throw new ConfigError({
      where: "valFraction",
      must: "the held-out share of the documents must be above 0 and below 1",
      got: show(valFraction),
      hint: "0.1",
    });
  }
  if (documents.length < 2) {
    throw new DataError({
      where,
      must: "there must be at least 2 documents: one to train on and one to hold out",
      got: String(documents.length),
      hint: `more documents, or ${heldOut} with others`,
    });
  }
  const n = documents.length;
  const held = Math.min(n - 1, n - Math.floor((1 - valFraction) * n));
  const stream = randomStream(randomKey(drawSeed, "batches", n));
  const order = shuffled(n, stream.integer);
  const isHeld = new Uint8Array(n);
  for (const document of order.subarray(0, held)) isHeld[document] = 1;
  return {
    train: documents.filter((_, i) => isHeld[i] === 0),
    val: documents.filter((_, i) => isHeld[i] === 1),
  };
};

/** The numbers from 0 to count − 1 in a random order (Fisher–Yates). @param integer uniform in [0, bound). */
export const shuffled = (count: number, integer: (bound: number) => number): Int32Array => {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = integer(i + 1);
    const kept = order[i] as number;
    order[i] = order[j] as number;
    order[j] = kept;
  }
  return order;
};

/** The text that a tokenizer is trained on where documents come without one. */
export const textOfDocuments = (documents: readonly LocatedDocument[]): string =>
  documents
    .map(({ source }) =>
      source.kind === "text" ? source.text : source.messages.map(({ content }) => content).join("\n"),
    )
    .join("\n");
