import type { Backend } from "../backend/backend.ts";
import type { RealDType } from "../core/tensors/dtype.ts";
import { createMemory, type Memory } from "./tensor.ts";

/** Temporaries of work that is recorded: nothing is freed before `close`, so that its calls can be replayed. */
export const keptMemory = (backend: Backend, real: RealDType): Memory => ({
  ...createMemory(backend, real),
  retain: (tensor) => tensor,
  release() {},
  exclusive: () => false,
});
