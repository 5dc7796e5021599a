/** The fields of a new run as its form names them. */
import { capital } from "../parts/format.ts";

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
  "train.evalInterval": "Evaluate every",
  "train.sampleTokens": "Tokens of each sample",
  "train.seed": "Seed",
};

/** Fields of the request that are none of the configuration. */
const requestLabels: Readonly<Record<string, string>> = {
  name: "Name",
  preset: "Recipe",
  initFrom: "Begin with",
  text: "Text",
  keepLast: "Checkpoints to keep",
};

/** The other fields, where the words of their paths would not do. */
const otherLabels: Readonly<Record<string, string>> = {
  "tokenizer.vocabSize": "Vocabulary size",
  "tokenizer.pattern": "Pattern of pieces",
  "model.nKvHead": "Heads of keys and values",
  "model.headDim": "Channels of a head",
  "model.position.kind": "Positions",
  "model.position.theta": "Positions: base",
  "model.position.fraction": "Positions: rotated part",
  "model.position.scaling.kind": "Longer context",
  "model.position.scaling.factor": "Longer context: factor",
  "model.position.scaling.lowFrequency": "Longer context: low frequency",
  "model.position.scaling.highFrequency": "Longer context: high frequency",
  "model.position.scaling.originalContext": "Longer context: context before",
  "model.position.noneEvery": "Positions: layers without them",
  "model.window.size": "Window: tokens",
  "model.window.fullEvery": "Window: layers without one",
  "model.window.theta": "Window: base of positions",
  "model.qkNorm": "Norm of queries and keys",
  "model.qkNormWidth": "Norm of queries and keys: width",
  "model.attentionScale": "Factor of attention",
  "model.embeddingScale": "Factor of token vectors",
  "model.mask": "Mask",
  "model.norm.kind": "Norm",
  "model.norm.eps": "Norm: epsilon",
  "model.normPlacement": "Norm: before or after a branch",
  "model.mlp.kind": "MLP",
  "model.mlp.approximate": "MLP: form of GELU",
  "model.mlp.ratio": "MLP: width ratio",
  "model.mlp.hidden": "MLP: width",
  "model.bias.qkv": "Bias in attention",
  "model.bias.projection": "Bias after attention",
  "model.bias.mlp": "Bias in the MLP",
  "model.initStd": "Spread of initial weights",
  "model.zeroProjections": "Blocks start as identity",
  "lora.rank": "Rank",
  "lora.dropout": "Dropout of adapters",
  "lora.targets": "Layers with adapters",
  "train.gradAccumSteps": "Batches per step",
  "train.schedule.kind": "Schedule",
  "train.schedule.minLearningRate": "Last learning rate",
  "train.optimizer.kind": "Optimizer",
  "train.optimizer.eps": "Optimizer: epsilon",
  "train.optimizer.adamLearningRateRatio": "Muon: share for AdamW",
  "train.maxGradNorm": "Largest gradient norm",
  "train.dtype": "Number format",
  "train.checkpointInterval": "Steps per checkpoint",
  "train.onNonfinite": "At a faulty step",
  "train.maxLossRatio": "Largest jump of the loss",
  "train.maxGradNormRatio": "Largest jump of the gradient",
  "train.windows": "Windows of a text",
  "train.rows": "Documents in a row",
};

/** What a field is, where the configuration's own words name other fields as code does. */
const otherAbouts: Readonly<Record<string, string>> = {
  "model.nKvHead": "each is shared by several heads of queries: it divides “Heads”; as many as those unless given",
  "model.headDim": "width of a head (D); “Width” / “Heads” unless given",
  "model.position.noneEvery": "each n-th layer has none: with 4 every fourth; no layer unless given",
  "model.window.theta": "base of the wavelengths in layers with a window; “Positions: base” unless given",
  "model.attentionScale": "of each product of a query and a key; the inverse root of “Channels of a head” unless given",
  "model.position.scaling.lowFrequency": "a wavelength that turns fewer times in the context before is stretched fully",
  "model.position.scaling.highFrequency": "one that turns more often is not stretched; more than the low frequency",
  "model.mlp.ratio": "width of the MLP, as a multiple of “Width”",
  "model.mlp.hidden": "width of the MLP",
  "lora.alpha": "the adapter's output is multiplied by alpha / rank",
  "train.gradAccumSteps": "forward and backward passes per update; a step sees so many times “Batch”",
  "train.optimizer.adamLearningRateRatio":
    "learning rate of embeddings, head and vectors, which AdamW updates, as a share of “Learning rate”",
};

export const groups: readonly { readonly key: string; readonly label: string }[] = [
  { key: "train", label: "Training" },
  { key: "model", label: "Model" },
  { key: "tokenizer", label: "Tokenizer" },
  { key: "lora", label: "Adapters (LoRA)" },
];

/** "weightDecay" as "weight decay". */
const wordsOf = (name: string): string =>
  name.replace(/[A-Z][a-z]*/g, (word) => ` ${word.toLowerCase()}`).replace(/(?<=[a-z])(?=\d)/g, " ");

/** The form's name of a field of the configuration or of the request; undefined: the form has no such field. */
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

const inOrder: readonly string[] = ["text", "preset", "name", "keepLast", "initFrom", ...Object.keys(commonLabels)];

/** The place of a field in the form; all folded ones come after the others. */
export const placeInForm = (field: string): number => {
  const place = inOrder.indexOf(field);
  return place === -1 ? inOrder.length : place;
};

/** All fields with a name of their own: for the last part of a path, as errors name it. */
export const namedFields: readonly string[] = [
  ...Object.keys(commonLabels),
  ...Object.keys(requestLabels),
  ...Object.keys(otherLabels),
];
