/** A LoRA adapter from a file, in this program's form: one rank and one factor for all layers. */
import { CheckpointError } from "../../core/errors/errors.ts";
import { firstNotFinite } from "../../core/tensors/finite.ts";
import type { StoredTensor } from "../../core/tensors/named-tensor.ts";
import { formatShape } from "../../core/tensors/shape.ts";
import { formatBytes } from "../../core/text/format-bytes.ts";
import { show } from "../../core/text/show.ts";
import type { ByteSource } from "../../io/byte-source.ts";
import { openSafetensors } from "../../io/safetensors.ts";
import type { ModelConfig } from "../../models/config.ts";
import { type AdapterModule, adapterModules, type ModulePart } from "../../models/hugging-face/adapter-modules.ts";
import { byName } from "../../models/hugging-face/hugging-face.ts";
import { type LoraConfig, loraConfigSchema, loraTargets } from "../../models/lora/config.ts";
import { baseLayers, loraLayout } from "../../models/lora/layout.ts";
import { checkJson } from "../files/checkpoint-json.ts";
import type { PeftConfig } from "./config.ts";
import { parseTensorName, tensorName } from "./tensor-names.ts";

/** An adapter's values on the host. */
export interface AdapterValues {
  readonly lora: LoraConfig;
  /** In the layout of `loraLayout`. */
  readonly values: Float32Array;
}

/** A module of a file with its matrices. */
interface FoundModule {
  readonly module: AdapterModule;
  readonly rank: number;
  readonly a: StoredTensor;
  readonly b: StoredTensor;
}

/** The adapter of one target: A [rank, inputs], B [outputs, rank]. */
interface PartValues extends ModulePart {
  readonly inputs: number;
  readonly rank: number;
  readonly scale: number;
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** The matrices in a file, and how the file names them. */
export interface AdapterTensors {
  readonly tensors: readonly StoredTensor[];
  /** The model's linear layers, as the file names them. */
  readonly modules: readonly AdapterModule[];
  /** The module and the matrix of a tensor; undefined for a name of another kind. */
  readonly parse: (name: string) => { readonly module: string; readonly matrix: "A" | "B" } | undefined;
  /** The name of a module's matrix. */
  readonly nameOf: (module: string, matrix: "A" | "B") => string;
}

/** What a configuration says of ranks, factors and targets. */
export type AdapterShape = Pick<PeftConfig, "dropout" | "rank" | "rankOf" | "scaleOf" | "targets">;

/** The tensors by their modules. @throws CheckpointError for a name of another kind. */
const byModule = ({ tensors, parse, nameOf }: AdapterTensors, where: string) => {
  const found = new Map<string, Partial<Record<"A" | "B", StoredTensor>>>();
  for (const tensor of tensors) {
    const parsed = parse(tensor.name);
    if (parsed === undefined) {
      const must = `every tensor must be a matrix of LoRA, such as ${nameOf("NAME", "A")}`;
      throw new CheckpointError({ where, must, got: show(tensor.name) });
    }
    found.set(parsed.module, { ...found.get(parsed.module), [parsed.matrix]: tensor });
  }
  return found;
};

/** Compares the tensors' names and shapes with the model and the configuration, before anything is read. */
const findModules = (shape: AdapterShape, file: AdapterTensors, where: string): readonly FoundModule[] => {
  const fail = (must: string, got: string): never => {
    throw new CheckpointError({ where, must, got, hint: "the model that the adapter was trained for" });
  };
  const found = byModule(file, where);
  const names = [...found.keys()];
  const { modules: all, nameOf } = file;
  const modules = new Map(all.map((module) => [module.name, module]));
  const other = names.find((name) => !modules.has(name));
  if (other !== undefined) {
    fail(`adapters must be on linear layers of the model's blocks, such as ${all[0]?.name}`, show(other));
  }
  const untold = names.find((name) => shape.targets(name) === false);
  if (untold !== undefined) fail("target_modules must name every module with an adapter", `none for ${untold}`);
  const lost = all.find(({ name }) => shape.targets(name) === true && !found.has(name));
  if (lost !== undefined) fail(`the file must hold ${nameOf(lost.name, "A")}`, "no such tensor");
  if (names.length === 0) fail("the file must hold the matrices of at least one layer", "none");
  return names.map((name) => {
    const module = modules.get(name) as AdapterModule;
    const rank = shape.rankOf(name);
    const matrix = (letter: "A" | "B", wanted: readonly number[]): StoredTensor => {
      const tensor = found.get(name)?.[letter];
      if (tensor === undefined) return fail(`the file must hold ${nameOf(name, letter)}`, "no such tensor");
      const [expected, given] = [formatShape(wanted), formatShape(tensor.shape)];
      return given === expected ? tensor : fail(`${tensor.name} must have shape ${expected}`, given);
    };
    return { module, rank, a: matrix("A", [rank, module.inputs]), b: matrix("B", [module.outputs, rank]) };
  });
};

const readAll = async ({ name, shape, readRows }: StoredTensor, where: string): Promise<Float32Array> => {
  const values = await readRows(0, shape[0] ?? 0);
  const bad = firstNotFinite(values);
  if (bad === -1) return values;
  throw new CheckpointError({ where, must: `${name} must hold finite numbers`, got: `${values[bad]} at ${bad}` });
};

/** `columns` columns from `column` on, of `rows` rows from `row` on, of a matrix `width` wide. */
const cut = (
  values: Float32Array,
  width: number,
  { row, rows, column, columns }: Readonly<Record<"row" | "rows" | "column" | "columns", number>>,
): Float32Array => {
  const out = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    const from = (row + i) * width + column;
    out.set(values.subarray(from, from + columns), i * columns);
  }
  return out;
};

/** Whether B [outputs, rank] is zero outside the blocks of `parts`, which share its columns evenly. */
const isBlocks = (b: Float32Array, rank: number, parts: readonly ModulePart[]): boolean => {
  const columns = rank / parts.length;
  return b.every((value, index) => {
    if (value === 0) return true;
    const part = parts[Math.floor((index % rank) / columns)] as ModulePart;
    const row = Math.floor(index / rank) - part.first;
    return row >= 0 && row < part.outputs;
  });
};

/** All choices of `count` items, in their order. */
const choices = <T>(items: readonly T[], count: number): readonly (readonly T[])[] => {
  if (count === 0) return [[]];
  return items.flatMap((item, i) => choices(items.slice(i + 1), count - 1).map((rest) => [item, ...rest]));
};

/**
 * The targets whose adapters lie side by side in a module, as write.ts puts them; undefined for an adapter of the whole
 * module.
 */
const sideBySide = (
  { module: { parts }, rank }: FoundModule,
  b: Float32Array,
  usualRank: number,
  targets: LoraConfig["targets"],
): readonly ModulePart[] | undefined => {
  const count = rank / usualRank;
  if (parts.length === 1 || !Number.isInteger(count) || count > parts.length) return undefined;
  // Nothing has been learned yet, and nobody says for which targets.
  if (count === 1 && targets === undefined && b.every((value) => value === 0)) return undefined;
  const wanted = parts.filter(({ target }) => targets?.includes(target) ?? true);
  return choices(wanted, count).find((chosen) => isBlocks(b, rank, chosen));
};

const partsOf = async (
  found: FoundModule,
  shape: AdapterShape,
  targets: LoraConfig["targets"],
  where: string,
): Promise<readonly PartValues[]> => {
  const { module, rank } = found;
  const { inputs, parts } = module;
  const scale = shape.scaleOf(module.name);
  const [a, b] = [await readAll(found.a, where), await readAll(found.b, where)];
  const blocks = sideBySide(found, b, shape.rank, targets);
  // B·A of a layer with several targets: each has its rows of B, and the same A.
  const columns = blocks === undefined ? rank : rank / blocks.length;
  return (blocks ?? parts).map((part, i) => {
    const column = blocks === undefined ? 0 : i * columns;
    return {
      ...{ ...part, inputs, rank: columns, scale },
      a: a.subarray(column * inputs, (column + columns) * inputs),
      b: cut(b, rank, { row: part.first, rows: part.outputs, column, columns }),
    };
  });
};

/** Most memory that an adapter takes here, in its files' sizes: the highest rank is taken for all layers. */
const mostGrowth = 16;
/** Memory that any adapter may take. */
const smallBytes = 2 ** 28;

/** Puts the adapters of all targets into one layout, with zeros where a rank is below the highest. */
const place = (
  config: ModelConfig,
  lora: LoraConfig,
  parts: readonly PartValues[],
  fileBytes: number,
  where: string,
) => {
  const layout = loraLayout(config, lora);
  const bytes = 4 * layout.length;
  if (bytes > Math.max(smallBytes, mostGrowth * fileBytes)) {
    const must = "ranks must not differ so much: the highest one is taken for all layers";
    throw new CheckpointError({ where, must, got: `${formatBytes(bytes)} instead of ${formatBytes(fileBytes)}` });
  }
  const values = new Float32Array(layout.length);
  const parameters = byName(layout);
  const offsetOf = (name: string): number => {
    const placed = parameters.get(name);
    if (placed === undefined) throw new Error(`${name} was not laid out`);
    return placed.offset;
  };
  const common = lora.alpha / lora.rank;
  for (const { ours, rank, scale, outputs, a, b } of parts) {
    values.set(a, offsetOf(`${ours}.loraA`));
    const factor = scale / common;
    const offset = offsetOf(`${ours}.loraB`);
    for (let row = 0; row < outputs; row++) {
      for (let k = 0; k < rank; k++) values[offset + row * lora.rank + k] = factor * (b[row * rank + k] as number);
    }
  }
  return values;
};

/** @throws CheckpointError for an adapter of another shape than the expected one. */
const checkExpected = (config: ModelConfig, expected: LoraConfig, lora: LoraConfig, where: string): void => {
  const all = baseLayers(config).flatMap(({ parts }) => parts.map(({ target }) => target));
  const shown = ({ rank, alpha, targets = all }: LoraConfig): string =>
    `rank ${rank}, alpha ${alpha}, ${[...targets].sort().join(", ")}`;
  if (shown(expected) === shown(lora)) return;
  throw new CheckpointError({ where, must: `the adapter must have ${shown(expected)}`, got: shown(lora) });
};

/**
 * Reads the matrices of an adapter. They are the file's to the bit where all modules have one rank and one factor; else they
 * are filled up with zeros to the highest rank, and B is multiplied by what its factor differs.
 * @param config of the model that it is put on.
 * @param bytes length of the file.
 * @param where the file, for errors.
 * @param expected the adapter's configuration, where it is known: another one is an error.
 * @throws CheckpointError for a damaged file, or an adapter of another model.
 */
export const readMatrices = async (
  config: ModelConfig,
  shape: AdapterShape,
  file: AdapterTensors,
  bytes: number,
  where: string,
  expected?: LoraConfig,
): Promise<AdapterValues> => {
  const found = findModules(shape, file, where);
  const parts: PartValues[] = [];
  for (const module of found) parts.push(...(await partsOf(module, shape, expected?.targets, where)));
  const rank = Math.max(...parts.map((part) => part.rank));
  const [{ scale } = { scale: 1 }] = parts;
  const present = new Set(parts.map(({ target }) => target));
  const lora = checkJson(
    loraConfigSchema,
    {
      rank,
      // As it was given: scale is a quotient, whose last digits are rounding.
      alpha: Number((scale * rank).toPrecision(12)),
      dropout: shape.dropout,
      targets: loraTargets.filter((target) => present.has(target)),
    },
    where,
  );
  if (expected !== undefined) checkExpected(config, expected, lora, where);
  return { lora: expected ?? lora, values: place(config, expected ?? lora, parts, bytes, where) };
};

/**
 * Reads an adapter of PEFT.
 * @param source `adapter_model.safetensors`, open; not closed here.
 * @throws as `readMatrices`, and for an adapter of a kind that is not supported.
 */
export const readAdapterValues = async (
  config: ModelConfig,
  peft: PeftConfig,
  source: ByteSource,
  where: string,
  expected?: LoraConfig,
): Promise<AdapterValues> => {
  const tensors = await openSafetensors(source, where);
  const fused = tensors.some(({ name }) => /\.(qkv_proj|gate_up_proj)\.[^.]*\.weight$/u.test(name));
  const { all: modules } = adapterModules(config, fused);
  const file: AdapterTensors = { tensors, modules, parse: parseTensorName, nameOf: tensorName };
  const values = await readMatrices(config, peft, file, source.size, where, expected);
  await source.end();
  return values;
};
