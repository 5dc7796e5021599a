// Arguments and epilogues that linear.h and linear_amx.h share.
#pragma once

#include <cstdint>

#include "../gemm/epilogue.h"
#include "../generated/kernels.h"
#include "../lanes.h"
#include "../random.h"
#include "dropout.h"
#include "gelu.h"

namespace foretoken::FT_ISA {

// dx[M, K] = (with `add`: +=) dy[M, N] · w[N, K], times factor[M, K] if factor is not null.
struct InputGradient {
  Activations<const float> dy, w, factor;
  Activations<float> dx;
  bool add;
  int64_t m, n, k;
  bool bfloat16;
};

// Makes this struct from a kernel's arguments and `dy`. All kernels use one type, so the compiler compiles the product
// only once.
template <typename Args>
FT_INLINE InputGradient inputGradientOf(const Args& args, const Activations<const float>& dy, bool add) {
  return {.dy = dy,
          .w = args.w,
          .factor = args.factor.orNull(),
          .dx = args.dx,
          .add = add,
          .m = args.m,
          .n = args.n,
          .k = args.k,
          .bfloat16 = args.bfloat16};
}

// The bias of an epilogue: bias[n], or null. The bias is InSums if the product has already added the bias.
struct InSums {};
template <class Lanes>
FT_INLINE F32 withBias(F32 sum, InSums, int64_t /*j*/, int64_t /*offset*/, Lanes) {
  return sum;
}
template <class Lanes>
FT_INLINE F32 withBias(F32 sum, const float* bias, int64_t j, int64_t offset, Lanes lanes) {
  if (bias != nullptr) sum += load(bias + j + offset, lanes);
  return sum;
}

// y = activation(h) and, with kSlope, slope = activation′(h), where h = sum + bias.
template <bool kSlope, class Bias, typename T, typename Activation>
FT_INLINE auto activateSums(Bias bias, Activation activation, T* y, T* slope) {
  const auto prefetch = [=](int64_t at) __attribute__((always_inline)) {
    prefetchToWrite(y + at);
    if constexpr (kSlope) prefetchToWrite(slope + at);
  };
  const auto apply = [=](int64_t at, int64_t j, const auto& sums, auto lanes) __attribute__((always_inline)) {
    auto slopes = sums;
    int vector = 0;
    store(y + at, each(sums, [&](F32 sum, int64_t offset) __attribute__((always_inline)) {
      const Activated result = activation(withBias(sum, bias, j, offset, lanes));
      slopes.vector[vector++] = result.slope;
      return result.value;
    }), lanes);
    if constexpr (kSlope) store(slope + at, slopes, lanes);
  };
  return Epilogue{prefetch, apply};
}

// y = addend + (sum + bias) · kept / (1 − p)
template <class Bias>
FT_INLINE auto dropSums(Bias bias, const LinearDropoutForwardArgs& args) {
  const float* const addend = args.addend;
  const uint32_t* const kept = args.kept;
  float* const y = args.y;
  const float scale = keptScale(args.p);
  const auto prefetch = [=](int64_t at) __attribute__((always_inline)) {
    prefetchToRead(addend + at);
    prefetchToWrite(y + at);
  };
  const auto apply = [=](int64_t at, int64_t j, const auto& sums, auto lanes) __attribute__((always_inline)) {
    constexpr int64_t kBefore = sizeof sums - sizeof(F32);
    const uint32_t bits = bitsAt(kept, at, kBefore / int64_t{sizeof(float)} + countOf(lanes));
    store(y + at, each(sums, [=](F32 sum, int64_t offset) __attribute__((always_inline)) {
      const F32 result = withBias(sum, bias, j, offset, lanes);
      return load(addend + at + offset, lanes) + result * scaleWhere(bits >> offset, scale);
    }), lanes);
  };
  return Epilogue{prefetch, apply};
}

}  // namespace foretoken::FT_ISA
