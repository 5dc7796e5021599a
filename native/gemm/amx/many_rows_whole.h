// Products of float32 in three parts by tiles, with many rows. All threads together pack parts of both operands that
// fit into a near cache. Then each thread multiplies its own rows of A.
// A packed strip is three times as long as a strip of bfloat16, and a product takes six times as long. So it is faster
// to pack a strip once and use it often, while many_rows.h packs it again.
#pragma once

#include <cstdint>

#include "product.h"

namespace foretoken::FT_ISA {

// Values of k in one piece.
constexpr int64_t kWholeValues = 1024;
// Rows of A and columns of B that are packed at the same time.
constexpr int64_t kWholeRows = 2048;
constexpr int64_t kWholeColumns = 4096;
// Size of a part of B. A thread multiplies all its rows by one part before the next part, so the part stays in L2.
constexpr int64_t kWholeSweepUnits = int64_t{1} << 18;

// C = A·B. If k runs across A's rows, aSums may be given: aSums[m] += Σ over k of A before rounding. Otherwise aSums is
// null.
template <class Epilogue>
static void multiplyWhole(const TileProduct<kWhole>& p, float* aSums, Pool& pool, const Epilogue& epilogue) {
  if (p.m == 0 || p.n == 0) return;
  if (p.k == 0) return applyToNothing(p.m, p.n, epilogue);
  const int64_t depth = min(roundUp(p.k, kStepValues), kWholeValues);
  const int64_t stripUnits = depth / kStepValues * kUnitsOfStep<kWhole>;
  const int64_t rowStrips = stripsOf(min(p.m, kWholeRows)), columnStrips = stripsOf(min(p.n, kWholeColumns));
  const int64_t sumUnits = p.k > depth ? rowStrips * columnStrips * kBlockUnits : 0;
  const int64_t units = (rowStrips + columnStrips) * stripUnits + sumUnits;
  float* const packedA = static_cast<float*>(pool.sharedScratch(units * int64_t{sizeof(float)}));
  if (packedA == nullptr) return;
  float* const packedB = packedA + rowStrips * stripUnits;
  const BlockSums sums{packedB + columnStrips * stripUnits, columnStrips};
  for (int64_t i0 = 0; i0 < p.m; i0 += kWholeRows) {
    const int64_t i1 = min(i0 + kWholeRows, p.m);
    for (int64_t j0 = 0; j0 < p.n; j0 += kWholeColumns) {
      const int64_t j1 = min(j0 + kWholeColumns, p.n);
      for (int64_t k = 0; k < p.k; k += depth) {
        const PieceOfK<kWhole> piece{k, min(depth, p.k - k)};
        const bool last = k + depth >= p.k;
        if (j0 == 0 || p.k > depth) packForAll(p.a, false, piece, i0, i1, packedA, pool, j0 == 0 ? aSums : nullptr);
        packForAll(p.b, true, piece, j0, j1, packedB, pool);
        const Grid grid = gridOver(stripsOf(i1 - i0), stripsOf(j1 - j0), threadsFor(p, pool));
        parallelRanges(pool, grid.rows * grid.columns, 1, [&](int64_t begin, int64_t end, int) {
          StripMultiplier<Epilogue> multiplier(p.n, epilogue);
          const TileScope scope;
          const int64_t sweep = max(kWholeSweepUnits / piece.stripUnits(), 1) * kStripLines;
          for (int64_t part = begin; part < end; part++) {
            const CellOfC cell = cellOf(grid, part, i1 - i0, 0, j1 - j0);
            for (int64_t from = cell.j0; from < cell.j1; from += sweep) {
              const int64_t to = min(from + sweep, cell.j1);
              for (int64_t i = cell.i0; i < cell.i1; i += kStripLines) {
                const StripOfParts<kWhole> a{packedA + i / kStripLines * piece.stripUnits()};
                const int64_t rows = min(kStripLines, cell.i1 - i);
                for (int64_t j = from; j < to; j += kStripLines) {
                  const float* b = packedB + j / kStripLines * piece.stripUnits();
                  const int64_t columns = min(kStripLines, cell.j1 - j);
                  float* const block = sumUnits == 0 ? nullptr : sums.block(i, j);
                  const float* const sum = k == 0 ? nullptr : block;
                  if (last) multiplier.multiply(a, b, piece.steps(), sum, {i0 + i, j0 + j, rows, columns});
                  else multiplyStrips(a, b, piece.steps(), rows, columns, sum, block, kStripLines, [](int64_t) {});
                }
              }
            }
          }
          multiplier.end();
        });
      }
    }
  }
}

}  // namespace foretoken::FT_ISA
