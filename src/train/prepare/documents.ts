/** Checks and settings before a run on documents begins. */
import { encodeDocuments, type LearnedDocuments, type Learner, type WriteConversations } from "../../chat/learn.ts";
import { defaultLongDocuments, defaultRows, type RunConfig, runConfigSchema } from "../../config/config.ts";
import { parseConfig } from "../../core/checks/config.ts";
import { CheckpointError, ConfigError, DataError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import type { HeldOutOption } from "../../data/corpus.ts";
import { countedTokens, type DocumentsSplit, documentCount, type LocatedDocument } from "../../data/documents.ts";
import { documentRows, type Pieces, piecesOf } from "../../data/rows.ts";
import { measureDocuments } from "../../evaluate/evaluate.ts";
import type { ConfigPlan, Prepared } from "./prepare.ts";

/**
 * Adds the configuration fields that say how documents are used.
 * @throws ConfigError for a field that says how windows of a text are drawn.
 */
const withRows = (config: RunConfig): RunConfig => {
  const { rows = defaultRows, longDocuments = defaultLongDocuments, windows } = config.train;
  if (windows !== undefined) {
    throw new ConfigError({
      where: "config.train.windows",
      must: "must be used with a text: documents are used whole, each once per epoch",
      got: `${show(windows)} with documents`,
      hint: "leaving it out",
    });
  }
  return parseConfig(runConfigSchema, { ...config, train: { ...config.train, rows, longDocuments } }, "config");
};

const checkCounted = (part: string, { documents }: LearnedDocuments, hint: string): void => {
  if (countedTokens(documents) > 0) return;
  const must = "its documents must have at least one token that the loss counts";
  throw new DataError({ where: part, must, got: "none", hint });
};

/** @throws DataError for a document that is longer than the context. */
const checkLengths = (
  { longest, cut }: Pieces,
  { sources }: LearnedDocuments,
  located: readonly LocatedDocument[],
  contextLength: number,
): void => {
  if (cut === 0) return;
  const source = sources[longest.document] ?? 0;
  throw new DataError({
    where: located[source]?.where ?? "documents",
    must: `a document must have at most contextLength + 1 = ${contextLength + 1} tokens`,
    got: `${longest.length + 1}, the longest of ${cut} that are too long`,
    hint: "a longer model.contextLength, or train.longDocuments cut",
  });
};

const plural = (count: number, noun: string): string =>
  `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;

/** One sentence for each way in which documents were changed to fit the template or the context. */
const noticesOf = (
  name: string,
  part: string,
  { divided, documents }: LearnedDocuments,
  { cut, piecesOfCut, leftOut }: Pieces,
  contextLength: number,
): readonly string[] => [
  ...(divided === 0
    ? []
    : [
        `${name}: in ${plural(divided, "conversation")} ${part}, each answer becomes its own document, because the chat template writes earlier answers in another form`,
      ]),
  ...(cut === 0
    ? []
    : [
        `${name}: ${cut.toLocaleString("en-US")} of ${plural(documentCount(documents), "document")} ${part} ${cut === 1 ? "is" : "are"} longer than the context of ${contextLength} tokens and ${cut === 1 ? "was" : "were"} cut into ${plural(piecesOfCut, "piece")}${leftOut === 0 ? "" : `; ${leftOut.toLocaleString("en-US")} without an answer ${leftOut === 1 ? "was" : "were"} left out`}`,
      ]),
];

/**
 * The prompt of a sample as the model reads it. It is a question, which is halved until it leaves room for an answer.
 * Undefined if the template cannot write it.
 */
const promptIdsOf = async (
  learner: Learner,
  prompt: string,
  contextLength: number,
  write: WriteConversations,
): Promise<Int32Array | undefined> => {
  for (let content = prompt; content !== ""; content = content.slice(0, content.length >> 1)) {
    const messages = [
      { role: "user", content, counted: false },
      { role: "assistant", content: "", counted: true },
    ] as const;
    const written = await encodeDocuments(
      learner,
      [{ where: "prompt", source: { kind: "chat", messages } }],
      "prompt",
      write,
    ).catch((error: unknown) => {
      if (error instanceof CheckpointError) return undefined;
      throw error;
    });
    const { ids, counted } = written?.documents ?? { ids: new Int32Array(0), counted: new Uint8Array(0) };
    const answer = counted.indexOf(1);
    if (answer < 1) return undefined;
    if (answer <= contextLength / 2) return ids.slice(0, answer);
  }
  return undefined;
};

/** Documents to train on, and how to prepare them. */
export interface DocumentsToPrepare {
  /** Name of the documents, for errors and notices. */
  readonly name: string;
  readonly split: DocumentsSplit;
  /** Prompt of the samples; it is a question if there are conversations. */
  readonly prompt: string;
  readonly learner: Learner;
  readonly write: WriteConversations;
  readonly onNotice: (line: string) => void | Promise<void>;
  /** Name of the option that sets the validation part, for hints. */
  readonly heldOut: HeldOutOption;
}

/**
 * Encodes the training and the validation documents.
 * @throws DataError for documents that cannot be encoded, or that have no token the loss counts. Also for documents
 * that are longer than the context, if the configuration refuses long documents. ConfigError and CheckpointError as
 * `encodeDocuments` throws them.
 */
export const prepareDocuments = async (
  plan: ConfigPlan,
  { name, split, prompt, learner, write, onNotice, heldOut }: DocumentsToPrepare,
): Promise<Prepared> => {
  const { tokenizer } = learner;
  const train = await encodeDocuments(learner, split.train, name, write);
  const val = await encodeDocuments(learner, split.val, name, write);
  const { ids } = train.documents;
  const config = withRows(
    plan.settle({
      tokens: ids.length,
      valTokens: val.documents.ids.length,
      vocabSize: tokenizer.vocabSize,
      rowsPerPass: (contextLength, kind) => documentRows(train.documents, { contextLength, kind, seed: 0 }).perEpoch,
    }),
  );
  checkCounted("training split", train, "other documents, or a smaller valFraction");
  checkCounted("validation split", val, `more documents, a larger valFraction, or other ${heldOut}`);
  const { contextLength } = config.model;
  const parts = [
    ["to learn from", train, split.train],
    ["held out", val, split.val],
  ] as const;
  for (const [part, learned, located] of parts) {
    const pieces = piecesOf(learned.documents, contextLength);
    if (config.train.longDocuments === "refuse") checkLengths(pieces, learned, located, contextLength);
    for (const line of noticesOf(name, part, learned, pieces, contextLength)) await onNotice(line);
  }
  const { rows: kind = defaultRows, seed } = config.train;
  const rows = documentRows(train.documents, { contextLength, kind, seed });
  const chats = [...split.train, ...split.val].some(({ source }) => source.kind === "chat");
  return {
    config,
    derived: plan.derived,
    tokenizer,
    trainTokens: ids,
    val: measureDocuments(val.documents, tokenizer),
    documents: {
      train: train.documents,
      rowsPerPass: rows.perEpoch,
      longestRow: kind === "one" ? rows.pieces.lengths.reduce((most, one) => Math.max(most, one), 1) : contextLength,
      turnEnds: train.turnEnds,
      promptIds: chats ? await promptIdsOf(learner, prompt, contextLength, write) : undefined,
    },
  };
};
