/** The samples of every differentiable op: the cases of the gradient check. */
import { samples as add } from "./add.ts";
import { samples as addBranch } from "./add-branch.ts";
import { samples as causalAttention } from "./causal-attention.ts";
import { samples as crossEntropy } from "./cross-entropy.ts";
import { samples as distillation } from "./distillation.ts";
import { samples as embedding } from "./embedding.ts";
import { samples as geglu } from "./geglu.ts";
import { samples as gelu } from "./gelu.ts";
import { samples as geluMlp } from "./gelu-mlp.ts";
import { samples as layerNorm } from "./layer-norm.ts";
import { samples as linear, residualSamples as linearResidual } from "./linear.ts";
import { samples as linearCrossEntropy } from "./linear-cross-entropy.ts";
import { samples as lora } from "./lora.ts";
import { samples as relu2 } from "./relu2.ts";
import { samples as rmsNorm } from "./rms-norm.ts";
import { samples as rotary } from "./rotary.ts";
import { samples as swiglu } from "./swiglu.ts";
import { samples as zeroHeads } from "./zero-heads.ts";

export const opSamples = {
  add,
  addBranch,
  causalAttention,
  crossEntropy,
  distillation,
  embedding,
  geglu,
  gelu,
  geluMlp,
  layerNorm,
  linear,
  linearCrossEntropy,
  linearResidual,
  lora,
  relu2,
  rmsNorm,
  rotary,
  swiglu,
  zeroHeads,
} as const;
