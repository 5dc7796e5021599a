/** Writes a LoRA adapter as files in PEFT's format, for `peft.PeftModel.from_pretrained`. */
import type { LazyTensor } from "../../core/tensors/named-tensor.ts";
import { safetensorsPieces } from "../../io/safetensors.ts";
import type { Placed, ReadValues } from "../../models/arena.ts";
import type { ModelConfig } from "../../models/config.ts";
import { type AdapterModule, adapterModules } from "../../models/hugging-face/adapter-modules.ts";
import { byName } from "../../models/hugging-face/hugging-face.ts";
import type { LoraConfig } from "../../models/lora/config.ts";
import { loraLayout } from "../../models/lora/layout.ts";
import { type AdapterBase, baseHashKey, peftConfigText } from "./config.ts";
import { adapterConfigName, adapterWeightsName } from "./names.ts";
import { tensorName } from "./tensor-names.ts";

/**
 * Copies matrix B [outputs, rank] of a part into matrix B [all outputs, all ranks] of the module, from `row` and
 * `column` on.
 */
const putBlock = (
  out: Float32Array,
  width: number,
  b: Float32Array,
  rank: number,
  row: number,
  column: number,
): void => {
  for (let i = 0; i < b.length / rank; i++) {
    out.set(b.subarray(i * rank, (i + 1) * rank), (row + i) * width + column);
  }
};

/** A matrix that is read only when it is written. */
type LazyMatrix = Omit<LazyTensor, "name">;

/** The adapter of a module. */
export interface ModuleMatrices {
  readonly module: AdapterModule;
  /** Number of targets with adapters that are combined into this adapter. */
  readonly count: number;
  /** [rank · count, inputs] */
  readonly a: LazyMatrix;
  /** [outputs, rank · count] */
  readonly b: LazyMatrix;
}

/**
 * Returns the matrices of a module. If the module fuses several targets, one adapter with `count` times the rank
 * combines their adapters. The A matrices of the targets are stacked. The B matrices of the targets become the blocks
 * of a block-diagonal matrix. So for each target, the combined B·A equals the target's own B·A.
 */
const matricesOf = (
  module: AdapterModule,
  rank: number,
  parameters: ReadonlyMap<string, Placed>,
  readValues: ReadValues,
): readonly ModuleMatrices[] => {
  const { inputs, outputs, parts } = module;
  const read = async (parameter: string): Promise<Float32Array> => {
    const placed = parameters.get(parameter);
    if (placed === undefined) throw new Error(`the layout has no parameter ${parameter}`);
    return readValues(placed.offset, placed.size);
  };
  const chosen = parts.filter(({ ours }) => parameters.has(`${ours}.loraA`));
  if (chosen.length === 0) return [];
  const count = chosen.length;
  const all = count * rank;
  const a: LazyMatrix = {
    shape: [all, inputs],
    read: async () => {
      const out = new Float32Array(all * inputs);
      for (const [i, { ours }] of chosen.entries()) out.set(await read(`${ours}.loraA`), i * rank * inputs);
      return out;
    },
  };
  const b: LazyMatrix = {
    shape: [outputs, all],
    read: async () => {
      const out = new Float32Array(outputs * all);
      for (const [i, { ours, first }] of chosen.entries()) {
        putBlock(out, all, await read(`${ours}.loraB`), rank, first, i * rank);
      }
      return out;
    },
  };
  return [{ module, count, a, b }];
};

/**
 * The matrices of an adapter, grouped by the linear layers of a file format.
 * @param modules linear layers of the format; layers without an adapter are left out.
 * @param readValues reads the adapter's values in the layout of `loraLayout`.
 */
export const adapterMatrices = (
  config: ModelConfig,
  lora: LoraConfig,
  modules: readonly AdapterModule[],
  readValues: ReadValues,
): readonly ModuleMatrices[] => {
  const parameters = byName(loraLayout(config, lora));
  return modules.flatMap((module) => matricesOf(module, lora.rank, parameters, readValues));
};

/**
 * Returns the files of an adapter's folder, `adapter_config.json` and `adapter_model.safetensors`. Write them together,
 * for example with `writeCheckpoint`.
 * @param config configuration of the base model.
 * @param readValues reads the adapter's values in the layout of `loraLayout`, one matrix at a time.
 * @param base fields that name the base model.
 * @throws ConfigError if `transformers` has no class for the model, before anything is read.
 */
export const adapterFiles = (
  config: ModelConfig,
  lora: LoraConfig,
  readValues: ReadValues,
  base: AdapterBase,
): Record<string, string | AsyncIterable<Uint8Array>> => {
  const { all } = adapterModules(config, base.fused);
  const tensors = adapterMatrices(config, lora, all, readValues).flatMap(({ module: { name }, a, b }) => [
    { ...a, name: tensorName(name, "A") },
    { ...b, name: tensorName(name, "B") },
  ]);
  return {
    [adapterConfigName]: peftConfigText(config, lora, base),
    [adapterWeightsName]: safetensorsPieces(tensors, {
      format: "pt",
      ...(typeof base.sha256 === "string" && { [baseHashKey]: base.sha256 }),
    }),
  };
};
