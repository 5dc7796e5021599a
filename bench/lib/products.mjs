/** Converts kernel calls of linear layers to matrix products, for peers that have only matrix products. */

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
 * The matrix product of a recorded call. Undefined if the call is not a linear layer, or if the product has no rows.
 * @returns {Product | undefined}
 */
export const productOf = ({ kernel, args }) => {
  const [, of] = parts.find(([name]) => kernel.startsWith(name)) ?? [];
  const { m, n, k, bias } = args;
  return of === undefined || !(m * n * k > 0) ? undefined : { of, m, n, k, bias: bias != null };
};
