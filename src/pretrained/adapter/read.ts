/** Reads the matrices of a LoRA adapter into Foretoken's layout, where all layers have the same rank and factor. */
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

/** An adapter's configuration and values in host memory. */
export interface AdapterValues {
  readonly lora: LoraConfig;
  /** Values in the layout of `loraLayout`. */
  readonly values: Float32Array;
}

/** A module with its matrices in the file. */
interface FoundModule {
  readonly module: AdapterModule;
  readonly rank: number;
  readonly a: StoredTensor;
  readonly b: StoredTensor;
}

/** The adapter of one target, with the matrices A [rank, inputs] and B [outputs, rank]. */
interface PartValues extends ModulePart {
  readonly inputs: number;
  readonly rank: number;
  readonly scale: number;
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** The matrices in a file, with the file's naming scheme. */
export interface AdapterTensors {
  readonly tensors: readonly StoredTensor[];
  /** The model's linear layers, by their names in the file. */
  readonly modules: readonly AdapterModule[];
  /** Splits a tensor's name into module and matrix; undefined if the name has another form. */
  readonly parse: (name: string) => { readonly module: string; readonly matrix: "A" | "B" } | undefined;
  /** Tensor name of a module's matrix. */
  readonly nameOf: (module: string, matrix: "A" | "B") => string;
}

/** Ranks, factors and targets, from the adapter's configuration. */
export type AdapterShape = Pick<PeftConfig, "dropout" | "rank" | "rankOf" | "scaleOf" | "targets">;

/** Tensors grouped by module. @throws CheckpointError for a tensor with a name of another form. */
const byModule = ({ tensors, parse, nameOf }: AdapterTensors, where: string) => {
  const found = new Map<string, Partial<Record<"A" | "B", StoredTensor>>>();
  for (const tensor of tensors) {
    const parsed = parse(tensor.name);
    if (parsed === undefined) {
      const must = `every tensor must be a LoRA matrix, such as ${nameOf("NAME", "A")}`;
      throw new CheckpointError({ where, must, got: show(tensor.name) });
    }
    found.set(parsed.module, { ...found.get(parsed.module), [parsed.matrix]: tensor });
  }
  return found;
};

/**
 * Compares the tensors' names and shapes with the names and shapes that the model and the configuration require. No
 * values have been read yet.
 */
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
    fail(`adapters must belong to linear layers of the model's blocks, such as ${all[0]?.name}`, show(other));
  }
  const unlisted = names.find((name) => shape.targets(name) === false);
  if (unlisted !== undefined) fail("target_modules must name every module with an adapter", `no entry for ${unlisted}`);
  const lost = all.find(({ name }) => shape.targets(name) === true && !found.has(name));
  if (lost !== undefined) fail(`the file must hold ${nameOf(lost.name, "A")}`, "no such tensor");
  if (names.length === 0) fail("the file must hold the matrices of at least one layer", "no matrices");
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

/**
 * Copies a part of a matrix with `width` columns: `rows` rows from row `row`, and `columns` columns from column
 * `column`.
 */
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

/**
 * Whether B [outputs, rank] is block-diagonal. All parts have an equal number of columns. In the columns of a part, all
 * values outside the part's rows must be zero.
 */
const isBlocks = (b: Float32Array, rank: number, parts: readonly ModulePart[]): boolean => {
  const columns = rank / parts.length;
  return b.every((value, index) => {
    if (value === 0) return true;
    const part = parts[Math.floor((index % rank) / columns)] as ModulePart;
    const row = Math.floor(index / rank) - part.first;
    return row >= 0 && row < part.outputs;
  });
};

/** All combinations of `count` of the items. Each combination keeps the order of the items. */
const choices = <T>(items: readonly T[], count: number): readonly (readonly T[])[] => {
  if (count === 0) return [[]];
  return items.flatMap((item, i) => choices(items.slice(i + 1), count - 1).map((rest) => [item, ...rest]));
};

/**
 * Returns the targets of a module's adapter, if write.ts has combined the adapters of several targets. Returns
 * undefined if the module has one adapter for the whole module.
 */
const sideBySide = (
  { module: { parts }, rank }: FoundModule,
  b: Float32Array,
  usualRank: number,
  targets: LoraConfig["targets"],
): readonly ModulePart[] | undefined => {
  const count = rank / usualRank;
  if (parts.length === 1 || !Number.isInteger(count) || count > parts.length) return undefined;
  // If B is all zeros, the adapter is untrained, and its blocks cannot show the targets.
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
  // Splits the adapter of a whole module. Each target gets its rows of B and a copy of A.
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

/**
 * Maximum size of an adapter in memory, as a multiple of its file's size. All layers get the highest rank. So an
 * adapter with very different ranks takes more memory than its file.
 */
const mostGrowth = 16;
/** Size in bytes up to which an adapter is never refused. */
const smallBytes = 2 ** 28;

/**
 * Puts the adapters of all targets into one layout. Matrices with a rank below the highest rank are padded with zeros.
 */
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
    const must = "the layers must have similar ranks, because all layers get the highest rank";
    throw new CheckpointError({ where, must, got: `${formatBytes(bytes)} instead of ${formatBytes(fileBytes)}` });
  }
  const values = new Float32Array(layout.length);
  const parameters = byName(layout);
  const offsetOf = (name: string): number => {
    const placed = parameters.get(name);
    if (placed === undefined) throw new Error(`the layout has no parameter ${name}`);
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

/** @throws CheckpointError if the adapter's configuration differs from the expected configuration. */
const checkExpected = (config: ModelConfig, expected: LoraConfig, lora: LoraConfig, where: string): void => {
  const all = baseLayers(config).flatMap(({ parts }) => parts.map(({ target }) => target));
  const shown = ({ rank, alpha, targets = all }: LoraConfig): string =>
    `rank ${rank}, alpha ${alpha}, ${[...targets].sort().join(", ")}`;
  if (shown(expected) === shown(lora)) return;
  throw new CheckpointError({
    where,
    must: `the adapter must have the configuration ${shown(expected)}`,
    got: shown(lora),
  });
};

/**
 * Reads the matrices of an adapter. If all modules have the same rank and factor, the values are exactly the values in
 * the file. Otherwise matrices are padded with zeros to the highest rank, and B is scaled to a common factor.
 * @param config configuration of the base model.
 * @param bytes size of the file in bytes.
 * @param where the file, for errors.
 * @param expected the adapter's configuration, if it is known; a different configuration is an error.
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
      // Rounded to 12 digits, because `scale` is a quotient and its last digits have rounding errors. Rounding restores
      // the original alpha.
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
 * Reads an adapter in PEFT's format.
 * @param source the open file `adapter_model.safetensors`. The caller closes it.
 * @throws as `readMatrices`. Also throws for an unsupported type of adapter.
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
