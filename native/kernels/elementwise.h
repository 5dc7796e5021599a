// fill, add, combine, copyRows, scaleByNorm: see src/backend/kernels/kernels.ts.
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "../unreal.h"

namespace foretoken::FT_ISA {

// Elements that are worth a thread of their own, for kernels that do little per element.
constexpr int64_t kElementGrain = 8192;

// Rows of `width` elements that are worth a thread of their own.
FT_INLINE int64_t rowGrain(int64_t width) {
  return max(kElementGrain / max(width, 1), 1);
}

namespace {

void fill(const FillArgs& args, Pool& pool) {
  float* y = args.y;
  const float value = static_cast<float>(args.value);
  parallelRanges(pool, args.n, kElementGrain, [=](int64_t begin, int64_t end, int) {
    forVectors(begin, end, [=](int64_t i, auto lanes) { store(y + i, splat(value), lanes); });
  });
}

template <typename T>
FT_INLINE void addElements(const AddArgs& args, Pool& pool, T* y) {
  const T* a = args.a.as<T>();
  const T* b = args.b.as<T>();
  parallelRanges(pool, args.n, kElementGrain, [=](int64_t begin, int64_t end, int) {
    forVectors(begin, end, [=](int64_t i, auto lanes) { store(y + i, load(a + i, lanes) + load(b + i, lanes), lanes); });
  });
}

void add(const AddArgs& args, Pool& pool) {
  withElements(args.y, [&](auto* y) { addElements(args, pool, y); });
}

template <bool kWatched>
FT_INLINE void combineWatched(const CombineArgs& args, Pool& pool) {
  const float* a = args.a;
  const float* b = args.b;
  float* y = args.y;
  [[maybe_unused]] float* unreal = args.unreal.orNull();
  const float alpha = static_cast<float>(args.alpha), beta = static_cast<float>(args.beta);
  parallelRanges(pool, args.n, kElementGrain, [=](int64_t begin, int64_t end, int) {
    [[maybe_unused]] F32 watched{};
    forVectors(begin, end, [&](int64_t i, auto lanes) {
      const F32 result = fma(load(a + i, lanes), splat(alpha), load(b + i, lanes) * beta);
      store(y + i, result, lanes);
      if constexpr (kWatched) watched += within(lanes, unrealOf(result), F32{});
    });
    if constexpr (kWatched) tellUnreal(unreal, watched);
  });
}

void combine(const CombineArgs& args, Pool& pool) {
  if (args.unreal) combineWatched<true>(args, pool);
  else combineWatched<false>(args, pool);
}

void scaleByNorm(const ScaleByNormArgs& args, Pool& pool) {
  const float* x = args.x;
  float* y = args.y;
  const double norm = __builtin_sqrt(static_cast<double>(*args.squares)) + args.eps;
  const float inverse = static_cast<float>(1.0 / norm);
  parallelRanges(pool, args.n, kElementGrain, [=](int64_t begin, int64_t end, int) {
    forVectors(begin, end, [=](int64_t i, auto lanes) { store(y + i, load(x + i, lanes) * inverse, lanes); });
  });
}

template <typename From, typename To>
FT_INLINE void copyRowsOf(const CopyRowsArgs& args, Pool& pool, const From* x, To* y) {
  const int64_t width = args.width, xStride = args.xStride, yStride = args.yStride;
  if (width <= 0) return;
  parallelRanges(pool, args.rows, rowGrain(width), [=](int64_t begin, int64_t end, int) {
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

void copyRows(const CopyRowsArgs& args, Pool& pool) {
  withElements(args.x, [&](const auto* x) { withElements(args.y, [&](auto* y) { copyRowsOf(args, pool, x, y); }); });
}

}  // namespace
}  // namespace foretoken::FT_ISA
