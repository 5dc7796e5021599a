import type { ModelConfig } from "../../../models/config.ts";
import { isGgufName } from "../../../pretrained/gguf/source.node.ts";
import type { AdapterFacts, ModelFacts } from "../../model/model-facts.ts";
import { formatBytes, formatCount } from "./format.ts";

const plural = (count: number, word: string): string => `${formatCount(count)} ${word}${count === 1 ? "" : "s"}`;

const adapterRows = (adapter: AdapterFacts | null): readonly (readonly [label: string, value: string])[] => {
  if (adapter === null) return [];
  const { path, rank, alpha, targets, parameters, bytes, isBase } = adapter;
  const base = {
    true: "the same weights as in training",
    false: "not the same weights as in training: another model, or a damaged one",
  };
  return [
    ["adapter", path],
    ["rank", `${rank}, alpha ${+alpha.toPrecision(6)}, on ${targets.join(", ")}`],
    ["its weights", `${formatCount(parameters)} parameters, ${formatBytes(bytes)}`],
    ["its model", isBase === null ? "unknown: the adapter has no SHA-256 of its model" : base[`${isBase}`]],
  ];
};

const checkedText = ({ checked, path }: ModelFacts): string => {
  if (checked) return "files are compared with the manifest";
  return isGgufName(path)
    ? "no: a GGUF file has no checksums, so damaged weights are not noticed"
    : "no manifest, so damaged weights are not noticed";
};

/** Words for every n-th layer, such as "in each 6th layer". */
const inEach = (n: number): string => {
  const endings: Readonly<Record<number, string>> = { 1: "st", 2: "nd", 3: "rd" };
  const isTeen = Math.floor((n % 100) / 10) === 1;
  return `in each ${formatCount(n)}${(isTeen ? undefined : endings[n % 10]) ?? "th"} layer`;
};

const positionsText = ({ position }: ModelConfig): string => {
  if (position.kind === "learned") return "learned";
  return position.noneEvery === undefined ? "rotary" : `rotary, but no positions ${inEach(position.noneEvery)}`;
};

const windowRows = ({ window }: ModelConfig): readonly (readonly [label: string, value: string])[] => {
  if (window === undefined) return [];
  const all = window.fullEvery === undefined ? "" : `, but all tokens ${inEach(window.fullEvery)}`;
  return [["attention", `sees the last ${plural(window.size, "token")}${all}`]];
};

/** Facts about a model as labels and values. */
export const modelRows = (facts: ModelFacts): readonly (readonly [label: string, value: string])[] => {
  const { config, tokenizer, vocabSize } = facts;
  const { nLayer, nHead, nKvHead = nHead, headDim = config.nEmbd / nHead, nEmbd, contextLength } = config;
  const heads =
    nKvHead === nHead ? plural(nHead, "head") : `${plural(nHead, "head")} for queries, ${nKvHead} for keys and values`;
  const tokens =
    tokenizer === null ? "none: only token ids" : `${tokenizer.kind}, ${plural(tokenizer.vocabSize, "token")}`;
  return [
    ["model", facts.path],
    ["saved as", facts.architecture],
    ["parameters", formatCount(facts.parameters)],
    ["layers", `${plural(nLayer, "layer")} of ${formatCount(nEmbd)} channels; ${heads} of ${headDim} channels`],
    ["context", `${plural(contextLength, "token")}, positions ${positionsText(config)}`],
    ...windowRows(config),
    ["vocabulary", `${formatCount(vocabSize)} rows${config.tieEmbeddings ? ", shared with the head" : ""}`],
    ["tokenizer", tokens],
    ["chat", facts.chatTemplate ? "has a template" : "no template"],
    ["weights", `${facts.dtypes.join(", ")}, ${formatBytes(facts.bytes)}`],
    ["checked", checkedText(facts)],
    ...adapterRows(facts.adapter),
  ];
};
