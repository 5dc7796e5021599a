/** Opens ONNX graphs on this disk, with their configuration and tokenizer. */
import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { BackendChoice } from "../../../backend/choices.node.ts";
import { openBackend } from "../../../backend/select.node.ts";
import { CheckpointError } from "../../../core/errors/errors.ts";
import { isFile } from "../../../core/system/regular-file.node.ts";
import { readOnnx } from "../../../io/onnx/read.ts";
import { openCheckpoint } from "../../../io/read-checkpoint.node.ts";
import { configName, indexName, optionalNames, weightsFileName } from "../../files/names.ts";
import { parseFacts } from "../../parse.ts";
import { graphFolder } from "../contents.ts";
import { forms } from "../texts.ts";
import { type OnnxForm, onnxForm } from "./form.ts";
import { productsOn } from "./products.ts";

/** An open graph. */
export interface OpenedOnnx extends OnnxForm {
  readonly close: () => Promise<void>;
}

/** Options of `openOnnx`. */
export interface OpenOnnxOptions {
  /** Backend that computes matrix products. */
  readonly backend: BackendChoice;
  readonly threads?: number | undefined;
  /** Stops the computation. */
  readonly signal?: AbortSignal | undefined;
}

const isOnnxName = (path: string): boolean => /\.onnx$/iu.test(path);

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/**
 * The graphs that a path names: an ONNX file, or the graphs in an exported folder. Undefined if the path names no
 * graphs. A folder with safetensors weights counts as an ordinary model, even if it contains graphs.
 */
export const graphsOf = async (path: string): Promise<readonly string[] | undefined> => {
  if (!(await isFolder(path))) return isOnnxName(path) ? [path] : undefined;
  for (const name of [weightsFileName, indexName]) if (await isFile(join(path, name))) return undefined;
  const found: string[] = [];
  for (const folder of [join(path, graphFolder), path]) {
    for (const { file } of Object.values(forms)) if (await isFile(join(folder, file))) found.push(join(folder, file));
  }
  return found.length === 0 ? undefined : found;
};

/** The model's folder and the graph's path in it. */
const placeIn = async (path: string): Promise<readonly [folder: string, name: string]> => {
  const [folder, name] = [dirname(path), basename(path)];
  if (basename(resolve(folder)) !== graphFolder || (await isFile(join(folder, configName)))) return [folder, name];
  return [join(folder, ".."), `${graphFolder}/${name}`];
};

/** Names of the external data files with a graph's tensors. */
const besideNames = async (name: string, has: (name: string) => Promise<boolean>): Promise<readonly string[]> => {
  const names: string[] = [];
  for (let i = 0; ; i++) {
    const beside = `${name}_data${i === 0 ? "" : `_${i}`}`;
    if (!(await has(beside))) return names;
    names.push(beside);
  }
};

/**
 * Opens a graph and the files of its model. The files are in the graph's folder. If the graph is in `onnx/`, the files
 * are in the parent folder. If there is a manifest, the files are compared with it.
 * @param path path of the graph's file.
 * @throws CheckpointError for a damaged file, or a graph that cannot be executed here.
 */
export const openOnnx = async (path: string, { backend, threads, signal }: OpenOnnxOptions): Promise<OpenedOnnx> => {
  if (!(await isFile(path))) {
    throw new CheckpointError({ where: path, must: "the path must name a model", got: "no such file" });
  }
  const [folder, name] = await placeIn(path);
  const { files, large } = await openCheckpoint(folder, {
    ...{ required: [configName], optional: optionalNames },
    large: async (_, has) => [name, ...(await besideNames(name, has))],
  });
  const closeFiles = async (): Promise<void> => {
    await Promise.all(large.map(({ source }) => source.close()));
  };
  try {
    const facts = await parseFacts(folder, files);
    const [own, ...beside] = large.map(({ name: of, source }) => [basename(of), source] as const);
    if (own === undefined) throw new Error(`${path} was not opened`);
    const model = await readOnnx(own[1], path, new Map(beside));
    for (const { source } of large) await source.end();
    const opened = await openBackend(backend, { threads, dtype: "float32" });
    const products = productsOn(opened);
    const close = async (): Promise<void> => {
      products.close();
      await Promise.all([opened.close(), closeFiles()]);
    };
    try {
      return { ...onnxForm(path, model, facts, products, signal), close };
    } catch (error) {
      await opened.close();
      throw error;
    }
  } catch (error) {
    await closeFiles();
    throw error;
  }
};
