import type { Backend } from "../backend/backend.ts";
import type { RealDType } from "../core/tensors/dtype.ts";
import { sizeOf } from "../core/tensors/shape.ts";
import { createMemory, type Memory, type Tensor, writeTensor } from "./tensor.ts";

/** Memory for repeated work. */
export interface RepeatedMemory extends Memory {
  /** Begins again: allocations now return the earlier tensors, in the same order. */
  rewind(): void;
}

/**
 * Temporaries on `backend` for work that allocates the same shapes in the same order each time. Nothing is freed before
 * `close`, so tensors stay in place from one time to the next.
 */
export const repeatedMemory = (backend: Backend, real: RealDType): RepeatedMemory => {
  const memory = createMemory(backend, real);
  let tensors: Tensor[] = [];
  let taken = 0;
  const allocate: Memory["allocate"] = (shape, dtype = real) => {
    const before = tensors[taken];
    const fits = before?.storage.dtype === dtype && before.storage.length === sizeOf(shape);
    const tensor = fits ? { ...before, shape } : memory.allocate(shape, dtype);
    if (!fits && before !== undefined) memory.release(before);
    tensors[taken++] = tensor;
    return tensor;
  };
  return {
    allocate,
    upload(data, shape) {
      const tensor = allocate(shape, data instanceof Int32Array ? "int32" : real);
      writeTensor(backend, tensor, data);
      return tensor;
    },
    retain: (tensor) => tensor,
    release() {},
    exclusive: () => false,
    rewind() {
      taken = 0;
    },
    close() {
      memory.close();
      tensors = [];
      taken = 0;
    },
  };
};
