/** Reads weights of safetensors files into a model. */
import type { Backend } from "../../backend/backend.ts";
import { CheckpointError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import type { ByteSource } from "../../io/byte-source.ts";
import { openSafetensors, type SafetensorsTensor } from "../../io/safetensors.ts";
import type { BlockRows } from "../../models/block-arena.ts";
import type { ModelConfig } from "../../models/config.ts";
import { checkShapes, hasFusedLayers, placeTensors, planTensors } from "../../models/hugging-face/place-tensors.ts";
import {
  type BlockModel,
  canFreeze,
  createBlockModel,
  createFrozenModel,
  createModel,
  type Model,
  modelLayout,
} from "../../models/model.ts";
import type { PretrainedFacts } from "../parse.ts";
import type { Pretrained, WeightSource } from "../pretrained.ts";

/** An open weight file. */
export interface WeightFile {
  /** The file's name in errors. */
  readonly where: string;
  readonly source: ByteSource;
}

/** Weights of safetensors files. */
export interface SafetensorsWeights extends WeightSource {
  /** Number formats of the tensors in the files, such as "BF16". */
  readonly dtypes: readonly string[];
}

/**
 * Opens the weights in one or several safetensors files. Reads the headers and compares them with the configuration.
 * @param files open files. The files are closed when the weights are closed, or if this function throws.
 * @param where name for all files together, for errors.
 * @throws CheckpointError for a damaged header, or if the tensors do not match the configuration.
 */
export const openWeights = async (
  files: readonly WeightFile[],
  { config, vocabSize }: Pick<PretrainedFacts, "config" | "vocabSize">,
  where: string,
): Promise<SafetensorsWeights> => {
  const close = async (): Promise<void> => {
    await Promise.all(files.map(({ source }) => source.close()));
  };
  const open = async () => {
    const opened: (WeightFile & { readonly tensors: readonly SafetensorsTensor[] })[] = [];
    const names = new Set<string>();
    for (const file of files) {
      const tensors = await openSafetensors(file.source, file.where);
      if (files.length > 1) await file.source.pause?.();
      for (const { name } of tensors) {
        if (names.has(name)) {
          const must = "every tensor must be in one file only";
          throw new CheckpointError({ where: file.where, must, got: `${show(name)} again` });
        }
        names.add(name);
      }
      opened.push({ ...file, tensors });
    }
    const plan = planTensors(config, vocabSize, [...names], where);
    for (const file of opened) checkShapes(plan, file.tensors, file.where);
    return { opened, plan };
  };
  const { opened, plan } = await open().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  const tensors = opened.flatMap((file) => file.tensors);
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  return {
    bytes,
    fused: hasFusedLayers(tensors.map(({ name }) => name)),
    dtypes: [...new Set(tensors.map(({ dtype }) => dtype))],
    close,
    async read(layout, target, onProgress) {
      let done = 0;
      for (const file of opened) {
        await placeTensors(plan, layout, file.tensors, file.where, target, (count) => {
          done += count;
          onProgress?.(Math.min(bytes, Math.round(done)));
        });
        await file.source.end();
        await file.source.pause?.();
      }
    },
  };
};

/** Compact formats in which a model may keep its weights. */
export interface Keeping {
  /** Whether matrices are kept only as bfloat16, if the backend can multiply bfloat16 matrices. */
  readonly freeze: boolean;
  /** Whether quantized matrices keep the blocks of the file. If true, the other matrices are frozen too. */
  readonly keepBlocks: boolean;
}

/**
 * Reads weights into a model's memory piece by piece. The model determines the format of each matrix.
 * @param onProgress gets the number of bytes read so far.
 * @throws CheckpointError for damaged weights.
 */
export const readInto = async (
  model: Model | BlockModel,
  weights: WeightSource,
  onProgress?: (bytes: number) => void,
): Promise<void> => {
  const { backend, layout, frozen, writeWeights } = model;
  const words = frozen && canFreeze(backend) ? { placeWords: writeWeights } : {};
  const blocks = "blocks" in model ? { blocks: model.blocks } : {};
  await weights.read(layout, { place: writeWeights, ...words, ...blocks }, onProgress);
};

const emptyModel = (
  backend: Backend,
  config: ModelConfig,
  vocabSize: number,
  freeze: boolean,
  rows: readonly BlockRows[],
): Model | BlockModel => {
  if (rows.length > 0) return createBlockModel(backend, config, vocabSize, rows);
  return (freeze && canFreeze(backend) ? createFrozenModel : createModel)(backend, config, vocabSize);
};

/**
 * Puts a model into a backend's memory and closes its weights.
 * @param onProgress gets the number of bytes read so far.
 * @throws CheckpointError for damaged weights; the model's memory is freed then.
 */
export const placeModel = async (
  backend: Backend,
  { config, vocabSize, weights }: Pick<Pretrained, "config" | "vocabSize" | "weights">,
  { freeze, keepBlocks }: Keeping,
  onProgress?: (bytes: number) => void,
): Promise<Model> => {
  try {
    const rows = keepBlocks ? (weights.blockRows?.(modelLayout(config, vocabSize)) ?? []) : [];
    const model = emptyModel(backend, config, vocabSize, freeze, rows);
    try {
      await readInto(model, weights, onProgress);
    } catch (error) {
      model.close();
      throw error;
    }
    return model;
  } finally {
    await weights.close();
  }
};

/** A model with its weights in host memory, in the layout of `modelLayout` for the tokenizer's vocabulary size. */
export interface CollectedPretrained extends Omit<Pretrained, "weights" | "sha256">, Pick<WeightSource, "fused"> {
  readonly values: Float32Array;
}

/**
 * Reads all weights into one array for training, and closes the weights. Rows of the embedding beyond the tokenizer's
 * vocabulary size are left out.
 * @throws CheckpointError for damaged weights.
 */
export const collectWeights = async ({
  weights,
  sha256: _,
  ...facts
}: Omit<Pretrained, "sha256"> & Partial<Pretrained>): Promise<CollectedPretrained> => {
  try {
    const layout = modelLayout(facts.config, facts.tokenizer.vocabSize);
    const values = new Float32Array(layout.length);
    await weights.read(layout, { place: (part, offset) => values.set(part, offset) });
    return { ...facts, fused: weights.fused, values };
  } finally {
    await weights.close();
  }
};
