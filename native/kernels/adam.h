// adamStep: Adam and AdamW in the order of operations of torch.optim; see src/backend/kernels.ts.
#pragma once

#include "../call.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"

namespace foretoken::FT_ISA {
namespace {

FT_INLINE void copyDone(const float*) {}
template <typename T, class Lanes>
FT_INLINE void storeCopy(T* to, F32 value, Lanes lanes) {
  store(to, value, lanes);
}
#if defined(FT_TILES)
// The copy is read in the next step at the earliest. Whole vectors of one begin at multiples of 32 bytes, if the copy does.
FT_INLINE void storeCopy(Narrow* to, F32 value, All lanes) {
  if (reinterpret_cast<uintptr_t>(to) % sizeof(__m256i) == 0) storePast(to, value);
  else store(to, value, lanes);
}
FT_INLINE void copyDone(const Narrow*) { storesPastDone(); }
#endif

template <bool kRounded, typename T>
void adamStepTo(const Call& call, Pool& pool, T* rounded) {
  float* params = call.buffer(0);
  const float* grads = call.buffer(1);
  float* ms = call.buffer(2);
  float* vs = call.buffer(3);
  const float beta1 = static_cast<float>(call.floats[0]);
  const float beta2 = static_cast<float>(call.floats[1]);
  // From the doubles: 1 − 0.999 in float32 would be off by 5e-5 of itself.
  const float rest1 = static_cast<float>(1.0 - call.floats[0]);
  const float rest2 = static_cast<float>(1.0 - call.floats[1]);
  const float eps = static_cast<float>(call.floats[2]);
  const float stepSize = static_cast<float>(call.floats[3]);
  const float sqrtCorrection2 = static_cast<float>(call.floats[4]);
  const float decayFactor = static_cast<float>(call.floats[5]);
  const float coupledDecay = static_cast<float>(call.floats[6]);
  const float gradScale = static_cast<float>(call.floats[7]);
  parallelRanges(pool, call.ints[0], 2048, [=](int64_t begin, int64_t end, int) {
    forVectors(begin, end, [=](int64_t i, auto lanes) {
      const F32 param = load(params + i, lanes);
      const F32 grad = load(grads + i, lanes) * gradScale + param * coupledDecay;
      const F32 m = load(ms + i, lanes) * beta1 + grad * rest1;
      const F32 v = load(vs + i, lanes) * beta2 + grad * grad * rest2;
      store(ms + i, m, lanes);
      store(vs + i, v, lanes);
      const F32 denominator = sqrt(v) / sqrtCorrection2 + eps;
      const F32 result = param * decayFactor - m / denominator * stepSize;
      store(params + i, result, lanes);
      if constexpr (kRounded) storeCopy(rounded + i, result, lanes);
    });
    if constexpr (kRounded) copyDone(rounded);
  });
}

void adamStep(const Call& call, Pool& pool) {
  withElements(call, 4, [&](auto* rounded) {
    if (rounded == nullptr) adamStepTo<false>(call, pool, rounded);
    else adamStepTo<true>(call, pool, rounded);
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
