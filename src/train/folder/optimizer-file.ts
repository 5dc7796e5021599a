import { CheckpointError } from "../../core/errors.ts";
import type { LazyTensor } from "../../core/named-tensor.ts";
import type { readSafetensors } from "../../io/safetensors.ts";
import type { ArenaLayout, ReadValues } from "../../models/arena.ts";

/** One of Adam's moments as the tensors of `optimizer.safetensors`: `m.` or `v.` and the parameter's name. */
export const momentTensors = (layout: ArenaLayout, kind: "m" | "v", readValues: ReadValues): LazyTensor[] =>
  layout.parameters.map(({ name, shape, offset, size }) => ({
    name: `${kind}.${name}`,
    shape,
    read: () => readValues(offset, size),
  }));

/** Index of the first number that no moment can be, or -1: a mean of squares is not negative either. */
const findBad = (data: Float32Array, lowest: number): number => {
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number;
    if (!(value >= lowest && value < Number.POSITIVE_INFINITY)) return i;
  }
  return -1;
};

/**
 * One of Adam's moments in the layout of the arena, read back.
 * @param where the file, for errors.
 * @throws CheckpointError for a tensor that is missing or has another shape, or a number that no moment can be.
 */
export const momentsFrom = (
  layout: ArenaLayout,
  kind: "m" | "v",
  tensors: ReturnType<typeof readSafetensors>["tensors"],
  where: string,
): Float32Array => {
  const values = new Float32Array(layout.length);
  for (const { name, shape, offset, size } of layout.parameters) {
    const tensor = tensors.get(`${kind}.${name}`);
    if (tensor === undefined || tensor.data.length !== size || tensor.shape.join() !== shape.join()) {
      throw new CheckpointError({
        where,
        must: `the file must hold ${kind}.${name} with shape [${shape.join(", ")}]`,
        got: tensor === undefined ? "no such tensor" : `[${tensor.shape.join(", ")}]`,
      });
    }
    const bad = findBad(tensor.data, kind === "v" ? 0 : -Number.MAX_VALUE);
    if (bad !== -1) {
      throw new CheckpointError({
        where,
        must: `${kind}.${name} must hold finite numbers${kind === "v" ? " from 0" : ""}`,
        got: `${tensor.data[bad]} at ${bad}`,
      });
    }
    values.set(tensor.data, offset);
  }
  return values;
};
