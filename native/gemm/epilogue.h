// An epilogue gets the sums of a product and may do more than store them. The same epilogues work for products in
// vector registers (vector_product.h) and by tiles (amx/multiply.h). A product applies its epilogue while the sums are
// in a cache.
#pragma once

#include <cstdint>
#include <type_traits>

#include "../lanes.h"
#include "../narrow.h"
#include "../simd.h"

namespace foretoken::FT_ISA {

// One vector, or two neighbouring vectors.
template <int kCount>
struct Vectors {
  F32 vector[kCount];
};

// Calls body(vector, offset) for each vector; `offset` counts elements from the first vector.
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

// apply(at, j, sums, lanes) gets the sums for elements of C from `at` on, in columns from j on, as Vectors. `apply` is
// called once for each element, on any thread. It may write these elements of C and of other arrays. Products by tiles
// call two more functions:
// - prefetch(at), before `apply` touches the memory of 32 elements from `at` on;
// - prepare(i), before row i is multiplied, if `prepares` is true. One thread prepares a row, in any order of rows.
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

// Only stores the sums in C.
struct NoEpilogue {};

// Prefetches 32 elements that the epilogue will write or read.
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

// Returns the sums unchanged.
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
