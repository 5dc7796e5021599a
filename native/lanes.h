// Loops over an array in vectors. One body handles whole vectors and the tail. The tail uses the same arithmetic on
// fewer lanes, so an element's bits do not depend on its position.
#pragma once

#include <cstdint>
#include <type_traits>

#include "simd.h"

namespace foretoken::FT_ISA {

// The lanes of a vector that are inside the array: all lanes, or the first `count` (1..kLanes − 1).
struct All {};
struct First {
  int count;
};

FT_INLINE U32 laneIndex() {
  U32 index{};
  for (int i = 0; i < kLanes; i++) index[i] = static_cast<uint32_t>(i);
  return index;
}

FT_INLINE F32 load(const float* from, All) { return load(from); }
FT_INLINE F32 load(const float* from, First lanes) { return loadPartial(from, lanes.count); }

FT_INLINE void store(float* to, F32 value, All) { store(to, value); }
FT_INLINE void store(float* to, F32 value, First lanes) { storePartial(to, value, lanes.count); }

// `value` in the lanes inside the array, `outside` in the other lanes.
FT_INLINE F32 within(All, F32 value, F32) { return value; }
FT_INLINE F32 within(First lanes, F32 value, F32 outside) {
  return laneIndex() < static_cast<uint32_t>(lanes.count) ? value : outside;
}

// Prefetches cache lines that are needed soon, if a vector is as long as a line. Without this, a loop over several
// arrays waits for memory, because the CPU does not prefetch far enough ahead. Several short vectors would prefetch the
// same line, so for short vectors this does nothing.
constexpr int64_t kAhead = 512;
template <typename T>
FT_INLINE void prefetchLine(T* at) {
  if constexpr (sizeof(F32) == 64) __builtin_prefetch(at, !std::is_const_v<T>, 2);
}

// Calls body(offset, lanes) for each vector of [begin, end), in ascending order.
template <typename Body>
FT_INLINE void forVectors(int64_t begin, int64_t end, Body body) {
  int64_t offset = begin;
  for (; offset + kLanes <= end; offset += kLanes) body(offset, All{});
  if (offset < end) body(offset, First{static_cast<int>(end - offset)});
}

}  // namespace foretoken::FT_ISA
