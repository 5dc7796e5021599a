// GELU (Hendrycks & Gimpel 2016), like torch.nn.functional.gelu with approximate="none" or "tanh".
// exact: y = x·Φ(x), y′ = Φ(x) + x·φ(x). With a = |x| and Φ(x) = 1 − Φ(−x): y = max(x, 0) − a·Φ(−a), and
// y′ = h = Φ(−a) − a·φ(a) for negative x, 1 − h for others.
// tanh: y = x·½(1 + tanh u) = x·σ(2u) with u = √(2/π)·(x + 0.044715·x³), y′ = σ + x·σ·(1 − σ)·2u′.
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../math.h"
#include "../narrow.h"
#include "../parallel.h"
#include "gelu_pieces.h"

namespace foretoken::FT_ISA {
namespace {

constexpr int64_t kGeluGrain = 4096;
constexpr float kTwiceRootTwoOverPi = 1.59576912f;
constexpr float kCubic = 0.044715f;

// Beyond 12.5 the tail is below 1e-35 and does not change the result. Without this limit, a huge |x| times the tail
// could change the result. NaN stays NaN.
FT_INLINE F32 geluMagnitude(F32 x) { return min(splat(12.5f), (F32)((U32)x & 0x7FFFFFFFu)); }

FT_INLINE Activated geluWithSlope(F32 x) {
  const F32 a = geluMagnitude(x);
  const NormalTail tail = normalTail(a);
  const F32 h = fma(-a, tail.density, tail.cumulative);
  return {max(F32{}, x) - a * tail.cumulative, x < 0.0f ? h : 1.0f - h};
}

FT_INLINE F32 gelu(F32 x) { return geluWithSlope(x).value; }
FT_INLINE F32 geluSlope(F32 x) { return geluWithSlope(x).slope; }

FT_INLINE F32 geluTanh(F32 x) {
  const F32 inner = x * fma(x * x, splat(kCubic * kTwiceRootTwoOverPi), splat(kTwiceRootTwoOverPi));
  return x * sigmoid(inner);
}

// Beyond 16 the derivative is exactly 0 or 1 in float32. For much larger x, innerSlope would overflow. With this order
// of arguments, NaN stays NaN.
FT_INLINE Activated geluTanhWithSlope(F32 given) {
  const F32 x = max(splat(-16.0f), min(splat(16.0f), given));
  const F32 square = x * x;
  const F32 inner = x * fma(square, splat(kCubic * kTwiceRootTwoOverPi), splat(kTwiceRootTwoOverPi));
  const F32 innerSlope = fma(square, splat(3 * kCubic * kTwiceRootTwoOverPi), splat(kTwiceRootTwoOverPi));
  const Logistic gate = logistic(inner);
  return {given * gate.value, fma(x * innerSlope, gate.value * gate.rest, gate.value)};
}

// GELU with erf or tanh, as requested, for results of type T.
template <typename T, bool kTanh>
FT_INLINE Activated geluFor(F32 x) {
#if defined(FT_NARROW)
  if constexpr (kIsNarrow<T>) return geluByPieces(kTanh ? kGeluTanhPieces : kGeluPieces, x);
#endif
  return kTanh ? geluTanhWithSlope(x) : geluWithSlope(x);
}

// Calls body<slope>(activation) with the requested GELU (erf or tanh), for results of type T. `slope`: whether the body
// needs the derivative.
template <typename T, typename Body>
FT_INLINE void withGelu(bool tanhForm, bool slope, Body body) {
  const auto tanh = [](F32 h) __attribute__((always_inline)) { return geluFor<T, true>(h); };
  const auto exact = [](F32 h) __attribute__((always_inline)) { return geluFor<T, false>(h); };
  if (tanhForm && slope) body.template operator()<true>(tanh);
  else if (tanhForm) body.template operator()<false>(tanh);
  else if (slope) body.template operator()<true>(exact);
  else body.template operator()<false>(exact);
}

FT_INLINE F32 geluTanhSlope(F32 x) { return geluTanhWithSlope(x).slope; }

template <typename Function>
FT_INLINE void geluForwardWith(const GeluForwardArgs& args, Pool& pool, Function function) {
  const float* x = args.x;
  float* y = args.y;
  parallelRanges(pool, args.n, kGeluGrain, [=](int64_t begin, int64_t end, int) {
    forVectors(begin, end, [=](int64_t i, auto lanes) { store(y + i, function(load(x + i, lanes)), lanes); });
  });
}

template <typename Function>
FT_INLINE void geluBackwardWith(const GeluBackwardArgs& args, Pool& pool, Function slope) {
  const float* x = args.x;
  const float* dy = args.dy;
  float* dx = args.dx;
  parallelRanges(pool, args.n, kGeluGrain, [=](int64_t begin, int64_t end, int) {
    forVectors(begin, end, [=](int64_t i, auto lanes) {
      store(dx + i, load(dy + i, lanes) * slope(load(x + i, lanes)), lanes);
    });
  });
}

void geluForward(const GeluForwardArgs& args, Pool& pool) {
  if (args.tanh != 0) geluForwardWith(args, pool, [](F32 x) { return geluTanh(x); });
  else geluForwardWith(args, pool, [](F32 x) { return gelu(x); });
}

void geluBackward(const GeluBackwardArgs& args, Pool& pool) {
  if (args.tanh != 0) geluBackwardWith(args, pool, [](F32 x) { return geluTanhSlope(x); });
  else geluBackwardWith(args, pool, [](F32 x) { return geluSlope(x); });
}

}  // namespace
}  // namespace foretoken::FT_ISA
