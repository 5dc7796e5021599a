import type { KernelName } from "#foretoken/backend/kernels/kernels.js";
import type { Samples } from "../sample.ts";
import { attention } from "./attention.ts";
import { blockSamples } from "./blocks.ts";
import { elementwise, embedding } from "./elementwise.ts";
import { geglu, relu2 } from "./hidden.ts";
import { layerNorm, linear } from "./layers.ts";
import { rmsNorm, rotary, swiglu } from "./rotary.ts";
import { adam, crossEntropy } from "./training.ts";

/** The samples for every backend. A kernel without samples does not compile. */
export const samples: Samples<KernelName> = {
  ...elementwise,
  ...embedding,
  ...linear,
  ...layerNorm,
  ...rmsNorm,
  ...rotary,
  ...swiglu,
  ...geglu,
  ...relu2,
  ...attention,
  ...crossEntropy,
  ...adam,
  ...blockSamples,
};
