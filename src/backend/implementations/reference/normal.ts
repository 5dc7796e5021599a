const twoOverSqrtPi = 2 / Math.sqrt(Math.PI);
/** For smaller x, the series is used; for x from this number on, the continued fraction. */
const seam = 2;
/**
 * Number of terms of the continued fraction. At the seam, where the fraction converges slowest, this number gives full
 * double precision.
 */
const fractionSteps = 120;

/**
 * erf(x) = 2/√π · exp(−x²) · Σₙ 2ⁿ x²ⁿ⁺¹ / (1·3·…·(2n+1)). All terms have the same sign (Abramowitz & Stegun 7.1.6).
 */
const erfSeries = (x: number): number => {
  let term = x;
  let total = x;
  for (let n = 1; Math.abs(term) > Math.abs(total) * 2 ** -55; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    total += term;
  }
  return twoOverSqrtPi * Math.exp(-x * x) * total;
};

/** erfc(x) for x ≥ seam: √π · exp(x²) · erfc(x) = 1/(x + ½/(x + 1/(x + 3⁄2/(x + …)))) (Abramowitz & Stegun 7.1.14). */
const erfcFraction = (x: number): number => {
  // For x from this number on, erfc is smaller than the smallest double. This check also handles infinity, where the
  // fraction would be ∞/∞.
  if (x > 28) return 0;
  let tail = x;
  const steps = Math.ceil(fractionSteps / (x - 1));
  for (let n = steps; n > 0; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * tail);
};

/**
 * erfc(x) = 1 − erf(x), exact to within 1e-15, and to 12 significant digits for tiny results such as 1e-300. erfc(NaN)
 * is NaN.
 */
export const erfc = (x: number): number => {
  if (x >= seam) return erfcFraction(x);
  if (x <= -seam) return 2 - erfcFraction(-x);
  return 1 - erfSeries(x);
};

/** The standard normal distribution function Φ(x). */
export const normalCdf = (x: number): number => 0.5 * erfc(-x * Math.SQRT1_2);

/** The standard normal density φ(x). */
export const normalPdf = (x: number): number => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
