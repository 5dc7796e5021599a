/** The matrix product that a kernel of the linear layer computes, for peers that have only products. */

/**
 * `forward`: x[M, K] · w[N, K]ᵀ (+ bias); `input`: dy[M, N] · w[N, K]; `weight`: dy[M, N]ᵀ · x[M, K].
 * @typedef {{ of: "forward" | "input" | "weight", m: number, n: number, k: number, bias: boolean }} Product
 */

const parts = /** @type {const} */ ([
  ["linearForward", "forward"],
  ["linearGeluForward", "forward"],
  ["linearDropoutForward", "forward"],
  ["linearBackwardInput", "input"],
  ["linearDropoutBackwardInput", "input"],
  ["linearBackwardWeight", "weight"],
]);

/**
 * The product of a recorded call. Undefined for another kernel, and for a product without rows.
 * @returns {Product | undefined}
 */
export const productOf = ({ kernel, args }) => {
  const [, of] = parts.find(([name]) => kernel.startsWith(name)) ?? [];
  const { m, n, k, bias } = args;
  return of === undefined || !(m * n * k > 0) ? undefined : { of, m, n, k, bias: bias != null };
};
