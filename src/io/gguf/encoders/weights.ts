/**
 * Weights of the squared errors in a block.
 *
 * A layer multiplies column j of its matrix by its input j. So the squared error of the layer's output is about
 * Σ E[x_j²] (w_j − ŵ_j)², if x is the input, w is a row of the matrix and ŵ is the encoded row. The mean square E[x_j²]
 * over a text is the importance of column j.
 */

/** The importances of a matrix's columns: a positive number for each column. Null if they are unknown. */
export type Importance = Float64Array | null;

/** Weights of 1. */
export const equalWeights: Float64Array = new Float64Array(256).fill(1);

/**
 * Weights by the size of the numbers. Errors of large numbers get up to a few times the weight of other errors, because
 * this weight gives a smaller loss on text.
 * @param x array with the numbers: `count` numbers from index `at`.
 * @param out receives the weights, from index `to` on.
 */
export const weighBySize = (x: Float32Array, at: number, count: number, out: Float64Array, to: number): void => {
  let squares = 0;
  for (let i = at; i < at + count; i++) squares += (x[i] as number) * (x[i] as number);
  const rms = Math.sqrt(squares / count);
  for (let i = 0; i < count; i++) out[to + i] = rms + Math.abs(x[at + i] as number);
};
