import { CheckpointError } from "../../core/errors.ts";
import { firstNotFinite } from "../../core/finite.ts";
import type { readSafetensors } from "../../io/safetensors.ts";
import type { ArenaLayout } from "../../models/arena.ts";

/** One of Adam's moments as the tensors of `optimizer.safetensors`: `m.` or `v.` and the parameter's name. */
export const momentTensors = (layout: ArenaLayout, kind: "m" | "v", values: Float32Array) =>
  layout.parameters.map(({ name, shape, offset, size }) => ({
    name: `${kind}.${name}`,
    shape,
    data: values.subarray(offset, offset + size),
  }));

/**
 * One of Adam's moments in the layout of the arena, read back.
 * @param where the file, for errors.
 * @throws CheckpointError for a tensor that is missing or has another shape.
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
    const bad = firstNotFinite(tensor.data);
    if (bad >= 0) {
      const got = `${tensor.data[bad]} at position ${bad}`;
      throw new CheckpointError({
        where,
        must: `${kind}.${name} must hold finite numbers`,
        got,
        hint: "another checkpoint",
      });
    }
    values.set(tensor.data, offset);
  }
  return values;
};
