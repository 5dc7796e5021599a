/** The fields of a new run as its form names them, and failures in these names. */
import type { Failure } from "../../src/serve/studio/protocol.ts";

/** Fields of the configuration that come first. */
export const commonLabels: Readonly<Record<string, string>> = {
  "train.steps": "Steps",
  "model.nLayer": "Layers",
  "model.nHead": "Heads",
  "model.nEmbd": "Width",
  "model.contextLength": "Context",
  "train.batchSize": "Batch",
  "train.learningRate": "Learning rate",
  "tokenizer.kind": "Tokenizer",
  "train.evalInterval": "Steps per evaluation",
  "train.sampleTokens": "Tokens of each sample",
  "train.seed": "Seed",
};

const requestLabels: Readonly<Record<string, string>> = {
  name: "Name",
  preset: "Recipe",
  initFrom: "Begin with",
  text: "Text",
  keepLast: "Checkpoints to keep",
};

export const groups: readonly { readonly key: string; readonly label: string }[] = [
  { key: "train", label: "Training" },
  { key: "model", label: "Model" },
  { key: "tokenizer", label: "Tokenizer" },
  { key: "lora", label: "Adapters (LoRA)" },
];

/** The field of the form that a failure is about: of a group, such as `tokenizer`, its first one. */
export const fieldOf = ({ field }: Failure): string | undefined => {
  if (field === undefined) return undefined;
  if (/^text\./u.test(field)) return "text";
  return Object.keys(commonLabels).find((path) => path === field || path.startsWith(`${field}.`)) ?? field;
};

const labelOf = (field: string): string | undefined => {
  const known = commonLabels[field] ?? requestLabels[field];
  if (known !== undefined) return known;
  const group = groups.find(({ key }) => field.startsWith(`${key}.`));
  return group === undefined ? undefined : `${group.label}, ${field.slice(group.key.length + 1)}`;
};

/** What is wrong, without the name of the field: to stand at it. */
export const wrongOf = ({ error, field }: Failure): string => {
  const names = [`config.${field}: `, `request.${field}: `, `${field}: `, `${field} `];
  const name = field === undefined ? undefined : names.find((one) => error.startsWith(one));
  return name === undefined ? error : error.slice(name.length);
};

/** Whether it is about a field that the form shows. */
export const isOfForm = (failure: Failure): boolean => labelOf(fieldOf(failure) ?? "") !== undefined;

/** The same with the name that the form has for the field. */
export const failureText = (failure: Failure): string => {
  const field = fieldOf(failure);
  const label = field === undefined ? undefined : labelOf(field);
  return label === undefined ? failure.error : `${label}: ${wrongOf(failure)}`;
};
