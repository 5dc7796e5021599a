// A·B by tiles (tiles.h), with k along the lines of A, for instruction sets with tiles. Instruction sets without tiles
// use vector_product.h.
// Tiles multiply bfloat16. Either the operands are rounded to bfloat16, or each float32 is written as a sum of three
// bfloat16 numbers. In the second case, a product of float32 is the sum of six products of bfloat16 (strips.h). This
// sum has the error of float32 arithmetic.
// An operand is packed into strips of kStripLines lines. For every 32 values of k, a strip has two tiles (two tiles for
// each part), one after the other in memory. If A is already bfloat16, it is read in place. This is how threads share
// the packing:
// - many rows: all threads together pack B; each thread packs A for its own rows (many_rows.h). For float32 all threads
//   pack A together, too (many_rows_whole.h);
// - few rows (few_rows.h): all threads together pack A; each thread packs B for its own columns.
// Numerics: the tiles sum an element over k, from k = 0 on. Between pieces of k, the sum is stored in memory in
// float32. The bits of an element depend only on its row of A and its column of B.
#pragma once

#include <cstdint>

#include "few_rows.h"
#include "many_rows.h"
#include "many_rows_whole.h"

namespace foretoken::FT_ISA {

// Maximum number of rows that few_rows.h takes.
constexpr int64_t kFewRows = 512;

// Calls epilogue.apply for all of C, one or two vectors at a time, on any thread. Before this, calls epilogue.prepare
// for all rows. If a thread computes whole rows, tiles compute the previous rows during this call.
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
