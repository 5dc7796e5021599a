/** Writes a model's weights as tensors of a Hugging Face checkpoint. place-tensors.ts reads them. */
import type { LazyTensor } from "../../core/tensors/named-tensor.ts";
import type { TensorMapping } from "../architectures/architecture.ts";
import { architectureOf } from "../architectures/architecture-of.ts";
import type { ArenaLayout, Placed, ReadValues } from "../arena.ts";
import type { ModelConfig } from "../config.ts";

/** Size of the tiles in which a matrix is transposed. A whole tile fits into the cache. */
const tile = 32;

/** [rows, columns] → [columns, rows] */
export const transpose = (data: Float32Array, rows: number, columns: number): Float32Array => {
  const out = new Float32Array(data.length);
  for (let top = 0; top < rows; top += tile) {
    const bottom = Math.min(rows, top + tile);
    for (let left = 0; left < columns; left += tile) {
      const right = Math.min(columns, left + tile);
      for (let c = left; c < right; c++) {
        for (let r = top; r < bottom; r++) out[c * rows + r] = data[r * columns + c] as number;
      }
    }
  }
  return out;
};

export const byName = (layout: ArenaLayout): ReadonlyMap<string, Placed> =>
  new Map(layout.parameters.map((parameter) => [parameter.name, parameter]));

/** Offset and shape in the arena for a tensor of the file. Undefined if Foretoken's model lacks the tensor. */
export const placeOf = (parameters: ReadonlyMap<string, Placed>, { ours, part, absent }: TensorMapping) => {
  const parameter = parameters.get(ours);
  if (parameter === undefined) {
    if (absent === undefined) throw new Error(`the layout has no parameter ${ours}`);
    return undefined;
  }
  const [all = 1, ...others] = parameter.shape;
  const { first, rows } = part ?? { first: 0, rows: all };
  const width = parameter.size / all;
  return { offset: parameter.offset + first * width, size: rows * width, shape: [rows, ...others] };
};

/** Tensors of `model.safetensors`, from the arena's values. */
export const toHuggingFace = (
  config: ModelConfig,
  layout: ArenaLayout,
  readValues: ReadValues,
): readonly LazyTensor[] => {
  const parameters = byName(layout);
  return architectureOf(config)
    .huggingFace.mappings(config)
    .map((mapping) => {
      const { theirs: name, transposed, absent = 0, plus = 0 } = mapping;
      const place = placeOf(parameters, mapping);
      if (place === undefined) return { name, shape: [absent], read: async () => new Float32Array(absent) };
      const { shape, offset, size } = place;
      const read = async (): Promise<Float32Array> => {
        const values = await readValues(offset, size);
        return plus === 0 ? values : values.map((value) => value - plus);
      };
      if (transposed !== true) return { name, shape, read };
      const [rows = 0, columns = 0] = shape;
      return {
        name,
        shape: [columns, rows],
        read: async () => transpose(await read(), rows, columns),
      };
    });
};
