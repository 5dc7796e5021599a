import type { DType } from "../../core/tensors/dtype.ts";
import type { Backend, Storage } from "../backend.ts";

/**
 * Allocates several storages. If one allocation fails, the storages allocated before it are freed.
 * @param lengths number of elements of each storage.
 * @param gradually as in `Backend.alloc`.
 * @throws the error of `alloc`.
 */
export const allocateAll = <const Lengths extends readonly number[]>(
  backend: Backend,
  dtype: DType,
  lengths: Lengths,
  gradually?: boolean,
): { readonly [K in keyof Lengths]: Storage } => {
  const taken: Storage[] = [];
  try {
    for (const length of lengths) taken.push(backend.alloc(dtype, length, gradually));
  } catch (error) {
    for (const storage of taken) backend.free(storage);
    throw error;
  }
  // One storage for each length, in order.
  return taken as unknown as { readonly [K in keyof Lengths]: Storage };
};
