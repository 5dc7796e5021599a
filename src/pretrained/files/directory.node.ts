/** Opens a Hugging Face directory that Foretoken or another program wrote. */
import { openCheckpoint } from "../../io/read-checkpoint.node.ts";
import { parseFacts, shardNames } from "../parse.ts";
import type { Pretrained } from "../pretrained.ts";
import { configName, indexName, optionalNames, textFileNames, tokenizerName, weightsFileName } from "./names.ts";
import { hashOfWeights, type WeightFileFacts, weightFile } from "./weight-files.node.ts";
import { openWeights } from "./weights.ts";

/** An opened model on this disk. */
export interface OpenedPretrained extends Pretrained {
  /**
   * Computes the hash of the weights. Without a manifest, the first call reads the weight files, so the files must
   * still be open.
   */
  readonly sha256: () => Promise<string>;
  /**
   * Compares the bytes of the weights with the manifest, if there is a manifest. The function first reads the bytes
   * that have not been read yet.
   * @throws CheckpointError for a damaged file.
   */
  readonly check: () => Promise<void>;
  /** The weight files. */
  readonly weightFiles: readonly WeightFileFacts[];
  /** Original bytes of the other files that were read to load the model. */
  readonly smallFiles: Readonly<Record<string, Uint8Array>>;
  /** Number formats of the weights in the files, such as "BF16". */
  readonly dtypes: readonly string[];
  /** Original bytes of the text files: tokenizer, chat template, end tokens. Empty for a GGUF file. */
  readonly textFiles: Readonly<Record<string, Uint8Array>>;
}

/**
 * Opens a model's directory and checks everything except the values of the weights.
 * @param where the directory's name in errors. Default: its path.
 * @throws CheckpointError naming the file and the problem.
 */
export const openDirectory = async (directory: string, where = directory): Promise<OpenedPretrained> => {
  const { files, large, manifest } = await openCheckpoint(directory, {
    required: [configName],
    optional: optionalNames,
    // If there is a single weight file and also an index of several files, use the single file, like transformers.
    large: async (small, has) => {
      const index = small[indexName];
      if (index === undefined || (await has(weightsFileName))) return [weightsFileName];
      return shardNames(index, `${where}/${indexName}`);
    },
  });
  try {
    const facts = await parseFacts(where, files);
    const named = large.length === 1 ? (large[0]?.name ?? weightsFileName) : indexName;
    const weights = await openWeights(
      large.map(({ name, source }) => ({ where: `${where}/${name}`, source })),
      facts,
      `${where}/${named}`,
    );
    const weightFiles = large.map(({ name, path, source }) =>
      weightFile(name, path, source, manifest?.files[name]?.sha256),
    );
    const text = [tokenizerName, ...textFileNames].flatMap((name) => {
      const bytes = files[name];
      return bytes === undefined ? [] : [[name, bytes] as const];
    });
    return {
      ...{ ...facts, checked: manifest !== null, weights, dtypes: weights.dtypes, weightFiles, smallFiles: files },
      sha256: () => hashOfWeights(weightFiles),
      check: async () => {
        for (const { source } of large) await source.end();
      },
      textFiles: Object.fromEntries(text),
    };
  } catch (error) {
    await Promise.all(large.map(({ source }) => source.close()));
    throw error;
  }
};
