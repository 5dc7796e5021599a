/** Reads the small files of a checkpoint. These files contain all facts about a model except its weights. */
import { z } from "zod";
import { jsonLimits } from "../core/checks/json.ts";
import { CheckpointError } from "../core/errors/errors.ts";
import { lazy } from "../core/lazy.ts";
import { show } from "../core/text/show.ts";
import { beginningWith } from "../tokenizer/begin.ts";
import { noTokenizer } from "../tokenizer/none.ts";
import { loadTokenizer } from "../tokenizer/registry.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { readConfig } from "./config-json.ts";
import { checkJson, parseJson } from "./files/checkpoint-json.ts";
import { configName, tokenizerName } from "./files/names.ts";
import type { ChatTemplate } from "./model/language-model.ts";
import type { Pretrained } from "./pretrained.ts";

/** Contents of files by name. */
export type SmallFiles = Readonly<Record<string, Uint8Array>>;

/** A model without its weights. */
export type PretrainedFacts = Omit<Pretrained, "weights" | "checked" | "sha256">;

const readTokenizer = async (bytes: Uint8Array, where: string, vocabSize: number): Promise<Tokenizer> => {
  const tokenizer = await loadTokenizer(parseJson(bytes, where, jsonLimits.tokenizer), where);
  // An embedding may have more rows than the number of tokens, if the number of rows was padded to a round number. With
  // a character tokenizer, the embedding is never padded.
  const isPadded = tokenizer.vocabSize < vocabSize && tokenizer.kind !== "char";
  if (tokenizer.vocabSize === vocabSize || isPadded) return tokenizer;
  throw new CheckpointError({
    where,
    must: `the tokenizer must have the ${vocabSize} tokens of config.json`,
    got: String(tokenizer.vocabSize),
  });
};

const id = z.int().min(0);
const endJson = z.object({ eos_token_id: z.union([id, z.array(id)]).nullish() });

/**
 * Tokens that end generation. A file may name a single token or several tokens. Undefined if the file names no token.
 */
export const endsOf = (bytes: Uint8Array | undefined, where: string): readonly number[] | undefined => {
  if (bytes === undefined) return undefined;
  const { eos_token_id: end } = checkJson(endJson, parseJson(bytes, where), where);
  return end === null || end === undefined ? undefined : [end].flat();
};

/** A token's name, given as a string or as an object with matching rules. */
const tokenName = z.union([z.string(), z.object({ content: z.string() })]).nullish();

const templateJson = z.object({
  chat_template: z
    .union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))], {
      error: "must be a string, or a list of named strings",
    })
    .nullish(),
  bos_token: tokenName,
  eos_token: tokenName,
});

const beginJson = z.object({ add_bos_token: z.boolean().nullish(), bos_token: tokenName });

const nameOf = (token: z.output<typeof tokenName>): string =>
  typeof token === "string" ? token : (token?.content ?? "");

/** The tokenizer. If `tokenizer_config.json` selects a BOS token, the tokenizer gets it. */
const withOwnBegin = (tokenizer: Tokenizer, bytes: Uint8Array | undefined, where: string): Tokenizer => {
  if (bytes === undefined) return tokenizer;
  const { add_bos_token: adds, bos_token: bos } = checkJson(beginJson, parseJson(bytes, where), where);
  if (adds === false) return beginningWith(tokenizer, null);
  const named = adds === true ? tokenizer.specialTokens.find(({ name }) => name === nameOf(bos)) : undefined;
  return named === undefined ? tokenizer : beginningWith(tokenizer, named.id);
};

/** The chat template. The file `chat_template.jinja` has priority over the field of `tokenizer_config.json`. */
export const readTemplate = (files: SmallFiles, at: (name: string) => string): ChatTemplate | null => {
  const own = files["chat_template.jinja"];
  const bytes = files["tokenizer_config.json"];
  const where = at("tokenizer_config.json");
  const {
    chat_template: named,
    bos_token: bos,
    eos_token: eos,
  } = bytes === undefined ? {} : checkJson(templateJson, parseJson(bytes, where), where);
  const field = typeof named === "object" ? named?.find(({ name }) => name === "default")?.template : named;
  const template = own === undefined ? field : new TextDecoder().decode(own);
  return typeof template === "string" ? { template, bosToken: nameOf(bos), eosToken: nameOf(eos) } : null;
};

/**
 * Reads a model's facts from the small files of a directory that Foretoken or another program wrote.
 * @param where the directory, for errors.
 * @throws CheckpointError with the file and the problem.
 */
export const parseFacts = async (where: string, files: SmallFiles): Promise<PretrainedFacts> => {
  const at = (name: string): string => `${where}/${name}`;
  const configFile = files[configName];
  if (configFile === undefined) {
    throw new CheckpointError({ where: at(configName), must: "the file must exist", got: "no such file" });
  }
  const { config, vocabSize } = readConfig(configFile, at(configName));
  const tokenizerFile = files[tokenizerName];
  const tokenizer =
    tokenizerFile === undefined
      ? noTokenizer(where, vocabSize)
      : withOwnBegin(
          await readTokenizer(tokenizerFile, at(tokenizerName), vocabSize),
          files["tokenizer_config.json"],
          at("tokenizer_config.json"),
        );
  const named =
    endsOf(files["generation_config.json"], at("generation_config.json")) ?? endsOf(configFile, at(configName)) ?? [];
  const ends = tokenizer.endOfText === null ? named : [tokenizer.endOfText, ...named];
  return {
    where,
    config,
    vocabSize,
    tokenizer,
    chatTemplate: readTemplate(files, at),
    // If somebody reduced a model's vocabulary, its files may still have ids of the larger vocabulary.
    endTokens: [...new Set(ends)].filter((end) => end < vocabSize),
  };
};

const indexJson = lazy(() => z.object({ weight_map: z.record(z.string(), z.string()) }));

/** Whether `name` is a plain file name. A plain file name cannot lead out of the folder. */
const isPlainName = (name: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9._-]*\.safetensors$/u.test(name);

/** Maximum number of files that a model is divided into. */
const mostShards = 1000;

/**
 * Names of the weight files, from `model.safetensors.index.json`.
 * @throws CheckpointError for a name that is not a plain file name in the same folder.
 */
export const shardNames = (bytes: Uint8Array, where: string): readonly string[] => {
  const raw = parseJson(bytes, where, jsonLimits.safetensorsHeader);
  const names = [...new Set(Object.values(checkJson(indexJson(), raw, where).weight_map))].sort();
  const bad = names.find((name) => !isPlainName(name));
  if (bad !== undefined) {
    const must = "weight_map must name .safetensors files of the same folder";
    throw new CheckpointError({ where, must, got: show(bad) });
  }
  if (names.length === 0 || names.length > mostShards) {
    throw new CheckpointError({ where, must: `weight_map must name 1 to ${mostShards} files`, got: `${names.length}` });
  }
  return names;
};
