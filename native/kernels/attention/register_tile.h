// The register tile of attention: kTileHeight rows × one or two vectors of a product of two blocks. Both blocks are
// packed in a thread's scratch. parts.h describes the layout of the blocks, and gemm/operands.h describes the units of
// the reduction index.
// Every element is one chain of multiplyAdd over ascending units, at every position of a tile. So the bits of a query
// do not depend on other queries.
#pragma once

#include <cstdint>

#include "../../gemm/operands.h"
#include "../../simd.h"

namespace foretoken::FT_ISA {

// With two vectors, this height leaves registers for the operands. The tile then has enough independent sums to hide
// the latency of an addition.
#if FT_VECTOR_BYTES == 64 || defined(__ARM_NEON)
constexpr int kTileHeight = 8;
#else
constexpr int kTileHeight = 4;
#endif

// Layout of the left operand. kByRow: left[row · leftStride + unit]; kByUnit: left[unit · leftStride + row].
enum class LeftOrder { kByRow, kByUnit };

struct BlockProduct {
  const float* left;
  int64_t leftStride;
  const float* right;  // right[unit · rightStride + column]
  int64_t rightStride;
  int64_t units;
  float* out;  // out[row · outStride + column]
  int64_t outStride;
  bool continues;  // whether the chains begin with the values in `out`; otherwise they begin with 0
};

// The corner of a causal product: row i uses the first i + 1 of the next kTileHeight values of the right operand. All
// other values are skipped, and not multiplied by zero. So an infinity or NaN of a later token does not reach an
// earlier token.
template <class Operands, int kVectors, int kUnit = 0>
FT_INLINE void addCorner(F32 (&sums)[kTileHeight][kVectors], const float* left, int64_t leftStride, const float* right,
                         int64_t rightStride) {
  // Row kFirst uses only the first value of this unit. Later rows use the whole unit.
  constexpr int kFirst = kUnit * Operands::kUnitDepth;
  if constexpr (kFirst < kTileHeight) {
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) {
      const F32 value = load(right + v * kLanes);
      sums[kFirst][v] =
          Operands::multiplyAdd(Operands::splatUnit(left + kFirst), Operands::firstOfUnit(value), sums[kFirst][v]);
      FT_UNROLL
      for (int i = kFirst + 1; i < kTileHeight; i++)
        sums[i][v] = Operands::multiplyAdd(Operands::splatUnit(left + i), value, sums[i][v]);
    }
    addCorner<Operands, kVectors, kUnit + 1>(sums, left + leftStride, leftStride, right + rightStride, rightStride);
  }
}

template <int kVectors>
FT_INLINE void beginBlockSums(const BlockProduct& p, F32 (&sums)[kTileHeight][kVectors]) {
  if (p.continues) {
    FT_UNROLL
    for (int i = 0; i < kTileHeight; i++) {
      FT_UNROLL
      for (int v = 0; v < kVectors; v++) sums[i][v] = load(p.out + i * p.outStride + v * kLanes);
    }
  } else {
    FT_UNROLL
    for (int i = 0; i < kTileHeight; i++) {
      FT_UNROLL
      for (int v = 0; v < kVectors; v++) sums[i][v] = F32{};
    }
  }
}

template <int kVectors>
FT_INLINE void endBlockSums(const BlockProduct& p, const F32 (&sums)[kTileHeight][kVectors]) {
  FT_UNROLL
  for (int i = 0; i < kTileHeight; i++) {
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) store(p.out + i * p.outStride + v * kLanes, sums[i][v]);
  }
}

template <class Operands, LeftOrder kOrder, int kVectors, bool kCorner>
static __attribute__((noinline)) void multiplyBlockTile(const BlockProduct& p) {
  F32 sums[kTileHeight][kVectors];
  beginBlockSums(p, sums);

  // One pointer for each row, or one for all rows.
  constexpr int kPointers = kOrder == LeftOrder::kByRow ? kTileHeight : 1;
  const float* left[kPointers];
  FT_UNROLL
  for (int i = 0; i < kPointers; i++) left[i] = p.left + i * p.leftStride;
  const float* right = p.right;
  FT_UNROLL_TILE
  for (int64_t unit = 0; unit < p.units; unit++) {
    F32 values[kVectors];
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) values[v] = load(right + v * kLanes);
    right += p.rightStride;
    FT_UNROLL
    for (int i = 0; i < kTileHeight; i++) {
      const F32 all = Operands::splatUnit(kOrder == LeftOrder::kByRow ? left[i] + unit : left[0] + i);
      FT_UNROLL
      for (int v = 0; v < kVectors; v++) sums[i][v] = Operands::multiplyAdd(all, values[v], sums[i][v]);
    }
    if constexpr (kOrder == LeftOrder::kByUnit) left[0] += p.leftStride;
  }
  if constexpr (kCorner) addCorner<Operands>(sums, left[0], p.leftStride, right, p.rightStride);
  endBlockSums(p, sums);
}

// multiplyBlockTile for kByUnit with windows. The window of row i begins at value `edge` + i of the right operand. Row
// i skips earlier values. The row does not multiply earlier values by zero, so that an infinity or NaN cannot reach the
// row.
template <class Operands, int kVectors, bool kCorner>
static __attribute__((noinline)) void multiplyEdgeTile(const BlockProduct& p, int64_t edge) {
  constexpr int64_t kDepth = Operands::kUnitDepth;
  F32 sums[kTileHeight][kVectors];
  beginBlockSums(p, sums);
  // Units that only some rows use, or use only in part.
  const auto some = [&](int64_t begin, int64_t end) __attribute__((always_inline)) {
    for (int64_t unit = begin; unit < end; unit++) {
      const float* const left = p.left + unit * p.leftStride;
      const float* const right = p.right + unit * p.rightStride;
      FT_UNROLL
      for (int i = 0; i < kTileHeight; i++) {
        const int64_t first = edge + i - unit * kDepth;
        const int64_t last = kCorner ? (p.units - unit) * kDepth + i + 1 : kDepth;
        if (first >= kDepth || last <= 0) continue;
        const F32 all = Operands::splatUnit(left + i);
        FT_UNROLL
        for (int v = 0; v < kVectors; v++) {
          F32 value = load(right + v * kLanes);
          if (first > 0) value = Operands::lastOfUnit(value);
          if (last < kDepth) value = Operands::firstOfUnit(value);
          sums[i][v] = Operands::multiplyAdd(all, value, sums[i][v]);
        }
      }
    }
  };
  const int64_t begin = max(edge, int64_t{0}) / kDepth;
  const int64_t whole = max(begin, min(divideUp(max(edge + kTileHeight - 1, int64_t{0}), kDepth), p.units));
  some(begin, whole);
  for (int64_t unit = whole; unit < p.units; unit++) {
    F32 values[kVectors];
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) values[v] = load(p.right + unit * p.rightStride + v * kLanes);
    FT_UNROLL
    for (int i = 0; i < kTileHeight; i++) {
      const F32 all = Operands::splatUnit(p.left + unit * p.leftStride + i);
      FT_UNROLL
      for (int v = 0; v < kVectors; v++) sums[i][v] = Operands::multiplyAdd(all, values[v], sums[i][v]);
    }
  }
  if constexpr (kCorner) some(max(whole, p.units), p.units + divideUp(int64_t{kTileHeight}, kDepth));
  endBlockSums(p, sums);
}

// Computes kTileHeight rows × columns [0, width), where width is a multiple of kLanes.
template <class Operands, LeftOrder kOrder, bool kCorner = false>
FT_INLINE void multiplyBlock(BlockProduct p, int64_t width) {
  using Stored = typename Operands::Stored;
  for (; width >= 2 * kLanes; width -= 2 * kLanes) {
    multiplyBlockTile<Stored, kOrder, 2, kCorner>(p);
    p.right += 2 * kLanes;
    p.out += 2 * kLanes;
  }
  if (width > 0) multiplyBlockTile<Stored, kOrder, 1, kCorner>(p);
}

// multiplyBlock for kByUnit with windows: see multiplyEdgeTile().
template <class Operands, bool kCorner>
FT_INLINE void multiplyWindow(BlockProduct p, int64_t edge, int64_t width) {
  if (edge + kTileHeight - 1 <= 0) return multiplyBlock<Operands, LeftOrder::kByUnit, kCorner>(p, width);
  using Stored = typename Operands::Stored;
  for (; width >= 2 * kLanes; width -= 2 * kLanes) {
    multiplyEdgeTile<Stored, 2, kCorner>(p, edge);
    p.right += 2 * kLanes;
    p.out += 2 * kLanes;
  }
  if (width > 0) multiplyEdgeTile<Stored, 1, kCorner>(p, edge);
}

}  // namespace foretoken::FT_ISA
