// fill, add, combine, copyRows, placeRows, scaleByNorm: see src/backend/kernels/kernels.ts.
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "../unreal.h"

namespace foretoken::FT_ISA {

// Elements for which one more thread is worth waking, in kernels with little work per element.
constexpr int64_t kElementGrain = 8192;

// Rows of `width` elements for which one more thread is worth waking.
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

// Converts from float32 or bfloat16 to float32 or bfloat16.
template <typename From, typename To>
FT_INLINE void copyElements(const From* x, To* y, int64_t n) {
  if constexpr (sizeof(From) == sizeof(To)) std::memcpy(y, x, sizeof(To) * static_cast<size_t>(n));
  else forVectors(0, n, [=](int64_t i, auto lanes) { store(y + i, load(x + i, lanes), lanes); });
}

template <typename From, typename To>
FT_INLINE void copyRowsOf(const CopyRowsArgs& args, Pool& pool, const From* x, To* y) {
  const int64_t width = args.width, xStride = args.xStride, yStride = args.yStride;
  if (width <= 0) return;
  parallelRanges(pool, args.rows, rowGrain(width), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) copyElements(x + r * xStride, y + r * yStride, width);
  });
}

void copyRows(const CopyRowsArgs& args, Pool& pool) {
  withElements(args.x, [&](const auto* x) { withElements(args.y, [&](auto* y) { copyRowsOf(args, pool, x, y); }); });
}

template <typename From, typename To>
FT_INLINE void placeRowsOf(const PlaceRowsArgs& args, Pool& pool, const From* x, To* y) {
  const int64_t width = args.width, xStride = args.xStride, yRows = args.yRows;
  const int32_t* const places = args.places;
  if (width <= 0) return;
  parallelRanges(pool, args.rows, rowGrain(width), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      if (places[r] < 0 || places[r] >= yRows) continue;
      copyElements(x + r * xStride, y + places[r] * width, width);
    }
  });
}

void placeRows(const PlaceRowsArgs& args, Pool& pool) {
  withElements(args.x, [&](const auto* x) { withElements(args.y, [&](auto* y) { placeRowsOf(args, pool, x, y); }); });
}

}  // namespace
}  // namespace foretoken::FT_ISA
