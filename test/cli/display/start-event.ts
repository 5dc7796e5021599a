import type { StartEvent } from "#foretoken/runs/events.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";

const memory = { total: 2 ** 30, weights: 1, gradients: 1, moments: 1, temporaries: 1, saving: 1, loading: 1 };
/** The first event of a run. */
export const start = {
  ...{
    v: 1,
    type: "start",
    config: resolveConfig("shakespeare", []),
    derived: ["model.dropout", "train.patience"],
    parameters: 800_256,
    backend: "native",
  },
  ...{ instructionSet: "avx512", threads: 2, dtype: "bfloat16", corpus: "注文の多い料理店 と ほかの おはなし.txt" },
  ...{ trainTokens: 1_003_854, valTokens: 111_540, vocabSize: 65, out: "runs/料理店", step: 0, initFrom: null },
  ...{ memory: { ...memory, text: 1, reading: 1, program: 1 }, availableMemory: 2 ** 31 },
} as unknown as StartEvent;
