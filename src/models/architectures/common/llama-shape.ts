import type { Takes } from "../traits.ts";

/** Traits of all models with blocks like Llama's. */
export const llamaShape = {
  position: ["rope"],
  norm: ["rmsnorm"],
  mlp: ["swiglu"],
  nKvHead: "any",
  headDim: "any",
} as const satisfies Takes;
