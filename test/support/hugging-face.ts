import { readFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readSafetensors } from "#foretoken/io/safetensors.js";

const folder = fileURLToPath(new URL("../fixtures/hugging-face", import.meta.url));

const { ids } = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as {
  readonly ids: Readonly<Record<string, readonly number[]>>;
};
const { tensors } = readSafetensors(readFileSync(join(folder, "expected.safetensors")), "expected.safetensors");

/** A directory that `transformers` wrote, and the logits that `transformers` computes for it. */
export interface ForeignModel {
  readonly name: string;
  readonly directory: string;
  readonly ids: readonly number[];
  /** [T · V] */
  readonly logits: Float32Array;
}

/** The directories of scripts/fixtures/make-hugging-face.py. */
export const foreignModels: readonly ForeignModel[] = Object.entries(ids).map(([name, list]) => ({
  name,
  directory: join(folder, name),
  ids: list,
  logits: tensors.get(name)?.data ?? new Float32Array(),
}));

export const foreignModel = (name: string): ForeignModel => {
  const found = foreignModels.find((model) => model.name === name);
  if (found === undefined) throw new Error(`no fixture ${name}`);
  return found;
};

/** Copies a directory to `path`, so that a test can change it. */
export const copyForeign = async (name: string, path: string): Promise<string> => {
  await cp(foreignModel(name).directory, path, { recursive: true });
  return path;
};
