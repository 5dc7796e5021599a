/** Writes a model as a Hugging Face directory, and an adapter as a PEFT folder. */
import { realpath } from "node:fs/promises";
import { relative, resolve } from "node:path";
import { CheckpointError } from "../../core/errors/errors.ts";
import type { ProductDType } from "../../core/tensors/dtype.ts";
import { writeCheckpoint } from "../../io/checkpoint.node.ts";
import type { Contents } from "../../io/files.node.ts";
import { checkApart, checkBelowFolders } from "../../io/new-file.node.ts";
import { occupantOf } from "../../io/owned-folder.node.ts";
import { arrayReader, type ReadValues } from "../../models/arena.ts";
import { loraLayout } from "../../models/lora/layout.ts";
import { modelLayout } from "../../models/model.ts";
import type { AdapterBase } from "../adapter/config.ts";
import { adapterBase } from "../adapter/open.node.ts";
import { adapterTextFiles } from "../adapter/text.ts";
import { adapterFiles } from "../adapter/write.ts";
import { isHubName } from "../files/hub-name.ts";
import { pretrainedFiles } from "../files/pretrained-files.ts";
import { replaceable } from "../files/replaceable.node.ts";
import type { ModelSource, OnRead, SourceAdapter } from "./source.node.ts";

/** Options for writing a directory. */
export interface WritingDirectory {
  /** The called function, for errors. */
  readonly where: string;
  /** Number format of the weights. Default: float32. */
  readonly dtype?: ProductDType | undefined;
  /** Whether an existing model with this name may be replaced. */
  readonly replace: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onRead?: OnRead | undefined;
}

/** A directory that was written. */
export interface WrittenDirectory {
  /** Size in bytes of all files except the manifest. */
  readonly bytes: number;
  /** Number of weights. */
  readonly parameters: number;
}

/**
 * @throws CheckpointError if the folder is the source model's own folder, because writing would delete the model's
 * weights. Also throws if the folder is the adapter's own folder, because the adapter would then be merged twice.
 */
const checkOther = async (directory: string, { base, adapter }: ModelSource): Promise<void> => {
  const placeOf = (path: string): Promise<string | undefined> => realpath(path).catch(() => undefined);
  const place = await placeOf(directory);
  for (const [path, what] of [
    [base.where, adapter === null ? "the exported model" : "the adapter's base model"],
    [adapter?.where, "the adapter"],
  ] as const) {
    if (path === undefined || place === undefined || place !== (await placeOf(path))) continue;
    throw new CheckpointError({
      where: directory,
      must: "the folder must not be the source's own folder",
      got: `${path}, ${what}`,
      hint: "another folder",
    });
  }
};

/**
 * @throws CheckpointError if the directory is inside a model's folder or below a file. Also throws if the directory is
 * an earlier checkpoint and `replace` is false. Other files in the directory are not checked here.
 */
export const checkFreeFolder = async (directory: string, replace: boolean): Promise<void> => {
  await checkApart(directory);
  await checkBelowFolders(directory);
  const occupant = await occupantOf(resolve(directory));
  if (occupant !== "ours" || replace) return;
  throw new CheckpointError({
    where: directory,
    must: "the name must be free",
    got: "a model with this name",
    hint: "another name, or replace: true",
  });
};

/** Yields the contents. Throws an error if `signal` is aborted. */
const stoppable = (contents: Contents, signal: AbortSignal | undefined): Contents => {
  if (signal === undefined || typeof contents === "string" || contents instanceof Uint8Array) return contents;
  return (async function* () {
    for await (const piece of contents) {
      signal.throwIfAborted();
      yield piece;
    }
  })();
};

/** Writes all files or no file. @param shown the folder as the user named it. @returns total size in bytes. */
const writeFiles = async (
  path: string,
  shown: string,
  files: Readonly<Record<string, Contents>>,
  { replace, signal }: Pick<WritingDirectory, "replace" | "signal">,
): Promise<number> => {
  let bytes = 0;
  const written = Object.entries(files).map(([name, contents]) => [name, stoppable(contents, signal)] as const);
  try {
    await writeCheckpoint(path, Object.fromEntries(written), {
      ...{ isNew: !replace, shown },
      check: (digests) => {
        bytes = Object.values(digests).reduce((sum, file) => sum + file.bytes, 0);
      },
    });
  } catch (error) {
    // Throw the signal's own reason, not the write error that the abort caused.
    signal?.throwIfAborted();
    throw error;
  }
  return bytes;
};

/**
 * Writes a model as a Hugging Face directory, with the adapter merged into its weights. If the model is a directory,
 * its text files (tokenizer, chat template) are copied. An adapter that learned conversations may replace the chat
 * template and add end tokens.
 * @throws CheckpointError for a folder with other files. The function throws before it reads weights and changes
 * nothing.
 */
export const writeDirectory = async (
  directory: string,
  source: ModelSource,
  { where, dtype, replace, signal, onRead }: WritingDirectory,
): Promise<WrittenDirectory> => {
  const { config, vocabSize, tokenizer, chatTemplate, endTokens } = source.facts;
  let weights: ReadValues = arrayReader(new Float32Array(0));
  const facts = { vocabSize, chatTemplate, endTokens, ...(dtype && { dtype }) };
  const files = {
    ...pretrainedFiles(config, tokenizer, (offset, size) => weights(offset, size), facts),
    ...source.textFiles,
  };
  // Check before the weights are read, because reading takes long.
  const path = await replaceable(where, directory, Object.keys(files));
  await checkOther(path, source);
  weights = await source.readWeights(signal, onRead);
  const bytes = await writeFiles(path, directory, files, { replace, signal });
  return { bytes, parameters: modelLayout(config, vocabSize).count };
};

/** Fields in which an adapter in `directory` names its base model. */
const namedBase = (directory: string, { base }: ModelSource, { baseHash }: SourceAdapter): AdapterBase => {
  const place = base.servedFrom();
  const named = isHubName(place) ? place : relative(directory, place);
  return adapterBase(named, { fused: base.weights.fused, sha256: baseHash });
};

/**
 * Writes an adapter alone as a PEFT folder. The folder names the base model by a relative path.
 * @throws CheckpointError for a folder with other files; nothing is changed then.
 */
export const writeAdapterDirectory = async (
  directory: string,
  source: ModelSource,
  adapter: SourceAdapter,
  { where, replace, signal }: WritingDirectory,
): Promise<WrittenDirectory> => {
  const { config, tokenizer, chatTemplate, endTokens } = source.facts;
  const { lora, values, text } = adapter;
  const path = resolve(directory);
  const learned = text.template === undefined ? null : chatTemplate;
  const files = {
    ...adapterFiles(config, lora, arrayReader(values), namedBase(path, source, adapter)),
    ...adapterTextFiles({ chatTemplate: learned, endTokens: endTokens.filter((id) => id < tokenizer.vocabSize) }),
  };
  await checkOther(await replaceable(where, directory, Object.keys(files)), source);
  const bytes = await writeFiles(path, directory, files, { replace, signal });
  return { bytes, parameters: loraLayout(config, lora).count };
};
