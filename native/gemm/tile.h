// The register tile: up to kTileRows × kTileColumns elements of a product C = A·B held in registers while the
// reduction index k runs. Matrix products and attention are both built from it.
//
// Every element is one chain c = multiplyAdd(a[i, k], b[k, j], c) over the units of ascending k (see operands.h),
// whatever the height of the tile and wherever the element lies in it. That is what makes results independent of how
// work is divided.
#pragma once

#include <cstdint>

#include "../simd.h"
#include "operands.h"

namespace foretoken::FT_ISA {

// The tallest tile that leaves registers for two vectors of B and one of A.
#if FT_VECTOR_BYTES == 64
constexpr int kTileRows = 14;
#elif FT_VECTOR_BYTES == 32
constexpr int kTileRows = 6;
#elif defined(__ARM_NEON)
constexpr int kTileRows = 8;
#else
constexpr int kTileRows = 4;
#endif
constexpr int kTileVectors = 2;
constexpr int kTileColumns = kTileVectors * kLanes;

// Multiply-adds that are worth waking one more thread for.
constexpr int64_t kThreadWork = int64_t{1} << 18;

// How A is stored. Rows: a[i · kRowStride + k], at most kTileDepth units of k. Columns: a[k · lda + i].
// The row stride is known to the compiler, so that one pointer reaches every row; it is no power of two, so that the
// rows do not fall into the same sets of the cache.
enum class Order { kRows, kColumns };
constexpr int kTileDepth = 256;
constexpr int kRowStride = kTileDepth + 16;

// What becomes of C: overwritten by the sum, the sum added to it, or the chain started from it.
enum class Result { kSet, kAdd, kContinue };

struct Tile {
  int rows;     // 1..kTileRows
  int columns;  // 1..kTileColumns; B may be read up to the next full vector, C is not
  int64_t k;    // in units
  const float* a;
  int64_t lda;
  const float* b;
  int64_t ldb;
  float* c;
  int64_t ldc;
  Result result;
  const float* bias = nullptr;    // [columns], added to every row, or null
  const float* addend = nullptr;  // as C, rows ldc apart: added to it after the bias, or null
};

template <class Operands, int kRows, int kVectors, Order kOrder>
static __attribute__((noinline)) void multiplyTile(const Tile& tile) {
  F32 sums[kRows][kVectors];
  float* const c = tile.c;
  const int64_t ldc = tile.ldc;
  const int lastColumns = tile.columns - (kVectors - 1) * kLanes;
  const auto loadColumns = [&](const float* from, int v) __attribute__((always_inline)) {
    return v == kVectors - 1 && lastColumns < kLanes ? loadPartial(from + v * kLanes, lastColumns)
                                                     : load(from + v * kLanes);
  };

  if (tile.result == Result::kContinue) {
    FT_UNROLL
    for (int i = 0; i < kRows; i++) {
      FT_UNROLL
      for (int v = 0; v < kVectors; v++) sums[i][v] = loadColumns(c + i * ldc, v);
    }
  } else {
    FT_UNROLL
    for (int i = 0; i < kRows; i++) {
      FT_UNROLL
      for (int v = 0; v < kVectors; v++) sums[i][v] = F32{};
    }
  }

  const float* a = tile.a;
  const float* b = tile.b;
  const int64_t aStep = kOrder == Order::kRows ? 1 : tile.lda;
  const int64_t bStep = tile.ldb;
  FT_UNROLL_TILE
  for (int64_t k = tile.k; k > 0; k--) {
    F32 right[kVectors];
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) right[v] = load(b + v * kLanes);
    FT_UNROLL
    for (int i = 0; i < kRows; i++) {
      const F32 left = Operands::splatUnit(kOrder == Order::kRows ? a + i * kRowStride : a + i);
      FT_UNROLL
      for (int v = 0; v < kVectors; v++) sums[i][v] = Operands::multiplyAdd(left, right[v], sums[i][v]);
    }
    a += aStep;
    b += bStep;
  }

  if (tile.result == Result::kAdd) {
    FT_UNROLL
    for (int i = 0; i < kRows; i++) {
      FT_UNROLL
      for (int v = 0; v < kVectors; v++) sums[i][v] = loadColumns(c + i * ldc, v) + sums[i][v];
    }
  }
  if (tile.bias) {
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) {
      const F32 bias = loadColumns(tile.bias, v);
      FT_UNROLL
      for (int i = 0; i < kRows; i++) sums[i][v] += bias;
    }
  }
  if (tile.addend) {
    FT_UNROLL
    for (int i = 0; i < kRows; i++) {
      FT_UNROLL
      for (int v = 0; v < kVectors; v++) sums[i][v] += loadColumns(tile.addend + i * ldc, v);
    }
  }
  FT_UNROLL
  for (int i = 0; i < kRows; i++) {
    FT_UNROLL
    for (int v = 0; v < kVectors - 1; v++) store(c + i * ldc + v * kLanes, sums[i][v]);
  }
  float* const last = c + (kVectors - 1) * kLanes;
  if (lastColumns >= kLanes) {
    FT_UNROLL
    for (int i = 0; i < kRows; i++) store(last + i * ldc, sums[i][kVectors - 1]);
  } else {
    FT_UNROLL
    for (int i = 0; i < kRows; i++) storePartial(last + i * ldc, sums[i][kVectors - 1], lastColumns);
  }
}

template <Order kOrder, class Operands = Float32, int kRows = kTileRows>
FT_INLINE void multiply(const Tile& tile) {
  if constexpr (kRows > 1) {
    if (tile.rows < kRows) return multiply<kOrder, Operands, kRows - 1>(tile);
  }
  if (tile.columns > kLanes) multiplyTile<typename Operands::Stored, kRows, 2, kOrder>(tile);
  else multiplyTile<typename Operands::Stored, kRows, 1, kOrder>(tile);
}

// Rows [0, count) cut into as few tiles as possible, of nearly equal height: the rows of tile `index` are
// [tileBegin(count, index), tileBegin(count, index + 1)).
FT_INLINE int64_t tileCount(int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }
FT_INLINE int64_t tileBegin(int64_t rows, int64_t index) { return rows * index / tileCount(rows); }

}  // namespace foretoken::FT_ISA
