import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, resolve } from "node:path";
import { checkLanguageModel, checkPath } from "../core/check-arguments.ts";
import { CheckpointError } from "../core/errors.ts";
import { writeCheckpoint } from "../io/checkpoint.node.ts";
import { manifestName } from "../io/manifest.ts";
import { occupantOf } from "../io/owned-folder.node.ts";
import { arenaReader } from "../models/arena.ts";
import { whileOpen } from "./closed.ts";
import type { LanguageModel } from "./language-model.ts";
import { pretrainedFiles } from "./pretrained-files.ts";

const refused = (where: string, must: string, got: string): CheckpointError =>
  new CheckpointError({ where, must, got, hint: "another folder" });

/** Whether `folder` is `path` or above it. */
const holds = (folder: string, path: string): boolean =>
  folder === path || (dirname(path) !== path && holds(folder, dirname(path)));

/**
 * A checkpoint is replaced whole, so nothing else may be in its folder.
 * @returns the folder's path, resolved once.
 */
const replaceable = async (directory: string, names: readonly string[]): Promise<string> => {
  const must = "the folder must be new, empty or an earlier checkpoint and nothing else";
  if (directory === "") throw refused("savePretrained", "the folder must have a name", '""');
  const path = resolve(directory);
  for (const place of [process.cwd(), homedir()]) {
    if (holds(path, place)) {
      throw refused(directory, "the folder must not be the working directory or one above it", path);
    }
  }
  let occupant: Awaited<ReturnType<typeof occupantOf>>;
  let entries: readonly string[] = [];
  try {
    occupant = await occupantOf(path);
    if (occupant === "ours" || occupant === "a folder of somebody else") entries = await readdir(path);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError({ where: directory, must: "the folder must be readable", got, cause });
  }
  const other = entries.find((entry) => !names.includes(entry) && entry !== manifestName);
  if (other !== undefined) throw refused(directory, must, `a folder with ${JSON.stringify(other)} in it`);
  if (occupant === "nothing" || occupant === "an empty folder" || occupant === "ours") return path;
  throw refused(directory, must, occupant);
};

/**
 * Writes a model and its tokenizer as a Hugging Face directory with a manifest of the files' hashes, which
 * `loadPretrained` reads and checks. It replaces a checkpoint that is already there; a kill or an error leaves the old
 * one or the new one, never half.
 * @param directory created with its parents if it is missing.
 * @throws CheckpointError if the system refuses, the folder cannot be listed, or it has other files (an optimizer's
 *   moments beside a model, or a letter). Nothing is changed then.
 */
export const savePretrained = async (directory: string, lm: LanguageModel): Promise<void> => {
  checkLanguageModel("savePretrained: model", lm, "a model from loadPretrained");
  checkPath("savePretrained: directory", directory);
  const { model, tokenizer } = lm;
  const files = pretrainedFiles(model.config, tokenizer, arenaReader(model.backend, model.arena));
  await whileOpen("savePretrained", model, async () => {
    const path = await replaceable(directory, Object.keys(files));
    await writeCheckpoint(path, files);
  });
};
