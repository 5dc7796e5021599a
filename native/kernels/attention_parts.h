// What the two directions of attention share: the arguments, the blocks, and how operands are laid out for the
// register tile.
#pragma once

#include <cstdint>

#include "../call.h"
#include "../gemm/tile.h"
#include "../gemm/pack.h"
#include "../random.h"
#include "../simd.h"

namespace foretoken::FT_ISA {

// Keys and queries go in blocks that begin at multiples of this absolute position, whatever part of the sequence a
// call computes: so a query meets its keys in the same order and the same groups in every call, and the diagonal runs
// from corner to corner of a block.
constexpr int64_t kBlock = 128;
static_assert(kBlock % kTileColumns == 0 && 2 * kBlock <= kTileDepth && kBlock % kDropoutBlock == 0);

struct Attention {
  int64_t batch, queries, start, heads, headDim;
  int64_t queryStride, queryBatchStride, keyStride, keyBatchStride;
  bool causal;
  float scale;
  bool drops;
  DropoutKey dropoutKey;
  float keptScale;  // 1 / (1 − p)

  explicit Attention(const Call& call) {
    const int64_t* ints = call.ints;
    batch = ints[0];
    queries = ints[1];
    start = ints[2];
    heads = ints[3];
    headDim = ints[4];
    queryStride = ints[5];
    queryBatchStride = ints[6];
    keyStride = ints[7];
    keyBatchStride = ints[8];
    for (int i = 0; i < 4; i++) dropoutKey.key[i] = static_cast<uint32_t>(ints[9 + i]);
    dropoutKey.site = static_cast<uint32_t>(ints[13]);
    causal = ints[14] != 0;
    scale = static_cast<float>(call.floats[0]);
    const double p = call.floats[1];
    drops = p > 0;
    dropoutKey.threshold = dropoutThreshold(p);
    keptScale = static_cast<float>(1.0 / (1.0 - p));
  }

  // Floats of one operand of a block, in panels.
  int64_t panelFloats() const { return (headDim + kTileColumns - 1) / kTileColumns * kTileColumns * kBlock; }
  int64_t outStride() const { return heads * headDim; }
  // The row of the dropout mask (see `dropout` in src/backend/kernels.ts).
  uint32_t maskRow(int64_t b, int64_t h, int64_t query) const {
    return static_cast<uint32_t>((b * heads + h) * queries + query);
  }
};

FT_INLINE int64_t vectorsOf(int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

// `value` in the first `count` lanes, `outside` in the others (all of them where count is 0 or less).
FT_INLINE F32 firstLanes(int64_t count, F32 value, F32 outside) {
  if (count >= kLanes) return value;
  return (I32)laneIndex() < static_cast<int32_t>(count) ? value : outside;
}

// Asks for rows of the next head, which lie apart and would be waited for one by one.
template <bool kToWrite = false>
FT_INLINE void prefetchRows(const float* from, int64_t stride, int64_t rows, int64_t headDim) {
  constexpr int64_t kLineFloats = 16;
  for (int64_t i = 0; i < rows; i++)
    for (int64_t d = 0; d < headDim; d += kLineFloats) __builtin_prefetch(from + i * stride + d, kToWrite, 2);
}

// Rows of q (or of dOut) as the left operand of a tile.
FT_INLINE void packLeft(const float* from, int64_t stride, int64_t rows, int64_t headDim, float scale, float* to) {
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t d = 0; d < headDim; d += kLanes) {
      const float* source = from + i * stride + d;
      const F32 value = headDim - d < kLanes ? loadPartial(source, static_cast<int>(headDim - d)) : load(source);
      store(to + i * kRowStride + d, value * scale);
    }
  }
}

// Rows of a block as the right operand of a product over those rows: panels [kBlock][kTileColumns].
FT_INLINE void packRight(const float* from, int64_t stride, int64_t rows, int64_t headDim, float scale, float* to) {
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t d = 0; d < headDim; d += kLanes) {
      const float* source = from + i * stride + d;
      const F32 value = headDim - d < kLanes ? loadPartial(source, static_cast<int>(headDim - d)) : load(source);
      store(to + d / kTileColumns * (kBlock * kTileColumns) + i * kTileColumns + d % kTileColumns, value * scale);
    }
  }
}

// Rows of a block as the right operand of a product over headDim: panels [headDim][kTileColumns], each for
// kTileColumns rows.
FT_INLINE void packRightTransposed(const float* from, int64_t stride, int64_t rows, int64_t headDim, float* to) {
  for (int64_t i = 0; i < rows; i += kTileColumns) {
    const int64_t count = rows - i < kTileColumns ? rows - i : kTileColumns;
    transposeBlockPadded(from + i * stride, stride, to + i * headDim, kTileColumns, count, headDim);
  }
}

// out[rows, keys] = left · rightᵀ, for as many whole vectors of keys as cover `keys`. Rows of out are kRowStride apart.
FT_INLINE void multiplyByKeys(const float* left, int rows, const float* transposed, int64_t keys, int64_t headDim,
                              float* out) {
  for (int64_t j = 0; j < keys; j += kTileColumns) {
    const int64_t columns = vectorsOf(keys - j);
    multiply<Order::kRows>({rows, static_cast<int>(columns < kTileColumns ? columns : kTileColumns), headDim, left, 0,
                            transposed + j * headDim, kTileColumns, out + j, kRowStride, Result::kSet, nullptr});
  }
}

// out[rows, headDim] (+)= left[rows, count] · right[count, headDim]: `left` in either order, `right` from packRight.
template <Order kOrder>
FT_INLINE void multiplyByRows(const float* left, int rows, int64_t count, const float* right, int64_t headDim,
                              float* out, int64_t stride, Result result) {
  for (int64_t d = 0; d < headDim; d += kTileColumns) {
    const int64_t columns = headDim - d < kTileColumns ? headDim - d : kTileColumns;
    multiply<kOrder>({rows, static_cast<int>(columns), count, left, kRowStride, right + d * kBlock, kTileColumns,
                      out + d, stride, result, nullptr});
  }
}

// The corner of a causal product: row i takes the first i of kRows − 1 further rows of the right operand. Nothing is
// multiplied by zero instead, because what a later token holds (infinities, NaN) must not reach an earlier one.
template <int kRows, int kVectors, int kRow = 1>
FT_INLINE void addCornerRow(F32 (&sums)[kRows][kVectors], const float* left, const float* right) {
  if constexpr (kRow < kRows) {
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) {
      const F32 value = load(right + (kRow - 1) * kTileColumns + v * kLanes);
      FT_UNROLL
      for (int i = kRow; i < kRows; i++)
        sums[i][v] = fma(splat(left[i * kRowStride + kRow - 1]), value, sums[i][v]);
    }
    addCornerRow<kRows, kVectors, kRow + 1>(sums, left, right);
  }
}

template <int kRows, int kVectors>
static __attribute__((noinline)) void addCornerTile(const float* left, const float* right, int columns, float* out,
                                                    int64_t stride) {
  F32 sums[kRows][kVectors];
  const int last = columns - (kVectors - 1) * kLanes;
  FT_UNROLL
  for (int i = 1; i < kRows; i++) {
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) {
      const float* from = out + i * stride + v * kLanes;
      sums[i][v] = v == kVectors - 1 && last < kLanes ? loadPartial(from, last) : load(from);
    }
  }
  addCornerRow(sums, left, right);
  FT_UNROLL
  for (int i = 1; i < kRows; i++) {
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) {
      float* to = out + i * stride + v * kLanes;
      if (v == kVectors - 1 && last < kLanes) storePartial(to, sums[i][v], last);
      else store(to, sums[i][v]);
    }
  }
}

template <int kRows = kTileRows>
FT_INLINE void addCorner(int rows, const float* left, const float* right, int columns, float* out, int64_t stride) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return addCorner<kRows - 1>(rows, left, right, columns, out, stride);
    if (columns > kLanes) addCornerTile<kRows, 2>(left, right, columns, out, stride);
    else addCornerTile<kRows, 1>(left, right, columns, out, stride);
  }
}

// As multiplyByRows, where row i of `left` sees count + i rows of `right`.
FT_INLINE void multiplyCausally(const float* left, int rows, int64_t count, const float* right, int64_t headDim,
                                float* out, int64_t stride, Result result) {
  multiplyByRows<Order::kRows>(left, rows, count, right, headDim, out, stride, result);
  for (int64_t d = 0; d < headDim; d += kTileColumns) {
    const int64_t columns = headDim - d < kTileColumns ? headDim - d : kTileColumns;
    addCorner(rows, left + count, right + d * kBlock + count * kTileColumns, static_cast<int>(columns), out + d,
              stride);
  }
}

}  // namespace foretoken::FT_ISA
