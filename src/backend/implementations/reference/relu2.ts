import type { HostKernels } from "./host-args.ts";

/** Squared ReLU (So et al. 2021). */
export const relu2: HostKernels<"relu2Forward" | "relu2Backward"> = {
  relu2Forward({ x, y, n }) {
    for (let i = 0; i < n; i++) y[i] = Math.max(0, x[i] as number) ** 2;
  },

  relu2Backward({ x, dy, dx, n }) {
    for (let i = 0; i < n; i++) dx[i] = (dy[i] as number) * 2 * Math.max(0, x[i] as number);
  },
};
