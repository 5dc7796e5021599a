// Parts of attention by the tiles of AMX, for both directions: products of packed strips, packing of a head's rows,
// prefetches.
#pragma once

#include <cstdint>

#include "../../gemm/amx/product.h"
#include "../../narrow.h"
#include "parts.h"

namespace foretoken::FT_ISA {

// Packed strips of A and B of which the first `rows` lines and `columns` lines are wanted.
static void multiplyPackedStrips(const StripOfA& a, const float* b, int64_t steps, int64_t rows, int64_t columns,
                                 float* sums, int64_t stride, bool continues = false) {
  multiplyStrips(a, b, steps, rows, columns, continues ? sums : nullptr, sums, stride, [](int64_t) {});
}

// Rows of a head as the left operand, k along headDim: as they lie where that will do, else packed.
FT_INLINE StripOfA stripOfRows(const Attention& a, const Narrow* from, int64_t stride, int64_t rows, float* scratch) {
  if (a.headDim % kStepValues == 0 && stride % 2 == 0 && (rows == kTileSide || rows == kStripLines))
    return {reinterpret_cast<const float*>(from), stride / 2, kTileSide};
  packStrips<Narrow, Order::kRows, false>(from, stride, rows, a.headDim, scratch, stripsOf(a.headDim) * kStepUnits, nullptr);
  return {scratch};
}

// Rows that the next head needs, which lie apart: prefetched a few at a time between the products of this head.
template <int kArrays>
struct ArraysOfNextHead {
  struct Array {
    const Narrow* at;
    int64_t stride;
  };
  Array arrays[kArrays];
  int64_t rows = 0, width = 0, share = 0;

  // By the time that prefetch() has been called `times` times.
  void begin(int64_t count, int64_t headDim, int64_t times) {
    rows = count;
    width = headDim;
    share = divideUp(count, times);
  }
  void prefetch() {
    constexpr int64_t kLine = 32;
    for (int64_t i = 0; i < share && rows > 0; i++, rows--)
      for (Array& array : arrays) {
        for (int64_t d = 0; d < width; d += kLine) __builtin_prefetch(array.at + d, 0, 2);
        array.at += array.stride;
      }
  }
};

// Rows of a head as the right operand, k along headDim: strips of rows.
FT_INLINE void packRowsOf(const Attention& a, const Narrow* from, int64_t stride, int64_t rows, float* to) {
  packStrips<Narrow, Order::kRows, true>(from, stride, rows, a.headDim, to, stripsOf(a.headDim) * kStepUnits,
                                                nullptr);
}

// Rows of a head as an operand, k along the rows: strips of headDim.
template <bool kUnitsFirst>
FT_INLINE void packAcrossRows(const Attention& a, const Narrow* from, int64_t stride, int64_t rows, float* to) {
  packStrips<Narrow, Order::kColumns, kUnitsFirst>(from, stride, a.headDim, rows, to, stripsOf(rows) * kStepUnits,
                                                   nullptr);
}

// Hands out parts of a thread's scratch, each aligned to a cache line. Without memory it only counts.
struct Scratch {
  float* memory;
  int64_t used = 0;

  float* take(int64_t floats) {
    float* const taken = memory == nullptr ? nullptr : memory + used;
    used += roundUp(floats, kLanes);
    return taken;
  }
};

}  // namespace foretoken::FT_ISA
