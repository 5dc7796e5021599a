// exp, log and the functions that GELU needs, for vectors of float32. scripts/fit-math.py prints the coefficients. The
// errors below were measured for every 37th float of the range, against double precision, with and without a fused
// multiply-add. NaN gives NaN.
#pragma once

#include <cstdint>

#include "simd.h"

namespace foretoken::FT_ISA {

constexpr float kInfinity = __builtin_inff();

// eˣ, within 1.01 ulp. Exactly 0 below −87.33654 (where the result would be subnormal), +∞ above 88.72283.
FT_INLINE F32 exp(F32 x) {
  const F32 toNearest = splat(12582912.0f);  // 1.5·2²³: after adding it, the low bits have the nearest integer
  const F32 shifted = fma(x, splat(1.44269504f), toNearest);
  const F32 n = shifted - toNearest;
  // ln 2 in two parts. The first part has 9 bits, so n times it is exact without a fused multiply-add.
  F32 r = fma(n, splat(-0.693359375f), x);
  r = fma(n, splat(2.12194440e-4f), r);
  F32 q = splat(0.00138145708f);
  q = fma(q, r, splat(0.00836873055f));
  q = fma(q, r, splat(0.041668389f));
  q = fma(q, r, splat(0.166665211f));
  q = fma(q, r, splat(0.49999994f));
  const F32 mantissa = fma(q, r * r, r) + 1.0f;
  // Shifts the low bits of `shifted` into the exponent. The high bits are lost.
  const F32 result = (F32)((U32)mantissa + ((U32)shifted << 23));
  const F32 positive = x >= -87.33654f ? result : F32{};
  return x <= 88.72283f ? positive : x + kInfinity;
}

// 2ˣ for x up to 127, within 1 ulp. Below −126 the result loses digits, and then becomes 0.
FT_INLINE F32 exp2(F32 x) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  const F32 n = (F32)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  // NaN stays NaN, because max then returns its second argument.
  const F32 above = max(splat(-127.0f), x);
  const F32 shifted = above + splat(12583039.0f);  // 1.5·2²³ + 127: after adding it, the low bits have n + 127
  const F32 n = shifted - splat(12583039.0f);
  x = above;
#endif
  const F32 r = x - n;
  F32 q = splat(0.00015353362f);
  q = fma(q, r, splat(0.00133988739f));
  q = fma(q, r, splat(0.00961843692f));
  q = fma(q, r, splat(0.0555033237f));
  q = fma(q, r, splat(0.240226477f));
  q = fma(q, r, splat(0.693147182f));
  const F32 mantissa = fma(q, r, splat(1.0f));
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  return (F32)_mm512_scalef_ps((__m512)mantissa, (__m512)n);
#else
  return mantissa * (F32)((U32)shifted << 23);
#endif
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

// σ(x) = 1 / (1 + e⁻ˣ) and 1 − σ(x), both with full precision for every x, because e ≤ 1 and no digits cancel.
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

// Φ(−a) and φ(a) of the standard normal distribution, for a in [0, 12.5].
// φ(a): within 1.4 ulp up to a = 1. The relative error grows with the rounding of a², to 1.2e-6 at 5.5.
// Φ(−a): within 3.6 ulp up to a = 2, 7.3 ulp up to 3, 66 ulp up to 5. Beyond 5.5, Φ(−a) is below 2e-8, and only its
// order of magnitude is right.
struct NormalTail {
  F32 cumulative;
  F32 density;
};

FT_INLINE NormalTail normalTail(F32 a) {
  const F32 square = a * a;
  const F32 toNearest = splat(12582912.0f);
  const F32 shifted = fma(square, splat(-0.72134752f), toNearest);
  const F32 f = fma(square, splat(-0.72134752f), toNearest - shifted);
  F32 p = splat(6.12208387e-05f);
  p = fma(p, f, splat(0.000534580962f));
  p = fma(p, f, splat(0.003837222f));
  p = fma(p, f, splat(0.0221426077f));
  p = fma(p, f, splat(0.0958364978f));
  p = fma(p, f, splat(0.276525736f));
  p = fma(p, f, splat(0.398942292f));
  const F32 density = (F32)((U32)p + ((U32)shifted << 23));
  // With this order of arguments, NaN stays NaN.
  const F32 u = fma(min(splat(5.5f), a), splat(0.363636364f), splat(-1.0f));
  F32 ratio = splat(0.00220258604f);
  ratio = fma(ratio, u, splat(-0.000945933745f));
  ratio = fma(ratio, u, splat(-0.0028187288f));
  ratio = fma(ratio, u, splat(-0.00382938632f));
  ratio = fma(ratio, u, splat(0.00953045581f));
  ratio = fma(ratio, u, splat(-0.00800548494f));
  ratio = fma(ratio, u, splat(0.0146180196f));
  ratio = fma(ratio, u, splat(-0.028693568f));
  ratio = fma(ratio, u, splat(0.0457442068f));
  ratio = fma(ratio, u, splat(-0.070933938f));
  ratio = fma(ratio, u, splat(0.107077077f));
  ratio = fma(ratio, u, splat(-0.154153183f));
  ratio = fma(ratio, u, splat(0.210788324f));
  ratio = fma(ratio, u, splat(-0.271932364f));
  ratio = fma(ratio, u, splat(0.327678323f));
  return {ratio * density, density};
}

}  // namespace foretoken::FT_ISA
