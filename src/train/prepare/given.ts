/** Data that a program hands over, where there are no files: encoded, with a prompt that fits it. */

import { writeHere } from "../../chat/write-here.ts";
import { firstWord, splitText } from "../../data/corpus.ts";
import { splitDocuments, textOfDocuments } from "../../data/documents.ts";
import { type GivenDocuments, locatedDocuments, promptOfDocuments } from "../../data/given-documents.ts";
import type { GivenText } from "../../data/given-text.ts";
import { type KeptFacts, keptFacts } from "../../pretrained/files/pretrained-files.ts";
import type { InitialWeights } from "../../runs/begin/initial-weights.ts";
import { trainTokenizer } from "../../tokenizer/registry.ts";
import { prepareDocuments } from "./documents.ts";
import { factsOf, withTurnEnds } from "./facts.ts";
import { checkAlphabet } from "./initial.ts";
import { type ConfigPlan, type Prepared, prepare } from "./prepare.ts";

/** Options of the data. */
export interface GivenOptions {
  readonly valFraction: number | undefined;
  readonly chatTemplate: string | undefined;
  /** Of samples; undefined: one that fits the data. */
  readonly prompt: string | undefined;
  readonly onNotice: (line: string) => Promise<void>;
}

/** Tokens of given data, the facts about its model, and the prompt of its samples. */
export interface PreparedGiven {
  readonly prepared: Prepared;
  readonly facts: KeptFacts;
  readonly prompt: string;
}

/** @throws DataError for data that cannot be encoded, or is too short. */
export const prepareGiven = async (
  plan: ConfigPlan,
  given: GivenText | GivenDocuments,
  initial: InitialWeights | null,
  { valFraction, chatTemplate, prompt: asked, onNotice }: GivenOptions,
): Promise<PreparedGiven> => {
  const tokenizerFor = (train: string, val: string) =>
    initial?.tokenizer ?? trainTokenizer(plan.expected.tokenizer, train, val);
  const first = initial === null ? null : keptFacts(initial);
  if ("text" in given) {
    const { text, valText } = given;
    const split = valText === undefined ? splitText(text, valFraction) : { train: text, val: valText };
    if (initial !== null) checkAlphabet(initial, "text", split);
    const tokenizer = tokenizerFor(split.train, split.val);
    const prepared = prepare(plan, split, tokenizer);
    return { prepared, facts: factsOf(tokenizer, first, chatTemplate), prompt: asked ?? firstWord(text) };
  }
  const { documents, valDocuments } = given;
  const located = locatedDocuments(documents, "documents");
  const split =
    valDocuments === undefined
      ? splitDocuments(located, "documents", valFraction)
      : { train: located, val: locatedDocuments(valDocuments, "valDocuments") };
  const tokenizer = tokenizerFor(textOfDocuments(split.train), textOfDocuments(split.val));
  const facts = factsOf(tokenizer, first, chatTemplate);
  const prompt = asked ?? promptOfDocuments(split);
  const prepared = await prepareDocuments(plan, {
    ...{ name: "documents", split, prompt, write: writeHere, onNotice },
    learner: { tokenizer, chatTemplate: facts.chatTemplate, endToken: tokenizer.endOfText ?? facts.endTokens[0] },
  });
  return { prepared, facts: withTurnEnds(facts, prepared.documents?.turnEnds), prompt };
};
