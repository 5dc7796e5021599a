import { geluAt, geluSlopeAt } from "./gelu.ts";
import type { HostKernels } from "./host-args.ts";

/** GEGLU (Shazeer 2020): GELU of the gate, times the other half. */
export const geglu: HostKernels<"gegluForward" | "gegluBackward"> = {
  gegluForward({ x, y, rows, hidden, tanh }) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < hidden; c++) {
        const gate = x[2 * r * hidden + c] as number;
        const up = x[(2 * r + 1) * hidden + c] as number;
        y[r * hidden + c] = geluAt(gate, tanh) * up;
      }
    }
  },

  gegluBackward({ x, dy, dx, rows, hidden, tanh }) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < hidden; c++) {
        const gate = x[2 * r * hidden + c] as number;
        const up = x[(2 * r + 1) * hidden + c] as number;
        const d = dy[r * hidden + c] as number;
        dx[2 * r * hidden + c] = d * up * geluSlopeAt(gate, tanh);
        dx[(2 * r + 1) * hidden + c] = d * geluAt(gate, tanh);
      }
    }
  },
};
