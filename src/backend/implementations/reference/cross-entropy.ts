import { DataError } from "../../../core/errors/errors.ts";
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
  crossEntropyForward({ logits, targets, losses, logSumExp, rows, columns, first, vocabSize }) {
    for (let r = 0; r < rows; r++) {
      const row = r * columns;
      const before = first === 0 ? -Infinity : (logSumExp[r] as number);
      let max = before;
      for (let c = 0; c < columns; c++) max = Math.max(max, logits[row + c] as number);
      // If all logits are −∞, all exponentials are 0, and the log of their sum is −∞.
      const shift = max === -Infinity ? 0 : max;
      let total = Math.exp(before - shift);
      for (let c = 0; c < columns; c++) total += Math.exp((logits[row + c] as number) - shift);
      const logTotal = shift + Math.log(total);
      logSumExp[r] = logTotal;

      const target = checkedTarget(targets, r, vocabSize);
      const column = target - first;
      const earlier = first === 0 ? 0 : (losses[r] as number);
      const negated = column >= 0 && column < columns ? -(logits[row + column] as number) : earlier;
      if (target < 0) losses[r] = 0;
      else losses[r] = first + columns === vocabSize ? logTotal + negated : negated;
    }
  },

  crossEntropyBackward({ logits, targets, logSumExp, dLoss, dLogits, rows, columns, first, vocabSize }) {
    const factor = dLoss[0] as number;
    for (let r = 0; r < rows; r++) {
      const row = r * columns;
      const target = checkedTarget(targets, r, vocabSize);
      if (target < 0) {
        dLogits.fill(0, row, row + columns);
        continue;
      }
      const logTotal = logSumExp[r] as number;
      for (let c = 0; c < columns; c++) {
        const probability = Math.exp((logits[row + c] as number) - logTotal);
        dLogits[row + c] = factor * (probability - (first + c === target ? 1 : 0));
      }
    }
  },
};
