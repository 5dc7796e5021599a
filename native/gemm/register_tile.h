// The register tile: up to kTileRows × kTileColumns elements of a product C = A·B stay in registers during the loop
// over k. Matrix products and attention use this tile.
// Every element is one chain c = multiplyAdd(a[i, k], b[k, j], c) over units of ascending k (see operands.h). The chain
// does not depend on the height of the tile or on the element's place in the tile. So results do not depend on how the
// work is divided.
#pragma once

#include <cstdint>

#include "../simd.h"
#include "operands.h"

namespace foretoken::FT_ISA {

// The maximum height of a tile. Registers are left for two vectors of B and one vector of A.
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

// The number of multiply-adds for which one more thread is worth waking.
constexpr int64_t kThreadWork = int64_t{1} << 18;

// How A is stored. Rows: a[i · kRowStride + k], at most kTileDepth units of k. Columns: a[k · kColumnStride + i]. The
// strides are constants, so one pointer is enough for all rows. The row stride is not a power of two, so that rows are
// in different sets of the cache.
enum class Order { kRows, kColumns };
constexpr int kTileDepth = 256;
constexpr int kRowStride = kTileDepth + 16;
constexpr int64_t kColumnStride = roundUp(kTileRows, kLanes);

// Whether the sum overwrites C or is added to it.
enum class Result { kSet, kAdd };

// Memory that is needed soon: neighbouring cache lines in each of kTileRows rows. This memory is prefetched in small
// portions during the computation of the tile, because a processor stalls on many prefetches at once.
struct PrefetchRows {
  const float* at;
  int64_t stride;
};
constexpr int64_t kLineFloats = 16;
template <Order kOrder, class Operands>
constexpr int64_t kPrefetchLines = kOrder == Order::kRows ? 2 * Operands::kUnitDepth : 4;

// The first number is the units of k in the unrolled body of the tile's loop. The second number is the values of k in
// the body that prefetches a row (0: no prefetch). WebAssembly does not unroll the loop. V8 would move all loads of the
// body before its arithmetic, and would spill the values, because there are too few registers.
#if defined(__wasm__)
constexpr int kUnitsPerStep = 1;
constexpr int kValuesPerPrefetch = 0;
#else
constexpr int kUnitsPerStep = 4;
constexpr int kValuesPerPrefetch = 8;
#endif
template <int kValue>
struct Constant {
  static constexpr int value = kValue;
};

struct RegisterTile {
  int rows;     // 1..kTileRows
  int columns;  // 1..kTileColumns; B may be read up to the next whole vector, but C may not
  int64_t k;    // in units
  const float* a;
  const float* b;  // b[k · kTileColumns + j]
  float* c;
  int64_t ldc;
  Result result;
  PrefetchRows prefetch;  // kPrefetchLines lines per row, of the operand that is packed next; otherwise any memory
  const float* bias = nullptr;    // [columns], added to every row, or null
  const float* addend = nullptr;  // added to C after the bias, or null
  int64_t ldAddend = 0;
  // Memory that the epilogue uses: one row for each row of the tile.
  PrefetchRows toRead{c, ldc}, toWrite{c, ldc};
};

// Computes kSteps units of k: sums += A·B.
template <class Operands, int kSteps, Order kOrder, int kRows, int kVectors>
FT_INLINE void addUnits(F32 (&sums)[kRows][kVectors], const float* a, const float* b) {
  FT_UNROLL
  for (int u = 0; u < kSteps; u++) {
    F32 right[kVectors];
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) right[v] = load(b + u * kTileColumns + v * kLanes);
    FT_UNROLL
    for (int i = 0; i < kRows; i++) {
      const F32 left =
          Operands::splatUnit(kOrder == Order::kRows ? a + i * kRowStride + u : a + u * kColumnStride + i);
      FT_UNROLL
      for (int v = 0; v < kVectors; v++) sums[i][v] = Operands::multiplyAdd(left, right[v], sums[i][v]);
    }
  }
}

template <class Operands, int kRows, int kVectors, Order kOrder>
static __attribute__((noinline)) void multiplyRegisterTile(const RegisterTile& tile) {
  F32 sums[kRows][kVectors];
  FT_UNROLL
  for (int i = 0; i < kRows; i++) {
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) sums[i][v] = F32{};
  }
  float* const c = tile.c;
  const int64_t ldc = tile.ldc;
  const int lastColumns = tile.columns - (kVectors - 1) * kLanes;
  const auto loadColumns = [&](const float* from, int v) __attribute__((always_inline)) {
    return v == kVectors - 1 && lastColumns < kLanes ? loadPartial(from + v * kLanes, lastColumns)
                                                     : load(from + v * kLanes);
  };

  const float* a = tile.a;
  const float* b = tile.b;
  const auto add = [&](auto steps) __attribute__((always_inline)) {
    constexpr int kSteps = decltype(steps)::value;
    addUnits<Operands, kSteps, kOrder>(sums, a, b);
    a += kSteps * (kOrder == Order::kRows ? 1 : kColumnStride);
    b += kSteps * kTileColumns;
  };
  int64_t k = tile.k;
  constexpr int kUnitsPerPrefetch = kValuesPerPrefetch / Operands::kUnitDepth;
  if constexpr (kUnitsPerPrefetch > 0) {
    const float* toRead = tile.toRead.at;
    const float* toWrite = tile.toWrite.at;
    const float* prefetch = tile.prefetch.at;
    for (int row = 0; row < kTileRows && k >= kUnitsPerPrefetch; row++, k -= kUnitsPerPrefetch) {
      FT_UNROLL
      for (int64_t line = 0; line < kTileColumns; line += kLineFloats) {
        __builtin_prefetch(toWrite + line, 1);
        __builtin_prefetch(toRead + line);
      }
      FT_UNROLL
      for (int64_t line = 0; line < kPrefetchLines<kOrder, Operands>; line++)
        __builtin_prefetch(prefetch + line * kLineFloats);
      if (row + 1 < kRows) {
        toWrite += tile.toWrite.stride;
        toRead += tile.toRead.stride;
      }
      prefetch += tile.prefetch.stride;
      add(Constant<kUnitsPerPrefetch>{});
    }
  }
  for (; k >= kUnitsPerStep; k -= kUnitsPerStep) add(Constant<kUnitsPerStep>{});
  for (; k > 0; k--) add(Constant<1>{});

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
      for (int v = 0; v < kVectors; v++) sums[i][v] += loadColumns(tile.addend + i * tile.ldAddend, v);
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
FT_INLINE void multiply(const RegisterTile& tile) {
  if constexpr (kRows > 1) {
    if (tile.rows < kRows) return multiply<kOrder, Operands, kRows - 1>(tile);
  }
  if (tile.columns > kLanes) multiplyRegisterTile<typename Operands::Stored, kRows, 2, kOrder>(tile);
  else multiplyRegisterTile<typename Operands::Stored, kRows, 1, kOrder>(tile);
}

// Divides rows [0, count) into the smallest number of tiles, with nearly equal heights. Tile `index` has rows
// [tileBegin(count, index), tileBegin(count, index + 1)).
FT_INLINE int64_t tileCount(int64_t rows) { return divideUp(rows, kTileRows); }
FT_INLINE int64_t tileBegin(int64_t rows, int64_t index) { return rows * index / tileCount(rows); }

}  // namespace foretoken::FT_ISA
