// What happens to the sums of a product beyond being stored. One epilogue serves both kinds of products, those in vector
// registers (vector_product.h) and those by tiles (amx/multiply.h): they apply it while sums lie in a cache.
#pragma once

#include <cstdint>
#include <type_traits>

#include "../lanes.h"
#include "../narrow.h"
#include "../simd.h"

namespace foretoken::FT_ISA {

// A vector, or two neighbours.
template <int kCount>
struct Vectors {
  F32 vector[kCount];
};

// body(vector, offset) of each, `offset` elements from the first.
template <int kCount, class Body>
FT_INLINE Vectors<kCount> each(const Vectors<kCount>& from, Body body) {
  Vectors<kCount> result;
  FT_UNROLL
  for (int i = 0; i < kCount; i++) result.vector[i] = body(from.vector[i], int64_t{i} * kLanes);
  return result;
}

template <typename T, class Lanes>
FT_INLINE void store(T* to, const Vectors<1>& values, Lanes lanes) {
  store(to, values.vector[0], lanes);
}
FT_INLINE void store(float* to, const Vectors<2>& values, All) {
  store(to, values.vector[0]);
  store(to + kLanes, values.vector[1]);
}
#if defined(FT_NARROW)
FT_INLINE void store(Narrow* to, const Vectors<2>& values, All) {
  storeUnits(to, values.vector[0], values.vector[1]);
}
#endif

struct NothingToPrepare {};

// apply(at, j, sums, lanes) gets the sums of elements `at` of C and on, in columns j and on, as Vectors: once for each
// element, on some thread. It may write these elements of C and of other arrays. Products by tiles call two more:
// - prefetch(at), before the memory is needed that `apply` touches for 32 elements from `at` on;
// - where `prepares` says so, prepare(i), before row i is multiplied: each row on one thread, in any order.
template <class Prefetch, class Apply, class Prepare = NothingToPrepare>
struct Epilogue {
  static constexpr bool kPrepares = !std::is_same_v<Prepare, NothingToPrepare>;
  Prefetch prefetch;
  Apply apply;
  Prepare prepare = {};
  bool prepares = false;
};
template <class Prefetch, class Apply>
Epilogue(Prefetch, Apply) -> Epilogue<Prefetch, Apply>;
template <class Prefetch, class Apply, class Prepare>
Epilogue(Prefetch, Apply, Prepare, bool) -> Epilogue<Prefetch, Apply, Prepare>;

// C takes the sums, and that is all.
struct NoEpilogue {};

// For 32 elements that are going to be written, or read.
template <typename T>
FT_INLINE void prefetchToWrite(T* at) {
  __builtin_prefetch(at, 1);
  if constexpr (sizeof(T) == sizeof(float)) __builtin_prefetch(at + 16, 1);
}
template <typename T>
FT_INLINE void prefetchToRead(const T* at) {
  __builtin_prefetch(at);
  if constexpr (sizeof(T) == sizeof(float)) __builtin_prefetch(at + 16);
}

// Sums as they are.
template <typename T>
FT_INLINE auto storeSums(T* to) {
  return Epilogue{[=](int64_t at) __attribute__((always_inline)) { prefetchToWrite(to + at); },
                  [=](int64_t at, int64_t, const auto& sums, auto lanes)
                      __attribute__((always_inline)) { store(to + at, sums, lanes); }};
}

// to += sums
template <typename T>
FT_INLINE auto addSums(T* to) {
  return Epilogue{[=](int64_t at) __attribute__((always_inline)) { prefetchToWrite(to + at); },
                  [=](int64_t at, int64_t, const auto& sums, auto lanes) __attribute__((always_inline)) {
    store(to + at, each(sums, [=](F32 sum, int64_t offset) __attribute__((always_inline)) {
      return sum + load(to + at + offset, lanes);
    }), lanes);
  }};
}

// to = sums · factor
template <typename Factor, typename T>
FT_INLINE auto multiplySums(const Factor* factor, T* to) {
  const auto prefetch = [=](int64_t at) __attribute__((always_inline)) {
    prefetchToRead(factor + at);
    prefetchToWrite(to + at);
  };
  const auto apply = [=](int64_t at, int64_t, const auto& sums, auto lanes) __attribute__((always_inline)) {
    store(to + at, each(sums, [=](F32 sum, int64_t offset) __attribute__((always_inline)) {
      return sum * load(factor + at + offset, lanes);
    }), lanes);
  };
  return Epilogue{prefetch, apply};
}

}  // namespace foretoken::FT_ISA
