import { readFileSync } from "node:fs";
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readSafetensors } from "#foretoken/io/safetensors.js";
import { charTokenizerToJson } from "#foretoken/tokenizer/tokenizer-json.js";

const folder = fileURLToPath(new URL("../fixtures/peft", import.meta.url));
const models = fileURLToPath(new URL("../fixtures/hugging-face", import.meta.url));

const { ids } = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as {
  readonly ids: Readonly<Record<string, readonly number[]>>;
};
const { tensors } = readSafetensors(readFileSync(join(folder, "expected.safetensors")), "expected.safetensors");

/** An adapter that PEFT wrote, and the logits that PEFT computes with the adapter and its model. */
export interface PeftAdapter {
  readonly name: string;
  readonly directory: string;
  /** Directory of the adapter's model. */
  readonly base: string;
  readonly ids: readonly number[];
  /** [T · V] */
  readonly logits: Float32Array;
}

/** Directory of a model from scripts/fixtures/make-hugging-face.py. */
export const baseModel = (name: string): string => join(models, name);

/** The adapters from scripts/fixtures/make-peft.py. */
export const peftAdapters: readonly PeftAdapter[] = Object.entries(ids).map(([name, list]) => {
  const directory = join(folder, name);
  const config = JSON.parse(readFileSync(join(directory, "adapter_config.json"), "utf8")) as Record<string, string>;
  const base = join(directory, config.base_model_name_or_path ?? "");
  return { name, directory, base, ids: list, logits: tensors.get(name)?.data ?? new Float32Array() };
});

export const peftAdapter = (name: string): PeftAdapter => {
  const found = peftAdapters.find((adapter) => adapter.name === name);
  if (found === undefined) throw new Error(`no fixture ${name}`);
  return found;
};

const characters = Array.from({ length: 61 }, (_, i) => String.fromCodePoint(0x30 + i));

/**
 * A copy of a fixture's model at `path`. The copy also has a tokenizer of 61 characters, because the fixtures have no
 * tokenizer.
 */
export const modelWithText = async (name: string, path: string): Promise<string> => {
  await cp(baseModel(name), path, { recursive: true });
  await writeFile(join(path, "tokenizer.json"), JSON.stringify(charTokenizerToJson(characters)));
  return path;
};

/** Copies an adapter to `path`, so that a test can change it. The copy is no longer next to its model. */
export const copyAdapter = async (name: string, path: string): Promise<string> => {
  await cp(peftAdapter(name).directory, path, { recursive: true });
  return path;
};
