/** A LoRA adapter as the files of PEFT: `peft.PeftModel.from_pretrained` loads them. */
import type { LazyTensor } from "../../core/tensors/named-tensor.ts";
import { safetensorsPieces } from "../../io/safetensors.ts";
import type { Placed, ReadValues } from "../../models/arena.ts";
import type { ModelConfig } from "../../models/config.ts";
import { type AdapterModule, adapterModules } from "../../models/hugging-face/adapter-modules.ts";
import { byName } from "../../models/hugging-face/hugging-face.ts";
import type { LoraConfig } from "../../models/lora/config.ts";
import { loraLayout } from "../../models/lora/layout.ts";
import { type AdapterBase, adapterConfigName, adapterWeightsName, baseHashKey, peftConfigText } from "./config.ts";
import { tensorName } from "./tensor-names.ts";

/** Puts a part's B [outputs, rank] into the module's [all outputs, all ranks], from `row` and `column` on. */
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

/**
 * The tensors of a module. Where several targets are one layer of the class, their adapters side by side are one of several
 * times the rank: their A one above the other, and their B as blocks, zeros beside them. Its B·A is each target's own.
 */
const tensorsOf = (
  { name, inputs, outputs, parts }: AdapterModule,
  rank: number,
  parameters: ReadonlyMap<string, Placed>,
  readValues: ReadValues,
): readonly LazyTensor[] => {
  const read = async (parameter: string): Promise<Float32Array> => {
    const placed = parameters.get(parameter);
    if (placed === undefined) throw new Error(`${parameter} was not laid out`);
    return readValues(placed.offset, placed.size);
  };
  const chosen = parts.filter(({ ours }) => parameters.has(`${ours}.loraA`));
  if (chosen.length === 0) return [];
  const all = chosen.length * rank;
  return [
    {
      name: tensorName(name, "A"),
      shape: [all, inputs],
      read: async () => {
        const out = new Float32Array(all * inputs);
        for (const [i, { ours }] of chosen.entries()) out.set(await read(`${ours}.loraA`), i * rank * inputs);
        return out;
      },
    },
    {
      name: tensorName(name, "B"),
      shape: [outputs, all],
      read: async () => {
        const out = new Float32Array(outputs * all);
        for (const [i, { ours, first }] of chosen.entries()) {
          putBlock(out, all, await read(`${ours}.loraB`), rank, first, i * rank);
        }
        return out;
      },
    },
  ];
};

/**
 * The files of an adapter's folder: `adapter_config.json` and `adapter_model.safetensors`, to be written together, as by
 * `writeCheckpoint`.
 * @param config of the model that the adapter is for.
 * @param readValues the adapter's values in the layout of `loraLayout`; read one matrix after the other.
 * @param base the model, as the files name it.
 * @throws ConfigError for a model without a class of `transformers`, before anything is read.
 */
export const adapterFiles = (
  config: ModelConfig,
  lora: LoraConfig,
  readValues: ReadValues,
  base: AdapterBase,
): Record<string, string | AsyncIterable<Uint8Array>> => {
  const parameters = byName(loraLayout(config, lora));
  const { all } = adapterModules(config, base.fused);
  const tensors = all.flatMap((module) => tensorsOf(module, lora.rank, parameters, readValues));
  return {
    [adapterConfigName]: peftConfigText(config, lora, base),
    [adapterWeightsName]: safetensorsPieces(tensors, {
      format: "pt",
      ...(typeof base.sha256 === "string" && { [baseHashKey]: base.sha256 }),
    }),
  };
};
