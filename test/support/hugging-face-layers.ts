/** The models of scripts/fixtures/make-architectures.py, and the results of `transformers` for them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readSafetensors } from "#foretoken/io/safetensors.js";

const folder = fileURLToPath(new URL("../fixtures/architectures", import.meta.url));

interface Expected {
  readonly ids: readonly number[];
  /** Loss in nats per token. */
  readonly loss: number;
  /** Greedy tokens that follow the first tokens of `ids`. */
  readonly greedy: readonly number[];
}

const { prompt, models } = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as {
  readonly prompt: number;
  readonly models: Readonly<Record<string, Expected>>;
};
const { tensors } = readSafetensors(readFileSync(join(folder, "expected.safetensors")), "expected.safetensors");

/** A directory that `transformers` wrote. */
export interface LayersModel extends Expected {
  readonly name: string;
  readonly directory: string;
  /** The first tokens of `ids`, used as the prompt. */
  readonly prompt: readonly number[];
  /** [T · V] */
  readonly logits: Float32Array;
}

export const layersModels: readonly LayersModel[] = Object.entries(models).map(([name, expected]) => ({
  ...expected,
  name,
  directory: join(folder, name),
  prompt: expected.ids.slice(0, prompt),
  logits: tensors.get(name)?.data ?? new Float32Array(),
}));
