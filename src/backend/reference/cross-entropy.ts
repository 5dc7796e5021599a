import { DataError } from "../../core/errors.ts";
import type { HostKernels } from "./host-args.ts";

const checkedTarget = (targets: Int32Array, row: number, vocabSize: number): number => {
  const target = targets[row] as number;
  if (target < vocabSize) return target;
  throw new DataError({
    where: "crossEntropy",
    must: `targets must be below vocabSize = ${vocabSize}`,
    got: `${target} in row ${row}`,
  });
};

export const crossEntropy: HostKernels<"crossEntropyForward" | "crossEntropyBackward"> = {
  crossEntropyForward({ logits, targets, losses, logSumExp, rows, vocabSize }) {
    for (let r = 0; r < rows; r++) {
      const row = r * vocabSize;
      let max = -Infinity;
      for (let c = 0; c < vocabSize; c++) max = Math.max(max, logits[row + c] as number);
      let total = 0;
      for (let c = 0; c < vocabSize; c++) total += Math.exp((logits[row + c] as number) - max);
      const logTotal = max + Math.log(total);
      const target = checkedTarget(targets, r, vocabSize);
      logSumExp[r] = logTotal;
      losses[r] = target < 0 ? 0 : logTotal - (logits[row + target] as number);
    }
  },

  crossEntropyBackward({ logits, targets, logSumExp, dLoss, dLogits, rows, vocabSize }) {
    const factor = dLoss[0] as number;
    for (let r = 0; r < rows; r++) {
      const row = r * vocabSize;
      const target = checkedTarget(targets, r, vocabSize);
      if (target < 0) {
        dLogits.fill(0, row, row + vocabSize);
        continue;
      }
      const logTotal = logSumExp[r] as number;
      for (let c = 0; c < vocabSize; c++) {
        const probability = Math.exp((logits[row + c] as number) - logTotal);
        dLogits[row + c] = factor * (probability - (c === target ? 1 : 0));
      }
    }
  },
};
