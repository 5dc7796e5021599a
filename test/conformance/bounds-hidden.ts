import { geluAt } from "#foretoken/backend/implementations/reference/gelu.js";
import type { Bounds } from "./bounds.ts";
import { at, eps } from "./bounds.ts";

const smallestNormal = 2 ** -126;

/**
 * As in geluForward, Φ has an absolute error of a few ε. So GELU of a gate has an error of a few ε, relative to the
 * gate and to GELU itself.
 */
const geluError = (gate: number, tanh: number): number =>
  4 * eps * (Math.min(Math.abs(gate), 8) + Math.abs(geluAt(gate, tanh)));

/** Bounds of GEGLU and squared ReLU. */
export const hiddenBounds: Bounds<"gegluForward" | "gegluBackward" | "relu2Forward" | "relu2Backward"> = {
  gegluForward: ({ x, hidden, tanh }, { y }) => ({
    y: (i) => {
      const gate = Math.floor(i / hidden) * 2 * hidden + (i % hidden);
      return geluError(at(x, gate), tanh) * Math.abs(at(x, gate + hidden)) + eps * Math.abs(at(y, i));
    },
  }),

  gegluBackward: ({ x, dy, hidden, tanh }, after) => ({
    dx: (i) => {
      const r = Math.floor(i / (2 * hidden));
      const c = i % hidden;
      const gate = at(x, 2 * r * hidden + c);
      const d = Math.abs(at(dy, r * hidden + c));
      const rounding = 2 * eps * Math.abs(at(after.dx, i));
      if (i % (2 * hidden) >= hidden) return d * geluError(gate, tanh) + rounding;
      const slope = 8 * eps * (1 + Math.min(Math.abs(gate), 1));
      return d * Math.abs(at(x, (2 * r + 1) * hidden + c)) * slope + rounding;
    },
  }),

  // A square below the smallest normal number may be flushed to 0.
  relu2Forward: (_, { y }) => ({ y: (i) => eps * Math.abs(at(y, i)) + smallestNormal }),
  relu2Backward: (_, { dx }) => ({ dx: (i) => 2 * eps * Math.abs(at(dx, i)) + smallestNormal }),
};
