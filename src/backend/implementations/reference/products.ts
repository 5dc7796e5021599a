import type { RealArray } from "../../../core/tensors/dtype.ts";
import { dropoutFactors, packMask, unpackMask } from "./dropout.ts";
import { geluAt, geluSlopeAt } from "./gelu.ts";
import type { HostKernels } from "./host-args.ts";

/**
 * sums[c] += Σ over r in [0, rows) of factors[from + r·stride] · x[r, c], in ascending r. Rows of x are as long as
 * `sums`. Four rows are added at a time, so each sum is loaded and stored once per four rows.
 */
const addScaledRows = (
  sums: Float64Array,
  factors: RealArray,
  from: number,
  stride: number,
  x: RealArray,
  rows: number,
): void => {
  const width = sums.length;
  const wholeBlocks = rows - (rows % 4);
  for (let r = 0; r < wholeBlocks; r += 4) {
    const f0 = factors[from + r * stride] as number;
    const f1 = factors[from + (r + 1) * stride] as number;
    const f2 = factors[from + (r + 2) * stride] as number;
    const f3 = factors[from + (r + 3) * stride] as number;
    const x0 = r * width;
    const x1 = x0 + width;
    const x2 = x1 + width;
    const x3 = x2 + width;
    for (let c = 0; c < width; c++) {
      let s = sums[c] as number;
      s += f0 * (x[x0 + c] as number);
      s += f1 * (x[x1 + c] as number);
      s += f2 * (x[x2 + c] as number);
      s += f3 * (x[x3 + c] as number);
      sums[c] = s;
    }
  }
  for (let r = wholeBlocks; r < rows; r++) {
    const f = factors[from + r * stride] as number;
    for (let c = 0; c < width; c++) sums[c] = (sums[c] as number) + f * (x[r * width + c] as number);
  }
};

/**
 * Products of a linear layer. dBias is a sum without products, so dy is not rounded for it. Each sum is in ascending
 * order, so the bits of a row do not depend on the number of rows.
 */
export const products: HostKernels<
  | "linearForward"
  | "linearGeluForward"
  | "linearDropoutForward"
  | "linearBackwardInput"
  | "linearDropoutBackwardInput"
  | "linearBackwardWeight"
> = {
  linearForward({ bias, addend, y, m, n, k, operand, ...given }) {
    const x = operand(given.x);
    const w = operand(given.w);
    const wholeBlocks = n - (n % 4);
    const added = (row: number, j: number): number =>
      (bias === null ? 0 : (bias[j] as number)) + (addend === null ? 0 : (addend[row + j] as number));
    for (let i = 0; i < m; i++) {
      const xRow = i * k;
      const yRow = i * n;
      // Four outputs at a time give four independent chains of additions, which keep the processor busy.
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
        y[yRow + j] = s0 + added(yRow, j);
        y[yRow + j + 1] = s1 + added(yRow, j + 1);
        y[yRow + j + 2] = s2 + added(yRow, j + 2);
        y[yRow + j + 3] = s3 + added(yRow, j + 3);
      }
      for (let j = wholeBlocks; j < n; j++) {
        let s = 0;
        for (let l = 0; l < k; l++) s += (x[xRow + l] as number) * (w[j * k + l] as number);
        y[yRow + j] = s + added(yRow, j);
      }
    }
  },

  linearGeluForward({ y, slope, m, n, tanh, ...given }) {
    const h = new Float64Array(m * n);
    products.linearForward({ ...given, addend: null, y: h, m, n });
    for (let i = 0; i < h.length; i++) {
      const value = h[i] as number;
      y[i] = geluAt(value, tanh);
      if (slope !== null) slope[i] = geluSlopeAt(value, tanh);
    }
  },

  linearDropoutForward({ addend, kept, y, m, n, ...given }) {
    const h = new Float64Array(m * n);
    products.linearForward({ ...given, addend: null, y: h, m, n });
    const factors = new Float64Array(m * n);
    dropoutFactors(given, 0, 0, m * n, factors);
    packMask(factors, m * n, kept, 0, 1);
    for (let i = 0; i < h.length; i++) y[i] = (addend[i] as number) + (h[i] as number) * (factors[i] as number);
  },

  linearBackwardInput({ dx, factor, m, n, k, add, operand, ...given }) {
    const dy = operand(given.dy);
    const w = operand(given.w);
    const row = new Float64Array(k);
    for (let i = 0; i < m; i++) {
      row.fill(0);
      addScaledRows(row, dy, i * n, 1, w, n);
      if (factor !== null) for (let c = 0; c < k; c++) row[c] = (row[c] as number) * (factor[i * k + c] as number);
      if (add) for (let c = 0; c < k; c++) row[c] = (row[c] as number) + (dx[i * k + c] as number);
      dx.set(row, i * k);
    }
  },

  linearDropoutBackwardInput({ dy, kept, dBranch, p, ...given }) {
    const factors = new Float64Array(dy.length);
    unpackMask(kept, 0, 1, p, dy.length, factors);
    for (let i = 0; i < dy.length; i++) dBranch[i] = (dy[i] as number) * (factors[i] as number);
    products.linearBackwardInput({ ...given, dy: dBranch, add: 0 });
  },

  linearBackwardWeight({ dy, dw, dBias, m, n, k, add, operand, ...given }) {
    const factors = operand(dy);
    const x = operand(given.x);
    const row = new Float64Array(k);
    for (let j = 0; j < n; j++) {
      row.fill(0);
      addScaledRows(row, factors, j, n, x, m);
      for (let c = 0; c < k; c++) dw[j * k + c] = (add ? (dw[j * k + c] as number) : 0) + (row[c] as number);
    }
    if (dBias === null) return;
    for (let j = 0; j < n; j++) {
      let s = 0;
      for (let i = 0; i < m; i++) s += dy[i * n + j] as number;
      dBias[j] = (dBias[j] as number) + s;
    }
  },
};
