// A·B from bfloat16 by tiles (amx_tiles.h), with k along the lines of A: for instruction sets that have them, in place of
// gemm.h's way.
//
// B is packed into strips of kStripLines columns: for every 32 values of k two tiles, one after the other in memory. A is
// packed in the same way, or where it is bfloat16 already, taken as it lies. Where A is high, B is packed for all threads,
// and each goes through its own rows of A strip by strip. Where it is low, so that B is used a few times only, A is packed
// for all, and each thread packs a strip of B just before it uses it.
//
// Numerics: k is cut into pieces at multiples of kPieceAlong from its beginning. Inside a piece an element's sum is the
// tiles' own; pieces are added in ascending order. Where k runs along B's columns as well (y = x·wᵀ), bits depend on a row of
// A and a column of B alone. Where it runs across (dx = dy·w), they depend on whether there are more than kLowRows rows, too:
// then the tiles go on from piece to piece.
#pragma once

#include <cstdint>

#include "../parallel.h"
#include "amx_strips.h"

namespace foretoken::FT_ISA {

// Of k, summed by the tiles in one go: so much that most products have one piece.
constexpr int64_t kPieceAlong = 2048;
// Of all that is packed of B at one time.
constexpr int64_t kSharedUnits = int64_t{3} << 17;
// At most so many rows of A are packed for all threads, in place of B.
constexpr int64_t kLowRows = 512;

struct TileProduct {
  int64_t m, n, k;
  TileOperand a;  // lines: the rows of C
  TileOperand b;  // lines: the columns of C
};

// Columns of C whose strips of B are packed at one time.
FT_INLINE int64_t columnsAtATime(int64_t steps) {
  const int64_t strips = kSharedUnits / (steps * kStepUnits);
  return (strips > 1 ? strips : 1) * kStripLines;
}

// A thread more is worth waking for about a microsecond's work.
FT_INLINE int64_t threadsFor(const TileProduct& p, const Pool& pool) {
  return smaller(pool.threads(), p.m * p.n * p.k / (int64_t{1} << 20) + 1);
}

// Values [k, k + values) of k.
struct PieceOfK {
  int64_t k, values;

  int64_t steps() const { return (values + kStepValues - 1) / kStepValues; }
  int64_t stripUnits() const { return steps() * kStepUnits; }
};

// Rows [i0, i1) × columns [j0, j1) of C.
struct CellOfC {
  int64_t i0, i1, j0, j1;

  bool empty() const { return i0 >= i1 || j0 >= j1; }
};

// Number `part` of a grid over rows [0, m) and columns [j0, j1).
FT_INLINE CellOfC cellOf(const Grid& grid, int64_t part, int64_t m, int64_t j0, int64_t j1) {
  const int64_t row = part / grid.columns, column = part % grid.columns;
  const int64_t rows = stripsOf(m), columns = stripsOf(j1 - j0);
  return {rows * row / grid.rows * kStripLines, smaller(rows * (row + 1) / grid.rows * kStripLines, m),
          j0 + columns * column / grid.columns * kStripLines,
          smaller(j0 + columns * (column + 1) / grid.columns * kStripLines, j1)};
}

// Packs lines [first, last) of an operand for all threads. They pack strips, or steps of k where it runs across, of all
// strips: so that each reads what lies together.
static void packShared(const TileOperand& operand, bool unitsFirst, const PieceOfK& piece, int64_t first, int64_t last,
                       float* packed, Pool& pool) {
  const PackStrips pack = packStripsOf(operand, unitsFirst);
  const int64_t lines = last - first;
  const int64_t stripUnits = piece.stripUnits();
  if (operand.order == Order::kRows) {
    const int64_t grain = 1 + kThreadWork / 8 / (kStripLines * piece.values);
    parallelRanges(pool, stripsOf(lines), grain, [&](int64_t begin, int64_t end, int) {
      const int64_t line = begin * kStripLines;
      pack(operand.at(first + line, piece.k), operand.stride, smaller(end * kStripLines, lines) - line, piece.values,
           packed + begin * stripUnits, stripUnits, nullptr);
    });
  } else {
    const int64_t grain = 1 + kThreadWork / 8 / (kStepValues * lines);
    parallelRanges(pool, piece.steps(), grain, [&](int64_t begin, int64_t end, int) {
      const int64_t k = begin * kStepValues;
      pack(operand.at(first, piece.k + k), operand.stride, lines, smaller(end * kStepValues, piece.values) - k,
           packed + begin * kStepUnits, stripUnits, nullptr);
    });
  }
}

// A strip of A: as it lies where that will do, else packed into `scratch`.
FT_INLINE StripOfA stripOfA(const TileProduct& p, const PieceOfK& piece, int64_t i, int64_t rows, float* scratch,
                            PackStrips pack) {
  const bool whole = rows == kTileSide || rows == kStripLines;
  if (p.a.narrow && whole && piece.values % kStepValues == 0 && p.a.stride % 2 == 0)
    return {static_cast<const float*>(p.a.at(i, piece.k)), p.a.stride / 2, kTileSide};
  pack(p.a.at(i, piece.k), p.a.stride, rows, piece.values, scratch, piece.stripUnits(), nullptr);
  return {scratch};
}

// One piece of a cell of C, where `packed` holds the strips of its columns of B.
template <class Finishing>
static void multiplyCell(const TileProduct& p, const PieceOfK& piece, const CellOfC& cell, const float* packed,
                         float* scratch, const float* from, const Finishing& finish) {
  const PackStrips pack = packStripsOf(p.a, false);
  StripMultiplier<Finishing> multiplier(p.n, from, finish);
  const TileScope scope;
  const int64_t times = stripsOf(cell.j1 - cell.j0) * piece.steps();
  for (int64_t i = cell.i0; i < cell.i1; i += kStripLines) {
    const int64_t rows = smaller(kStripLines, cell.i1 - i), next = i + rows;
    const StripOfA a = stripOfA(p, piece, i, rows, scratch, pack);
    multiplier.expect({p.a, next, smaller(kStripLines, cell.i1 - next), piece.k, piece.values, times});
    const float* b = packed;
    for (int64_t j = cell.j0; j < cell.j1; j += kStripLines, b += piece.stripUnits())
      multiplier.multiply(a, b, piece.steps(), {i, j, rows, smaller(kStripLines, cell.j1 - j)});
  }
  multiplier.end();
}

// One piece of a product of many rows: B is packed for all threads.
template <class Finishing>
static void multiplyHigh(const TileProduct& p, const PieceOfK& piece, float* packed, Pool& pool, const float* from,
                         const Finishing& finish) {
  const int64_t width = smaller(roundUp(p.n, kStripLines), columnsAtATime(piece.steps()));
  const Grid grid = gridOver(stripsOf(p.m), stripsOf(smaller(p.n, width)), threadsFor(p, pool));
  for (int64_t j = 0; j < p.n; j += width) {
    const int64_t jEnd = smaller(j + width, p.n);
    packShared(p.b, true, piece, j, jEnd, packed, pool);
    parallelRanges(pool, grid.rows * grid.columns, 1, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t part = begin; part < end; part++) {
        const CellOfC cell = cellOf(grid, part, p.m, j, jEnd);
        if (cell.empty()) continue;
        multiplyCell(p, piece, cell, packed + (cell.j0 - j) / kStripLines * piece.stripUnits(),
                     static_cast<float*>(pool.scratch(thread)), from, finish);
      }
    });
  }
}

// One piece of a product of few rows: A is packed for all threads, and each packs a strip of B just before it uses it.
template <class Finishing>
static void multiplyLow(const TileProduct& p, const PieceOfK& piece, float* packed, Pool& pool, const float* from,
                        const Finishing& finish) {
  packShared(p.a, false, piece, 0, p.m, packed, pool);
  const PackStrips pack = packStripsOf(p.b, true);
  const int64_t grain = 1 + kThreadWork / 8 / (kStripLines * piece.values);
  const int64_t times = stripsOf(p.m) * piece.steps();
  parallelRanges(pool, stripsOf(p.n), grain, [&](int64_t begin, int64_t end, int thread) {
    float* scratch = static_cast<float*>(pool.scratch(thread));
    StripMultiplier<Finishing> multiplier(p.n, from, finish);
    const TileScope scope;
    for (int64_t strip = begin; strip < end; strip++) {
      const int64_t j = strip * kStripLines;
      const int64_t columns = smaller(kStripLines, p.n - j), next = j + columns;
      pack(p.b.at(j, piece.k), p.b.stride, columns, piece.values, scratch, piece.stripUnits(), nullptr);
      if (strip + 1 < end)
        multiplier.expect({p.b, next, smaller(kStripLines, p.n - next), piece.k, piece.values, times});
      for (int64_t i = 0; i < p.m; i += kStripLines)
        multiplier.multiply({packed + i / kStripLines * piece.stripUnits()}, scratch, piece.steps(),
                            {i, j, smaller(kStripLines, p.m - i), columns});
    }
    multiplier.end();
  });
}

// A product of so few rows that they fit beside each other in a tile, as in decoding: there B is read once, and that is what
// takes the time. So B's lines take the part of A, which are loaded as they lie, and A's that of B: Cᵀ = Bᵀ·Aᵀ. To the bit
// it is the same: factors may change places, and k is cut where it is.
constexpr int64_t kFewRows = kTileSide;
// Values of B that are worth waiting for one more thread: some five microseconds of reading.
constexpr int64_t kFewRowsWork = int64_t{1} << 17;

template <class Finishing>
static void multiplyFew(const TileProduct& p, Pool& pool, const Finishing& finish) {
  const int64_t depth = smaller(roundUp(p.k, kStepValues), kPieceAlong);
  const int64_t pieces = (p.k + depth - 1) / depth;
  const int64_t stripUnits = depth / kStepValues * kStepUnits;
  if (!pool.reserveScratch((pieces + 1) * stripUnits * int64_t{sizeof(float)})) return;
  const PackStrips packRows = packStripsOf(p.a, true), packLines = packStripsOf(p.b, false);
  const TileProduct swapped{p.n, p.m, p.k, p.b, p.a};
  parallelRanges(pool, stripsOf(p.n), 1 + kFewRowsWork / (kStripLines * p.k), [&](int64_t begin, int64_t end, int thread) {
    float* const scratch = static_cast<float*>(pool.scratch(thread));
    float* const rows = scratch + stripUnits;
    const auto pieceAt = [&](int64_t index) { return PieceOfK{index * depth, smaller(depth, p.k - index * depth)}; };
    for (int64_t i = 0; i < pieces; i++) {
      const PieceOfK piece = pieceAt(i);
      packRows(p.a.at(0, piece.k), p.a.stride, p.m, piece.values, rows + i * stripUnits, piece.stripUnits(), nullptr);
    }
    const TileScope scope;
    alignas(64) float sums[kStripLines * kTileSide];
    const I32 across = (I32)laneIndex() * kTileSide;
    for (int64_t strip = begin; strip < end; strip++) {
      const int64_t j = strip * kStripLines, columns = smaller(kStripLines, p.n - j);
      F32 totals[kFewRows][2];
      for (int64_t index = 0; index < pieces; index++) {
        const PieceOfK piece = pieceAt(index);
        const StripOfA lines = stripOfA(swapped, piece, j, columns, scratch, packLines);
        AheadOfReading ahead(p.b, j + columns, smaller(kStripLines, p.n - j - columns), piece.k, piece.values, piece.steps());
        multiplyStrips(lines, rows + index * stripUnits, piece.steps(), columns, p.m, sums, kTileSide, false,
                       [&](int64_t) __attribute__((always_inline)) { ahead.ask(); });
        for (int64_t i = 0; i < p.m; i++)
          for (int half = 0; half < 2; half++) {
            const F32 column = (F32)_mm512_i32gather_ps((__m512i)across, sums + half * kTileUnits + i, sizeof(float));
            totals[i][half] = index == 0 ? column : totals[i][half] + column;
          }
      }
      for (int64_t i = 0; i < p.m; i++) {
        const int64_t at = i * p.n + j;
        if (columns == kStripLines) finish.apply(at, j, Vectors<2>{{totals[i][0], totals[i][1]}}, All{});
        else
          forVectors(0, columns, [&](int64_t v, auto lanes) {
            finish.apply(at + v, j + v, Vectors<1>{{totals[i][v / kLanes]}}, lanes);
          });
      }
    }
  });
}

// Rows of C that lie in `sums` as whole strips, `stride` apart, are finished: [0, p.m) × columns [j0, j1).
template <class Finishing>
static void finishSums(const TileProduct& p, int64_t j0, int64_t j1, const float* sums, int64_t stride,
                       const Finishing& finish) {
  for (int64_t i = 0; i < p.m; i++)
    forVectors(j0, j1, [&](int64_t j, auto lanes) {
      finish.apply(i * p.n + j, j, Vectors<1>{{load(sums + i * stride + j - j0)}}, lanes);
    });
}

// What a thread takes of B's columns at a time, and of k.
constexpr int64_t kLowColumns = 384, kLowValues = 256;

// A product of few rows where k runs across B's columns, and what is read of each value of k must be long: each thread takes
// some of the columns, and goes through k piece by piece.
template <class Finishing>
static void multiplyLowAcross(const TileProduct& p, Pool& pool, const Finishing& finish) {
  const int64_t rows = stripsOf(p.m) * kStripLines;
  const int64_t depth = smaller(roundUp(p.k, kStepValues), kLowValues);
  const int64_t stripUnits = depth / kStepValues * kStepUnits;
  const int64_t strips = stripsOf(p.n), threads = smaller(threadsFor(p, pool), strips);
  const int64_t width = smaller((strips + threads - 1) / threads, kLowColumns / kStripLines);
  const int64_t units = (width + 1) * stripUnits + rows * width * kStripLines;
  if (!pool.reserveScratch(units * int64_t{sizeof(float)})) return;
  const PackStrips packA = packStripsOf(p.a, false), packB = packStripsOf(p.b, true);
  parallelRanges(pool, strips, (strips + threads - 1) / threads, [&](int64_t begin, int64_t end, int thread) {
    float* const packed = static_cast<float*>(pool.scratch(thread));
    float* const scratch = packed + width * stripUnits;
    float* const sums = scratch + stripUnits;
    const TileScope scope;
    for (int64_t strip = begin; strip < end; strip += width) {
      const int64_t j0 = strip * kStripLines, j1 = smaller(smaller(strip + width, end) * kStripLines, p.n);
      const int64_t stride = roundUp(j1 - j0, kStripLines);
      for (int64_t k = 0; k < p.k; k += depth) {
        const PieceOfK piece{k, smaller(depth, p.k - k)};
        packB(p.b.at(j0, k), p.b.stride, j1 - j0, piece.values, packed, piece.stripUnits(), nullptr);
        AheadOfReading ahead(p.b, j0, j1 - j0, k + depth, smaller(depth, p.k - k - depth),
                             stripsOf(p.m) * stripsOf(j1 - j0) * piece.steps());
        for (int64_t i = 0; i < p.m; i += kStripLines) {
          const int64_t height = smaller(kStripLines, p.m - i);
          const StripOfA a = stripOfA(p, piece, i, height, scratch, packA);
          for (int64_t j = j0; j < j1; j += kStripLines)
            multiplyStrips(a, packed + (j - j0) / kStripLines * piece.stripUnits(), piece.steps(), height,
                           smaller(kStripLines, j1 - j), sums + i * stride + j - j0, stride, k > 0,
                           [&](int64_t) __attribute__((always_inline)) { ahead.ask(); });
        }
      }
      finishSums(p, j0, j1, sums, stride, finish);
    }
  });
}

// finish.apply is called for all of C, one or two vectors after the other, on some thread.
template <class Finishing>
static void multiplyByTiles(const TileProduct& p, Pool& pool, const Finishing& finish) {
  if (p.m == 0 || p.n == 0) return;
  if (p.k == 0) {
    for (int64_t i = 0; i < p.m; i++)
      forVectors(0, p.n, [&](int64_t j, auto lanes) { finish.apply(i * p.n + j, j, Vectors<1>{}, lanes); });
    return;
  }
  if (p.m <= kFewRows && p.b.order == Order::kRows) return multiplyFew(p, pool, finish);
  if (p.m <= kLowRows && p.b.order == Order::kColumns) return multiplyLowAcross(p, pool, finish);
  const int64_t depth = smaller(roundUp(p.k, kStepValues), kPieceAlong);
  const int64_t stripUnits = depth / kStepValues * kStepUnits;
  const bool low = p.m <= kLowRows;
  const int64_t width = smaller(roundUp(p.n, kStripLines), columnsAtATime(depth / kStepValues));
  // Sums of pieces, where there are several.
  const int64_t sums = p.k > depth ? roundUp(p.m * p.n, kLanes) : 0;
  const int64_t units = sums + stripsOf(low ? p.m : width) * stripUnits;
  float* shared = static_cast<float*>(pool.sharedScratch(units * int64_t{sizeof(float)}));
  if (shared == nullptr || !pool.reserveScratch(stripUnits * int64_t{sizeof(float)})) return;

  for (int64_t k = 0; k < p.k; k += depth) {
    const PieceOfK piece{k, smaller(depth, p.k - k)};
    const auto multiply = [&](const auto& finishPiece) {
      const float* from = k > 0 ? shared : nullptr;
      if (low) multiplyLow(p, piece, shared + sums, pool, from, finishPiece);
      else multiplyHigh(p, piece, shared + sums, pool, from, finishPiece);
    };
    if (k + depth >= p.k) multiply(finish);
    else multiply(storeSums(shared));
  }
}

}  // namespace foretoken::FT_ISA
