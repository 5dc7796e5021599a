// A product by tiles, and the pieces that it is divided into.
#pragma once

#include <cstdint>

#include "../../gemm/product.h"
#include "../../parallel.h"
#include "strips.h"

namespace foretoken::FT_ISA {

// kParts (pack.h) says how operands are packed: one part is rounded, and three parts together are exactly float32.
template <int kParts>
struct TileProduct {
  int64_t m, n, k;
  TileOperand a;  // lines: the rows of C
  TileOperand b;  // lines: the columns of C
};

// Work of about one microsecond: one more thread is worth waking for it.
template <int kParts>
FT_INLINE int64_t threadsFor(const TileProduct<kParts>& p, const Pool& pool) {
  return min(pool.threads(), p.m * p.n * p.k / (int64_t{1} << 20) + 1);
}

// Values [k, k + values) of k.
template <int kParts>
struct PieceOfK {
  int64_t k, values;

  int64_t steps() const { return divideUp(values, kStepValues); }
  int64_t stripUnits() const { return steps() * kUnitsOfStep<kParts>; }
};

// Rows [i0, i1) × columns [j0, j1) of C.
struct CellOfC {
  int64_t i0, i1, j0, j1;

  bool empty() const { return i0 >= i1 || j0 >= j1; }
};

// Cell `part` of a grid over rows [0, m) and columns [j0, j1).
FT_INLINE CellOfC cellOf(const Grid& grid, int64_t part, int64_t m, int64_t j0, int64_t j1) {
  const int64_t row = part / grid.columns, column = part % grid.columns;
  const int64_t rows = stripsOf(m), columns = stripsOf(j1 - j0);
  return {rows * row / grid.rows * kStripLines, min(rows * (row + 1) / grid.rows * kStripLines, m),
          j0 + columns * column / grid.columns * kStripLines,
          min(j0 + columns * (column + 1) / grid.columns * kStripLines, j1)};
}

// Packs lines [first, last) of an operand for all threads. Threads divide the strips between them. If k runs across the
// lines, threads divide the steps of k instead, so that each thread reads neighbouring memory.
template <int kParts>
static void packForAll(const TileOperand& operand, bool unitsFirst, const PieceOfK<kParts>& piece, int64_t first, int64_t last,
                       float* packed, Pool& pool, float* sums = nullptr) {
  const PackStrips pack = packStripsOf<kParts>(operand, unitsFirst);
  const int64_t lines = last - first;
  const int64_t stripUnits = piece.stripUnits();
  if (operand.order == Order::kRows || sums != nullptr) {
    const int64_t grain = 1 + kThreadWork / 8 / (kStripLines * piece.values);
    parallelRanges(pool, stripsOf(lines), grain, [&](int64_t begin, int64_t end, int) {
      const int64_t line = begin * kStripLines;
      pack(operand.at(first + line, piece.k), operand.stride, min(end * kStripLines, lines) - line, piece.values,
           packed + begin * stripUnits, stripUnits, sums == nullptr ? nullptr : sums + first + line);
    });
  } else {
    const int64_t grain = 1 + kThreadWork / 8 / (kStepValues * lines);
    parallelRanges(pool, piece.steps(), grain, [&](int64_t begin, int64_t end, int) {
      const int64_t k = begin * kStepValues;
      pack(operand.at(first, piece.k + k), operand.stride, lines, min(end * kStepValues, piece.values) - k,
           packed + begin * kUnitsOfStep<kParts>, stripUnits, nullptr);
    });
  }
}

// A strip of A: read in place if possible, otherwise packed into `scratch`.
template <int kParts>
FT_INLINE StripOfParts<kParts> stripOfA(const TileProduct<kParts>& p, const PieceOfK<kParts>& piece, int64_t i, int64_t rows, float* scratch,
                            PackStrips pack) {
  const bool whole = rows == kTileSide || rows == kStripLines;
  if (kParts == kRounded && p.a.narrow && whole && piece.values % kStepValues == 0 && p.a.stride % 2 == 0)
    return {static_cast<const float*>(p.a.at(i, piece.k)), p.a.stride / 2, kTileSide};
  pack(p.a.at(i, piece.k), p.a.stride, rows, piece.values, scratch, piece.stripUnits(), nullptr);
  return {scratch};
}

// Sums of C between pieces of k, in blocks of kBlockUnits.
struct BlockSums {
  float* at;
  int64_t columnStrips;

  float* block(int64_t i, int64_t j) const {
    return at + (i / kStripLines * columnStrips + j / kStripLines) * kBlockUnits;
  }
};

}  // namespace foretoken::FT_ISA
