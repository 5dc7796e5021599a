import type { RealArray } from "../../core/dtype.ts";
import type { HostKernels } from "./host-args.ts";

/** target[to + c] += factor · x[from + c] for c in [0, width): a row added to an accumulator. */
const addScaledRow = (
  target: Float64Array,
  to: number,
  factor: number,
  x: RealArray,
  from: number,
  width: number,
): void => {
  for (let c = 0; c < width; c++) target[to + c] = (target[to + c] as number) + factor * (x[from + c] as number);
};

/** The products of a linear layer, each sum taken in ascending order of its index, so that a row's bits never depend
 * on how many rows there are. */
export const products: HostKernels<"linearForward" | "linearBackwardInput" | "linearBackwardWeight"> = {
  linearForward({ x, w, bias, y, m, n, k }) {
    const wholeBlocks = n - (n % 4);
    for (let i = 0; i < m; i++) {
      const xRow = i * k;
      const yRow = i * n;
      // Four outputs at a time: four independent chains of additions keep the processor busy.
      for (let j = 0; j < wholeBlocks; j += 4) {
        const w0 = j * k;
        const w1 = w0 + k;
        const w2 = w1 + k;
        const w3 = w2 + k;
        let s0 = 0;
        let s1 = 0;
        let s2 = 0;
        let s3 = 0;
        for (let l = 0; l < k; l++) {
          const xl = x[xRow + l] as number;
          s0 += xl * (w[w0 + l] as number);
          s1 += xl * (w[w1 + l] as number);
          s2 += xl * (w[w2 + l] as number);
          s3 += xl * (w[w3 + l] as number);
        }
        y[yRow + j] = s0 + (bias === null ? 0 : (bias[j] as number));
        y[yRow + j + 1] = s1 + (bias === null ? 0 : (bias[j + 1] as number));
        y[yRow + j + 2] = s2 + (bias === null ? 0 : (bias[j + 2] as number));
        y[yRow + j + 3] = s3 + (bias === null ? 0 : (bias[j + 3] as number));
      }
      for (let j = wholeBlocks; j < n; j++) {
        let s = 0;
        for (let l = 0; l < k; l++) s += (x[xRow + l] as number) * (w[j * k + l] as number);
        y[yRow + j] = s + (bias === null ? 0 : (bias[j] as number));
      }
    }
  },

  linearBackwardInput({ dy, w, dx, m, n, k }) {
    const row = new Float64Array(k);
    for (let i = 0; i < m; i++) {
      row.fill(0);
      for (let j = 0; j < n; j++) addScaledRow(row, 0, dy[i * n + j] as number, w, j * k, k);
      dx.set(row, i * k);
    }
  },

  linearBackwardWeight({ dy, x, dw, dBias, m, n, k }) {
    // A block of rows of dw at a time, so that each pass over x serves several.
    const blockRows = 8;
    const block = new Float64Array(blockRows * k);
    for (let j0 = 0; j0 < n; j0 += blockRows) {
      const rows = Math.min(blockRows, n - j0);
      block.fill(0);
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < rows; j++) addScaledRow(block, j * k, dy[i * n + j0 + j] as number, x, i * k, k);
      }
      for (let e = 0; e < rows * k; e++) dw[j0 * k + e] = (dw[j0 * k + e] as number) + (block[e] as number);
    }
    if (dBias === null) return;
    for (let j = 0; j < n; j++) {
      let s = 0;
      for (let i = 0; i < m; i++) s += dy[i * n + j] as number;
      dBias[j] = (dBias[j] as number) + s;
    }
  },
};
