/** The error of a mean over a text. The parts of a text are correlated at every distance. */

/** Probability that an interval contains the true value. */
const coverage = 0.95;

/** Exponents H to try: the middles of 20 equal parts of (½, 1). */
const exponents = Array.from({ length: 20 }, (_, i) => 0.5 + (i + 0.5) / 40);

/** Covariances of fractional Gaussian noise of variance 1 at distances 0 … n − 1 (Mandelbrot and Van Ness 1968). */
const fractionalNoise = (n: number, exponent: number): readonly number[] => {
  const power = (distance: number): number => Math.abs(distance) ** (2 * exponent);
  return Array.from({ length: n }, (_, k) => (power(k + 1) - 2 * power(k) + power(k - 1)) / 2);
};

/**
 * Cholesky factor: the lower triangle L with L·Lᵀ = Γ. `covariances` contains the elements of Γ by their distance from
 * the diagonal.
 */
const cholesky = (covariances: readonly number[]): readonly (readonly number[])[] => {
  const rows: number[][] = [];
  for (let i = 0; i < covariances.length; i++) {
    const row: number[] = [];
    for (let j = 0; j <= i; j++) {
      const other = rows[j] ?? row;
      const rest = row.reduce((sum, value, k) => sum - value * (other[k] ?? 0), covariances[i - j] ?? 0);
      row.push(i === j ? Math.sqrt(rest) : rest / (other[j] ?? 1));
    }
    rows.push(row);
  }
  return rows;
};

/** Solves L·x = b. */
const solve = (lower: readonly (readonly number[])[], b: readonly number[]): readonly number[] => {
  const x: number[] = [];
  for (const [i, row] of lower.entries()) {
    const rest = x.reduce((sum, value, j) => sum - (row[j] ?? 0) * value, b[i] ?? 0);
    x.push(rest / (row[i] ?? 1));
  }
  return x;
};

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);

/**
 * The probability that |t| ≤ `t` for Student's t distribution; `t` ≥ 0 (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).
 */
export const studentWithin = (t: number, degrees: number): number => {
  const angle = Math.atan(t / Math.sqrt(degrees));
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  const isOdd = degrees % 2 === 1;
  let term = isOdd ? cosine : 1;
  let sum = 0;
  for (let i = isOdd ? 1 : 0; i < degrees - 1; i += 2) {
    sum += term;
    term *= (cosine * cosine * (i + 1)) / (i + 2);
  }
  return isOdd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum;
};

/** A Student's t distribution with centre 0, as a part of a mixture. */
export interface StudentPart {
  /** Weight in the mixture. */
  readonly weight: number;
  /** Factor that multiplies t. */
  readonly scale: number;
  /** Degrees of freedom. */
  readonly degrees: number;
}

/**
 * Returns the error of the mean of `blocks`, as an estimate of the mean over similar texts. The error is a mixture of
 * Student's t distributions.
 *
 * All parts of a text are correlated. The correlation falls as a power of the distance (Ebeling and Pöschel 1994,
 * "Entropy and long-range correlations in literary English"). So no block is long enough to be independent of the next
 * one. The model for blocks is fractional Gaussian noise. The correlations of this noise do not depend on the length of
 * a block. A mean of n blocks has the standard deviation σ·n^(H − 1). H = ½ means independent blocks; near H = 1, more
 * text helps little. σ and H are unknown. Each H between ½ and 1 gives a Student's t distribution with n − 1 degrees of
 * freedom. The weight of this distribution is the likelihood of H, with the mean and σ integrated out:
 *
 *     w(H) ∝ |Γ|^−½ · (1ᵀΓ⁻¹1)^−½ · S^−(n−1)/2     S = bᵀΓ⁻¹b − (1ᵀΓ⁻¹b)² / 1ᵀΓ⁻¹1     scale(H) = √(S / (n − 1)) · n^(H − 1)
 *
 * with Γ the correlations of the blocks for H (Tyralis and Koutsoyiannis 2014, "A Bayesian statistical model for
 * deriving the predictive distribution of hydroclimatic variables", section 2; their mean is weighted by Γ⁻¹, which
 * reduces the noise by a few percent).
 * @param blocks means of parts of equal length, in the order of the text; at least two.
 * @returns empty if all blocks are equal.
 */
export const errorOfMean = (blocks: readonly number[]): readonly StudentPart[] => {
  const n = blocks.length;
  const ones = blocks.map(() => 1);
  // The mean is subtracted so that sums lose no digits. This does not change the result.
  const mean = dot(blocks, ones) / n;
  const rests = blocks.map((value) => value - mean);
  const models = exponents.map((exponent) => {
    const lower = cholesky(fractionalNoise(n, exponent));
    const [one, rest] = [solve(lower, ones), solve(lower, rests)];
    const squares = dot(rest, rest) - dot(one, rest) ** 2 / dot(one, one);
    const logDeterminant = 2 * lower.reduce((sum, row) => sum + Math.log(row.at(-1) ?? 1), 0);
    return {
      logWeight: -(logDeterminant + Math.log(dot(one, one)) + (n - 1) * Math.log(squares)) / 2,
      scale: Math.sqrt(squares / (n - 1)) * n ** (exponent - 1),
    };
  });
  // All blocks are equal.
  if (!models.every(({ scale }) => scale > 0)) return [];
  const most = Math.max(...models.map(({ logWeight }) => logWeight));
  const weights = models.map(({ logWeight }) => Math.exp(logWeight - most));
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  return models.map(({ scale }, i) => ({ weight: (weights[i] ?? 0) / all, scale, degrees: n - 1 }));
};

/**
 * Half the width of the 95% interval of an error, with the precision of float32.
 * @param within returns the probability that the absolute value of the error is at most its argument.
 * @param start first width to try, above 0.
 */
export const halfWidthOf = (within: (width: number) => number, start: number): number => {
  let [low, high] = [0, start];
  while (within(high) < coverage) [low, high] = [high, 2 * high];
  for (let i = 0; i < 24; i++) {
    const middle = (low + high) / 2;
    if (within(middle) < coverage) low = middle;
    else high = middle;
  }
  return high;
};

/** Half the width of the 95% interval around the mean of `blocks`, from the mixture of `errorOfMean`. */
export const halfWidthOfMean = (blocks: readonly number[]): number => {
  const parts = errorOfMean(blocks);
  if (parts.length === 0) return 0;
  const within = (width: number): number =>
    parts.reduce((sum, { weight, scale, degrees }) => sum + weight * studentWithin(width / scale, degrees), 0);
  return halfWidthOf(within, Math.max(...parts.map(({ scale }) => scale)));
};
