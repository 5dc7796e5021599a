import { CheckpointError } from "../../core/errors/errors.ts";
import type { LazyTensor } from "../../core/tensors/named-tensor.ts";
import type { readSafetensors } from "../../io/safetensors.ts";
import { averageCountsName } from "../../trainer/average-layouts.ts";
import type { StateLayout, StatePart } from "../../trainer/state.ts";

/**
 * A running mean of the optimizer, or an array of the average of the weights, as tensors of `optimizer.safetensors`. A
 * tensor's name is the array's name, a dot, and the parameter's name.
 */
export const momentTensors = ({ name: kind, layout, read }: StatePart): LazyTensor[] =>
  layout.parameters.map(({ name, shape, offset, size }) => ({
    name: `${kind}.${name}`,
    shape,
    read: () => read(offset, size),
  }));

/** The condition on the values of an array, and its words for errors. */
interface Rule {
  readonly lowest: number;
  readonly highest: number;
  readonly whole: boolean;
  readonly words: string;
}

/** Index of the first value that is not valid, or -1. */
const findBad = (data: Float32Array, { lowest, highest, whole }: Rule): number => {
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number;
    if (!(value >= lowest && value <= highest) || (whole && !Number.isInteger(value))) return i;
  }
  return -1;
};

/** What the values of an array must be. A mean of squares must not be negative; counters are whole numbers. */
const ruleOf = (kind: string, step: number): Rule => {
  // The counters are steps, or numbers of steps, that the run has done.
  if (kind === averageCountsName) {
    return { lowest: 0, highest: step, whole: true, words: `whole numbers from 0 to ${step}, the checkpoint's step` };
  }
  const highest = Number.MAX_VALUE;
  return kind === "v"
    ? { lowest: 0, highest, whole: false, words: "finite numbers from 0" }
    : { lowest: -highest, highest, whole: false, words: "finite numbers" };
};

/**
 * Reads a running mean of the optimizer, or an array of the average of the weights. The file may have further tensors.
 * @param step the step of the checkpoint.
 * @param where name of the file, for errors.
 * @throws CheckpointError for a missing tensor, a wrong shape, or a value that is not a valid moment.
 */
export const momentsFrom = (
  { name: kind, layout }: StateLayout,
  tensors: ReturnType<typeof readSafetensors>["tensors"],
  step: number,
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
    const rule = ruleOf(kind, step);
    const bad = findBad(tensor.data, rule);
    if (bad !== -1) {
      throw new CheckpointError({
        where,
        must: `${kind}.${name} must hold ${rule.words}`,
        got: `${tensor.data[bad]} at ${bad}`,
      });
    }
    values.set(tensor.data, offset);
  }
  return values;
};
