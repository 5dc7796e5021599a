/** Damages or forges exports and calls `verify` with them. Each call must print either one error line or figures. */
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { longestMessage } from "#foretoken/core/errors/errors.js";
import { cli, jsonLines } from "../cli/cli.ts";
import { damage, forge, type Random, randomFor } from "./forge.ts";

/** Numbers of exports: refused, measured with a difference, and measured without a difference. */
export interface Outcomes {
  readonly refused: number;
  readonly different: number;
  readonly same: number;
}

interface Form {
  readonly file: string;
  readonly error?: string;
  readonly largestLogit?: number | null;
  readonly textDifference?: object | null;
}

/** Names of the JSON files in a directory. */
const jsonNames = ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "manifest.json"];

const damagedFile = async (from: string, to: string, random: Random): Promise<void> => {
  await writeFile(to, damage(random, await readFile(from)));
};

/**
 * A copy of a folder with one damaged or forged file. Every second copy has no manifest, because a manifest would show
 * the change.
 */
const damagedFolder = async (from: string, to: string, random: Random): Promise<void> => {
  await cp(from, to, { recursive: true });
  if (random.below(2) === 0) await rm(join(to, "manifest.json"));
  const name = random.pick([...jsonNames.slice(0, -1), "model.safetensors"]);
  const path = join(to, name);
  if (name.endsWith(".json") && random.below(2) === 0) {
    const forged = forge(random, JSON.parse(await readFile(path, "utf8")));
    await writeFile(path, JSON.stringify(forged) ?? "");
  } else await damagedFile(path, path, random);
};

/** Verifies damaged exports, and removes them. */
const outcomesOf = async (cwd: string, model: string, mutated: readonly string[]): Promise<Outcomes> => {
  const small = ["--backend", "reference", "--prompt-count", "2", "--max-new-tokens", "2", "--json"];
  const { status, stdout, stderr } = await cli(["verify", model, ...mutated, ...small], { cwd });
  expect([0, 1, 2], stderr).toContain(status);
  expect(stderr).not.toContain("a bug");
  const forms = (jsonLines(stdout)[0]?.forms ?? []) as readonly Form[];
  expect(forms.map(({ file }) => file)).toEqual(mutated);
  let [refused, different, same] = [0, 0, 0];
  for (const { error, largestLogit, textDifference, file } of forms) {
    if (error === undefined) {
      if (largestLogit === 0 && textDifference === null) same++;
      else different++;
      continue;
    }
    refused++;
    expect(error, file).toMatch(/^[^\n\r]+$/u);
    expect(error.length, file).toBeLessThanOrEqual(longestMessage);
  }
  const isOther = forms.some(({ error, textDifference }) => error === undefined && textDifference !== null);
  expect(status).toBe(refused > 0 ? 2 : isOther ? 1 : 0);
  for (const name of mutated) await rm(join(cwd, name), { recursive: true });
  return { refused, different, same };
};

/**
 * Damages copies of exports and verifies them.
 * @param cwd a folder with the model.
 * @param files GGUF files in `cwd`.
 * @param folder a Hugging Face export in `cwd`.
 * @param count total number of damaged exports. GGUF files and folders alternate.
 */
export const verifyMutated = async (
  cwd: string,
  model: string,
  { files, folder }: { readonly files: readonly string[]; readonly folder: string },
  count: number,
): Promise<Outcomes> => {
  const mutated: string[] = [];
  for (let i = 0; i < count; i++) {
    const random = randomFor("mutated exports", i);
    const isFolder = i % 2 === 1;
    const name = `mutated-${i}${isFolder ? "" : ".gguf"}`;
    if (isFolder) await damagedFolder(join(cwd, folder), join(cwd, name), random);
    else await damagedFile(join(cwd, random.pick(files)), join(cwd, name), random);
    mutated.push(name);
  }
  return outcomesOf(cwd, model, mutated);
};

/** Files of a folder with an ONNX graph. */
const onnxNames = ["config.json", "tokenizer.json", "onnx/model.onnx", "onnx/model_quantized.onnx"];

/**
 * Damages copies of folders and verifies them. Each folder contains one graph. Most changes are in the graph, at places
 * where each byte matters.
 * @param folders ONNX exports in `cwd`.
 * @param count total number of damaged exports.
 */
export const verifyMutatedOnnx = async (
  cwd: string,
  model: string,
  folders: readonly string[],
  count: number,
): Promise<Outcomes> => {
  const mutated: string[] = [];
  for (let i = 0; i < count; i++) {
    const random = randomFor("mutated graphs", i);
    const name = `mutated-${i}`;
    await cp(join(cwd, random.pick(folders)), join(cwd, name), { recursive: true });
    await rm(join(cwd, name, "manifest.json"));
    const files = await readdir(join(cwd, name), { recursive: true });
    const there = onnxNames.filter((file) => files.includes(join(file)));
    const graph = there.find((file) => file.endsWith(".onnx")) ?? "";
    const path = join(cwd, name, random.below(5) === 0 ? random.pick(there) : graph);
    await damagedFile(path, path, random);
    mutated.push(name);
  }
  return outcomesOf(cwd, model, mutated);
};
