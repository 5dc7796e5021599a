import type { HostKernels } from "./host-args.ts";

export const elementwise: HostKernels<"fill" | "add" | "copyRows" | "sum" | "sumOfSquares"> = {
  fill({ y, value }) {
    y.fill(value);
  },

  add({ a, b, y, n }) {
    for (let i = 0; i < n; i++) y[i] = (a[i] as number) + (b[i] as number);
  },

  copyRows({ x, y, rows, width, xStride, yStride }) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < width; c++) y[r * yStride + c] = x[r * xStride + c] as number;
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
};
