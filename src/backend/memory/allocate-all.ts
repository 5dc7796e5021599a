import type { DType } from "../../core/tensors/dtype.ts";
import type { Backend, Storage } from "../backend.ts";

/**
 * Allocates all of several storages or none: if one fails, the ones before it are freed.
 * @param lengths elements of each.
 * @throws the error of `alloc`.
 */
export const allocateAll = <const Lengths extends readonly number[]>(
  backend: Backend,
  dtype: DType,
  lengths: Lengths,
): { readonly [K in keyof Lengths]: Storage } => {
  const taken: Storage[] = [];
  try {
    for (const length of lengths) taken.push(backend.alloc(dtype, length));
  } catch (error) {
    for (const storage of taken) backend.free(storage);
    throw error;
  }
  // One for each length, in their order.
  return taken as unknown as { readonly [K in keyof Lengths]: Storage };
};
