/** Encodes and describes the data of a run. The functions keep no reference to the text when they return. */

import { writeConversations } from "../../chat/template.node.ts";
import { textOfDocuments } from "../../data/documents.ts";
import type { KeptFacts } from "../../pretrained/files/pretrained-files.ts";
import type { RunCorpus } from "../../runs/begin/data.node.ts";
import type { RunData } from "../../runs/run-schemas.ts";
import type { TokenizerConfig } from "../../tokenizer/config.ts";
import { trainTokenizer } from "../../tokenizer/from-config.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { prepareDocuments } from "./documents.ts";
import { factsOf, type ModelBefore, withTurnEnds } from "./facts.ts";
import { checkAlphabet } from "./initial.ts";
import { readingBytes } from "./preflight.node.ts";
import { type ConfigPlan, type Prepared, prepare } from "./prepare.ts";

/** Tokens of the data, and facts about the data that the run keeps. */
export interface PreparedData {
  readonly prepared: Prepared;
  /** Facts about the model that its checkpoints keep. */
  readonly facts: KeptFacts;
  /** Memory used for reading, in bytes. */
  readonly reading: number;
  readonly about: Pick<RunData, "name" | "sha256" | "prompt" | "documents">;
}

/** For a model that holds conversations, and learns a plain text. */
const plainTextForChat =
  "this model holds conversations, and the text is plain: the model learns to write like the text, not to answer questions about it; for answers, give conversations as .jsonl";

type OnNotice = ((line: string) => void | Promise<void>) | undefined;

/** Reports that the text is too short for the requested vocabulary size. */
const tellSmaller = async (asked: TokenizerConfig, { vocabSize }: Tokenizer, onNotice: OnNotice): Promise<void> => {
  if (asked.kind !== "bpe" || vocabSize >= asked.vocabSize) return;
  await onNotice?.(
    `no further pair of tokens occurs twice in the text, so there are only ${vocabSize} tokens instead of ${asked.vocabSize}`,
  );
};

/** Returns the given tokenizer; without one, trains a tokenizer on the text. */
const tokenizerFor = async (
  plan: ConfigPlan,
  given: Tokenizer | null,
  text: { readonly train: string; readonly val: string },
  onNotice: OnNotice,
): Promise<Tokenizer> => {
  if (given !== null) return given;
  const trained = trainTokenizer(plan.expected.tokenizer, text.train, text.val);
  await tellSmaller(plan.expected.tokenizer, trained, onNotice);
  return trained;
};

const prepareText = async (
  plan: ConfigPlan,
  { corpus, heldOut }: RunCorpus & { readonly kind: "text" },
  { tokenizer: given, initial, facts, chatTemplate }: ModelBefore,
  onNotice: OnNotice,
): Promise<PreparedData> => {
  const { name, sha256, prompt, notice } = corpus;
  if (notice !== undefined) await onNotice?.(notice);
  if (initial !== null) checkAlphabet(initial, name, corpus);
  if (initial !== null && facts?.chatTemplate) await onNotice?.(plainTextForChat);
  const tokenizer = await tokenizerFor(plan, given, corpus, onNotice);
  const prepared = prepare(plan, corpus, tokenizer, heldOut);
  const about = { name, sha256, prompt };
  return { prepared, facts: factsOf(tokenizer, facts, chatTemplate), reading: readingBytes(corpus), about };
};

const prepareCorpusOfDocuments = async (
  plan: ConfigPlan,
  { corpus, heldOut }: RunCorpus & { readonly kind: "documents" },
  { tokenizer: given, facts, chatTemplate }: ModelBefore,
  prompt: string | undefined,
  onNotice: OnNotice,
): Promise<PreparedData> => {
  const { name, sha256, notice, train, val } = corpus;
  if (notice !== undefined) await onNotice?.(notice);
  const text = { train: textOfDocuments(train), val: textOfDocuments(val) };
  const tokenizer = await tokenizerFor(plan, given, text, onNotice);
  const before = factsOf(tokenizer, facts, chatTemplate);
  const prepared = await prepareDocuments(plan, {
    ...{ name, split: corpus, prompt: prompt ?? corpus.prompt, write: writeConversations, heldOut },
    learner: { tokenizer, chatTemplate: before.chatTemplate, endToken: tokenizer.endOfText ?? before.endTokens[0] },
    onNotice: async (line) => onNotice?.(line),
  });
  return {
    prepared,
    facts: withTurnEnds(before, prepared.documents?.turnEnds),
    // Memory of the lines as bytes and as characters, and of the messages made from them.
    reading: 3 * (text.train.length + text.val.length),
    about: { name, sha256, prompt: corpus.prompt, documents: true },
  };
};

/**
 * Encodes a run's data.
 * @param prompt prompt of the samples. If undefined, a prompt that fits the data is used.
 * @throws DataError for data that cannot be encoded, or is too short.
 */
export const prepareData = async (
  plan: ConfigPlan,
  loading: RunCorpus | Promise<RunCorpus>,
  model: ModelBefore,
  prompt: string | undefined,
  onNotice: OnNotice,
): Promise<PreparedData> => {
  const data = await loading;
  return data.kind === "text"
    ? prepareText(plan, data, model, onNotice)
    : prepareCorpusOfDocuments(plan, data, model, prompt, onNotice);
};
