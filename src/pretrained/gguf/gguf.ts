/**
 * Reads a model from a GGUF file. GGUF is llama.cpp's format: one file contains the weights, the configuration and the
 * tokenizer.
 */
import type { ByteSource } from "../../io/byte-source.ts";
import { type GgufFile, openGgufFile } from "../../io/gguf/gguf.ts";
import type { ModelConfig } from "../../models/config.ts";
import { blockRowsOf, checkShapes, placeTensors, type TensorPlan } from "../../models/hugging-face/place-tensors.ts";
import type { Pretrained, WeightSource } from "../pretrained.ts";
import { inHalves } from "./interleaved.ts";
import { type GgufModel, readGgufModel } from "./read-model.ts";
import { readGgufText } from "./tokenizer.ts";

/** The model in a GGUF file. */
export interface GgufPretrained extends Omit<Pretrained, "sha256"> {
  /** Encodings of the tensors in the file, such as "Q4_K". */
  readonly dtypes: readonly string[];
}

/** Matches tensor names of queries and keys. */
export const isRotated = /\.attn_[qk]\.(weight|bias)$/u;

const headDimOf = ({ nEmbd, nHead, headDim = nEmbd / nHead }: ModelConfig): number => headDim;

const weightsOf = (source: ByteSource, file: GgufFile, model: GgufModel, where: string): WeightSource => {
  const { config, interleaved } = model;
  const plan: TensorPlan = model;
  checkShapes(plan, file.tensors, where);
  const tensors = file.tensors.map((tensor) =>
    interleaved !== 0 && isRotated.test(tensor.name) ? inHalves(tensor, headDimOf(config), interleaved) : tensor,
  );
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  return {
    bytes,
    // The model has no fused layers. So adapters for the model have the layers of the model's class in `transformers`,
    // not the layers of GGUF.
    fused: false,
    blockRows: (layout) => blockRowsOf(plan, layout, tensors),
    close: () => source.close(),
    async read(layout, target, onProgress) {
      let done = 0;
      await placeTensors(plan, layout, tensors, where, target, (count) => {
        done += count;
        onProgress?.(Math.min(bytes, Math.round(done)));
      });
      await source.end();
    },
  };
};

/**
 * Opens the model in a GGUF file and checks everything except the weights, which are read later.
 * @param source open file. The file is closed when the weights are closed, or if this function throws.
 * @param where the file's name in errors.
 * @throws CheckpointError with the file and the field or tensor that is damaged or not supported.
 */
export const pretrainedOfGguf = async (source: ByteSource, where: string): Promise<GgufPretrained> => {
  try {
    const file = await openGgufFile(source, where);
    const model = await readGgufModel(file.metadata, file.tensors, where);
    const weights = weightsOf(source, file, model, where);
    const text = readGgufText(file.metadata, model.vocabSize, where);
    const { config, vocabSize } = model;
    const dtypes = [...new Set(file.tensors.map(({ encoding }) => encoding))];
    return { ...{ where, config, vocabSize }, ...text, checked: false, weights, dtypes };
  } catch (error) {
    await source.close();
    throw error;
  }
};
