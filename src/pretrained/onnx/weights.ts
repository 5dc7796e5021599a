/** A model's weights as tensors of an ONNX file, read when they are written. */
import { CheckpointError } from "../../core/errors/errors.ts";
import type { OnnxTensor } from "../../io/onnx/model.ts";
import type { Placed, ReadValues } from "../../models/arena.ts";
import { findUnreal } from "../../models/hugging-face/find-unreal.ts";

/** Numbers that are read at a time. */
const readAtATime = 2 ** 20;

/** A model's weights by their names. */
export interface NamedWeights {
  /** @returns undefined where the model has none of that name. */
  readonly find: (name: string) => Placed | undefined;
  /** The rows of a weight in order, some at a time. @throws CheckpointError for a number that is not finite. */
  readonly rows: (weight: Placed) => AsyncIterable<Float32Array>;
}

/** Numbers of a row: of a vector, all. */
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

/** The weight of this name. */
export const weightOf = (weights: NamedWeights, name: string): Placed => {
  const weight = weights.find(name);
  if (weight === undefined) throw new Error(`${name} was not laid out`);
  return weight;
};

export const bytesOfFloats = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** A weight as it is. */
export const floatTensor = (weights: NamedWeights, name: string): OnnxTensor => {
  const weight = weightOf(weights, name);
  return {
    ...{ name, type: "float32", shape: weight.shape },
    async *pieces() {
      for await (const values of weights.rows(weight)) yield bytesOfFloats(values);
    },
  };
};
