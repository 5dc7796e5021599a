// exp, log and the functions that GELU needs, for float32 vectors. The coefficients are printed by scripts/fit-math.py;
// the errors beside the functions were measured over every 37th float of the range, on vectors with and without a
// fused multiply-add, against double precision. NaN gives NaN.
#pragma once

#include <cstdint>

#include "simd.h"

namespace foretoken::FT_ISA {

constexpr float kInfinity = __builtin_inff();

// eˣ, within 1.01 ulp. Below −87.33654 (where the result would be subnormal) exactly 0, above 88.72283 +∞.
FT_INLINE F32 exp(F32 x) {
  const F32 toNearest = splat(12582912.0f);  // 1.5·2²³: adding it leaves the nearest integer in the low bits
  const F32 shifted = fma(x, splat(1.44269504f), toNearest);
  const F32 n = shifted - toNearest;
  // ln 2 in two parts; the first has 9 bits, so that n times it is exact without a fused multiply-add.
  F32 r = fma(n, splat(-0.693359375f), x);
  r = fma(n, splat(2.12194440e-4f), r);
  F32 q = splat(0.00138145708f);
  q = fma(q, r, splat(0.00836873055f));
  q = fma(q, r, splat(0.041668389f));
  q = fma(q, r, splat(0.166665211f));
  q = fma(q, r, splat(0.49999994f));
  const F32 mantissa = fma(q, r * r, r) + 1.0f;
  // The low bits of `shifted` move into the exponent; its high bits fall out of the shift.
  const F32 result = (F32)((U32)mantissa + ((U32)shifted << 23));
  const F32 positive = x >= -87.33654f ? result : F32{};
  return x <= 88.72283f ? positive : x + kInfinity;
}

// ln x, within 0.82 ulp, for normal positive x; +∞ gives +∞.
FT_INLINE F32 log(F32 x) {
  const U32 bits = (U32)x;
  // x = 2ⁿ·m with m in [√½, √2)
  const I32 n = (I32)(bits - 0x3F3504F3u) >> 23;
  const F32 m = (F32)(bits - ((U32)n << 23));
  const F32 f = m - 1.0f;
  F32 q = splat(0.0674674883f);
  q = fma(q, f, splat(-0.116758376f));
  q = fma(q, f, splat(0.118882157f));
  q = fma(q, f, splat(-0.124055639f));
  q = fma(q, f, splat(0.142195418f));
  q = fma(q, f, splat(-0.166679963f));
  q = fma(q, f, splat(0.200021192f));
  q = fma(q, f, splat(-0.250000089f));
  q = fma(q, f, splat(0.333333135f));
  const F32 exponent = __builtin_convertvector(n, F32);
  const F32 square = f * f;
  F32 tail = fma(q * f, square, exponent * -2.12194440e-4f);
  tail = fma(square, splat(-0.5f), tail);
  const F32 result = fma(exponent, splat(0.693359375f), f + tail);
  return x < kInfinity ? result : x;
}

FT_INLINE float exp(float x) { return exp(splat(x))[0]; }
FT_INLINE float log(float x) { return log(splat(x))[0]; }

// 1 / (1 + e⁻ˣ), within 2.4 ulp.
FT_INLINE F32 sigmoid(F32 x) { return 1.0f / (1.0f + exp(-x)); }

// σ(x) = 1 / (1 + e⁻ˣ) and 1 − σ(x), both with all their digits wherever x is: e ≤ 1, and nothing cancels.
struct Logistic {
  F32 value;
  F32 rest;
};

FT_INLINE Logistic logistic(F32 x) {
  const F32 e = exp((F32)((U32)x | 0x80000000u));
  const F32 larger = 1.0f / (1.0f + e);
  const F32 smaller = e * larger;
  return {x < 0.0f ? smaller : larger, x < 0.0f ? larger : smaller};
}

// The standard normal distribution at x: cumulative Φ(x), with full relative precision in the lower tail too (where
// (1 + erf(x/√2))/2 has none left), and the density φ(x). Φ is within 2 ulp for x ≥ 0, 3.3 ulp down to −1; from there on
// the rounding of x² counts, 11 ulp at −5.
struct Normal {
  F32 cumulative;
  F32 density;
};

FT_INLINE Normal normal(F32 x) {
  const F32 magnitude = (F32)((U32)x & 0x7FFFFFFFu);
  const F32 bell = exp(x * x * -0.5f);
  // Past 20 the bell is 0 whatever the rest says, as long as that is finite.
  const F32 scaled = (magnitude < 20.0f ? magnitude : splat(20.0f)) * 0.4f;
  const F32 t = 1.0f / (1.0f + scaled);
  const F32 u = scaled * t;  // 1 − t, but with all its digits near 0
  F32 q = splat(-0.0114679011f);
  q = fma(q, u, splat(0.0169879179f));
  q = fma(q, u, splat(0.0232032761f));
  q = fma(q, u, splat(-0.0362846479f));
  q = fma(q, u, splat(0.00117347052f));
  q = fma(q, u, splat(-0.0396439806f));
  q = fma(q, u, splat(0.0178095903f));
  q = fma(q, u, splat(0.1173421f));
  q = fma(q, u, splat(0.0678048581f));
  q = fma(q, u, splat(-0.497356027f));
  q = fma(q, u, splat(0.5f));
  const F32 tail = q * t * bell;
  return {x < 0.0f ? tail : 1.0f - tail, bell * 0.39894228f};
}

}  // namespace foretoken::FT_ISA
