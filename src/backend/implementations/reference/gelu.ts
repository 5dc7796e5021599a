import type { HostKernels } from "./host-args.ts";
import { normalCdf, normalPdf } from "./normal.ts";

// tanh form: gelu(x) ≈ ½x(1 + tanh u) = x · σ(2u), u = √(2/π) · (x + cubic·x³) (Hendrycks & Gimpel 2016). The formula
// with σ stays precise where 1 + tanh u is close to 0.
const cubic = 0.044715;
const outer = 2 * Math.sqrt(2 / Math.PI);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-outer * (x + cubic * x * x * x)));

const tanhDerivative = (x: number): number => {
  const s = sigmoid(x);
  return s + x * s * (1 - s) * outer * (1 + 3 * cubic * x * x);
};

/** gelu(x); `tanh` = 1 selects the approximation. */
export const geluAt = (x: number, tanh: number): number => x * (tanh ? sigmoid(x) : normalCdf(x));
/** gelu′(x) */
export const geluSlopeAt = (x: number, tanh: number): number =>
  tanh ? tanhDerivative(x) : normalCdf(x) + x * normalPdf(x);

export const gelu: HostKernels<"geluForward" | "geluBackward"> = {
  geluForward({ x, y, n, tanh }) {
    for (let i = 0; i < n; i++) y[i] = geluAt(x[i] as number, tanh);
  },

  geluBackward({ x, dy, dx, n, tanh }) {
    for (let i = 0; i < n; i++) dx[i] = (dy[i] as number) * geluSlopeAt(x[i] as number, tanh);
  },
};
