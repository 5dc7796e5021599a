/**
 * Documents, before and after encoding. A document is a text or a conversation. Attention never crosses from one
 * document to another. In conversations, the model learns the answers.
 */
import { ConfigError, DataError } from "../core/errors/errors.ts";
import { randomKey, randomStream } from "../core/random.ts";
import { show } from "../core/text/show.ts";
import type { HeldOutOption } from "./corpus.ts";

/** A message of a training conversation. */
export interface DocumentMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
  /** Whether the loss counts this message. By default it counts answers. */
  readonly counted: boolean;
}

/** A document before its text is encoded. */
export type SourceDocument =
  | { readonly kind: "chat"; readonly messages: readonly DocumentMessage[] }
  | { readonly kind: "text"; readonly text: string };

/** A document, and its place for errors, such as `chat.jsonl:12`. */
export interface LocatedDocument {
  readonly where: string;
  readonly source: SourceDocument;
}

/** Encoded documents, one after another. */
export interface Documents {
  /** Tokens of all documents. */
  readonly ids: Int32Array;
  /** For each token, 1 if the loss counts the token, and 0 otherwise. The first token of a document never counts. */
  readonly counted: Uint8Array;
  /**
   * Start of each document, and the end of the last document. The list has one more number than there are documents.
   */
  readonly starts: Int32Array;
}

/** Number of documents. */
export const documentCount = ({ starts }: Documents): number => starts.length - 1;

/** Number of tokens that the loss counts. */
export const countedTokens = ({ counted }: Documents): number => counted.reduce((sum, one) => sum + one, 0);

/** Maximum number of tokens of all documents of a split. Positions of tokens are 32-bit numbers. */
const mostTokens = 2 ** 31 - 1;

/** Collects documents, token by token. */
export interface DocumentsBuilder {
  /** Adds tokens to the current document. */
  add(ids: Int32Array, counted: boolean): void;
  /** Ends the current document. */
  end(): void;
  build(): Documents;
}

/** @param where name of the documents in errors. */
export const documentsBuilder = (where: string): DocumentsBuilder => {
  let ids = new Int32Array(1024);
  let counted = new Uint8Array(1024);
  let length = 0;
  const starts = [0];
  return {
    add(added, isCounted) {
      const needed = length + added.length;
      if (needed > mostTokens) {
        const must = `all documents together must have at most ${mostTokens} tokens`;
        throw new DataError({ where, must, got: "more", hint: "a part of the documents" });
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
      // The first token of a document does not count, because no earlier token predicts it.
      if (isCounted) counted.fill(1, length === starts.at(-1) ? length + 1 : length, needed);
      length = needed;
    },
    end() {
      starts.push(length);
    },
    build: () => ({ ids: ids.slice(0, length), counted: counted.slice(0, length), starts: Int32Array.from(starts) }),
  };
};

/** Training documents and validation documents. */
export interface DocumentsSplit {
  readonly train: readonly LocatedDocument[];
  readonly val: readonly LocatedDocument[];
}

/** Seed of the random split. The seed is a constant, so that the split depends only on the documents. */
const drawSeed = 0;

/**
 * Holds out n − ⌊(1 − valFraction)·n⌋ of n documents. The held-out documents are drawn at random, because a file is
 * often sorted. The draw depends only on n. Both parts keep the order of the documents.
 * @param where name of the documents in errors.
 * @param heldOut name of the option that sets the validation part, for the hint.
 * @throws ConfigError for a fraction outside (0, 1); DataError for fewer than two documents.
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
      must: "the held-out fraction of the documents must be above 0 and below 1",
      got: show(valFraction),
      hint: "0.1",
    });
  }
  if (documents.length < 2) {
    throw new DataError({
      where,
      must: "there must be at least 2 documents: one to train on and one to hold out",
      got: String(documents.length),
      hint: `more documents, or ${heldOut} with other documents`,
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

/**
 * The numbers 0 … count − 1 in random order (Fisher–Yates). @param integer returns a uniform random integer in [0,
 * bound).
 */
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

/** The text on which a tokenizer is trained. This text is needed if documents have no given tokenizer. */
export const textOfDocuments = (documents: readonly LocatedDocument[]): string =>
  documents
    .map(({ source }) =>
      source.kind === "text" ? source.text : source.messages.map(({ content }) => content).join("\n"),
    )
    .join("\n");
