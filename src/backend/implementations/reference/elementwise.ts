import type { HostKernels } from "./host-args.ts";

export const elementwise: HostKernels<
  "fill" | "add" | "combine" | "copyRows" | "placeRows" | "sum" | "sumOfSquares" | "addSquares" | "scaleByNorm"
> = {
  fill({ y, value }) {
    y.fill(value);
  },

  add({ a, b, y, n }) {
    for (let i = 0; i < n; i++) y[i] = (a[i] as number) + (b[i] as number);
  },

  combine({ a, b, y, unreal, n, alpha, beta }) {
    for (let i = 0; i < n; i++) {
      y[i] = alpha * (a[i] as number) + beta * (b[i] as number);
      if (unreal !== null && !Number.isFinite(y[i])) unreal[0] = 1;
    }
  },

  copyRows({ x, y, rows, width, xStride, yStride }) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < width; c++) y[r * yStride + c] = x[r * xStride + c] as number;
    }
  },

  placeRows({ x, places, y, rows, width, xStride }) {
    for (let r = 0; r < rows; r++) {
      const to = (places[r] as number) * width;
      for (let c = 0; c < width; c++) y[to + c] = x[r * xStride + c] as number;
    }
  },

  sum({ x, y, n }) {
    let total = 0;
    for (let i = 0; i < n; i++) total += x[i] as number;
    y[0] = total;
  },

  sumOfSquares({ x, y, n }) {
    let total = 0;
    for (let i = 0; i < n; i++) total += (x[i] as number) ** 2;
    y[0] = total;
  },

  addSquares({ x, addend, ranges, squares, count }) {
    for (let range = 0; range < count; range++) {
      const to = ranges[2 * range + 1] as number;
      let total = 0;
      for (let i = ranges[2 * range] as number; i < to; i++) {
        if (addend !== null) x[i] = (x[i] as number) + (addend[i] as number);
        total += (x[i] as number) ** 2;
      }
      squares[range] = total;
    }
  },

  scaleByNorm({ x, squares, y, n, eps }) {
    const norm = Math.sqrt(squares[0] as number) + eps;
    for (let i = 0; i < n; i++) y[i] = (x[i] as number) / norm;
  },
};
