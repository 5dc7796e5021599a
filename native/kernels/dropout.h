// dropout: see src/backend/kernels.ts for which random number belongs to which element.
#pragma once

#include "../call.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "../random.h"

namespace foretoken::FT_ISA {
namespace {

template <typename T>
FT_INLINE void dropoutTo(const Call& call, Pool& pool, T* y) {
  const float* x = call.buffer(0);
  const float* addend = call.buffer(1);
  const int64_t n = call.ints[0];
  const double p = call.floats[0];
  const float scale = static_cast<float>(1.0 / (1.0 - p));
  DropoutKey key{};
  for (int i = 0; i < 4; i++) key.key[i] = static_cast<uint32_t>(call.ints[1 + i]);
  key.site = static_cast<uint32_t>(call.ints[5]);
  key.threshold = dropoutThreshold(p);
  parallelRanges(pool, n, 64 * kDropoutBlock, [=](int64_t begin, int64_t end, int) {
    int64_t block = begin;
    for (; block + kDropoutBlock <= end; block += kDropoutBlock)
      dropoutBlock(key, 0, block, scale, [=](int offset, F32 scales) {
        const int64_t i = block + offset;
        const F32 kept = load(x + i) * scales;
        store(y + i, addend == nullptr ? kept : load(addend + i) + kept);
      });
    if (block == end) return;
    float scales[kDropoutBlock];
    dropoutScales(key, 0, block, end - block, scale, scales);
    forVectors(block, end, [=, &scales](int64_t i, auto lanes) {
      const F32 kept = load(x + i, lanes) * load(scales + i - block, lanes);
      store(y + i, addend == nullptr ? kept : load(addend + i, lanes) + kept, lanes);
    });
  });
}

void dropout(const Call& call, Pool& pool) {
  withElements(call, 2, [&](auto* y) { dropoutTo(call, pool, y); });
}

}  // namespace
}  // namespace foretoken::FT_ISA
