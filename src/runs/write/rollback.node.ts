/** `rollback/` in a run's folder: the rollback state of a run with onNonfinite "rollback". */

import { CheckpointError } from "../../core/errors/errors.ts";
import { firstNotFinite } from "../../core/tensors/finite.ts";
import type { NamedTensor } from "../../core/tensors/named-tensor.ts";
import { writeCheckpoint } from "../../io/checkpoint.node.ts";
import { hasCheckpoint } from "../../io/checkpoint-place.node.ts";
import type { Binding } from "../../io/manifest.ts";
import { readCheckpoint } from "../../io/read-checkpoint.node.ts";
import { readSafetensors, safetensorsChunks } from "../../io/safetensors.ts";
import type { StateLayout } from "../../trainer/state.ts";
import type { RollbackPoint } from "../store.ts";

const file = "state.safetensors";

/**
 * Replaces the rollback point in `directory`, atomically.
 * @param layouts layouts of the state's arrays.
 */
export const writeRollback = (
  directory: string,
  layouts: readonly StateLayout[],
  { step, arrays }: RollbackPoint,
  run: Binding,
): Promise<void> => {
  const tensors = layouts.flatMap(({ name: array, layout }) => {
    const values = arrays.get(array);
    if (values === undefined) throw new Error(`a state must have ${array}`);
    return layout.parameters.map(
      ({ name, shape, offset, size }): NamedTensor => ({
        name: `${array}.${name}`,
        shape,
        data: values.subarray(offset, offset + size),
      }),
    );
  });
  return writeCheckpoint(
    directory,
    { [file]: safetensorsChunks(tensors, { step: String(step) }) },
    { makeParents: false, run },
  );
};

/**
 * @param layouts layouts of the state's arrays. The file may contain more arrays.
 * @param configs hashes of the run's configuration, and of its earlier configurations if the run was extended.
 * @throws CheckpointError for a rollback point that is damaged, has no manifest, or belongs to another run.
 */
export const readRollback = async (
  directory: string,
  layouts: readonly StateLayout[],
  configs: readonly string[],
): Promise<RollbackPoint | null> => {
  if (!(await hasCheckpoint(directory))) return null;
  const {
    files: { [file]: bytes },
    manifest,
  } = await readCheckpoint(directory, [file]);
  const where = `${directory}/${file}`;
  const { tensors, metadata } = readSafetensors(bytes, where);
  const { step = "" } = metadata;
  if (!/^\d{1,15}$/u.test(step)) {
    throw new CheckpointError({ where, must: "step must be a whole number", got: JSON.stringify(step.slice(0, 80)) });
  }
  const read = ({ name: array, layout }: StateLayout): Float32Array => {
    const values = new Float32Array(layout.length);
    for (const { name, shape, offset, size } of layout.parameters) {
      const tensor = tensors.get(`${array}.${name}`);
      const bad = tensor === undefined || tensor.shape.join() !== shape.join();
      if (bad || firstNotFinite(tensor.data) >= 0) {
        throw new CheckpointError({
          where,
          must: `the file must hold ${array}.${name} with ${size} finite numbers`,
          got: tensor === undefined ? "no such tensor" : bad ? "another shape" : "infinity or NaN",
        });
      }
      values.set(tensor.data, offset);
    }
    return values;
  };
  const run = manifest?.run ?? null;
  if (run === null || !configs.includes(run.config) || run.step !== Number(step)) {
    throw new CheckpointError({
      where: directory,
      must: "the manifest of the rollback weights must name this run",
      got: manifest === null ? "no manifest" : "another run",
    });
  }
  return { step: Number(step), arrays: new Map(layouts.map((one) => [one.name, read(one)])) };
};
