// A·B from bfloat16 by tiles (tiles.h), with k along the lines of A: for instruction sets that have them, in place of
// that of ../vector_product.h.
//
// An operand is packed into strips of kStripLines lines: for every 32 values of k two tiles, one after the other in memory.
// A, where it is bfloat16 already, is taken as it lies. Whose strips are packed, for whom and when, depends on the rows.
//
// Numerics: an element's sum is the tiles' own, over k from 0 on; between pieces of k it rests in memory, as it is. Bits
// depend on a row of A and a column of B alone.
#pragma once

#include <cstdint>

#include "many_rows.h"
#include "few_rows.h"

namespace foretoken::FT_ISA {

// Up to so many rows are few.
constexpr int64_t kLowRows = 512;

// finish.apply is called for all of C, one or two vectors after the other, on some thread; before it, finish.prepare for all
// rows: while tiles compute the rows before, where a thread has them whole.
template <class Finishing>
static void multiplyByTiles(const TileProduct& p, Pool& pool, const Finishing& finish) {
  if (p.m == 0 || p.n == 0) return;
  const bool prepares = finish.prepares && p.k > 0 && p.m > kLowRows && takesWholeRows(p, pool);
  if constexpr (Finishing::kPrepares) {
    if (finish.prepares && !prepares)
      parallelRanges(pool, p.m, 1 + kThreadWork / 8 / p.n, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; i++) finish.prepare(i);
      });
  }
  if (p.k == 0) {
    for (int64_t i = 0; i < p.m; i++)
      forVectors(0, p.n, [&](int64_t j, auto lanes) { finish.apply(i * p.n + j, j, Vectors<1>{}, lanes); });
    return;
  }
  if (p.m > kLowRows) return multiplyHigh(p, pool, finish, prepares);
  if (p.b.order == Order::kColumns) return multiplyLowAcross(p, pool, finish);
  if (p.m <= kFewRows) return multiplyFew(p, pool, finish);
  multiplyLow(p, pool, finish);
}

}  // namespace foretoken::FT_ISA
