/** Makes the files of a folder for transformers.js. */
import { type FileLimits, onnxFiles } from "../../io/onnx/files.ts";
import type { LateBytes } from "../../io/onnx/wire.ts";
import { arenaReader, type ReadValues } from "../../models/arena.ts";
import type { ModelConfig } from "../../models/config.ts";
import { modelLayout } from "../../models/model.ts";
import { pretrainedFiles } from "../files/pretrained-files.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { SaveOnnxOptions } from "./check.ts";
import { configText, forms, generationText, tokenizerText } from "./texts.ts";
import { modelGraph, onnxDTypes } from "./transformer.ts";
import { namedWeights } from "./weights.ts";

/** Name of the folder with the graphs, inside a model's folder. */
export const graphFolder = "onnx";

/** Whether Foretoken writes a file with this name in the folder of the graphs. */
export const isGraphName = (name: string): boolean => /^model(_quantized)?\.onnx(_data(_\d+)?)?$/u.test(name);

/** A folder's files, by their paths in the folder. */
export type OnnxFolder = Readonly<Record<string, LateBytes>>;

const textBytes = (text: string): LateBytes => {
  const bytes = new TextEncoder().encode(text);
  return {
    length: bytes.length,
    async *pieces() {
      yield bytes;
    },
  };
};

/** The files. Reading the files reports progress, and `signal` cancels the reading. */
const watched = (files: OnnxFolder, { signal, onProgress }: SaveOnnxOptions): OnnxFolder => {
  const all = Object.values(files).reduce((sum, { length }) => sum + length, 0);
  let done = 0;
  const watch = ({ length, pieces }: LateBytes): LateBytes => ({
    length,
    async *pieces() {
      for await (const piece of pieces()) {
        signal?.throwIfAborted();
        yield piece;
        done += piece.length;
        onProgress?.(done, all);
      }
    },
  });
  return Object.fromEntries(Object.entries(files).map(([name, file]) => [name, watch(file)]));
};

/** A model to be written. */
export interface OnnxSource extends Pick<LanguageModel, "tokenizer" | "endTokens" | "chatTemplate"> {
  readonly config: ModelConfig;
  /** Rows of the embedding. */
  readonly vocabSize: number;
  /** Reads weights in the layout of `modelLayout`; called while the files are written. */
  readonly read: ReadValues;
}

/** A source of weights for a loaded model without an adapter. */
export const sourceOf = ({ model, tokenizer, endTokens, chatTemplate }: LanguageModel): OnnxSource => {
  const { config, vocabSize, backend, arena } = model;
  return { config, vocabSize, tokenizer, endTokens, chatTemplate, read: arenaReader(backend, arena) };
};

/**
 * The files of a model for transformers.js and ONNX Runtime.
 * @param where the called function, for errors.
 * @throws ConfigError if `transformers` has no class for the model: transformers.js uses the class's name.
 */
export const onnxFolder = (
  { config, vocabSize, tokenizer, endTokens, chatTemplate, read }: OnnxSource,
  where: string,
  options: SaveOnnxOptions,
  limits?: FileLimits,
): OnnxFolder => {
  const texts: Record<string, string> = {};
  for (const [name, content] of Object.entries(
    pretrainedFiles(config, tokenizer, read, { vocabSize, endTokens, chatTemplate }),
  )) {
    // Contents that are not text are weights. Leave weights out, because the graphs contain them.
    if (typeof content === "string") texts[name] = content;
  }
  const dtypes = options.dtype === undefined ? onnxDTypes : [options.dtype];
  const weights = namedWeights(modelLayout(config, vocabSize).parameters, read, where);
  const graphs: Record<string, LateBytes> = {};
  const beside: Record<string, number> = {};
  for (const dtype of dtypes) {
    const { file } = forms[dtype];
    const files = Object.entries(onnxFiles(file, modelGraph(config, vocabSize, weights, dtype), limits));
    if (files.length > 1) beside[file] = files.length - 1;
    for (const [name, bytes] of files) graphs[`${graphFolder}/${name}`] = bytes;
  }
  const {
    "config.json": json = "{}",
    "generation_config.json": generation = "{}",
    "tokenizer.json": tokenizerJson,
    ...others
  } = texts;
  const written = {
    "config.json": configText(json, dtypes, beside),
    "generation_config.json": generationText(generation, config.contextLength),
    ...(tokenizerJson !== undefined && { "tokenizer.json": tokenizerText(tokenizerJson) }),
    ...others,
  };
  const small = Object.entries(written).map(([name, text]) => [name, textBytes(text)] as const);
  return watched({ ...Object.fromEntries(small), ...graphs }, options);
};
