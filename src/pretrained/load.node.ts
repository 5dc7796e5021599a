import { z } from "zod";
import type { Backend } from "../backend/backend.ts";
import { type BackendChoice, openBackend } from "../backend/select.node.ts";
import { parseConfig } from "../core/config.ts";
import { CheckpointError, ForetokenError } from "../core/errors.ts";
import { readCheckpoint } from "../io/checkpoint.node.ts";
import type { Contents } from "../io/files.node.ts";
import { readSafetensors, safetensorsChunks } from "../io/safetensors.ts";
import { type ModelConfig, modelConfigSchema } from "../models/config.ts";
import { fromGpt2Tensors, gpt2ConfigJson, toGpt2Tensors } from "../models/gpt2.ts";
import { createModel, type Model, modelLayout } from "../models/model.ts";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.ts";
import { tokenizerConfigJson } from "../tokenizer/tokenizer-json.ts";
import { generationDefaults } from "./generation-config.ts";
import { type LanguageModel, languageModel } from "./language-model.ts";

/** Version of what `config.json` says under "foretoken"; a newer one is refused. */
export const formatVersion = 1;

const foretokenSection = z.object({
  formatVersion: z.int().positive(),
  model: modelConfigSchema,
});
const configJson = z.object({ vocab_size: z.int().positive(), foretoken: foretokenSection });

/** JSON as it stands in a checkpoint: indented, with a newline at the end. */
export const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Parses a checkpoint's JSON file. @throws CheckpointError for what is no JSON. */
export const parseJson = (bytes: Uint8Array, where: string): unknown => {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError({ where, must: "the file must be JSON", got, cause });
  }
};

/** Checks JSON of a checkpoint against a schema. @throws CheckpointError naming the field. */
export const checkJson = <Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  where: string,
): z.output<Schema> => {
  try {
    return parseConfig(schema, value, where);
  } catch (error) {
    throw error instanceof ForetokenError ? new CheckpointError({ ...error.details, cause: error }) : error;
  }
};

/** Fails for a checkpoint of a later Foretoken. */
export const checkFormatVersion = (version: number, where: string): void => {
  if (version > formatVersion) {
    throw new CheckpointError({
      where,
      must: `the format version must be ${formatVersion} or less`,
      got: String(version),
      hint: "a newer foretoken",
    });
  }
};

/** The files of a Hugging Face directory: what `loadPretrained` and `transformers` read. */
export const pretrainedFiles = (
  config: ModelConfig,
  tokenizer: Tokenizer,
  values: Float32Array,
): Record<string, Contents> => {
  const { vocabSize } = tokenizer;
  const tensors = toGpt2Tensors(config, modelLayout(config, vocabSize), values);
  const { temperature, topK, maxNewTokens } = generationDefaults;
  return {
    "config.json": jsonText({
      ...gpt2ConfigJson(config, vocabSize),
      foretoken: { formatVersion, model: config },
    }),
    "generation_config.json": jsonText({ do_sample: true, temperature, top_k: topK, max_new_tokens: maxNewTokens }),
    "model.safetensors": safetensorsChunks(tensors, { format: "pt" }),
    "tokenizer.json": jsonText(tokenizer.toJSON()),
    "tokenizer_config.json": jsonText(tokenizerConfigJson(config.contextLength)),
  };
};

const pretrainedNames = ["config.json", "model.safetensors", "tokenizer.json"] as const;

/** A checkpoint's contents on the host. */
export interface Pretrained {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** In the layout of `modelLayout`. */
  readonly values: Float32Array;
}

/**
 * Reads and checks a checkpoint directory without opening a backend.
 * @throws CheckpointError naming the file and what is wrong with it.
 */
export const readPretrained = async (directory: string): Promise<Pretrained> => {
  const files = await readCheckpoint(directory, pretrainedNames);
  const at = (name: (typeof pretrainedNames)[number]): string => `${directory}/${name}`;
  const raw = parseJson(files["config.json"], at("config.json"));
  if (typeof raw === "object" && raw !== null && !("foretoken" in raw)) {
    throw new CheckpointError({
      where: at("config.json"),
      must: "the checkpoint must have been written by foretoken",
      got: 'no "foretoken" section',
      hint: "a directory that foretoken train wrote",
    });
  }
  const version = z.object({ foretoken: z.object({ formatVersion: z.int() }) }).safeParse(raw);
  if (version.success) checkFormatVersion(version.data.foretoken.formatVersion, at("config.json"));
  const json = checkJson(configJson, raw, at("config.json"));
  const config = json.foretoken.model;
  const tokenizer = loadTokenizer(parseJson(files["tokenizer.json"], at("tokenizer.json")), at("tokenizer.json"));
  if (tokenizer.vocabSize !== json.vocab_size) {
    throw new CheckpointError({
      where: at("tokenizer.json"),
      must: `the tokenizer must have the ${json.vocab_size} tokens of config.json`,
      got: String(tokenizer.vocabSize),
    });
  }
  const { tensors } = readSafetensors(files["model.safetensors"], at("model.safetensors"));
  const layout = modelLayout(config, tokenizer.vocabSize);
  const values = fromGpt2Tensors(config, layout, tensors, at("model.safetensors"));
  return { config, tokenizer, values };
};

/** Puts what was read into a backend's memory. */
export const placeModel = (backend: Backend, { config, tokenizer, values }: Pretrained): Model => {
  const model = createModel(backend, config, tokenizer.vocabSize);
  backend.write(model.arena.storage, values);
  return model;
};

export interface LoadOptions {
  /** An opened backend (yours to close), or the name of one (closed with the model). Default "auto". */
  readonly backend?: Backend | BackendChoice;
  /** Threads of a backend opened here; default: all cores. */
  readonly threads?: number;
}

/**
 * A language model from a checkpoint directory.
 * @throws CheckpointError for a missing, damaged or foreign checkpoint; UnsupportedKernelError for a missing backend.
 */
export const loadPretrained = async (directory: string, options: LoadOptions = {}): Promise<LanguageModel> => {
  const pretrained = await readPretrained(directory);
  const { backend = "auto", threads } = options;
  if (typeof backend !== "string") return languageModel(placeModel(backend, pretrained), pretrained.tokenizer);
  const opened = await openBackend(backend, threads === undefined ? {} : { threads });
  return languageModel(placeModel(opened, pretrained), pretrained.tokenizer, () => opened.close());
};
