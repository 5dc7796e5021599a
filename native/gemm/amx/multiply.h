// A·B by tiles (tiles.h), with k along the lines of A: for instruction sets that have them, in place of vector_product.h.
//
// Tiles multiply bfloat16. Operands are rounded to it, or each float32 is taken whole, as the sum of three of them: then six
// products of their parts make one of float32 (strips.h), whose error is that of float32 arithmetic.
//
// An operand is packed into strips of kStripLines lines: for every 32 values of k two tiles, or two for each part, one after the
// other in memory. A, where it is bfloat16 already, is taken as it lies. Who packs which strip:
// - many rows: B's are packed by all threads together, A's by each thread for its own rows (many_rows.h), or, of float32, by all
//   together too (many_rows_whole.h);
// - few rows (few_rows.h): A's are packed by all threads together, B's by each thread for its own columns.
//
// Numerics: an element's sum is the tiles' own, over k from 0 on; between pieces of k it rests in memory, as it is. Bits
// depend on a row of A and a column of B alone.
#pragma once

#include <cstdint>

#include "few_rows.h"
#include "many_rows.h"
#include "many_rows_whole.h"

namespace foretoken::FT_ISA {

// At most so many rows are few.
constexpr int64_t kFewRows = 512;

// epilogue.apply is called for all of C, one or two vectors after the other, on some thread. Before it, epilogue.prepare is
// called for all rows: while tiles compute the rows before, where a thread has whole rows.
template <int kParts, class Epilogue>
static void multiplyByTiles(const TileProduct<kParts>& p, Pool& pool, const Epilogue& epilogue) {
  if (p.m == 0 || p.n == 0) return;
  bool prepares = false;
  if constexpr (kParts == kRounded) prepares = epilogue.prepares && p.k > 0 && p.m > kFewRows && takesWholeRows(p, pool);
  if constexpr (Epilogue::kPrepares) {
    if (epilogue.prepares && !prepares)
      parallelRanges(pool, p.m, 1 + kThreadWork / 8 / p.n, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; i++) epilogue.prepare(i);
      });
  }
  if (p.k == 0) return applyToNothing(p.m, p.n, epilogue);
  if (p.m > kFewRows) {
    if constexpr (kParts == kWhole) return multiplyWhole(p, nullptr, pool, epilogue);
    else return multiplyManyRows(p, pool, epilogue, prepares);
  }
  if (p.b.order == Order::kColumns) return multiplyFewRowsAcross(p, pool, epilogue);
  if (p.m <= kOneTileRows) return multiplyOneTile(p, pool, epilogue);
  multiplyFewRows(p, pool, epilogue);
}

}  // namespace foretoken::FT_ISA
