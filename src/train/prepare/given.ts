/** Encodes data that a program passes as values instead of files, and finds a prompt that fits it. */

import { writeHere } from "../../chat/write-here.ts";
import { openingWords, splitText, type TextSplit } from "../../data/corpus.ts";
import { type DocumentsSplit, splitDocuments, textOfDocuments } from "../../data/documents.ts";
import { lineOfDocument } from "../../data/documents-json.ts";
import { type GivenDocuments, locatedDocuments, promptOfDocuments } from "../../data/given-documents.ts";
import type { GivenText } from "../../data/given-text.ts";
import { hashInMemory } from "../../io/manifest-in-memory.ts";
import type { KeptFacts } from "../../pretrained/files/pretrained-files.ts";
import { trainTokenizer } from "../../tokenizer/from-config.ts";
import { prepareDocuments } from "./documents.ts";
import { factsOf, type ModelBefore, withTurnEnds } from "./facts.ts";
import { checkAlphabet } from "./initial.ts";
import { type ConfigPlan, type Prepared, prepare } from "./prepare.ts";

/** Options of the data. */
export interface GivenOptions {
  readonly valFraction: number | undefined;
  /** Prompt of the samples. If undefined, a prompt that fits the data is used. */
  readonly prompt: string | undefined;
  readonly onNotice: (line: string) => Promise<void>;
  /**
   * Gets the data's hash before the data is encoded; a resumed run recognises its data by this hash. Default: no hash
   * is computed.
   */
  readonly onHash?: ((sha256: string | null) => void) | undefined;
}

/** Tokens of the data, facts about its model, and the prompt of its samples. */
export interface PreparedGiven {
  readonly prepared: Prepared;
  readonly facts: KeptFacts;
  readonly prompt: string;
}

const hashOf = (text: string): Promise<string | null> => hashInMemory(new TextEncoder().encode(text));

/** The hash that `loadCorpus` gives; null where the platform cannot compute one. */
const hashOfText = ({ train, val }: TextSplit): Promise<string | null> => hashOf(`${train}\0${val}`);

/** The hash that Node gives for documents. */
const hashOfDocuments = ({ train, val }: DocumentsSplit): Promise<string | null> => {
  const [learned, held] = [train, val].map((part) => part.map(({ source }) => `${lineOfDocument(source)}\n`).join(""));
  return hashOf(`documents\n${learned}\0${held}`);
};

/** @throws DataError for data that cannot be encoded, or is too short. */
export const prepareGiven = async (
  plan: ConfigPlan,
  given: GivenText | GivenDocuments,
  { tokenizer: known, initial, facts: first, chatTemplate }: ModelBefore,
  { valFraction, prompt: asked, onNotice, onHash }: GivenOptions,
): Promise<PreparedGiven> => {
  const tokenizerFor = (train: string, val: string) => known ?? trainTokenizer(plan.expected.tokenizer, train, val);
  if ("text" in given) {
    const { text, valText } = given;
    const split = valText === undefined ? splitText(text, valFraction) : { train: text, val: valText };
    if (onHash !== undefined) onHash(await hashOfText(split));
    if (initial !== null) checkAlphabet(initial, "text", split);
    const tokenizer = tokenizerFor(split.train, split.val);
    const prepared = prepare(plan, split, tokenizer, "valText");
    return { prepared, facts: factsOf(tokenizer, first, chatTemplate), prompt: asked ?? openingWords(text) };
  }
  const { documents, valDocuments } = given;
  const located = locatedDocuments(documents, "documents");
  const split =
    valDocuments === undefined
      ? splitDocuments(located, "documents", valFraction, "valDocuments")
      : { train: located, val: locatedDocuments(valDocuments, "valDocuments") };
  if (onHash !== undefined) onHash(await hashOfDocuments(split));
  const tokenizer = tokenizerFor(textOfDocuments(split.train), textOfDocuments(split.val));
  const facts = factsOf(tokenizer, first, chatTemplate);
  const prompt = asked ?? promptOfDocuments(split);
  const prepared = await prepareDocuments(plan, {
    ...{ name: "documents", split, prompt, write: writeHere, onNotice, heldOut: "valDocuments" as const },
    learner: { tokenizer, chatTemplate: facts.chatTemplate, endToken: tokenizer.endOfText ?? facts.endTokens[0] },
  });
  return { prepared, facts: withTurnEnds(facts, prepared.documents?.turnEnds), prompt };
};
