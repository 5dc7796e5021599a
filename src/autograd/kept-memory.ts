import type { Backend } from "../backend/backend.ts";
import type { RealDType } from "../core/tensors/dtype.ts";
import { createMemory, type Memory } from "./tensor.ts";

/** Memory for recorded kernel calls. The memory frees nothing before `close`, so that the calls can be replayed. */
export const keptMemory = (backend: Backend, real: RealDType): Memory => ({
  ...createMemory(backend, real),
  retain: (tensor) => tensor,
  release() {},
  exclusive: () => false,
});
