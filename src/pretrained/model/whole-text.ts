import { checkKeys, checkText } from "../../core/checks/check-arguments.ts";
import type { Corpus } from "../../data/corpus.ts";

/** Arguments of an evaluation: a corpus of one text without a split, and the other options. */
type WholeText<Options> = readonly [
  corpus: Pick<Corpus, "name" | "train" | "val" | "parts">,
  measuring: Omit<Options, "text"> & { readonly split: "all" },
];

/**
 * Arguments for evaluating a given text. The function is not in train/: a model in a worker needs it but must not load
 * the code of training.
 * @throws ConfigError or DataError for invalid options.
 */
export const wholeText = <Options extends { readonly text: string }>(given: Options): WholeText<Options> => {
  checkKeys("evaluate", given, ["text", "unknown", "contextLength", "windows", "signal", "onProgress"]);
  const { text, ...measuring } = given;
  checkText("evaluate: text", text);
  const corpus = { name: "text", train: "", val: text, parts: [{ where: "text", start: 0 }] };
  return [corpus, { ...measuring, split: "all" }];
};
