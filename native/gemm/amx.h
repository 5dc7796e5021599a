// C = A·B from bfloat16 by tiles (amx_tiles.h): for instruction sets that have them, in place of gemm.h's way.
//
// Both operands are packed into strips of kStripLines rows of A or columns of B: for every 32 values of k two tiles, one
// after the other in memory. B is packed for all threads; each packs a block of its own rows of A, which is then
// multiplied with one strip of B after the other, so that the strip of B is in L1 while the block comes from L2.
//
// Numerics: k is cut into pieces at multiples of kPieceSteps · 32 from its beginning. Inside a piece an element's sum is
// the tiles' own; pieces are added in ascending order. Bits depend on a row of A and a column of B alone.
#pragma once

#include <cstdint>

#include "../lanes.h"
#include "../parallel.h"
#include "amx_tiles.h"
#include "product.h"

namespace foretoken::FT_ISA {

constexpr int kStripLines = 2 * kTileSide;
constexpr int kStepValues = 2 * kTileSide;               // of k, in one tile
constexpr int64_t kStepUnits = int64_t{2} * kTileUnits;  // of a strip, for one step
constexpr int64_t kPieceSteps = 16;                      // so that a strip of B fills most of L1
constexpr int64_t kSharedUnits = int64_t{1} << 20;       // of B, packed at one time
// Of A, packed at one time by a thread: the more, the longer are the rows that are read where k runs across.
template <Order kA>
constexpr int64_t kBlockLines = kStripLines * (kA == Order::kRows ? 4 : 16);

// Lines [0, lines) × values [0, values) of an operand into a tile, with zeros for the others. Where k runs along the lines
// of `from` they are `stride` apart; where it runs across, values are. sums: null, or for each line what its values are
// added to, as they are before rounding (k across only).
template <Order kOrder, bool kUnitsFirst>
FT_INLINE void packTile(const float* from, int64_t stride, int64_t lines, int64_t values, float* to, float* sums) {
  F32 units[kTileSide];
  if constexpr (kOrder == Order::kRows) {
    FT_UNROLL
    for (int line = 0; line < kTileSide; line++)
      units[line] = line < lines ? PairedBfloat16::along(from + line * stride, values) : F32{};
    if constexpr (kUnitsFirst) transpose(units);
  } else {
    F32 total{};
    const int64_t width = lines < kTileSide ? lines : kTileSide;
    FT_UNROLL
    for (int u = 0; u < kTileSide; u++) {
      F32 pair[2];
      FT_UNROLL
      for (int d = 0; d < 2; d++) {
        const int64_t k = 2 * u + d;
        pair[d] = k < values ? Float32::along(from + k * stride, width) : F32{};
        total += pair[d];
      }
      units[u] = PairedBfloat16::across(pair);
    }
    if (sums) {
      if (width == kTileSide) store(sums, load(sums) + total);
      else storePartial(sums, loadPartial(sums, static_cast<int>(width)) + total, static_cast<int>(width));
    }
    if constexpr (!kUnitsFirst) transpose(units);
  }
  FT_UNROLL
  for (int r = 0; r < kTileSide; r++) store(to + r * kTileSide, units[r]);
}

// Prefetches a step of k of a tile, where k runs across.
FT_INLINE void prefetchStep(const float* from, int64_t stride) {
  for (int64_t k = 0; k < kStepValues; k++) __builtin_prefetch(from + k * stride);
}

// Steps of k of one tile after the other, or of all tiles of a step after each other: as memory lies. An operand's element
// (line, k) is from[line · stride + k] (kRows: k along lines) or from[k · stride + line] (kColumns). Strips follow each
// other in `to`, stripUnits apart; those lines that fill no more than a tile leave the other as it is.
template <Order kOrder, bool kUnitsFirst>
FT_INLINE void packStrips(const float* from, int64_t stride, int64_t lines, int64_t values, float* to, int64_t stripUnits,
                          float* sums) {
  const auto packOne = [&](int64_t line, int64_t k) __attribute__((always_inline)) {
    const float* source = from + (kOrder == Order::kRows ? line * stride + k : k * stride + line);
    float* target = to + line / kStripLines * stripUnits + k / kStepValues * kStepUnits +
                    line % kStripLines / kTileSide * kTileUnits;
    if (kOrder == Order::kColumns && k + 2 * kStepValues <= values) prefetchStep(source + kStepValues * stride, stride);
    packTile<kOrder, kUnitsFirst>(source, stride, lines - line, values - k, target, sums ? sums + line : nullptr);
  };
  if constexpr (kOrder == Order::kRows) {
    for (int64_t line = 0; line < lines; line += kTileSide)
      for (int64_t k = 0; k < values; k += kStepValues) packOne(line, k);
  } else {
    for (int64_t k = 0; k < values; k += kStepValues)
      for (int64_t line = 0; line < lines; line += kTileSide) packOne(line, k);
  }
}

// sums[32][32] = strip of A · strip of B: of each one tile or both.
template <int kRowTiles, int kColumnTiles>
static void multiplyStrips(const float* a, const float* b, int64_t steps, float* sums) {
  clearTile<0>();
  if constexpr (kColumnTiles > 1) clearTile<1>();
  if constexpr (kRowTiles > 1) clearTile<2>();
  if constexpr (kRowTiles > 1 && kColumnTiles > 1) clearTile<3>();
  for (; steps > 0; steps--, a += kStepUnits, b += kStepUnits) {
    loadTile<4>(a);
    loadTile<6>(b);
    multiplyAddTiles<0, 4, 6>();
    if constexpr (kColumnTiles > 1) {
      loadTile<7>(b + kTileUnits);
      multiplyAddTiles<1, 4, 7>();
    }
    if constexpr (kRowTiles > 1) {
      loadTile<5>(a + kTileUnits);
      multiplyAddTiles<2, 5, 6>();
      if constexpr (kColumnTiles > 1) multiplyAddTiles<3, 5, 7>();
    }
  }
  storeTile<0>(sums, kStripLines);
  if constexpr (kColumnTiles > 1) storeTile<1>(sums + kTileSide, kStripLines);
  if constexpr (kRowTiles > 1) storeTile<2>(sums + kTileSide * kStripLines, kStripLines);
  if constexpr (kRowTiles > 1 && kColumnTiles > 1) storeTile<3>(sums + kTileSide * (kStripLines + 1), kStripLines);
}

FT_INLINE void multiplyStrips(const float* a, const float* b, int64_t steps, int64_t rows, int64_t columns, float* sums) {
  if (rows > kTileSide) {
    if (columns > kTileSide) multiplyStrips<2, 2>(a, b, steps, sums);
    else multiplyStrips<2, 1>(a, b, steps, sums);
  } else {
    if (columns > kTileSide) multiplyStrips<1, 2>(a, b, steps, sums);
    else multiplyStrips<1, 1>(a, b, steps, sums);
  }
}

// What becomes of the sums of rows [i, i + rows) and columns [j, j + columns): added to C or not, bias and addend after the
// last piece.
FT_INLINE void storeSums(const Product& p, int64_t i, int64_t j, int64_t rows, int64_t columns, const float* sums,
                         bool add, bool last) {
  const float* bias = last && p.bias ? p.bias + j : nullptr;
  const float* addend = last && p.addend ? p.addend + i * p.n + j : nullptr;
  float* c = p.c + i * p.n + j;
  forVectors(0, columns, [&](int64_t v, auto lanes) {
    const F32 offset = bias ? load(bias + v, lanes) : F32{};
    for (int64_t r = 0; r < rows; r++) {
      F32 value = load(sums + r * kStripLines + v);
      float* to = c + r * p.n + v;
      if (add) value = load(to, lanes) + value;
      if (bias) value += offset;
      if (addend) value += load(addend + r * p.n + v, lanes);
      store(to, value, lanes);
    }
  });
}

FT_INLINE void prefetchRows(const float* from, int64_t stride, int64_t rows) {
  for (int64_t r = 0; r < rows; r++) {
    __builtin_prefetch(from + r * stride, 1);
    __builtin_prefetch(from + r * stride + kTileSide, 1);
  }
}

FT_INLINE int64_t strips(int64_t lines) { return (lines + kStripLines - 1) / kStripLines; }

// Values [k, k + values) of k and columns [j0, j1): `packed` holds a strip of B after the other.
struct PackedPiece {
  int64_t k, values, j0, j1;
  const float* packed;

  int64_t steps() const { return (values + kStepValues - 1) / kStepValues; }
};

// Rows [i0, i1) of C × strips [begin, end) of the piece.
template <Order kA, class Finish>
static void multiplyRows(const Product& p, const PackedPiece& piece, int64_t i0, int64_t i1, int64_t begin, int64_t end,
                         float* scratch, const Finish& finish) {
  const int64_t steps = piece.steps();
  const bool add = piece.k > 0 || p.accumulate;
  const bool last = piece.k + piece.values == p.k;
  alignas(64) float sums[2][kStripLines * kStripLines];
  const TileScope scope;
  const int64_t stripUnits = steps * kStepUnits;
  for (int64_t i = i0; i < i1; i += kBlockLines<kA>) {
    const int64_t iEnd = smaller(i + kBlockLines<kA>, i1);
    const float* from = p.a + (kA == Order::kRows ? i * p.lda + piece.k : piece.k * p.lda + i);
    float* rowSums = p.aSums && piece.j0 == 0 && begin == 0 ? p.aSums + i : nullptr;
    packStrips<kA, false>(from, p.lda, iEnd - i, piece.values, scratch, stripUnits, rowSums);
    int which = 0;
    for (int64_t panel = begin; panel < end; panel++) {
      const int64_t j = piece.j0 + panel * kStripLines;
      const int64_t columns = smaller(kStripLines, piece.j1 - j);
      for (int64_t strip = i; strip < iEnd; strip += kStripLines, which ^= 1) {
        const int64_t rows = smaller(kStripLines, iEnd - strip);
        prefetchRows(p.c + strip * p.n + j, p.n, rows);
        multiplyStrips(scratch + (strip - i) / kStripLines * stripUnits, piece.packed + panel * stripUnits, steps, rows,
                       columns, sums[which]);
        storeSums(p, strip, j, rows, columns, sums[which], add, last);
        if (last) finish(strip, j, rows, columns);
      }
    }
  }
}

// The threads pack strips, or steps of k where it runs across, of all strips: so that each reads what lies together.
template <Order kB>
static void packPiece(const Product& p, const PackedPiece& piece, float* packed, Pool& pool) {
  const int64_t stripUnits = piece.steps() * kStepUnits;
  const int64_t columns = piece.j1 - piece.j0;
  if constexpr (kB == Order::kColumns) {
    const int64_t grain = 1 + kThreadWork / 8 / (kStripLines * piece.values);
    parallelRanges(pool, strips(columns), grain, [&](int64_t begin, int64_t end, int) {
      const int64_t j = begin * kStripLines;
      packStrips<Order::kRows, true>(p.b + (piece.j0 + j) * p.ldb + piece.k, p.ldb, smaller(end * kStripLines, columns) - j,
                                     piece.values, packed + begin * stripUnits, stripUnits, nullptr);
    });
  } else {
    const int64_t grain = 1 + kThreadWork / 8 / (kStepValues * columns);
    parallelRanges(pool, piece.steps(), grain, [&](int64_t begin, int64_t end, int) {
      const int64_t k = begin * kStepValues;
      packStrips<Order::kColumns, true>(p.b + (piece.k + k) * p.ldb + piece.j0, p.ldb, columns,
                                        smaller(end * kStepValues, piece.values) - k, packed + begin * kStepUnits,
                                        stripUnits, nullptr);
    });
  }
}

template <Order kA, Order kB, class Finish>
static void multiplyByTiles(const Product& p, Pool& pool, const Finish& finish) {
  constexpr int64_t kPieceValues = kPieceSteps * kStepValues;
  const int64_t depth = smaller(roundUp(p.k, kStepValues), kPieceValues);
  const int64_t width = smaller(roundUp(p.n, kStripLines), roundUp(kSharedUnits / (depth / 2), kStripLines));
  float* packed = static_cast<float*>(pool.sharedScratch(depth / 2 * width * int64_t{sizeof(float)}));
  if (packed == nullptr || !pool.reserveScratch(kBlockLines<kA> * depth / 2 * int64_t{sizeof(float)})) return;
  // A thread more is worth waking for about a microsecond's work.
  const int64_t threads = smaller(pool.threads(), p.m * p.n * p.k / (int64_t{1} << 20) + 1);
  const Grid grid = gridOver(strips(p.m), strips(smaller(p.n, width)), threads);

  for (int64_t k = 0; k < p.k; k += kPieceValues) {
    for (int64_t j = 0; j < p.n; j += width) {
      const PackedPiece piece{k, smaller(kPieceValues, p.k - k), j, smaller(j + width, p.n), packed};
      const int64_t panels = strips(piece.j1 - piece.j0);
      packPiece<kB>(p, piece, packed, pool);
      parallelRanges(pool, grid.rows * grid.columns, 1, [&](int64_t begin, int64_t end, int thread) {
        float* scratch = static_cast<float*>(pool.scratch(thread));
        for (int64_t part = begin; part < end; part++) {
          const int64_t row = part / grid.columns;
          const int64_t column = part % grid.columns;
          const int64_t i0 = strips(p.m) * row / grid.rows * kStripLines;
          const int64_t i1 = smaller(strips(p.m) * (row + 1) / grid.rows * kStripLines, p.m);
          const int64_t first = panels * column / grid.columns;
          const int64_t last = panels * (column + 1) / grid.columns;
          if (i0 < i1 && first < last) multiplyRows<kA>(p, piece, i0, i1, first, last, scratch, finish);
        }
      });
    }
  }
}

}  // namespace foretoken::FT_ISA
