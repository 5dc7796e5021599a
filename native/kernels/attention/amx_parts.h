// Parts of attention by AMX tiles that the forward and the backward pass use: products of packed strips, packing of a
// head's rows, prefetches.
#pragma once

#include <cstdint>

#include "../../gemm/amx/product.h"
#include "../../narrow.h"
#include "parts.h"

namespace foretoken::FT_ISA {

// Multiplies packed strips of A and B. Only the first `rows` lines of A and the first `columns` lines of B are used.
static void multiplyPackedStrips(const StripOfA& a, const float* b, int64_t steps, int64_t rows, int64_t columns,
                                 float* sums, int64_t stride, bool continues = false) {
  multiplyStrips(a, b, steps, rows, columns, continues ? sums : nullptr, sums, stride, [](int64_t) {});
}

// Whether the rows of a head can be the left operand (k along headDim) without packing.
FT_INLINE bool liesAsStrip(const Attention& a, int64_t stride, int64_t rows) {
  return a.headDim % kStepValues == 0 && stride % 2 == 0 && (rows == kTileSide || rows == kStripLines);
}
FT_INLINE StripOfA stripThatLies(const Narrow* from, int64_t stride) {
  return {reinterpret_cast<const float*>(from), stride / 2, kTileSide};
}

// Makes rows of a head the left operand, with k along headDim. Packs the rows only if necessary.
FT_INLINE StripOfA stripOfRows(const Attention& a, const Narrow* from, int64_t stride, int64_t rows, float* scratch) {
  if (liesAsStrip(a, stride, rows)) return stripThatLies(from, stride);
  packStrips<Narrow, Order::kRows, false>(from, stride, rows, a.headDim, scratch, stripsOf(a.headDim) * kStepUnits, nullptr);
  return {scratch};
}

// Rows of the next head, which are scattered in memory. Between the products of this head, a few rows at a time are
// prefetched.
template <int kArrays>
struct ArraysOfNextHead {
  struct Array {
    const Narrow* at;
    int64_t stride;
  };
  Array arrays[kArrays];
  int64_t rows = 0, width = 0, share = 0;

  // Plans the prefetches: `times` calls of prefetch() fetch all `count` rows.
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

// Packs rows of a head as the right operand, with k along headDim: strips of rows.
FT_INLINE void packRowsOf(const Attention& a, const Narrow* from, int64_t stride, int64_t rows, float* to) {
  packStrips<Narrow, Order::kRows, true>(from, stride, rows, a.headDim, to, stripsOf(a.headDim) * kStepUnits,
                                                nullptr);
}

// Packs rows [begin, end) of the keys of a head whose first row is at `from`. `begin` is a multiple of kStripLines.
FT_INLINE void packKeys(const Attention& a, const Narrow* from, int64_t begin, int64_t end, float* to) {
  a.forKeys(begin, end, [&](int64_t at, int64_t first, int64_t count) {
    packRowsOf(a, from + at, a.keyStride, count, to + first / kStripLines * stripsOf(a.headDim) * kStepUnits);
  });
}

// Interleaves two rows of 32 values into units, in the order of the values: to[2][kTileUnits]. Sets only the first row
// of each of the two tiles.
FT_INLINE void storePairs(const Narrow* first, const Narrow* second, float* to) {
  // The unpack instructions use one half of each 16-byte lane, so these halves are first moved next to each other.
  const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
  const __m512i upper = _mm512_permutexvar_epi64(order, _mm512_loadu_si512(first));
  const __m512i lower = _mm512_permutexvar_epi64(order, _mm512_loadu_si512(second));
  store(to, (F32)_mm512_unpacklo_epi16(upper, lower));
  store(to + kTileUnits, (F32)_mm512_unpackhi_epi16(upper, lower));
}

// Packs rows of a head as the right operand, with k along the rows: strips of headDim, each `stripUnits` long.
FT_INLINE void packPairsOfRows(const Attention& a, const Narrow* from, int64_t stride, int64_t rows, int64_t stripUnits,
                               float* to) {
  const int64_t whole = a.headDim % kStripLines == 0 ? rows / kStepValues * kStepValues : 0;
  for (int64_t row = 0; row < whole; row += 2, from += 2 * stride) {
    float* units = to + row / kStepValues * kStepUnits + row % kStepValues / 2 * kTileSide;
    for (int64_t d = 0; d < a.headDim; d += kStripLines, units += stripUnits) storePairs(from + d, from + d + stride, units);
  }
  if (whole < rows)
    packStrips<Narrow, Order::kColumns, true>(from, stride, a.headDim, rows - whole, to + whole / kStepValues * kStepUnits,
                                              stripUnits, nullptr);
}

FT_INLINE void packPairsOfRows(const Attention& a, const Narrow* from, int64_t stride, int64_t rows, float* to) {
  packPairsOfRows(a, from, stride, rows, stripsOf(rows) * kStepUnits, to);
}

// Packs rows [begin, end) of the values of a head whose first row is at `from`.
FT_INLINE void packValues(const Attention& a, const Narrow* from, int64_t begin, int64_t end, float* to) {
  a.forKeys(begin, end, [&](int64_t at, int64_t first, int64_t count) {
    packPairsOfRows(a, from + at, a.keyStride, count, stripsOf(end - begin) * kStepUnits,
                    to + first / kStepValues * kStepUnits);
  });
}

// 2ˣ for weights. The relative error is at most 1.6e-7. With kRough it is at most 7.5e-5, less than the error of
// rounding to bfloat16. NaN stays NaN. scripts/fit-math.py prints the coefficients.
template <bool kRough>
FT_INLINE F32 weightExp2(F32 x) {
  constexpr int kDown = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
  const F32 r = (F32)_mm512_reduce_ps((__m512)x, kDown);  // x − ⌊x⌋
  F32 q;
  if constexpr (kRough) {
    q = splat(0.0780245066f);
    q = fma(q, r, splat(0.226067171f));
    q = fma(q, r, splat(0.695833564f));
    q = fma(q, r, splat(0.999925196f));
  } else {
    q = splat(0.00187757646f);
    q = fma(q, r, splat(0.00898934063f));
    q = fma(q, r, splat(0.0558263175f));
    q = fma(q, r, splat(0.240153611f));
    q = fma(q, r, splat(0.693153083f));
    q = fma(q, r, splat(0.99999994f));
  }
  return (F32)_mm512_scalef_ps((__m512)q, (__m512)x);  // times 2^⌊x⌋
}

// A word with the first `count` bits set: no bits if `count` is negative, all bits if it is 32 or more.
FT_INLINE uint32_t firstBits(int64_t count) {
  return static_cast<uint32_t>((uint64_t{1} << max(min(count, int64_t{32}), int64_t{0})) - 1);
}

// Stores factor · from[headDim] as bfloat16.
FT_INLINE void storeScaled(const float* from, int64_t headDim, float factor, Narrow* to) {
  int64_t d = 0;
  for (; d + 2 * kLanes <= headDim; d += 2 * kLanes)
    storeUnits(to + d, load(from + d) * factor, load(from + d + kLanes) * factor);
  forVectors(d, headDim, [&](int64_t at, auto lanes) { store(to + at, load(from + at) * factor, lanes); });
}

// Adds the product of the two values of each unit to `sums`.
FT_INLINE F32 addProducts(F32 a, F32 b, F32 sums) {
  return (F32)_mm512_dpbf16_ps((__m512)sums, (__m512bh)a, (__m512bh)b);
}
// Adds the two values of each unit to `sums`.
FT_INLINE F32 sumUnits(F32 units, F32 sums) { return addProducts(units, (F32)_mm512_set1_epi16(0x3F80), sums); }

// Loads up to 2 · kLanes values as units. Values after them are zeros.
FT_INLINE F32 loadUnits(const Narrow* from, int64_t count) {
  return (F32)_mm512_maskz_loadu_epi16(firstBits(count), from);
}

// Lane i: the sum of rows[i].
template <int kSize = kLanes / 2>
FT_INLINE F32 sumRows(F32 (&rows)[kLanes]) {
  FT_UNROLL
  for (int i = 0; i < kSize; i++) {
    swapBlocks<kSize>(rows[i], rows[i + kSize]);
    rows[i] += rows[i + kSize];
  }
  if constexpr (kSize > 1) return sumRows<kSize / 2>(rows);
  return rows[0];
}

FT_INLINE F32 sumRows(const float* from) {
  F32 rows[kLanes];
  FT_UNROLL
  for (int i = 0; i < kLanes; i++) rows[i] = load(from + i * kLanes);
  return sumRows(rows);
}

// Computes one of the four tiles of a strip of A times a strip of B, in the sum tile kIndex (numbered as in
// beginSums()). Such a small part of a product fits between vector instructions, which are executed at the same time.
// Store the tile later, so that no instruction waits for it.
// Compute tile 0 first and never skip it: in a product of one step, the other tiles use the registers that tile 0 has
// loaded.
template <int kIndex>
FT_INLINE void multiplyOneOfFour(const StripOfA& a, const float* b, int64_t steps) {
  constexpr int kA = 4 + kIndex / 2, kB = 6 + kIndex % 2;
  const float* left = a.at + kIndex / 2 * kTileSide * a.rowUnits;
  const float* right = b + kIndex % 2 * kTileUnits;
  clearTile<kIndex>();
  if (steps == 1) {
    if constexpr (kIndex % 2 == 0) loadTile<kA>(left, a.rowUnits);
    if constexpr (kIndex == 3) loadTile<kA>(left, a.rowUnits);  // tile 2 may have been skipped
    if constexpr (kIndex != 2) loadTile<kB>(right);
    return multiplyAddTiles<kIndex, kA, kB>();
  }
  for (int64_t step = 0; step < steps; step++, left += a.stepUnits, right += kStepUnits) {
    loadTile<kA>(left, a.rowUnits);
    loadTile<kB>(right);
    multiplyAddTiles<kIndex, kA, kB>();
  }
}

// Packs rows of a head as the left operand, with k along the rows: strips of headDim.
FT_INLINE void packAcrossRows(const Attention& a, const Narrow* from, int64_t stride, int64_t rows, float* to) {
  packStrips<Narrow, Order::kColumns, false>(from, stride, a.headDim, rows, to, stripsOf(rows) * kStepUnits, nullptr);
}

// Assigns parts of a thread's scratch, each aligned to a cache line. If `memory` is null, it only computes the total
// size.
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
