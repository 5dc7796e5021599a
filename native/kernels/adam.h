// adamStep: Adam and AdamW in the order of operations of torch.optim; see src/backend/kernels.ts.
#pragma once

#include "../call.h"
#include "../lanes.h"
#include "../parallel.h"

namespace foretoken::FT_ISA {
namespace {

void adamStep(const Call& call, Pool& pool) {
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
      store(params + i, param * decayFactor - m / denominator * stepSize, lanes);
    });
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
