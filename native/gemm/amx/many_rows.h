// Products by tiles with many rows. All threads together pack strips of B, one piece of k at a time. Then each thread
// multiplies its own rows of A, strip by strip.
#pragma once

#include <cstdint>

#include "product.h"

namespace foretoken::FT_ISA {

// Values of k in one piece. Most products have a single piece.
constexpr int64_t kManyRowsValues = 2048;
// Maximum size of B's packed part.
constexpr int64_t kSharedUnits = int64_t{3} << 17;

// Columns of C with strips of B that are packed at the same time.
FT_INLINE int64_t columnsAtATime(int64_t steps) {
  const int64_t strips = kSharedUnits / (steps * kStepUnits);
  return max(strips, 1) * kStripLines;
}

// The grid of threads over the columns of C that are packed at the same time.
FT_INLINE Grid gridOf(const TileProduct<kRounded>& p, int64_t width, const Pool& pool) {
  return gridOver(stripsOf(p.m), stripsOf(min(p.n, width)), threadsFor(p, pool));
}

// Whether a thread computes whole rows of C at once.
FT_INLINE bool takesWholeRows(const TileProduct<kRounded>& p, const Pool& pool) {
  const int64_t depth = roundUp(p.k, kStepValues), width = columnsAtATime(depth / kStepValues);
  return depth <= kManyRowsValues && p.n <= width && gridOf(p, width, pool).columns == 1;
}

// Multiplies one piece of k for a cell of C. `packed` holds the strips of B for the cell's columns. `prepares`: also
// prepare the epilogue for the cell's rows, which are whole rows of C.
template <class Epilogue>
static void multiplyCell(const TileProduct<kRounded>& p, const PieceOfK<kRounded>& piece, const CellOfC& cell, const float* packed,
                         float* scratch, const BlockSums& sums, const Epilogue& epilogue, bool prepares) {
  const PackStrips pack = packStripsOf<kRounded>(p.a, false);
  const bool last = piece.k + piece.values >= p.k;
  StripMultiplier<Epilogue> multiplier(p.n, epilogue);
  const TileScope scope;
  const int64_t times = stripsOf(cell.j1 - cell.j0) * piece.steps();
  if constexpr (Epilogue::kPrepares)
    for (int64_t i = cell.i0; prepares && i < min(cell.i0 + kStripLines, cell.i1); i++) epilogue.prepare(i);
  for (int64_t i = cell.i0; i < cell.i1; i += kStripLines) {
    const int64_t rows = min(kStripLines, cell.i1 - i), next = i + rows;
    const StripOfA a = stripOfA(p, piece, i, rows, scratch, pack);
    multiplier.prefetch({p.a, next, min(kStripLines, cell.i1 - next), piece.k, piece.values, times});
    if (prepares && next < cell.i1) multiplier.prepare(next, min(next + kStripLines, cell.i1), times);
    const float* b = packed;
    for (int64_t j = cell.j0; j < cell.j1; j += kStripLines, b += piece.stripUnits()) {
      const int64_t columns = min(kStripLines, cell.j1 - j);
      float* const block = sums.at == nullptr ? nullptr : sums.block(i, j);
      const float* const from = piece.k == 0 ? nullptr : block;
      if (last) multiplier.multiply(a, b, piece.steps(), from, {i, j, rows, columns});
      else multiplyStrips(a, b, piece.steps(), rows, columns, from, block, kStripLines, [](int64_t) {});
    }
  }
  multiplier.end();
}

template <class Epilogue>
static void multiplyManyRows(const TileProduct<kRounded>& p, Pool& pool, const Epilogue& epilogue, bool prepares) {
  const int64_t depth = min(roundUp(p.k, kStepValues), kManyRowsValues);
  const int64_t stripUnits = depth / kStepValues * kStepUnits;
  const int64_t width = min(roundUp(p.n, kStripLines), columnsAtATime(depth / kStepValues));
  const int64_t packedUnits = stripsOf(width) * stripUnits;
  const int64_t sumUnits = p.k > depth ? stripsOf(p.m) * stripsOf(p.n) * kBlockUnits : 0;
  float* const packed = static_cast<float*>(pool.sharedScratch((packedUnits + sumUnits) * int64_t{sizeof(float)}));
  if (packed == nullptr || !pool.reserveScratch(stripUnits * int64_t{sizeof(float)})) return;
  const BlockSums sums{sumUnits == 0 ? nullptr : packed + packedUnits, stripsOf(p.n)};
  const Grid grid = gridOf(p, width, pool);
  for (int64_t k = 0; k < p.k; k += depth) {
    const PieceOfK<kRounded> piece{k, min(depth, p.k - k)};
    for (int64_t j = 0; j < p.n; j += width) {
      const int64_t jEnd = min(j + width, p.n);
      packForAll(p.b, true, piece, j, jEnd, packed, pool);
      parallelRanges(pool, grid.rows * grid.columns, 1, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t part = begin; part < end; part++) {
          const CellOfC cell = cellOf(grid, part, p.m, j, jEnd);
          if (cell.empty()) continue;
          multiplyCell(p, piece, cell, packed + (cell.j0 - j) / kStripLines * piece.stripUnits(),
                       static_cast<float*>(pool.scratch(thread)), sums, epilogue, prepares);
        }
      });
    }
  }
}

}  // namespace foretoken::FT_ISA
