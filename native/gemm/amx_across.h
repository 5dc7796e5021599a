// C = A·B or C += A·B from bfloat16 by tiles, with k across the lines of both, and long: gradients of weights. Each thread
// takes a cell of C and packs for itself what it needs of A and of B; the sums stay in C.
//
// Numerics: k is cut into pieces at multiples of kPieceAcross from its beginning, which are added to C in ascending order,
// step by step of 32 values by the tiles. Bits depend on a line of A and a line of B alone.
#pragma once

#include <cstdint>
#include <cstring>

#include "amx.h"

namespace foretoken::FT_ISA {

// Of k, packed at one time: so that a strip of each operand lies in L1 together.
constexpr int64_t kPieceAcross = 256;
// Strips of A that are packed at one time.
constexpr int64_t kStripsAcross = 4;

// sums[line] += Σ of packed strips of bfloat16, by tiles: A times a matrix of ones.
static void addLineSums(const float* strips, const PieceOfK& piece, int64_t lines, float* sums) {
  constexpr uint32_t kTwoOnes = 0x3F803F80u;
  alignas(64) float ones[kTileUnits], columns[kStripLines * kTileSide];
  for (int i = 0; i < kTileUnits; i += kLanes) store(ones + i, (F32)(U32{} + kTwoOnes));
  loadTile<6>(ones);
  for (int64_t line = 0; line < lines; line += kStripLines, strips += piece.stripUnits()) {
    clearTile<0>();
    clearTile<1>();
    for (int64_t step = 0; step < piece.steps(); step++) {
      loadTile<4>(strips + step * kStepUnits);
      multiplyAddTiles<0, 4, 6>();
      if (lines - line <= kTileSide) continue;
      loadTile<5>(strips + step * kStepUnits + kTileUnits);
      multiplyAddTiles<1, 5, 6>();
    }
    storeTile<0>(columns, kTileSide);
    storeTile<1>(columns + kTileUnits, kTileSide);
    for (int64_t i = 0; i < smaller(kStripLines, lines - line); i++) sums[line + i] += columns[i * kTileSide];
  }
}

struct LongProduct {
  TileProduct factors;
  float* c;         // [m, n]
  bool accumulate;  // C += A·B
  float* aSums;     // [m] += Σ over k of A as it is, or null
};

// Adds a strip of A times a strip of B to a block of C, or sets it.
template <class Between>
static void addBlock(const LongProduct& p, const float* a, const float* b, const PieceOfK& piece, const BlockOfC& block,
                     const Between& between) {
  const int64_t n = p.factors.n;
  const bool add = p.accumulate || piece.k > 0;
  float* c = p.c + block.i * n + block.j;
  if (block.rows == kStripLines && block.columns == kStripLines) {
    const int64_t share = add ? 0 : (kStripLines + piece.steps() - 1) / piece.steps();
    return multiplyStrips<2, 2>({a}, b, piece.steps(), c, n, add, [&](int64_t step) __attribute__((always_inline)) {
      for (int64_t r = step * share; r < smaller((step + 1) * share, kStripLines); r++) askToWrite(c + r * n);
      between(step);
    });
  }
  // Tiles are whole, so what C has not goes through memory that does.
  alignas(64) float sums[kStripLines * kStripLines];
  for (int64_t r = 0; add && r < block.rows; r++)
    std::memcpy(sums + r * kStripLines, c + r * n, sizeof(float) * static_cast<size_t>(block.columns));
  multiplyStrips({a}, b, piece.steps(), block.rows, block.columns, sums, kStripLines, add, between);
  for (int64_t r = 0; r < block.rows; r++)
    std::memcpy(c + r * n, sums + r * kStripLines, sizeof(float) * static_cast<size_t>(block.columns));
}

static void multiplyCellAcross(const LongProduct& p, const CellOfC& cell, float* scratch) {
  const TileOperand &a = p.factors.a, &b = p.factors.b;
  const PackStrips packA = packStripsOf(a, false), packB = packStripsOf(b, true);
  const int64_t height = stripsOf(cell.i1 - cell.i0), width = stripsOf(cell.j1 - cell.j0);
  float* const packed = scratch + kStripsAcross * (kPieceAcross / kStepValues) * kStepUnits;
  const TileScope scope;
  for (int64_t k = 0; k < p.factors.k; k += kPieceAcross) {
    const PieceOfK piece{k, smaller(kPieceAcross, p.factors.k - k)};
    packB(b.at(cell.j0, k), b.stride, cell.j1 - cell.j0, piece.values, packed, piece.stripUnits(), nullptr);
    const int64_t next = k + kPieceAcross, nextValues = smaller(kPieceAcross, p.factors.k - next);
    const int64_t times = height * width * piece.steps();
    AheadOfReading aheadA(a, cell.i0, cell.i1 - cell.i0, next, nextValues, times);
    AheadOfReading aheadB(b, cell.j0, cell.j1 - cell.j0, next, nextValues, times);
    const auto ask = [&](int64_t) __attribute__((always_inline)) {
      aheadA.ask();
      aheadB.ask();
    };
    for (int64_t i = cell.i0; i < cell.i1; i += kStripsAcross * kStripLines) {
      const int64_t iEnd = smaller(i + kStripsAcross * kStripLines, cell.i1);
      float* sums = p.aSums != nullptr && cell.j0 == 0 ? p.aSums + i : nullptr;
      packA(a.at(i, k), a.stride, iEnd - i, piece.values, scratch, piece.stripUnits(), sums);
      if (sums != nullptr && a.narrow) addLineSums(scratch, piece, iEnd - i, sums);
      const float* strip = packed;
      for (int64_t j = cell.j0; j < cell.j1; j += kStripLines, strip += piece.stripUnits())
        for (int64_t line = i; line < iEnd; line += kStripLines)
          addBlock(p, scratch + (line - i) / kStripLines * piece.stripUnits(), strip, piece,
                   {line, j, smaller(kStripLines, iEnd - line), smaller(kStripLines, cell.j1 - j)}, ask);
    }
  }
}

// The cells of threads that pack for themselves: of equal size, and with as little to pack as may be.
FT_INLINE Grid gridToPack(int64_t rowStrips, int64_t columnStrips, int64_t threads) {
  Grid best{1, 1};
  int64_t leastWork = rowStrips * columnStrips + 1, leastPacking = 0;
  for (int64_t columns = 1; columns <= threads; columns++) {
    const int64_t rows = threads / columns;
    const int64_t height = (rowStrips + rows - 1) / rows, width = (columnStrips + columns - 1) / columns;
    const int64_t work = height * width, packing = height + width;
    if (work > leastWork || (work == leastWork && packing >= leastPacking)) continue;
    leastWork = work;
    leastPacking = packing;
    best = {rows, columns};
  }
  return best;
}

static void multiplyAcrossByTiles(const LongProduct& p, Pool& pool) {
  const TileProduct& f = p.factors;
  if (f.m == 0 || f.n == 0) return;
  if (f.k == 0) {
    if (!p.accumulate) std::memset(p.c, 0, sizeof(float) * static_cast<size_t>(f.m * f.n));
    return;
  }
  constexpr int64_t kSteps = kPieceAcross / kStepValues;
  const Grid grid = gridToPack(stripsOf(f.m), stripsOf(f.n), threadsFor(f, pool));
  const int64_t width = smaller((stripsOf(f.n) + grid.columns - 1) / grid.columns * kStripLines, columnsAtATime(kSteps));
  const int64_t units = (kStripsAcross + stripsOf(width)) * kSteps * kStepUnits;
  if (!pool.reserveScratch(units * int64_t{sizeof(float)})) return;
  parallelRanges(pool, grid.rows * grid.columns, 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t part = begin; part < end; part++) {
      const CellOfC cell = cellOf(grid, part, f.m, 0, f.n);
      if (cell.i0 >= cell.i1) continue;
      for (int64_t j = cell.j0; j < cell.j1; j += width)
        multiplyCellAcross(p, {cell.i0, cell.i1, j, smaller(j + width, cell.j1)},
                           static_cast<float*>(pool.scratch(thread)));
    }
  });
}

}  // namespace foretoken::FT_ISA
