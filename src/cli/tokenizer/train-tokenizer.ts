/** Trains a tokenizer on texts, and writes its files. */
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { isCorpusName, loadCorpus } from "../../data/corpora.node.ts";
import { readText } from "../../data/text.node.ts";
import { makeFolders, removeEmptyFolders, writeFlushed } from "../../io/files.node.ts";
import { occupantOf } from "../../io/owned-folder.node.ts";
import type { BpeTokenizer } from "../../tokenizer/bpe/bpe.ts";
import { bpeTrainer } from "../../tokenizer/bpe/learn/train.ts";
import type { SplitPattern } from "../../tokenizer/bpe/split/patterns.ts";
import { tokenizerConfigJson } from "../../tokenizer/tokenizer-json.ts";
import { writeNotice } from "../process/output.ts";

/** Settings of `foretoken tokenizer train`. */
export interface TokenizerTraining {
  /** Names of corpora, or paths of files and folders. */
  readonly data: readonly string[];
  readonly vocabSize: number;
  readonly pattern: SplitPattern;
  readonly specialTokens: readonly string[];
  /** A new or empty folder. */
  readonly out: string;
}

/** A trained tokenizer, with facts about its training. */
export interface TrainedTokenizer {
  readonly tokenizer: BpeTokenizer;
  readonly bytes: number;
  readonly seconds: number;
}

const textOf = async (data: string): Promise<string> => {
  if (isCorpusName(data)) {
    const { train, val, notice } = await loadCorpus(data);
    if (notice !== undefined) writeNotice(notice);
    return train + val;
  }
  const { text, notice } = await readText(data);
  if (notice !== undefined) writeNotice(notice);
  return text;
};

/** The `model_max_length` that means "no limit" in `transformers`, because any model may use the tokenizer. */
const noLimit = 1e30;

/** @throws ConfigError unless `out` is a new or empty folder. */
const checkOut = async (out: string): Promise<void> => {
  const at = await occupantOf(out);
  if (at === "nothing" || at === "an empty folder") return;
  const named: Partial<Record<typeof at, string>> = {
    ours: "a folder with a run or a checkpoint",
    "a folder that foretoken did not write": "a folder with other files",
  };
  const got = named[at] ?? at;
  throw new ConfigError({ where: `--out ${out}`, must: "must be a new or empty folder", got, hint: "another name" });
};

/** Writes both files. If one file cannot be written, no file stays. */
const writeFiles = async (out: string, tokenizer: BpeTokenizer): Promise<void> => {
  const files = {
    "tokenizer.json": tokenizer.toJSON(),
    "tokenizer_config.json": tokenizerConfigJson(noLimit, tokenizer),
  };
  const made = await makeFolders(out);
  const written: string[] = [];
  try {
    for (const [name, contents] of Object.entries(files)) {
      written.push(join(out, name));
      await writeFlushed(join(out, name), `${JSON.stringify(contents, null, 1)}\n`);
    }
  } catch (error) {
    // Another program wrote the last file, so do not delete it.
    if (systemErrorCode(error) === "EEXIST") written.pop();
    for (const path of written) await unlink(path).catch(() => undefined);
    await removeEmptyFolders(made);
    if (systemErrorCode(error) === undefined) throw error;
    throw new ConfigError({
      where: `--out ${out}`,
      must: "must be a writable folder",
      got: error instanceof Error ? error.message : String(error),
      hint: "another folder, or more free space on the disk",
      cause: error,
    });
  }
};

/**
 * @throws ConfigError for a vocabulary that is too small, or a folder that is not empty; DataError if there is no text.
 */
export const trainTokenizerFiles = async (training: TokenizerTraining): Promise<TrainedTokenizer> => {
  const { data, out, ...options } = training;
  await checkOut(out);
  const trainer = bpeTrainer(options);
  const from = performance.now();
  let bytes = 0;
  for (const name of data) {
    const text = await textOf(name);
    bytes += trainer.add(text);
  }
  const tokenizer = trainer.train();
  const seconds = (performance.now() - from) / 1000;
  await writeFiles(out, tokenizer);
  return { tokenizer, bytes, seconds };
};
