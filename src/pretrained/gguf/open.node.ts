import { basename } from "node:path";
import { readGgufHeader } from "../../io/gguf/header.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { OpenedPretrained } from "../files/directory.node.ts";
import { hashOfWeights, weightFile } from "../files/weight-files.node.ts";
import { pretrainedOfGguf } from "./gguf.ts";
import { openGgufSource } from "./source.node.ts";
import { readGgufText } from "./tokenizer.ts";

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
