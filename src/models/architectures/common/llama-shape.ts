import type { Takes } from "../traits.ts";

/** Traits that all models with Llama's blocks have. */
export const llamaShape = {
  position: ["rope"],
  norm: ["rmsnorm"],
  mlp: ["swiglu"],
  nKvHead: "any",
  headDim: "any",
} as const satisfies Takes;
