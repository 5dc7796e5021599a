/**
 * Fits the scales of blocks. A number x of a block is stored as d·q or d·q + m. The level q has only a few bits. The
 * scales minimize the weighted sum of squared errors (weights.ts). First, the search tries several scales near the scale that covers the
 * block's range. Then the best scale is refined in turns: rounding gives the levels, and least squares give the scale.
 */

/** Result of fitting a block of at most 32 numbers. */
export interface Fitted {
  d: number;
  m: number;
}

/** Level of x during the search: x·inverse + offset, truncated to an integer and limited to [0, last]. */
const level = (x: number, inverse: number, offset: number, last: number): number => {
  const q = (x * inverse + offset) | 0;
  return q < 0 ? 0 : Math.min(q, last);
};

/**
 * The scales to try. Each try spreads the block's range over a slightly different number of levels. `from` and `to` are
 * the smallest and the largest difference from the number of available levels.
 */
export interface Tries {
  /** Number of scales to try for each sign. */
  readonly count: number;
  readonly from: number;
  readonly to: number;
}

/** Maximum number of refinements after the search. */
const turns = 4;

/**
 * Fits the scale d of x ≈ d·q, for integers q from −zero to last − zero.
 * @param x array with the block: `count` numbers from index `at`.
 * @param w weights of the squared errors: `count` numbers from index `wAt`.
 * @returns the scale, or 0 for a block of zeros. The scale may be negative, because there is one more level below zero
 * than above.
 */
export const fitScale = (
  x: Float32Array,
  at: number,
  count: number,
  w: Float64Array,
  wAt: number,
  zero: number,
  last: number,
  tries: Tries,
): number => {
  let extreme = 0;
  for (let i = at; i < at + count; i++) {
    const value = x[i] as number;
    if (Math.abs(value) > Math.abs(extreme)) extreme = value;
  }
  if (extreme === 0) return 0;
  const shift = wAt - at;
  const offset = zero + 0.5;
  let [best, gain] = [0, 0];
  const attempt = (inverse: number): void => {
    let [xq, qq] = [0, 0];
    for (let i = at; i < at + count; i++) {
      const value = x[i] as number;
      const q = level(value, inverse, offset, last) - zero;
      const weight = w[i + shift] as number;
      xq += weight * value * q;
      qq += weight * q * q;
    }
    // If the scale is Σwxq / Σwq², the weighted error is Σwx² minus (Σwxq)² / Σwq².
    if (qq === 0 || xq * xq <= gain * qq) return;
    gain = (xq * xq) / qq;
    best = xq / qq;
  };
  const step = (tries.to - tries.from) / Math.max(1, tries.count - 1);
  for (let i = 0; i < tries.count; i++) {
    const change = tries.from + i * step;
    attempt(-(zero + change) / extreme);
    attempt((last - zero + change) / extreme);
  }
  for (let turn = 0, before = 0; turn < turns && best !== before && best !== 0; turn++) {
    before = best;
    attempt(1 / best);
  }
  return best;
};

/**
 * Fits the scale d ≥ 0 and the minimum m of x ≈ d·q + m, for integers q from 0 to last.
 * @param below whether m must be 0 or less, as in K types.
 * @param out receives the result.
 */
export const fitScaleAndMinimum = (
  x: Float32Array,
  at: number,
  count: number,
  w: Float64Array,
  wAt: number,
  last: number,
  tries: Tries,
  below: boolean,
  out: Fitted,
): void => {
  let [least, most] = [x[at] as number, x[at] as number];
  let [all, sum, squares] = [0, 0, 0];
  const shift = wAt - at;
  for (let i = at; i < at + count; i++) {
    const value = x[i] as number;
    const weight = w[i + shift] as number;
    if (value < least) least = value;
    if (value > most) most = value;
    all += weight;
    sum += weight * value;
    squares += weight * value * value;
  }
  if (below && least > 0) least = 0;
  if (most <= least) {
    out.d = 0;
    out.m = least;
    return;
  }
  let error = Number.POSITIVE_INFINITY;
  let [d, m] = [(most - least) / last, least];
  const attempt = (inverse: number, minimum: number): void => {
    const offset = 0.5 - minimum * inverse;
    let [q1, q2, xq] = [0, 0, 0];
    for (let i = at; i < at + count; i++) {
      const value = x[i] as number;
      const q = level(value, inverse, offset, last);
      const weighted = (w[i + shift] as number) * q;
      q1 += weighted;
      q2 += weighted * q;
      xq += weighted * value;
    }
    const determinant = all * q2 - q1 * q1;
    if (determinant <= 0) return;
    let scale = (all * xq - sum * q1) / determinant;
    let base = (q2 * sum - q1 * xq) / determinant;
    if (below && base > 0) {
      base = 0;
      scale = xq / q2;
    }
    const found = squares + scale * (scale * q2 - 2 * xq + 2 * base * q1) + base * (all * base - 2 * sum);
    if (found >= error || scale <= 0) return;
    error = found;
    d = scale;
    m = base;
  };
  const step = (tries.to - tries.from) / Math.max(1, tries.count - 1);
  for (let i = 0; i < tries.count; i++) {
    const inverse = (last + tries.from + i * step) / (most - least);
    // If the levels cover less than the block's range, one end of the range is cut off. Try both ends.
    attempt(inverse, least);
    attempt(inverse, most - last / inverse);
  }
  for (let turn = 0, before = 0; turn < turns && d !== before; turn++) {
    before = d;
    attempt(1 / d, m);
  }
  out.d = d;
  out.m = m;
};
