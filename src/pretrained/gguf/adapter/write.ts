/** Writes a LoRA adapter as a GGUF file, for the option `--lora` of llama.cpp and of programs based on llama.cpp. */
import type { LazyTensor, StoredTensor } from "../../../core/tensors/named-tensor.ts";
import { sizeOf } from "../../../core/tensors/shape.ts";
import { f32, pairBytes, type TypedValue, text, u32 } from "../../../io/gguf/metadata.ts";
import type { GgufContents } from "../../../io/gguf/write.ts";
import type { ReadValues } from "../../../models/arena.ts";
import type { ModelConfig } from "../../../models/config.ts";
import { modulesOf } from "../../../models/hugging-face/adapter-modules.ts";
import type { LoraConfig } from "../../../models/lora/config.ts";
import { headsOf } from "../../../nn/causal-self-attention.ts";
import type { AdapterText } from "../../adapter/text.ts";
import { adapterMatrices } from "../../adapter/write.ts";
import { inPairs } from "../interleaved.ts";
import { interleavedOf } from "../read-model.ts";
import { encodedPieces } from "../write/contents.ts";
import { encoderOf, fileTypes, type GgufEncoding } from "../write/encodings.ts";
import { ggufFormOf } from "../write/fields.ts";
import { adapterKeys, isRotatedModule, matrixName } from "./names.ts";

/**
 * Encodings of an adapter's matrices. Quantized encodings cannot be used: the length of a row of B is the rank, which
 * is shorter than a block.
 */
export const adapterEncodings = ["f32", "f16", "bf16"] as const satisfies readonly GgufEncoding[];
/** An encoding of an adapter's matrices. */
export type AdapterEncoding = (typeof adapterEncodings)[number];

/** An adapter to write. */
export interface AdapterToWrite {
  /** Configuration of the base model. */
  readonly config: ModelConfig;
  readonly lora: LoraConfig;
  /** Reads the adapter's values in the layout of `loraLayout`. */
  readonly readValues: ReadValues;
  readonly text: AdapterText;
  /** Display name of the adapter. */
  readonly name: string;
  /** Place of the adapter, for errors. */
  readonly where: string;
}

/** A matrix as a tensor that is read by rows. The tensor's values are multiplied by `factor`. */
const stored = (name: string, { shape, read }: Omit<LazyTensor, "name">, factor = 1): StoredTensor => ({
  ...{ name, shape, bytes: 4 * sizeOf(shape) },
  readRows: async (first, count) => {
    const width = shape[1] ?? 1;
    const rows = (await read()).subarray(first * width, (first + count) * width);
    return factor === 1 ? rows : rows.map((value) => factor * value);
  },
});

const endFields = ({ template, endTokens }: AdapterText): Readonly<Record<string, TypedValue>> => {
  const ends = ["eos", "eot", "eom"].flatMap((name, i) => {
    const id = endTokens[i];
    return id === undefined ? [] : [[`tokenizer.ggml.${name}_token_id`, u32(id)] as const];
  });
  return {
    ...Object.fromEntries(ends),
    ...(template === undefined ? {} : { "tokenizer.chat_template": text(template) }),
  };
};

/**
 * Contents of an adapter's file. If llama.cpp fuses several targets into one layer, their adapters become one adapter
 * with `count` times the rank. llama.cpp divides alpha by this larger rank. To compensate, B is multiplied by `count`.
 * @throws ConfigError if llama.cpp has no architecture for the model.
 */
export const adapterContents = (
  { config, lora, readValues, text: ofText, name, where }: AdapterToWrite,
  encoding: AdapterEncoding,
): GgufContents => {
  const form = ggufFormOf(config, where);
  const { headDim } = headsOf(config);
  const rotated = interleavedOf(form, config);
  const modules = modulesOf(config, form.mappings(config));
  const tensors = adapterMatrices(config, lora, modules, readValues).flatMap(({ module, count, a, b }) => {
    const outputs = stored(matrixName(module.name, "B"), b, count);
    const isRotated = rotated !== 0 && isRotatedModule(module.name);
    return [stored(matrixName(module.name, "A"), a), isRotated ? inPairs(outputs, headDim, rotated) : outputs];
  });
  const fields: Readonly<Record<string, TypedValue>> = {
    "general.architecture": text(form.name),
    "general.type": text("adapter"),
    [adapterKeys.kind]: text("lora"),
    [adapterKeys.alpha]: f32(lora.alpha),
    "general.name": text(name),
    "general.file_type": u32(fileTypes[encoding]),
    ...endFields(ofText),
  };
  return {
    metadata: new Map(Object.entries(fields).map(([key, value]) => [key, pairBytes(key, value)] as const)),
    tensors: tensors.map((tensor) => ({
      ...{ name: tensor.name, shape: tensor.shape, encoder: encoderOf(encoding) },
      pieces: () => encodedPieces(tensor, encoding, where),
    })),
  };
};
