import type { Backend } from "../backend/backend.ts";
import { type BackendChoice, openBackend } from "../backend/select.browser.ts";
import { CheckpointError } from "../core/errors.ts";
import { checkManifest } from "../io/manifest.browser.ts";
import { manifestName } from "../io/manifest.ts";
import { checkLoad } from "./check-load.ts";
import { type LanguageModel, languageModel } from "./language-model.ts";
import { parsePretrained, placeModel, pretrainedNames } from "./parse.ts";

type PretrainedName = (typeof pretrainedNames)[number];

/** A checkpoint's files by name: all files of `onCheckpoint`, or the ones that loading needs. */
export type CheckpointFiles = Readonly<Record<PretrainedName, Uint8Array>> & Readonly<Record<string, Uint8Array>>;

/** Options of `loadPretrained`. */
export interface LoadOptions {
  /** An opened backend (yours to close), or the name of one (closed with the model). Default "wasm". */
  readonly backend?: Backend | BackendChoice | undefined;
  /** Threads of a backend opened here; default: all cores. */
  readonly threads?: number | undefined;
}

const fetchFile = async (directory: string, name: PretrainedName): Promise<Uint8Array> => {
  const where = `${directory}/${name}`;
  let got: string;
  try {
    const response = await fetch(where);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    got = `status ${response.status}`;
  } catch (cause) {
    throw new CheckpointError({ where, must: "the file must be served there", got: "no answer", cause });
  }
  throw new CheckpointError({ where, must: "the file must be served there", got });
};

/** Directories of other programs and early versions have none. */
const fetchManifest = (directory: string): Promise<Record<string, Uint8Array>> =>
  fetch(`${directory}/${manifestName}`).then(
    async (response): Promise<Record<string, Uint8Array>> =>
      response.ok ? { [manifestName]: new Uint8Array(await response.arrayBuffer()) } : {},
    () => ({}),
  );

const fetchFiles = async (directory: string): Promise<CheckpointFiles> => {
  const [config, model, tokenizer, manifest] = await Promise.all([
    fetchFile(directory, "config.json"),
    fetchFile(directory, "model.safetensors"),
    fetchFile(directory, "tokenizer.json"),
    fetchManifest(directory),
  ]);
  return { ...manifest, "config.json": config, "model.safetensors": model, "tokenizer.json": tokenizer };
};

/**
 * A language model from a checkpoint, trained here or in Node. Its files are compared with the SHA-256 in `manifest.json`
 * if that is among them and the page has Web Crypto.
 * @param checkpoint its files, or the address of the directory that serves them.
 * @throws CheckpointError for a missing, damaged or foreign checkpoint; UnsupportedKernelError for a missing backend.
 */
export const loadPretrained = async (
  checkpoint: string | URL | CheckpointFiles,
  options: LoadOptions = {},
): Promise<LanguageModel> => {
  checkLoad(checkpoint, options, true);
  const isAddress = typeof checkpoint === "string" || checkpoint instanceof URL;
  const directory = isAddress ? String(checkpoint).replace(/\/+$/, "") : "checkpoint";
  const files = isAddress ? await fetchFiles(directory) : checkpoint;
  await checkManifest(files, pretrainedNames, directory);
  const pretrained = parsePretrained(directory, files);
  const { backend = "wasm", threads } = options;
  if (typeof backend !== "string") return languageModel(placeModel(backend, pretrained), pretrained.tokenizer);
  const opened = await openBackend(backend, { threads });
  try {
    return languageModel(placeModel(opened, pretrained), pretrained.tokenizer, () => opened.close());
  } catch (error) {
    await opened.close();
    throw error;
  }
};
