// Multiplies a strip of A by a strip of B with tiles. The result is a block of kStripLines × kStripLines of C, or a
// part of a block.
#pragma once

#include <cstdint>

#include "../../gemm/epilogue.h"
#include "../../lanes.h"
#include "../../narrow.h"
#include "pack.h"

namespace foretoken::FT_ISA {

// A strip of A for the tiles. A packed strip has its tiles one after the other. In an unpacked strip (bfloat16 with k
// along its lines), tiles are loaded from A's rows.
template <int kParts>
struct StripOfParts {
  const float* at;
  int64_t rowUnits = kTileSide;              // distance between rows of a tile
  int64_t stepUnits = kUnitsOfStep<kParts>;  // distance between steps of k
};
using StripOfA = StripOfParts<kRounded>;

// Loads one of the four tiles of sums of two strips. The distance between rows is `stride`. If the pointer is null, the
// sums are zeros.
template <int kIndex>
FT_INLINE void beginSums(const float* from, int64_t stride) {
  if (from != nullptr) loadTile<kIndex>(from + (kIndex / 2 * stride + kIndex % 2) * kTileSide, stride);
  else clearTile<kIndex>();
}
template <int kIndex>
FT_INLINE void endSums(float* to, int64_t stride) {
  storeTile<kIndex>(to + (kIndex / 2 * stride + kIndex % 2) * kTileSide, stride);
}

// Adds a product to the sums of a block: the loaded tiles of A times the loaded tiles of B.
template <int kRowTiles, int kColumnTiles>
FT_INLINE void multiplyAddLoaded() {
  multiplyAddTiles<0, 4, 6>();
  if constexpr (kRowTiles > 1) multiplyAddTiles<2, 5, 6>();
  if constexpr (kColumnTiles > 1) multiplyAddTiles<1, 4, 7>();
  if constexpr (kRowTiles > 1 && kColumnTiles > 1) multiplyAddTiles<3, 5, 7>();
}

// One step of k with operands in three parts. The step computes the six products that affect the last bit of a float32,
// smallest first. The omitted products are below 2⁻²⁶ of the result. In this order, few tiles change between products.
// kSwapped: A and B are exchanged, and the sums must have the same bits.
template <int kRowTiles, int kColumnTiles, bool kSwapped>
FT_INLINE void multiplyAddWhole(const float* a, const float* lower, int64_t rowUnits, const float* b) {
  const auto loadA = [=](int part) __attribute__((always_inline)) {
    loadTile<4>(a + part * kStepUnits, rowUnits);
    if constexpr (kRowTiles > 1) loadTile<5>(lower + part * kStepUnits, rowUnits);
  };
  const auto loadB = [=](int part) __attribute__((always_inline)) {
    loadTile<6>(b + part * kStepUnits);
    if constexpr (kColumnTiles > 1) loadTile<7>(b + part * kStepUnits + kTileUnits);
  };
  const auto loadFirst = [=](int part) __attribute__((always_inline)) { kSwapped ? loadB(part) : loadA(part); };
  const auto loadSecond = [=](int part) __attribute__((always_inline)) { kSwapped ? loadA(part) : loadB(part); };
  loadFirst(1);
  loadSecond(1);
  multiplyAddLoaded<kRowTiles, kColumnTiles>();
  loadFirst(0);
  multiplyAddLoaded<kRowTiles, kColumnTiles>();
  loadSecond(2);
  multiplyAddLoaded<kRowTiles, kColumnTiles>();
  loadSecond(0);
  multiplyAddLoaded<kRowTiles, kColumnTiles>();
  loadFirst(1);
  multiplyAddLoaded<kRowTiles, kColumnTiles>();
  loadFirst(2);
  multiplyAddLoaded<kRowTiles, kColumnTiles>();
}

// to = strip of A · strip of B, plus the sums at `from` if it is not null. Each strip has one or two tiles. Calls
// between(step) after each step of k. This function works while the tiles compute.
template <int kRowTiles, int kColumnTiles, bool kSwapped = false, int kParts, class Between>
FT_INLINE void multiplyStrips(const StripOfParts<kParts>& strip, const float* b, int64_t steps, const float* from, float* to,
                              int64_t stride, const Between& between) {
  beginSums<0>(from, stride);
  if constexpr (kColumnTiles > 1) beginSums<1>(from, stride);
  if constexpr (kRowTiles > 1) beginSums<2>(from, stride);
  if constexpr (kRowTiles > 1 && kColumnTiles > 1) beginSums<3>(from, stride);
  const float* a = strip.at;
  const float* lower = a + kTileSide * strip.rowUnits;
  for (int64_t step = 0; step < steps; step++, a += strip.stepUnits, lower += strip.stepUnits, b += kUnitsOfStep<kParts>) {
    if constexpr (kParts == kWhole) {
      multiplyAddWhole<kRowTiles, kColumnTiles, kSwapped>(a, lower, strip.rowUnits, b);
      between(step);
      continue;
    }
    loadTile<4>(a, strip.rowUnits);
    loadTile<6>(b);
    multiplyAddTiles<0, 4, 6>();
    if constexpr (kColumnTiles > 1) {
      loadTile<7>(b + kTileUnits);
      multiplyAddTiles<1, 4, 7>();
    }
    if constexpr (kRowTiles > 1) {
      loadTile<5>(lower, strip.rowUnits);
      multiplyAddTiles<2, 5, 6>();
      if constexpr (kColumnTiles > 1) multiplyAddTiles<3, 5, 7>();
    }
    between(step);
  }
  endSums<0>(to, stride);
  if constexpr (kColumnTiles > 1) endSums<1>(to, stride);
  if constexpr (kRowTiles > 1) endSums<2>(to, stride);
  if constexpr (kRowTiles > 1 && kColumnTiles > 1) endSums<3>(to, stride);
}

// Computes the product for only the first `rows` lines of A's strip and the first `columns` lines of B's strip.
template <bool kSwapped = false, int kParts, class Between>
FT_INLINE void multiplyStrips(const StripOfParts<kParts>& a, const float* b, int64_t steps, int64_t rows, int64_t columns,
                              const float* from, float* to, int64_t stride, const Between& between) {
  if (rows > kTileSide) {
    if (columns > kTileSide) multiplyStrips<2, 2, kSwapped>(a, b, steps, from, to, stride, between);
    else multiplyStrips<2, 1, kSwapped>(a, b, steps, from, to, stride, between);
  } else {
    if (columns > kTileSide) multiplyStrips<1, 2, kSwapped>(a, b, steps, from, to, stride, between);
    else multiplyStrips<1, 1, kSwapped>(a, b, steps, from, to, stride, between);
  }
}

// Applies an epilogue to `columns` sums of a row of C, from column j on. The row begins at element `row`.
template <class Epilogue>
FT_INLINE void applyRow(const Epilogue& epilogue, const float* sums, int64_t row, int64_t j, int64_t columns) {
  if (columns == kStripLines)
    epilogue.apply(row + j, j, Vectors<2>{{load(sums), load(sums + kLanes)}}, All{});
  else
    forVectors(0, columns, [&](int64_t v, auto lanes) {
      epilogue.apply(row + j + v, j + v, Vectors<1>{{load(sums + v)}}, lanes);
    });
}

// The epilogue of a product with k = 0.
template <class Epilogue>
FT_INLINE void applyToNothing(int64_t m, int64_t n, const Epilogue& epilogue) {
  for (int64_t i = 0; i < m; i++)
    forVectors(0, n, [&](int64_t j, auto lanes) { epilogue.apply(i * n + j, j, Vectors<1>{}, lanes); });
}

// A block of C.
struct BlockOfC {
  int64_t i, j, rows, columns;
};

constexpr int64_t kBlockUnits = int64_t{kStripLines} * kStripLines;

// Multiplies pairs of strips one after the other. While tiles compute a pair, the epilogue is applied to the sums of
// the previous pair.
template <class Epilogue>
class StripMultiplier {
 public:
  // For a C with n columns.
  StripMultiplier(int64_t n, const Epilogue& epilogue) : n_(n), epilogue_(epilogue) {}

  // from: earlier sums of this block, kBlockUnits of them, or null.
  template <int kParts>
  __attribute__((always_inline)) void multiply(const StripOfParts<kParts>& a, const float* b, int64_t steps, const float* from,
                                               const BlockOfC& block) {
    const bool whole = block.rows == kStripLines && block.columns == kStripLines && pending_.rows == kStripLines &&
                       pending_.columns == kStripLines;
    if (whole) multiplyWholeBlock(a, b, steps, from, block);
    else multiplyBlock(a, b, steps, from, block);
    pending_ = block;
    which_ ^= 1;
  }

  // Prefetches an operand while the next pairs are multiplied.
  void prefetch(const OperandPrefetch& prefetch) { prefetch_ = prefetch; }

  // Prepares rows [row, end) for the epilogue, during the next `times` steps.
  void prepare(int64_t row, int64_t end, int64_t times) {
    row_ = row;
    rowEnd_ = end;
    rowShare_ = divideUp(end - row, times);
  }

  // Call it after the last pair.
  void end() {
    applyRows(0, pending_.rows);
    pending_.rows = 0;
  }

 private:
  template <int kParts>
  __attribute__((always_inline)) void multiplyBlock(const StripOfParts<kParts>& a, const float* b, int64_t steps,
                                                    const float* from, const BlockOfC& block) {
    const int64_t share = divideUp(kStripLines, steps);
    multiplyStrips(a, b, steps, block.rows, block.columns, from, sums_[which_], kStripLines, [&](int64_t step) {
      const int64_t begin = step * share;
      for (int64_t r = begin; r < min(begin + share, block.rows); r++) epilogue_.prefetch((block.i + r) * n_ + block.j);
      applyRows(begin, min(begin + share, pending_.rows));
      lookAhead();
    });
  }

  // Multiplies two whole blocks in sequence. The state is in local variables, and so in registers, because the compiler
  // assumes that tile instructions may write any memory visible to others.
  template <int kParts>
  __attribute__((always_inline)) void multiplyWholeBlock(const StripOfParts<kParts>& a, const float* b, int64_t steps,
                                                         const float* from, const BlockOfC& block) {
    const Epilogue epilogue = epilogue_;
    const int64_t n = n_, j = pending_.j, share = divideUp(kStripLines, steps);
    const float* sums = sums_[which_ ^ 1];
    int64_t at = pending_.i * n + j, next = block.i * n + block.j, left = kStripLines;
    multiplyStrips<2, 2>(a, b, steps, from, sums_[which_], kStripLines, [&](int64_t) __attribute__((always_inline)) {
      for (int64_t r = min(share, left); r > 0; r--, left--) {
        epilogue.prefetch(next);
        epilogue.apply(at, j, Vectors<2>{{load(sums), load(sums + kLanes)}}, All{});
        next += n;
        at += n;
        sums += kStripLines;
      }
      lookAhead();
    });
  }

  // Call it after each step of k.
  __attribute__((always_inline)) void lookAhead() {
    prefetch_.step();
    if constexpr (Epilogue::kPrepares)
      for (int64_t i = 0; i < rowShare_ && row_ < rowEnd_; i++) epilogue_.prepare(row_++);
  }

  __attribute__((always_inline)) void applyRows(int64_t begin, int64_t end) const {
    for (int64_t r = begin; r < end; r++)
      applyRow(epilogue_, sums_[which_ ^ 1] + r * kStripLines, (pending_.i + r) * n_, pending_.j, pending_.columns);
  }

  alignas(64) float sums_[2][kBlockUnits];
  BlockOfC pending_ = {};
  OperandPrefetch prefetch_;
  int which_ = 0;
  int64_t row_ = 0, rowEnd_ = 0, rowShare_ = 0;
  const int64_t n_;
  const Epilogue& epilogue_;
};

}  // namespace foretoken::FT_ISA
