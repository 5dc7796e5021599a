import type { HostKernels } from "./host-args.ts";
import { normalCdf, normalPdf } from "./normal.ts";

// tanh form: gelu(x) ≈ ½x(1 + tanh u) = x · σ(2u), u = √(2/π) · (x + cubic·x³) (Hendrycks & Gimpel 2016). The logistic
// form keeps its relative precision where 1 + tanh u cancels.
const cubic = 0.044715;
const outer = 2 * Math.sqrt(2 / Math.PI);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-outer * (x + cubic * x * x * x)));

const tanhDerivative = (x: number): number => {
  const s = sigmoid(x);
  return s + x * s * (1 - s) * outer * (1 + 3 * cubic * x * x);
};

export const gelu: HostKernels<"geluForward" | "geluBackward"> = {
  geluForward({ x, y, n, tanh }) {
    for (let i = 0; i < n; i++) {
      const xi = x[i] as number;
      y[i] = xi * (tanh ? sigmoid(xi) : normalCdf(xi));
    }
  },

  geluBackward({ x, dy, dx, n, tanh }) {
    for (let i = 0; i < n; i++) {
      const xi = x[i] as number;
      dx[i] = (dy[i] as number) * (tanh ? tanhDerivative(xi) : normalCdf(xi) + xi * normalPdf(xi));
    }
  },
};
