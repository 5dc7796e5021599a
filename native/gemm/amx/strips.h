// A strip of A times a strip of B by tiles: a block of kStripLines × kStripLines of C, or its part.
#pragma once

#include <cstdint>
#include <type_traits>

#include "../../lanes.h"
#include "../../narrow.h"
#include "pack.h"
#include "../../gemm/product.h"

namespace foretoken::FT_ISA {

// A strip of A for the tiles. Packed: tiles one after the other. As it lies, where it is bfloat16 with k along its lines:
// tiles are loaded from its rows.
struct StripOfA {
  const float* at;
  int64_t rowUnits = kTileSide;    // from row to row of a tile
  int64_t stepUnits = kStepUnits;  // from step to step of k
};

// One of the four tiles of sums of two strips, where they lie with `stride` between rows, or zero for null.
template <int kIndex>
FT_INLINE void beginSums(const float* from, int64_t stride) {
  if (from != nullptr) loadTile<kIndex>(from + (kIndex / 2 * stride + kIndex % 2) * kTileSide, stride);
  else clearTile<kIndex>();
}
template <int kIndex>
FT_INLINE void endSums(float* to, int64_t stride) {
  storeTile<kIndex>(to + (kIndex / 2 * stride + kIndex % 2) * kTileSide, stride);
}

// to = strip of A · strip of B, added to what is at `from` where that is not null: of each one tile or both. between(step)
// is called after each step of k: what it does runs while the tiles compute.
template <int kRowTiles, int kColumnTiles, class Between>
FT_INLINE void multiplyStrips(const StripOfA& strip, const float* b, int64_t steps, const float* from, float* to,
                              int64_t stride, const Between& between) {
  beginSums<0>(from, stride);
  if constexpr (kColumnTiles > 1) beginSums<1>(from, stride);
  if constexpr (kRowTiles > 1) beginSums<2>(from, stride);
  if constexpr (kRowTiles > 1 && kColumnTiles > 1) beginSums<3>(from, stride);
  const float* a = strip.at;
  const float* lower = a + kTileSide * strip.rowUnits;
  for (int64_t step = 0; step < steps; step++, a += strip.stepUnits, lower += strip.stepUnits, b += kStepUnits) {
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

// The same for strips of which the first `rows` lines and `columns` lines are wanted.
template <class Between>
FT_INLINE void multiplyStrips(const StripOfA& a, const float* b, int64_t steps, int64_t rows, int64_t columns,
                              const float* from, float* to, int64_t stride, const Between& between) {
  if (rows > kTileSide) {
    if (columns > kTileSide) multiplyStrips<2, 2>(a, b, steps, from, to, stride, between);
    else multiplyStrips<2, 1>(a, b, steps, from, to, stride, between);
  } else {
    if (columns > kTileSide) multiplyStrips<1, 2>(a, b, steps, from, to, stride, between);
    else multiplyStrips<1, 1>(a, b, steps, from, to, stride, between);
  }
}

// A vector, or two neighbours.
template <int kCount>
struct Vectors {
  F32 vector[kCount];
};

// Those that body(vector, offset) makes of each.
template <int kCount, class Body>
FT_INLINE Vectors<kCount> each(const Vectors<kCount>& from, Body body) {
  Vectors<kCount> result;
  FT_UNROLL
  for (int i = 0; i < kCount; i++) result.vector[i] = body(from.vector[i], int64_t{i} * kLanes);
  return result;
}

template <typename T, class Lanes>
FT_INLINE void store(T* to, const Vectors<1>& values, Lanes lanes) {
  store(to, values.vector[0], lanes);
}
FT_INLINE void store(float* to, const Vectors<2>& values, All) {
  store(to, values.vector[0]);
  store(to + kLanes, values.vector[1]);
}
FT_INLINE void store(Narrow* to, const Vectors<2>& values, All) {
  storeUnits(to, values.vector[0], values.vector[1]);
}

struct NothingToPrepare {};

// What is done with sums. apply(at, j, sums, lanes): with those of elements `at` of C and on, in columns j and on. ask(at):
// asks for the memory that this touches for kStripLines elements from `at` on, before it is needed. prepare(i): makes what
// row i needs, before anything of that row is multiplied; each row on one thread, in any order; where `prepares` says so.
template <class Prefetch, class Apply, class Prepare = NothingToPrepare>
struct Epilogue {
  static constexpr bool kPrepares = !std::is_same_v<Prepare, NothingToPrepare>;
  Prefetch prefetch;
  Apply apply;
  Prepare prepare = {};
  bool prepares = false;
};
template <class Prefetch, class Apply>
Epilogue(Prefetch, Apply) -> Epilogue<Prefetch, Apply>;
template <class Prefetch, class Apply, class Prepare>
Epilogue(Prefetch, Apply, Prepare, bool) -> Epilogue<Prefetch, Apply, Prepare>;

// Asks for kStripLines elements that are going to be written, or read.
template <typename T>
FT_INLINE void prefetchToWrite(T* at) {
  __builtin_prefetch(at, 1);
  if constexpr (sizeof(T) == sizeof(float)) __builtin_prefetch(at + kTileSide, 1);
}
template <typename T>
FT_INLINE void prefetchToRead(const T* at) {
  __builtin_prefetch(at);
  if constexpr (sizeof(T) == sizeof(float)) __builtin_prefetch(at + kTileSide);
}

// Sums as they are.
template <typename T>
FT_INLINE auto storeSums(T* to) {
  return Epilogue{[=](int64_t at) __attribute__((always_inline)) { prefetchToWrite(to + at); },
                [=](int64_t at, int64_t, const auto& sums, auto lanes)
                    __attribute__((always_inline)) { store(to + at, sums, lanes); }};
}

// Finishes `columns` sums of the row of C that begins at element `row`, in columns j and on.
template <class Epilogue>
FT_INLINE void applyRow(const Epilogue& epilogue, const float* sums, int64_t row, int64_t j, int64_t columns) {
  if (columns == kStripLines)
    epilogue.apply(row + j, j, Vectors<2>{{load(sums), load(sums + kLanes)}}, All{});
  else
    forVectors(0, columns, [&](int64_t v, auto lanes) {
      epilogue.apply(row + j + v, j + v, Vectors<1>{{load(sums + v)}}, lanes);
    });
}

// A block of C.
struct BlockOfC {
  int64_t i, j, rows, columns;
};

constexpr int64_t kBlockUnits = int64_t{kStripLines} * kStripLines;

// Multiplies one pair of strips after the other, and finishes the sums of each while the tiles compute the next.
template <class Epilogue>
class StripMultiplier {
 public:
  // For a C with n columns.
  StripMultiplier(int64_t n, const Epilogue& epilogue) : n_(n), epilogue_(epilogue) {}

  // from: sums of this block so far, kBlockUnits of them, or null.
  __attribute__((always_inline)) void multiply(const StripOfA& a, const float* b, int64_t steps, const float* from,
                                               const BlockOfC& block) {
    const int64_t share = divideUp(kStripLines, steps);
    multiplyStrips(a, b, steps, block.rows, block.columns, from, sums_[which_], kStripLines, [&](int64_t step) {
      const int64_t begin = step * share;
      for (int64_t r = begin; r < min(begin + share, block.rows); r++) epilogue_.prefetch((block.i + r) * n_ + block.j);
      applyRows(begin, min(begin + share, pending_.rows));
      prefetch_.step();
      if constexpr (Epilogue::kPrepares)
        for (int64_t i = 0; i < rowShare_ && row_ < rowEnd_; i++) epilogue_.prepare(row_++);
    });
    pending_ = block;
    which_ ^= 1;
  }

  // What is going to be read while the next pairs are multiplied.
  void prefetch(const OperandPrefetch& prefetch) { prefetch_ = prefetch; }

  // Rows [row, end) are prepared while `times` steps of the next pairs are multiplied.
  void prepare(int64_t row, int64_t end, int64_t times) {
    row_ = row;
    rowEnd_ = end;
    rowShare_ = divideUp(end - row, times);
  }

  // After the last pair.
  void end() {
    applyRows(0, pending_.rows);
    pending_.rows = 0;
  }

 private:
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
