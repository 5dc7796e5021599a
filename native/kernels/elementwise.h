// fill, add, combine, copyRows, scaleByNorm: see src/backend/kernels.ts.
#pragma once

#include "../call.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "../unreal.h"

namespace foretoken::FT_ISA {

// Elements that are worth a thread of their own, for kernels that do little per element.
constexpr int64_t kElementGrain = 8192;

// Rows of `width` elements that are worth a thread of their own.
FT_INLINE int64_t rowGrain(int64_t width) {
  const int64_t rows = kElementGrain / (width > 0 ? width : 1);
  return rows > 0 ? rows : 1;
}

namespace {

void fill(const Call& call, Pool& pool) {
  float* y = call.buffer(0);
  const float value = static_cast<float>(call.floats[0]);
  parallelRanges(pool, call.ints[0], kElementGrain, [=](int64_t begin, int64_t end, int) {
    forVectors(begin, end, [=](int64_t i, auto lanes) { store(y + i, splat(value), lanes); });
  });
}

template <typename T>
FT_INLINE void addElements(const Call& call, Pool& pool, T* y) {
  const T* a = call.buffer<T>(0);
  const T* b = call.buffer<T>(1);
  parallelRanges(pool, call.ints[0], kElementGrain, [=](int64_t begin, int64_t end, int) {
    forVectors(begin, end, [=](int64_t i, auto lanes) { store(y + i, load(a + i, lanes) + load(b + i, lanes), lanes); });
  });
}

void add(const Call& call, Pool& pool) {
  withElements(call, 2, [&](auto* y) { addElements(call, pool, y); });
}

template <bool kWatched>
FT_INLINE void combineWatched(const Call& call, Pool& pool) {
  const float* a = call.buffer(0);
  const float* b = call.buffer(1);
  float* y = call.buffer(2);
  [[maybe_unused]] float* unreal = call.buffer(3);
  const float alpha = static_cast<float>(call.floats[0]), beta = static_cast<float>(call.floats[1]);
  parallelRanges(pool, call.ints[0], kElementGrain, [=](int64_t begin, int64_t end, int) {
    [[maybe_unused]] F32 watched{};
    forVectors(begin, end, [&](int64_t i, auto lanes) {
      const F32 result = fma(load(a + i, lanes), splat(alpha), load(b + i, lanes) * beta);
      store(y + i, result, lanes);
      if constexpr (kWatched) watched += within(lanes, unrealOf(result), F32{});
    });
    if constexpr (kWatched) tellUnreal(unreal, watched);
  });
}

void combine(const Call& call, Pool& pool) {
  if (call.buffer(3) == nullptr) combineWatched<false>(call, pool);
  else combineWatched<true>(call, pool);
}

void scaleByNorm(const Call& call, Pool& pool) {
  const float* x = call.buffer(0);
  float* y = call.buffer(2);
  const double norm = __builtin_sqrt(static_cast<double>(call.buffer(1)[0])) + call.floats[0];
  const float inverse = static_cast<float>(1.0 / norm);
  parallelRanges(pool, call.ints[0], kElementGrain, [=](int64_t begin, int64_t end, int) {
    forVectors(begin, end, [=](int64_t i, auto lanes) { store(y + i, load(x + i, lanes) * inverse, lanes); });
  });
}

template <typename From, typename To>
FT_INLINE void copyRowsOf(const Call& call, Pool& pool, const From* x, To* y) {
  const int64_t rows = call.ints[0], width = call.ints[1], xStride = call.ints[2], yStride = call.ints[3];
  if (width <= 0) return;
  parallelRanges(pool, rows, rowGrain(width), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      if constexpr (sizeof(From) == sizeof(To)) {
        std::memcpy(y + r * yStride, x + r * xStride, sizeof(To) * static_cast<size_t>(width));
      } else {
        forVectors(0, width,
                   [=](int64_t i, auto lanes) { store(y + r * yStride + i, load(x + r * xStride + i, lanes), lanes); });
      }
    }
  });
}

void copyRows(const Call& call, Pool& pool) {
  withElements(call, 0, [&](const auto* x) { withElements(call, 1, [&](auto* y) { copyRowsOf(call, pool, x, y); }); });
}

}  // namespace
}  // namespace foretoken::FT_ISA
