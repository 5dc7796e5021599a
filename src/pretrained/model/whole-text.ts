import { checkKeys, checkText } from "../../core/checks/check-arguments.ts";
import type { Corpus } from "../../data/corpus.ts";

/** A corpus of one text, all of which is measured, and the other options. */
type WholeText<Options> = readonly [
  corpus: Pick<Corpus, "name" | "train" | "val" | "parts">,
  measuring: Omit<Options, "text"> & { readonly split: "all" },
];

/**
 * The arguments of an evaluation of a given text. Not in train/: a model in a worker needs it and nothing of training.
 * @throws ConfigError or DataError for options that are none.
 */
export const wholeText = <Options extends { readonly text: string }>(given: Options): WholeText<Options> => {
  checkKeys("evaluate", given, ["text", "unknown", "contextLength", "windows", "signal", "onProgress"]);
  const { text, ...measuring } = given;
  checkText("evaluate: text", text);
  const corpus = { name: "text", train: "", val: text, parts: [{ where: "text", start: 0 }] };
  return [corpus, { ...measuring, split: "all" }];
};
