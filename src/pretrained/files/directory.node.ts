/** Opening a Hugging Face directory, of ours or another program. */
import { openCheckpoint } from "../../io/read-checkpoint.node.ts";
import {
  configName,
  indexName,
  optionalNames,
  parseFacts,
  shardNames,
  textFileNames,
  tokenizerName,
  weightsFileName,
} from "../parse.ts";
import type { Pretrained } from "../pretrained.ts";
import { hashOfWeights, type WeightFileFacts, weightFile } from "./weight-files.node.ts";
import { openWeights } from "./weights.ts";

/** A model that was found on this disk. */
export interface OpenedPretrained extends Pretrained {
  /** Its weights' hash: without a manifest their files are read for it, at the first call and while they are open. */
  readonly sha256: () => Promise<string>;
  /**
   * Compares the bytes of its weights with the manifest, if there is one; so it reads what nobody has read yet.
   * @throws CheckpointError for a damaged file.
   */
  readonly check: () => Promise<void>;
  /** The files with the weights. */
  readonly weightFiles: readonly WeightFileFacts[];
  /** The other files that loading read, as they are. */
  readonly smallFiles: Readonly<Record<string, Uint8Array>>;
  /** Element types of the weights in the files, such as "BF16". */
  readonly dtypes: readonly string[];
  /** The files about text as they are: the tokenizer, its chat template, the tokens that end a text. None of a GGUF file. */
  readonly textFiles: Readonly<Record<string, Uint8Array>>;
}

/**
 * Opens a model's directory and checks all of it but the weights' values.
 * @param where the directory's name in errors, if it is another.
 * @throws CheckpointError naming the file and its fault.
 */
export const openDirectory = async (directory: string, where = directory): Promise<OpenedPretrained> => {
  const { files, large, manifest } = await openCheckpoint(directory, {
    required: [configName],
    optional: optionalNames,
    // Where both are there, the single file goes first, as in transformers.
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
