/** Texts, tokenizers, and batches of tokens. */
import * as foretoken from "#foretoken/index.js";
import { type Case, isDefined, isNotHuge, optionCases } from "./case.ts";
import type { Setup } from "./setup.ts";

const bpeParts: foretoken.BpeParts = {
  ...{ tokens: ["a", "b", "ab", "<end>"], merges: [["a", "b"], "a b"], pattern: "gpt2" },
  specialTokens: [{ id: 3, name: "<end>" }],
};

const tokenizerCases = (setup: Setup): readonly Case[] => [
  { name: "trainCharTokenizer", args: () => ["some", "text"], call: foretoken.trainCharTokenizer },
  {
    name: "trainBpeTokenizer",
    args: () => [{ vocabSize: 260 }, "the cat sat on the mat"],
    call: foretoken.trainBpeTokenizer,
  },
  ...optionCases("trainBpeTokenizer", ["vocabSize", "pattern", "specialTokens", "other"], (wrong) =>
    foretoken.trainBpeTokenizer({ vocabSize: 260, ...wrong }, "the cat sat"),
  ),
  { name: "bpeTrainer", args: () => [{ vocabSize: 260 }], call: foretoken.bpeTrainer },
  ...optionCases("bpeTrainer", ["vocabSize", "pattern", "specialTokens", "other"], (wrong) =>
    foretoken.bpeTrainer({ vocabSize: 260, ...wrong }),
  ),
  { name: "bpeTokenizer", args: () => [bpeParts, "file"], call: foretoken.bpeTokenizer },
  ...optionCases(
    "bpeTokenizer",
    [
      ...["tokens", "merges", "pattern", "specialTokens", "namedTokens", "endOfText", "ignoreMerges", "normalizer"],
      "other",
    ],
    (wrong) => foretoken.bpeTokenizer({ ...bpeParts, ...wrong }).encode("the cat"),
  ),
  {
    name: "bpeTrainer.add",
    args: () => ["the cat"],
    call: (text) => foretoken.bpeTrainer({ vocabSize: 260 }).add(text),
  },
  { name: "loadTokenizer", args: () => [setup.lm.tokenizer.toJSON(), "file"], call: foretoken.loadTokenizer },
  {
    name: "encodeWithSpecials",
    args: () => [setup.lm.tokenizer, "the", (text: string) => text],
    call: foretoken.encodeWithSpecials,
  },
  {
    name: "tokenizer.encode",
    args: () => ["the", "text", ""],
    call: (...args) => setup.lm.tokenizer.encode(...(args as [never])),
  },
  {
    name: "tokenizer.decode",
    args: () => [[0, 1], {}],
    call: (ids, options) => setup.lm.tokenizer.decode(ids, options),
  },
  ...optionCases("tokenizer.decode", ["showSpecialTokens"], (wrong) => setup.lm.tokenizer.decode([0], wrong)),
  ...optionCases("textStream", ["showSpecialTokens"], (wrong) =>
    foretoken.textStream(setup.lm.tokenizer, wrong).push(0),
  ),
  { name: "tokenizer.token", args: () => [0], call: (id) => setup.lm.tokenizer.token(id) },
  {
    name: "textStream",
    args: () => [setup.lm.tokenizer, {}],
    call: (tokenizer, options) => foretoken.textStream(tokenizer, options).push(0),
  },
  { name: "textStream.push", args: () => [0], call: (id) => foretoken.textStream(setup.lm.tokenizer).push(id) },
];

const corpusCases = (setup: Setup): readonly Case[] => [
  { name: "splitText", args: () => ["some text", 0.5], call: foretoken.splitText },
  {
    name: "loadCorpus",
    args: () => [setup.data, {}],
    call: foretoken.loadCorpus,
    // The default text comes from the network.
    allows: (value, place) => place > 0 || isDefined(value),
  },
  ...optionCases("loadCorpus", ["valData", "valFraction", "surroundings"], (wrong) =>
    foretoken.loadCorpus(setup.data, wrong),
  ),
];

const batch = { batchSize: 2, contextLength: 4, seed: 1, step: 0 };
const windows = { batchSize: 2, contextLength: 4 };

const batchCases: readonly Case[] = [
  { name: "trainingBatch", args: () => [new Int32Array(20), batch], call: foretoken.trainingBatch },
  ...optionCases(
    "trainingBatch",
    ["batchSize", "contextLength", "seed", "step", "microStep"],
    (wrong) => foretoken.trainingBatch(new Int32Array(20), { ...batch, ...wrong }),
    isNotHuge,
  ),
  { name: "evaluationWindows", args: () => [new Int32Array(20), windows], call: foretoken.evaluationWindows },
  ...optionCases("evaluationWindows", ["batchSize", "contextLength"], (wrong) =>
    foretoken.evaluationWindows(new Int32Array(20), { ...windows, ...wrong }),
  ),
];

export const textCases = (setup: Setup): readonly Case[] => [
  ...tokenizerCases(setup),
  ...corpusCases(setup),
  ...batchCases,
];
