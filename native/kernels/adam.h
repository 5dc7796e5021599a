// adamStep: Adam and AdamW, with the same order of operations as torch.optim; see src/backend/kernels/kernels.ts.
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "../unreal.h"

namespace foretoken::FT_ISA {
namespace {

// Writes the bfloat16 copy of elements [begin, end) directly to memory, in whole cache lines only. The copy is not read
// before the next step. resultOf(i) computes a vector from element i on. Returns the index of the first element that is
// not written.
template <typename Result>
FT_INLINE int64_t copyLines(float*, int64_t begin, int64_t, Result) {
  return begin;
}
#if defined(FT_NARROW)
template <typename Result>
FT_INLINE int64_t copyLines(Narrow* to, int64_t begin, int64_t end, Result resultOf) {
  if (reinterpret_cast<uintptr_t>(to + begin) % 64 != 0) return begin;
  int64_t i = begin;
  for (; i + 2 * kLanes <= end; i += 2 * kLanes) {
    const F32 first = resultOf(i);
    storeNonTemporal(to + i, first, resultOf(i + kLanes));
  }
  fenceNonTemporal();
  return i;
}
#endif

template <bool kRounded, typename T>
void adamStepTo(const AdamStepArgs& args, Pool& pool, T* rounded) {
  float* params = args.param;
  const float* grads = args.grad;
  float* ms = args.m;
  float* vs = args.v;
  const float beta1 = static_cast<float>(args.beta1);
  const float beta2 = static_cast<float>(args.beta2);
  // Computed in double: 1 − 0.999 in float32 has a relative error of 5e-5.
  const float rest1 = static_cast<float>(1.0 - args.beta1);
  const float rest2 = static_cast<float>(1.0 - args.beta2);
  const float eps = static_cast<float>(args.eps);
  const float stepSize = static_cast<float>(args.stepSize);
  const float sqrtCorrection2 = static_cast<float>(args.sqrtCorrection2);
  const float decayFactor = static_cast<float>(args.decayFactor);
  const float coupledDecay = static_cast<float>(args.coupledDecay);
  const float gradScale = static_cast<float>(args.gradScale);
  float* unreal = args.unreal.orNull();
  parallelRanges(pool, args.n, 2048, [=](int64_t begin, int64_t end, int) {
    F32 watched{};
    const auto update = [=, &watched](int64_t i, auto lanes) __attribute__((always_inline)) {
      prefetchLine(params + i + kAhead);
      prefetchLine(grads + i + kAhead);
      prefetchLine(ms + i + kAhead);
      prefetchLine(vs + i + kAhead);
      const F32 param = load(params + i, lanes);
      const F32 grad = load(grads + i, lanes) * gradScale + param * coupledDecay;
      const F32 m = load(ms + i, lanes) * beta1 + grad * rest1;
      const F32 v = load(vs + i, lanes) * beta2 + grad * grad * rest2;
      store(ms + i, m, lanes);
      store(vs + i, v, lanes);
      const F32 denominator = sqrt(v) / sqrtCorrection2 + eps;
      const F32 result = param * decayFactor - m / denominator * stepSize;
      store(params + i, result, lanes);
      // If m is infinite or NaN, `result` is also infinite or NaN. An infinite v does not have this effect.
      watched += within(lanes, unrealOf(result) + unrealOf(v), F32{});
      return result;
    };
    int64_t at = begin;
    if constexpr (kRounded)
      at = copyLines(rounded, begin, end, [&](int64_t i) __attribute__((always_inline)) { return update(i, All{}); });
    forVectors(at, end, [&](int64_t i, auto lanes) {
      const F32 result = update(i, lanes);
      if constexpr (kRounded) store(rounded + i, result, lanes);
    });
    if (unreal != nullptr) tellUnreal(unreal, watched);
  });
}

void adamStep(const AdamStepArgs& args, Pool& pool) {
  withElements(args.rounded.orNull(), [&](auto* rounded) {
    if (rounded == nullptr) adamStepTo<false>(args, pool, rounded);
    else adamStepTo<true>(args, pool, rounded);
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
