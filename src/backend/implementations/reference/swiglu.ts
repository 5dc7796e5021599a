import type { HostKernels } from "./host-args.ts";

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** SwiGLU (Shazeer 2020): SiLU of the gate, x·σ(x), times the other half. */
export const swiglu: HostKernels<"swigluForward" | "swigluBackward"> = {
  swigluForward({ x, y, rows, hidden }) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < hidden; c++) {
        const gate = x[2 * r * hidden + c] as number;
        const up = x[(2 * r + 1) * hidden + c] as number;
        y[r * hidden + c] = gate * sigmoid(gate) * up;
      }
    }
  },

  swigluBackward({ x, dy, dx, rows, hidden }) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < hidden; c++) {
        const gate = x[2 * r * hidden + c] as number;
        const up = x[(2 * r + 1) * hidden + c] as number;
        const d = dy[r * hidden + c] as number;
        const s = sigmoid(gate);
        // 1 − σ(x) is computed as σ(−x), which keeps its digits where σ(x) is close to 1.
        dx[2 * r * hidden + c] = d * up * (s + gate * s * sigmoid(-gate));
        dx[(2 * r + 1) * hidden + c] = d * gate * s;
      }
    }
  },
};
