// C = A·B or C += A·B from bfloat16 by tiles, for gradients of weights: k is long, and runs across the lines of both
// operands. Each thread computes a cell of C, or half of k, and packs its parts of A and B. The sums are stored in C.
// Numerics: the tiles sum over k in ascending order, and add to the value in C. A long product with a small C is cut
// into two halves of k. The second half is summed from zero and added last. The bits of an element depend only on its
// line of A, its line of B and the size of the product.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "product.h"

namespace foretoken::FT_ISA {

// Values of k that are packed at the same time. One strip of each operand then fits into L1.
constexpr int64_t kGradientPiece = 256;
constexpr int64_t kGradientPieceUnits = kGradientPiece / kStepValues * kStepUnits;  // of a strip
// Columns of C whose strips of B are packed at one time.
constexpr int64_t kGradientColumns = 768;
// A product with more values of k is cut into two halves, if C is so small that a second copy is cheap.
constexpr int64_t kUncutValues = 512;
constexpr int64_t kCutElements = int64_t{1} << 18;
// A C with at least this number of elements is stored directly in memory, without the caches.
constexpr int64_t kNonTemporalElements = int64_t{1} << 20;

// sums[line] += the sum of a line of packed strips of bfloat16. Tiles multiply A by a matrix of ones.
static void addLineSums(const float* strips, const PieceOfK<kRounded>& piece, int64_t lines, float* sums) {
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
    for (int64_t i = 0; i < min(kStripLines, lines - line); i++) sums[line + i] += columns[i * kTileSide];
  }
}

struct WeightGradient {
  TileProduct<kRounded> factors;
  float* c;         // [m, n]
  bool accumulate;  // C += A·B
  float* aSums;     // [m] += Σ over k of A before rounding, or null
};

// Packs the tiles of an operand one by one. So the steps of a product can pack in between.
template <typename T, bool kUnitsFirst>
class TilePacker {
 public:
  // Packs lines [line, line + lines) of a piece of k, with k across, into strips from `to` on. The strips are complete
  // after `times` calls of pack(). sums: see packTile.
  TilePacker(const TileOperand& operand, int64_t line, int64_t lines, const PieceOfK<kRounded>& piece, float* to, float* sums,
             int64_t times)
      : from_(static_cast<const T*>(operand.at(line, piece.k))), stride_(operand.stride), lines_(lines),
        values_(piece.values), to_(to), stripUnits_(piece.stripUnits()), sums_(sums), times_(times),
        tiles_(divideUp(lines, kTileSide) * piece.steps()) {}

  __attribute__((always_inline)) void pack() {
    for (due_ += tiles_; due_ >= times_; due_ -= times_) packNext();
  }

  void packRest() {
    while (k_ < values_) packNext();
  }

 private:
  // Packs all lines of one step of k before the next step. The data has this order in memory.
  __attribute__((always_inline)) void packNext() {
    if (k_ >= values_) return;
    const T* from = from_ + k_ * stride_ + line_;
    float* to = to_ + line_ / kStripLines * stripUnits_ + k_ / kStepValues * kStepUnits +
                line_ % kStripLines / kTileSide * kTileUnits;
    packAnyTile<kRounded, T, Order::kColumns, kUnitsFirst>(from, stride_, lines_ - line_, values_ - k_, to,
                                                 sums_ == nullptr ? nullptr : sums_ + line_);
    line_ += kTileSide;
    if (line_ < lines_) return;
    line_ = 0;
    k_ += kStepValues;
  }

  const T* const from_;
  const int64_t stride_, lines_, values_;
  float* const to_;
  const int64_t stripUnits_;
  float* const sums_;
  const int64_t times_, tiles_;
  int64_t line_ = 0, k_ = 0, due_ = 0;
};

// Multiplies a strip of A by a strip of B. Adds the product to a block of a matrix with n columns, or overwrites the
// block.
template <class Between>
static void addBlock(float* matrix, int64_t n, bool add, const float* a, const float* b, const PieceOfK<kRounded>& piece,
                     const BlockOfC& block, const Between& between) {
  float* c = matrix + block.i * n + block.j;
  if (block.rows == kStripLines && block.columns == kStripLines) {
    const int64_t share = add ? 0 : divideUp(kStripLines, piece.steps());
    const auto prefetching = [&](int64_t step) __attribute__((always_inline)) {
      for (int64_t r = step * share; r < min((step + 1) * share, kStripLines); r++) prefetchToWrite(c + r * n);
      between(step);
    };
    return multiplyStrips<2, 2>(StripOfA{a}, b, piece.steps(), add ? c : nullptr, c, n, prefetching);
  }
  // Tiles are always whole. So the sums of a partial block are first stored in a buffer of full block size.
  alignas(64) float sums[kStripLines * kStripLines];
  for (int64_t r = 0; add && r < block.rows; r++)
    std::memcpy(sums + r * kStripLines, c + r * n, sizeof(float) * static_cast<size_t>(block.columns));
  multiplyStrips(StripOfA{a}, b, piece.steps(), block.rows, block.columns, add ? sums : nullptr, sums, kStripLines, between);
  for (int64_t r = 0; r < block.rows; r++)
    std::memcpy(c + r * n, sums + r * kStripLines, sizeof(float) * static_cast<size_t>(block.columns));
}

// Computes blocks of a matrix that is too large for any cache. While the tiles compute a block, the previous block is
// stored directly in memory. So the old contents of the matrix are not read first.
class BlockWriter {
 public:
  // c[m, n]. Its rows must begin on cache lines.
  BlockWriter(float* c, int64_t n) : c_(c), n_(n) {}

  template <class Between>
  __attribute__((always_inline)) void multiply(const float* a, const float* b, const PieceOfK<kRounded>& piece,
                                               const BlockOfC& block, const Between& between) {
    const int64_t share = divideUp(kStripLines, piece.steps());
    multiplyStrips(StripOfA{a}, b, piece.steps(), block.rows, block.columns, nullptr, sums_[which_], kStripLines,
                   [&](int64_t step) __attribute__((always_inline)) {
                     write(step * share, min((step + 1) * share, pending_.rows));
                     between(step);
                   });
    pending_ = block;
    which_ ^= 1;
  }

  // Call after the last block.
  void end() {
    write(0, pending_.rows);
    pending_.rows = 0;
    fenceNonTemporal();
  }

 private:
  __attribute__((always_inline)) void write(int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      float* const to = c_ + (pending_.i + r) * n_ + pending_.j;
      const float* const from = sums_[which_ ^ 1] + r * kStripLines;
      for (int64_t v = 0; v < pending_.columns; v += kLanes) storeNonTemporal(to + v, load(from + v));
    }
  }

  alignas(64) float sums_[2][kBlockUnits];
  BlockOfC pending_ = {};
  int which_ = 0;
  float* const c_;
  const int64_t n_;
};

// Destination of the sums over values [k, kEnd): c[m, n], and aSums[m] or null.
struct PartOfK {
  int64_t k, kEnd;
  float* c;
  bool accumulate;
  float* aSums;
};

// Computes a cell of at most kGradientColumns columns for one part of k. While a strip of A is multiplied, the next
// strip of A and a share of the next piece of B are packed. scratch: two strips of A and two pieces of B.
template <typename A, typename B>
static void multiplyGradientCell(const TileProduct<kRounded>& p, const PartOfK& part, const CellOfC& cell, float* scratch) {
  const int64_t height = stripsOf(cell.i1 - cell.i0), width = stripsOf(cell.j1 - cell.j0);
  float* packedA[2] = {scratch, scratch + kGradientPieceUnits};
  float* packedB[2] = {scratch + 2 * kGradientPieceUnits, scratch + (2 + width) * kGradientPieceUnits};
  const auto pieceAt = [&](int64_t k) { return PieceOfK<kRounded>{k, k < part.kEnd ? min(kGradientPiece, part.kEnd - k) : 0}; };
  const auto packerOfA = [&](int64_t i, const PieceOfK<kRounded>& piece, float* to, int64_t times) {
    float* const sums = part.aSums != nullptr && cell.j0 == 0 ? part.aSums + i : nullptr;
    return TilePacker<A, false>(p.a, i, min(kStripLines, cell.i1 - i), piece, to, sums, times);
  };
  const auto packerOfB = [&](const PieceOfK<kRounded>& piece, float* to, int64_t times) {
    return TilePacker<B, true>(p.b, cell.j0, cell.j1 - cell.j0, piece, to, nullptr, times);
  };
  // Non-temporal stores need whole vectors, aligned to cache lines.
  const bool nonTemporal = !part.accumulate && part.kEnd - part.k <= kGradientPiece && p.m * p.n >= kNonTemporalElements &&
                    p.n % kLanes == 0 && reinterpret_cast<uintptr_t>(part.c) % 64 == 0;
  BlockWriter writer(part.c, p.n);
  const TileScope scope;
  packerOfB(pieceAt(part.k), packedB[0], 1).packRest();
  packerOfA(cell.i0, pieceAt(part.k), packedA[0], 1).packRest();
  for (int64_t k = part.k; k < part.kEnd; k += kGradientPiece) {
    const PieceOfK<kRounded> piece = pieceAt(k), next = pieceAt(k + kGradientPiece), afterNext = pieceAt(next.k + kGradientPiece);
    const int64_t stripTimes = width * piece.steps(), times = height * stripTimes;
    OperandPrefetch prefetchA(p.a, cell.i0, cell.i1 - cell.i0, next.k, next.values, times);
    OperandPrefetch prefetchB(p.b, cell.j0, cell.j1 - cell.j0, afterNext.k, afterNext.values, times);
    auto nextB = packerOfB(next, packedB[1], times);
    for (int64_t i = cell.i0; i < cell.i1; i += kStripLines) {
      const int64_t rows = min(kStripLines, cell.i1 - i);
      const bool below = i + rows < cell.i1;
      auto nextA = packerOfA(below ? i + rows : cell.i0, below ? piece : next, packedA[1], stripTimes);
      if (sizeof(A) == sizeof(Narrow) && part.aSums != nullptr && cell.j0 == 0)
        addLineSums(packedA[0], piece, rows, part.aSums + i);
      const float* strip = packedB[0];
      const auto between = [&](int64_t) __attribute__((always_inline)) {
        nextA.pack();
        nextB.pack();
        prefetchA.step();
        prefetchB.step();
      };
      for (int64_t j = cell.j0; j < cell.j1; j += kStripLines, strip += piece.stripUnits()) {
        const BlockOfC block{i, j, rows, min(kStripLines, cell.j1 - j)};
        if (nonTemporal) writer.multiply(packedA[0], strip, piece, block, between);
        else addBlock(part.c, p.n, part.accumulate || k > part.k, packedA[0], strip, piece, block, between);
      }
      nextA.packRest();
      std::swap(packedA[0], packedA[1]);
    }
    nextB.packRest();
    std::swap(packedB[0], packedB[1]);
  }
  writer.end();
}

// Divides C into cells of equal size, one per thread. Each thread packs for its own cell, so the cells have the shape
// that needs the least packing.
FT_INLINE Grid gridToPack(int64_t rowStrips, int64_t columnStrips, int64_t threads) {
  Grid best{1, 1};
  int64_t leastWork = rowStrips * columnStrips + 1, leastPacking = 0;
  for (int64_t columns = 1; columns <= threads; columns++) {
    const int64_t rows = threads / columns;
    const int64_t height = divideUp(rowStrips, rows), width = divideUp(columnStrips, columns);
    const int64_t work = height * width, packing = height + width;
    if (work > leastWork || (work == leastWork && packing >= leastPacking)) continue;
    leastWork = work;
    leastPacking = packing;
    best = {rows, columns};
  }
  return best;
}

template <typename A, typename B>
static void weightGradient(const WeightGradient& p, Pool& pool) {
  const TileProduct<kRounded>& f = p.factors;
  const int64_t elements = f.m * f.n;
  // A product that is cut always has two parts of k, so results do not depend on the number of threads. Two threads can
  // compute one part each, so no value is read or packed twice.
  const bool cut = f.k > kUncutValues && elements <= kCutElements;
  const int64_t half = cut ? roundUp(f.k / 2, kStripLines) : f.k;
  float* second = nullptr;
  if (cut) {
    second = static_cast<float*>(pool.sharedScratch((elements + f.m) * int64_t{sizeof(float)}));
    if (second == nullptr) return;
  }
  const int64_t count = cut ? 2 : 1, threads = threadsFor(f, pool);
  const Grid grid = gridToPack(stripsOf(f.m), stripsOf(f.n), max(threads / count, 1));
  const int64_t width = min(divideUp(stripsOf(f.n), grid.columns) * kStripLines, kGradientColumns);
  if (!pool.reserveScratch((2 + 2 * stripsOf(width)) * kGradientPieceUnits * int64_t{sizeof(float)})) return;
  float* const secondSums = cut && p.aSums != nullptr ? second + elements : nullptr;
  if (secondSums != nullptr) std::memset(secondSums, 0, sizeof(float) * static_cast<size_t>(f.m));
  const PartOfK parts[2] = {{0, half, p.c, p.accumulate, p.aSums}, {half, f.k, second, false, secondSums}};
  const int64_t cells = grid.rows * grid.columns;
  parallelRanges(pool, count * cells, threads == 1 ? count * cells : 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t at = begin; at < end; at++) {
      const CellOfC cell = cellOf(grid, at % cells, f.m, 0, f.n);
      if (cell.empty()) continue;
      for (int64_t j = cell.j0; j < cell.j1; j += width)
        multiplyGradientCell<A, B>(f, parts[at / cells], {cell.i0, cell.i1, j, min(j + width, cell.j1)},
                                 static_cast<float*>(pool.scratch(thread)));
    }
  });
  if (!cut) return;
  const auto add = [](float* to, const float* from, int64_t begin, int64_t end) {
    forVectors(begin, end, [=](int64_t i, auto lanes) __attribute__((always_inline)) {
      store(to + i, load(to + i, lanes) + load(from + i, lanes), lanes);
    });
  };
  parallelRanges(pool, elements, kThreadWork / 4, [&](int64_t begin, int64_t end, int) { add(p.c, second, begin, end); });
  if (secondSums != nullptr) add(p.aSums, secondSums, 0, f.m);
}

static void weightGradientByTiles(const WeightGradient& p, Pool& pool) {
  const TileProduct<kRounded>& f = p.factors;
  if (f.m == 0 || f.n == 0) return;
  if (f.k == 0) {
    if (!p.accumulate) std::memset(p.c, 0, sizeof(float) * static_cast<size_t>(f.m * f.n));
    return;
  }
  if (f.a.narrow) {
    if (f.b.narrow) weightGradient<Narrow, Narrow>(p, pool);
    else weightGradient<Narrow, float>(p, pool);
  } else {
    if (f.b.narrow) weightGradient<float, Narrow>(p, pool);
    else weightGradient<float, float>(p, pool);
  }
}

}  // namespace foretoken::FT_ISA
