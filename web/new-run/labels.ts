/** Labels of the fields of a new run. */
import { capital } from "../parts/format.ts";

/** Labels of the common fields, in the order of the form. */
export const commonLabels: Readonly<Record<string, string>> = {
  "train.steps": "Steps",
  "model.nLayer": "Layers",
  "model.nHead": "Heads",
  "model.nEmbd": "Width",
  "model.contextLength": "Context",
  "train.batchSize": "Batch",
  "train.learningRate": "Learning rate",
  "train.evalInterval": "Evaluate every",
  "train.sampleTokens": "Tokens per sample",
  "train.seed": "Seed",
  "tokenizer.kind": "Tokenizer",
};

/** Labels of request fields that are not part of the configuration. */
const requestLabels: Readonly<Record<string, string>> = {
  name: "Name",
  preset: "Recipe",
  initFrom: "Begin with",
  text: "Text",
  keepLast: "Checkpoints to keep",
};

/** Labels of other fields. The paths of these fields would not be good labels. */
const otherLabels: Readonly<Record<string, string>> = {
  "tokenizer.vocabSize": "Vocabulary size",
  "tokenizer.pattern": "Split pattern",
  "model.nKvHead": "Key and value heads",
  "model.headDim": "Channels per head",
  "model.position.kind": "Positions",
  "model.position.theta": "Positions: base",
  "model.position.fraction": "Positions: share of rotated channels",
  "model.position.scaling.kind": "Longer context",
  "model.position.scaling.factor": "Longer context: factor",
  "model.position.scaling.lowFrequency": "Longer context: low frequency",
  "model.position.scaling.highFrequency": "Longer context: high frequency",
  "model.position.scaling.originalContext": "Longer context: original context",
  "model.position.noneEvery": "Layers without positions",
  "model.window.size": "Window: tokens",
  "model.window.fullEvery": "Layers without a window",
  "model.window.theta": "Window: base of positions",
  "model.qkNorm": "Query and key norm",
  "model.qkNormWidth": "Query and key norm: width",
  "model.attentionScale": "Attention scale",
  "model.embeddingScale": "Embedding scale",
  "model.mask": "Mask",
  "model.norm.kind": "Norm",
  "model.norm.eps": "Norm: epsilon",
  "model.normPlacement": "Norm: placement",
  "model.mlp.kind": "MLP",
  "model.mlp.approximate": "MLP: GELU variant",
  "model.mlp.ratio": "MLP: width ratio",
  "model.mlp.hidden": "MLP: width",
  "model.bias.qkv": "Bias of QKV",
  "model.bias.projection": "Bias of the attention output",
  "model.bias.mlp": "Bias of the MLP",
  "model.initStd": "Initial standard deviation",
  "model.zeroProjections": "Blocks start as identity",
  "lora.rank": "Rank",
  "lora.dropout": "Dropout of adapters",
  "lora.targets": "Layers with adapters",
  "train.gradAccumSteps": "Batches per step",
  "train.schedule.kind": "Schedule",
  "train.schedule.minLearningRate": "Final learning rate",
  "train.optimizer.kind": "Optimizer",
  "train.optimizer.eps": "Optimizer: epsilon",
  "train.optimizer.adamLearningRateRatio": "Muon: AdamW rate ratio",
  "train.maxGradNorm": "Maximum gradient norm",
  "train.dtype": "Number format",
  "train.checkpointInterval": "Steps per checkpoint",
  "train.onNonfinite": "Action at a faulty step",
  "train.maxLossRatio": "Maximum loss jump",
  "train.maxGradNormRatio": "Maximum gradient jump",
  "train.windows": "Order of windows",
  "train.rows": "Documents per row",
  "train.teacher.weight": "Teachers: weight",
  "train.teacher.temperature": "Teachers: temperature",
};

/** Descriptions of fields. These texts replace the configuration's descriptions that contain names from code. */
const otherAbouts: Readonly<Record<string, string>> = {
  "model.nKvHead":
    "several query heads can share one key and value head; this number must divide “Heads”; default: “Heads”",
  "model.headDim": "width of a head (D); default: “Width” / “Heads”",
  "model.position.noneEvery": "with 4, every fourth layer has no positions; default: all layers have positions",
  "model.window.theta": "base of the rotary positions in layers with a window; default: “Positions: base”",
  "model.attentionScale": "each query–key product is multiplied by this factor; default: 1 / √“Channels per head”",
  "model.position.scaling.lowFrequency":
    "wavelengths above “Longer context: original context” / this value are stretched by the whole factor",
  "model.position.scaling.highFrequency":
    "wavelengths below “Longer context: original context” / this value do not change; must exceed the low frequency",
  "model.mlp.ratio": "width of the MLP, as a multiple of “Width”",
  "model.mlp.hidden": "width of the MLP",
  "lora.alpha": "the adapter's output is multiplied by alpha / rank",
  "train.gradAccumSteps": "number of batches per step; each batch has its own forward and backward pass",
  "train.optimizer.adamLearningRateRatio":
    "factor of “Learning rate” for the weights that AdamW updates: embeddings, output head and vectors",
};

export const groups: readonly { readonly key: string; readonly label: string }[] = [
  { key: "model", label: "Model" },
  { key: "train", label: "Training" },
  { key: "tokenizer", label: "Tokenizer" },
  { key: "lora", label: "Adapters (LoRA)" },
];

/** Splits "weightDecay" into "weight decay". */
const wordsOf = (name: string): string =>
  name.replace(/[A-Z][a-z]*/g, (word) => ` ${word.toLowerCase()}`).replace(/(?<=[a-z])(?=\d)/g, " ");

/** Label of a field of the configuration or the request. Undefined if the form has no such field. */
export const labelOf = (field: string): string | undefined => {
  const known = commonLabels[field] ?? requestLabels[field] ?? otherLabels[field];
  if (known !== undefined) return known;
  const group = groups.find(({ key }) => field.startsWith(`${key}.`));
  if (group === undefined) return undefined;
  const names = field
    .slice(group.key.length + 1)
    .split(".")
    .map(wordsOf);
  return capital([names.slice(0, -1).join(" "), names.at(-1)].filter(Boolean).join(": "));
};

export const aboutOf = (path: string, about: string): string => otherAbouts[path] ?? about;

const inOrder: readonly string[] = ["text", "name", "preset", "initFrom", ...Object.keys(commonLabels), "keepLast"];

/** Position of a field in the form. Folded fields come last. */
export const placeInForm = (field: string): number => {
  const place = inOrder.indexOf(field);
  return place === -1 ? inOrder.length : place;
};

/** All fields that have a label. Errors name some of these fields by the last part of the path. */
export const namedFields: readonly string[] = [
  ...Object.keys(commonLabels),
  ...Object.keys(requestLabels),
  ...Object.keys(otherLabels),
];
