/** Reads a `config.json` that Foretoken or another program wrote. */
import { z } from "zod";
import { isRecord } from "../core/checks/is-record.ts";
import { CheckpointError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import type { ReadConfig } from "../models/architectures/architecture.ts";
import { architectureOf } from "../models/architectures/architecture-of.ts";
import { readHuggingFaceConfig } from "../models/architectures/read-config.ts";
import { modelConfigSchema } from "../models/config.ts";
import { checkFormatVersion, checkJson, parseJson } from "./files/checkpoint-json.ts";

const foretokenSection = z.object({
  formatVersion: z.int().positive(),
  model: modelConfigSchema,
});
const configJson = z.object({ vocab_size: z.int().positive(), foretoken: foretokenSection });

type Fields = Readonly<Record<string, unknown>>;

/** The model that the fields describe, as a text for comparisons. Null if the fields do not describe a valid model. */
const modelText = (fields: Fields, where: string): string | null => {
  try {
    return JSON.stringify(readHuggingFaceConfig(fields, where).config);
  } catch (error) {
    if (error instanceof CheckpointError) return null;
    throw error;
  }
};

/** Maximum number of fields that are compared, because a hostile file may have thousands of fields. */
const mostFields = 200;

/** Name of the first field outside the block `foretoken` that contradicts the block. */
const otherField = (ours: Fields, theirs: Fields, same: string, where: string): string | undefined => {
  const isChanged = (field: string): boolean => JSON.stringify(theirs[field]) !== JSON.stringify(ours[field]);
  const [own, others] = [Object.keys(ours), Object.keys(theirs)];
  const kept = own.filter((field) => Object.hasOwn(theirs, field));
  return [...new Set([...kept, ...others, ...own])]
    .filter(isChanged)
    .slice(0, mostFields)
    .find((field) => modelText({ ...ours, [field]: theirs[field] }, where) !== same);
};

/**
 * Throws if the block `foretoken` and the other fields describe different models. They differ if another program edits
 * only the fields outside the block. Other fields may describe the same model in another way, for example its rotary
 * position embeddings.
 */
const checkSameModel = (json: Fields, { config, vocabSize }: ReadConfig, where: string): void => {
  const { foretoken: _, ...theirs } = json;
  if (!Object.hasOwn(theirs, "model_type")) return;
  const written: Fields = architectureOf(config, `${where}: foretoken.model`).huggingFace.configJson(config, vocabSize);
  // Convert to JSON and back to remove undefined fields.
  const ours: Fields = JSON.parse(JSON.stringify(written));
  const same = modelText(ours, where);
  if (same === null || modelText(theirs, where) === same) return;
  const field = otherField(ours, theirs, same, where);
  throw new CheckpointError({
    where,
    must: `the block foretoken and the ${field === undefined ? "other fields" : `field ${field}`} must describe the same model`,
    got: field === undefined ? "two models" : `${show(ours[field])} and ${show(theirs[field])}`,
    hint: "deleting the block foretoken, if the other fields are right",
  });
};

/**
 * Reads the configuration of a model that Foretoken or another program wrote. @throws CheckpointError with the field.
 */
export const readConfig = (bytes: Uint8Array, where: string): ReadConfig => {
  const raw = parseJson(bytes, where);
  if (!isRecord(raw)) throw new CheckpointError({ where, must: "must be an object", got: show(raw) });
  if (!("foretoken" in raw)) return readHuggingFaceConfig(raw, where);
  const version = z.object({ foretoken: z.object({ formatVersion: z.int() }) }).safeParse(raw, { jitless: true });
  if (version.success) checkFormatVersion(version.data.foretoken.formatVersion, where);
  const json = checkJson(configJson, raw, where);
  const read = { config: json.foretoken.model, vocabSize: json.vocab_size };
  checkSameModel(raw, read, where);
  return read;
};
