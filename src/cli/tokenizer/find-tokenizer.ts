/** Finds the tokenizer for a path: a file, a GGUF file, a checkpoint, a run, or any folder with a tokenizer.json. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { jsonLimits } from "../../core/checks/json.ts";
import { DataError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { readRegularFile, UnreadableFileError } from "../../core/system/regular-file.node.ts";
import { parseJson } from "../../pretrained/files/checkpoint-json.ts";
import { openGgufTokenizer } from "../../pretrained/gguf/open.node.ts";
import { isGgufName } from "../../pretrained/gguf/source.node.ts";
import { loadTokenizer } from "../../tokenizer/registry.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";

const fileName = "tokenizer.json";

const kindAt = async (path: string): Promise<"file" | "folder" | undefined> =>
  stat(path).then(
    (found) => (found.isDirectory() ? "folder" : "file"),
    () => undefined,
  );

/**
 * Possible paths of the file inside a folder: in the folder itself (a checkpoint or a tokenizer), or in the best or
 * last checkpoint of a run.
 */
const placesIn = (folder: string): readonly string[] =>
  ["", "best", "checkpoint"].map((inner) => join(folder, inner, fileName));

const findFile = async (path: string): Promise<string> => {
  const kind = await kindAt(path);
  if (kind === "file") return path;
  for (const place of placesIn(path)) if ((await kindAt(place)) === "file") return place;
  throw new DataError({
    where: path,
    must: `must be a ${fileName}, a .gguf file, or a folder with a ${fileName}: a tokenizer, a checkpoint or a run`,
    got: kind === undefined ? "nothing there" : `a folder without ${fileName}`,
    hint: "foretoken tokenizer train --data FILE --out FOLDER",
  });
};

/** @throws DataError if the path has no tokenizer; CheckpointError if the tokenizer is damaged. */
export const findTokenizer = async (path: string): Promise<Tokenizer> => {
  if (isGgufName(path)) return openGgufTokenizer(path);
  const file = await findFile(path);
  let bytes: Uint8Array;
  try {
    bytes = await readRegularFile(file, { maxBytes: jsonLimits.tokenizer.maxBytes, followLinks: true });
  } catch (cause) {
    if (cause instanceof UnreadableFileError) throw new DataError({ where: file, must: cause.must, got: cause.got });
    const must = "the file must be readable";
    throw new DataError({ where: file, must, got: systemErrorCode(cause) ?? String(cause), cause });
  }
  return loadTokenizer(parseJson(bytes, file, jsonLimits.tokenizer), file);
};
