import type { Takes } from "../traits.ts";

/** What all models with Llama's blocks take. */
export const llamaShape = {
  position: ["rope"],
  norm: ["rmsnorm"],
  mlp: ["swiglu"],
  nKvHead: "any",
  headDim: "any",
} as const satisfies Takes;
