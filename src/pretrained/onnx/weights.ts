/** A model's weights as tensors of an ONNX file. The weights are read while the file is written. */
import { CheckpointError } from "../../core/errors/errors.ts";
import type { OnnxTensor } from "../../io/onnx/model.ts";
import type { Placed, ReadValues } from "../../models/arena.ts";
import { findUnreal } from "../../models/hugging-face/find-unreal.ts";

/** Number of weights that are read at once. */
const readAtATime = 2 ** 20;

/** A model's weights by name. */
export interface NamedWeights {
  /** @returns undefined if the model has no weight with this name. */
  readonly find: (name: string) => Placed | undefined;
  /** Yields the rows of a weight in order, a few at a time. @throws CheckpointError for a number that is not finite. */
  readonly rows: (weight: Placed) => AsyncIterable<Float32Array>;
}

/** Length of a row of a matrix, or length of a vector. */
export const widthOf = ({ shape, size }: Placed): number => (shape.length < 2 ? size : (shape.at(-1) ?? 1));

/** @param where the model, for errors. */
export const namedWeights = (parameters: readonly Placed[], read: ReadValues, where: string): NamedWeights => {
  const byName = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  return {
    find: (name) => byName.get(name),
    async *rows(weight) {
      const width = widthOf(weight);
      const step = Math.max(1, Math.floor(readAtATime / width)) * width;
      for (let done = 0; done < weight.size; done += step) {
        const values = await read(weight.offset + done, Math.min(step, weight.size - done));
        const bad = findUnreal(values);
        if (bad !== -1) {
          const got = String(values[bad]);
          throw new CheckpointError({ where, must: `${weight.name} must hold finite numbers`, got });
        }
        yield values;
      }
    },
  };
};

/** The weight with this name. */
export const weightOf = (weights: NamedWeights, name: string): Placed => {
  const weight = weights.find(name);
  if (weight === undefined) throw new Error(`the layout has no parameter ${name}`);
  return weight;
};

export const bytesOfFloats = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** A weight in float32. */
export const floatTensor = (weights: NamedWeights, name: string): OnnxTensor => {
  const weight = weightOf(weights, name);
  return {
    ...{ name, type: "float32", shape: weight.shape },
    async *pieces() {
      for await (const values of weights.rows(weight)) yield bytesOfFloats(values);
    },
  };
};
