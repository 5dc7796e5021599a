import { basename } from "node:path";
import { CheckpointError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { UnreadableFileError } from "../../core/system/regular-file.node.ts";
import type { ByteSource } from "../../io/byte-source.ts";
import { openFileSource } from "../../io/file-source.node.ts";
import { readGgufHeader } from "../../io/gguf/header.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { OpenedPretrained } from "../files/directory.node.ts";
import { hashOfWeights, weightFile } from "../files/weight-files.node.ts";
import { pretrainedOfGguf } from "./gguf.ts";
import { readGgufText } from "./tokenizer.ts";

/** Opens a GGUF file that a user named. @throws CheckpointError if the file is missing or unreadable. */
export const openGgufSource = async (path: string): Promise<ByteSource> => {
  try {
    return await openFileSource(path, path, true);
  } catch (cause) {
    if (cause instanceof UnreadableFileError) {
      throw new CheckpointError({ where: path, must: cause.must, got: cause.got, cause });
    }
    if (systemErrorCode(cause) === "ENOENT") {
      throw new CheckpointError({ where: path, must: "the path must name a model", got: "no such file", cause });
    }
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError({ where: path, must: "the file must be readable", got, cause });
  }
};

/** Whether a path ends in `.gguf`. */
export const isGgufName = (path: string): boolean => /\.gguf$/iu.test(path);

/**
 * Opens the model in a GGUF file and checks it. The file stays open, and its weights are read later.
 * @throws CheckpointError with the file and the problem.
 */
export const openGguf = async (path: string): Promise<OpenedPretrained> => {
  const source = await openGgufSource(path);
  const found = await pretrainedOfGguf(source, path);
  const weightFiles = [weightFile(basename(path), path, source)];
  const facts = { ...found, textFiles: {}, smallFiles: {}, weightFiles };
  // A GGUF file has no manifest, so `check` has nothing to compare.
  return { ...facts, sha256: () => hashOfWeights(weightFiles), check: async () => {} };
};

/**
 * Reads only the tokenizer of a GGUF file. The function works even if the file's model is not supported.
 * @throws CheckpointError with the file and the problem.
 */
export const openGgufTokenizer = async (path: string): Promise<Tokenizer> => {
  const source = await openGgufSource(path);
  try {
    const { metadata } = await readGgufHeader(source, path);
    const tokens = metadata.get("tokenizer.ggml.tokens");
    return readGgufText(metadata, Array.isArray(tokens) ? tokens.length : 0, path).tokenizer;
  } finally {
    await source.close();
  }
};
