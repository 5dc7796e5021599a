// Products by tiles with few rows. Most of the time goes into reading B, and each part of B is used only a few times. A
// is packed once for all threads. Each thread multiplies its own columns of B.
// If k is contiguous in B's columns (y = x·wᵀ), the transposed product is computed: Cᵀ = Bᵀ·Aᵀ. So B need not be
// transposed. The bits are the same, because a · b = b · a.
#pragma once

#include <cstdint>
#include <utility>

#include "../stream_prefetch.h"
#include "product.h"

namespace foretoken::FT_ISA {

// Maximum number of rows that fit side by side in one tile, as in generation. B is then read only once. Reading B takes
// most of the time.
constexpr int64_t kOneTileRows = kTileSide;
// Values of k in one piece. For float32 this number is small, so that the packed piece stays in L1.
template <int kParts>
constexpr int64_t kOneTileValues = kParts == kRounded ? 2048 : 64;
// The number of values of B for which one more thread is worth waking: reading them takes about two microseconds.
constexpr int64_t kOneTileWork = int64_t{1} << 16;

// Packs lines [line, line + lines) of a piece, with k along the lines. Packs the tiles of one step at a time.
template <int kParts>
class LinePacker {
 public:
  LinePacker(const TileOperand& operand, int64_t line, int64_t lines, const PieceOfK<kParts>& piece, float* to)
      : from_(static_cast<const float*>(operand.at(line, piece.k))), stride_(operand.stride), lines_(lines),
        values_(lines > 0 ? piece.values : 0), to_(to) {}

  __attribute__((always_inline)) void pack() {
    if (k_ >= values_) return;
    for (int64_t line = 0; line < lines_; line += kTileSide)
      packAnyTile<kParts, float, Order::kRows, false>(from_ + line * stride_ + k_, stride_, lines_ - line, values_ - k_,
                                                      to_ + line / kTileSide * kTileUnits, nullptr);
    k_ += kStepValues;
    to_ += kUnitsOfStep<kParts>;
  }

  void packRest() {
    while (k_ < values_) pack();
  }

 private:
  const float* const from_;
  const int64_t stride_, lines_, values_;
  float* to_;
  int64_t k_ = 0;
};

template <int kParts, class Epilogue>
static void multiplyOneTile(const TileProduct<kParts>& p, Pool& pool, const Epilogue& epilogue) {
  const int64_t depth = min(roundUp(p.k, kStepValues), kOneTileValues<kParts>);
  const int64_t pieces = divideUp(p.k, depth);
  const int64_t stripUnits = depth / kStepValues * kUnitsOfStep<kParts>;
  if (!pool.reserveScratch((pieces + 2) * stripUnits * int64_t{sizeof(float)})) return;
  const PackStrips packRows = packStripsOf<kParts>(p.a, true), packLines = packStripsOf<kParts>(p.b, false);
  const TileProduct<kParts> swapped{p.n, p.m, p.k, p.b, p.a};
  const int64_t grain = 1 + kOneTileWork / (kStripLines * p.k);
  const int64_t lineBytes = p.b.stride * p.b.elementBytes();
  const bool streams = p.n * lineBytes >= kStreamedBytes;
  parallelParts(pool, stripsOf(p.n), grain, [=, &pool](int64_t begin, int64_t end, int thread) {
    float* const scratch = static_cast<float*>(pool.scratch(thread));
    float* const rows = scratch + stripUnits;
    const auto pieceAt = [&](int64_t index) { return PieceOfK<kParts>{index * depth, min(depth, p.k - index * depth)}; };
    for (int64_t i = 0; i < pieces; i++) {
      const PieceOfK<kParts> piece = pieceAt(i);
      packRows(p.a.at(0, piece.k), p.a.stride, p.m, piece.values, rows + i * stripUnits, piece.stripUnits(), nullptr);
    }
    const TileScope scope;
    alignas(64) float sums[kStripLines * kTileSide];
    const I32 across = (I32)laneIndex() * kTileSide;
    // While tiles compute a strip, the next strip of float32 is packed. So memory is read without a pause.
    constexpr bool kPacksAhead = kParts == kWhole;
    float* buffers[2] = {scratch, rows + pieces * stripUnits};
    const auto packerOf = [&](int64_t strip, int64_t index, float* to) {
      const int64_t j = strip * kStripLines;
      return LinePacker<kParts>(p.b, j, strip < end ? min(kStripLines, p.n - j) : 0, pieceAt(index), to);
    };
    if constexpr (kPacksAhead) packerOf(begin, 0, buffers[0]).packRest();
    for (int64_t strip = begin; strip < end; strip++) {
      const int64_t j = strip * kStripLines, columns = min(kStripLines, p.n - j);
      const int64_t fetched = strip + (kPacksAhead ? 2 : 1);
      const int64_t ahead = streams && fetched < end ? min(kStripLines, p.n - fetched * kStripLines) * lineBytes : 0;
      StreamPrefetch prefetch(p.b.at(ahead > 0 ? fetched * kStripLines : j, 0), ahead, divideUp(p.k, kStepValues));
      for (int64_t index = 0; index < pieces; index++) {
        const PieceOfK<kParts> piece = pieceAt(index);
        const float* const right = rows + index * stripUnits;
        const float* const from = index == 0 ? nullptr : sums;
        if constexpr (kPacksAhead) {
          const bool ends = index + 1 == pieces;
          auto packer = packerOf(ends ? strip + 1 : strip, ends ? 0 : index + 1, buffers[1]);
          multiplyStrips<true>(StripOfParts<kParts>{buffers[0]}, right, piece.steps(), columns, p.m, from, sums, kTileSide,
                               [&](int64_t) __attribute__((always_inline)) {
                                 packer.pack();
                                 prefetch.step();
                               });
          packer.packRest();
          std::swap(buffers[0], buffers[1]);
        } else {
          const StripOfParts<kParts> lines = stripOfA(swapped, piece, j, columns, scratch, packLines);
          multiplyStrips<true>(lines, right, piece.steps(), columns, p.m, from, sums, kTileSide,
                               [&](int64_t) __attribute__((always_inline)) { prefetch.step(); });
        }
      }
      for (int64_t i = 0; i < p.m; i++) {
        alignas(64) float row[kStripLines];
        for (int half = 0; half < 2; half++)
          store(row + half * kLanes,
                (F32)_mm512_i32gather_ps((__m512i)across, sums + half * kTileUnits + i, sizeof(float)));
        applyRow(epilogue, row, i * p.n, j, columns);
      }
    }
  });
}

// Applies the epilogue to blocks of Cᵀ. A block is kStripLines columns of C by kStripLines rows.
template <class Epilogue>
class TransposedEpilogue {
 public:
  static constexpr int64_t kBlockParts = 8;

  TransposedEpilogue(int64_t m, int64_t n, const Epilogue& epilogue) : m_(m), n_(n), epilogue_(epilogue) {}

  // Computes one part of the epilogue, for rows from i on and columns [j, j + columns). Call the parts of a block in
  // ascending order.
  __attribute__((always_inline)) void apply(const float* block, int64_t part, int64_t i, int64_t j, int64_t columns) {
    // Each of the first kTurns parts transposes a quarter of the block. Each of the next kTurns parts applies the
    // epilogue to rows.
    constexpr int64_t kTurned = 2;
    const int64_t half = part / (2 * kTurned), phase = part % (2 * kTurned);
    if (phase < kTurned) {
      F32 quarter[kTileSide];
      const float* from = block + phase * kTileSide * kStripLines + half * kTileSide;
      FT_UNROLL
      for (int line = 0; line < kTileSide; line++) quarter[line] = load(from + line * kStripLines);
      transpose(quarter);
      FT_UNROLL
      for (int line = 0; line < kTileSide; line++) store(rows_ + line * kStripLines + phase * kTileSide, quarter[line]);
      return;
    }
    constexpr int64_t kRows = kTileSide / kTurned;
    const int64_t first = (phase - kTurned) * kRows, top = i + half * kTileSide;
    for (int64_t r = first; r < min(first + kRows, m_ - top); r++)
      applyRow(epilogue_, rows_ + r * kStripLines, (top + r) * n_, j, columns);
  }

 private:
  alignas(64) float rows_[kTileSide * kStripLines];
  const int64_t m_, n_;
  const Epilogue& epilogue_;
};

// Values of k in one piece. A strip of one operand stays in L1 while it is multiplied by all strips of the other
// operand.
constexpr int64_t kFewRowsValues = 256;

// The strips of A for all pieces, packed like strips of B, one piece after the other.
template <int kParts>
static void packRowsForAll(const TileProduct<kParts>& p, int64_t depth, float* packed, Pool& pool) {
  const int64_t strips = stripsOf(p.m);
  const PackStrips pack = packStripsOf<kParts>(p.a, true);
  parallelRanges(pool, strips, 1 + kThreadWork / 8 / (kStripLines * p.k), [&](int64_t begin, int64_t end, int) {
    const int64_t i = begin * kStripLines, rows = min(end * kStripLines, p.m) - i;
    for (int64_t k = 0; k < p.k; k += depth) {
      const PieceOfK<kParts> piece{k, min(depth, p.k - k)};
      float* const to = packed + strips * (k / kStepValues) * kUnitsOfStep<kParts> + begin * piece.stripUnits();
      pack(p.a.at(i, k), p.a.stride, rows, piece.values, to, piece.stripUnits(), nullptr);
    }
  });
}

// For k along B's columns.
template <int kParts, class Epilogue>
static void multiplyFewRows(const TileProduct<kParts>& p, Pool& pool, const Epilogue& epilogue) {
  const int64_t depth = min(roundUp(p.k, kStepValues), kFewRowsValues);
  const int64_t stripUnits = depth / kStepValues * kUnitsOfStep<kParts>, rowStrips = stripsOf(p.m);
  const int64_t steps = divideUp(p.k, kStepValues), packedUnits = rowStrips * steps * kUnitsOfStep<kParts>;
  float* const packed = static_cast<float*>(pool.sharedScratch(packedUnits * int64_t{sizeof(float)}));
  const int64_t units = stripUnits + rowStrips * kBlockUnits;
  if (packed == nullptr || !pool.reserveScratch(units * int64_t{sizeof(float)})) return;
  packRowsForAll(p, depth, packed, pool);
  const TileProduct<kParts> swapped{p.n, p.m, p.k, p.b, p.a};
  const PackStrips pack = packStripsOf<kParts>(p.b, false);
  const int64_t grain = 1 + kThreadWork / 8 / (kStripLines * p.k);
  parallelParts(pool, stripsOf(p.n), grain, [&](int64_t begin, int64_t end, int thread) {
    float* const scratch = static_cast<float*>(pool.scratch(thread));
    float* const blocks = scratch + stripUnits;
    constexpr int64_t kBlockParts = TransposedEpilogue<Epilogue>::kBlockParts;
    TransposedEpilogue<Epilogue> transposed(p.m, p.n, epilogue);
    int64_t pending = 0;  // columns of the previous strip that still need their epilogue
    const TileScope scope;
    for (int64_t strip = begin; strip < end; strip++) {
      const int64_t j = strip * kStripLines, columns = min(kStripLines, p.n - j), next = j + columns;
      OperandPrefetch prefetch;
      if (strip + 1 < end)
        prefetch = {p.b, next, min(kStripLines, p.n - next), 0, p.k, rowStrips * steps};
      for (int64_t k = 0; k < p.k; k += depth) {
        const PieceOfK<kParts> piece{k, min(depth, p.k - k)};
        const StripOfParts<kParts> lines = stripOfA(swapped, piece, j, columns, scratch, pack);
        const float* rows = packed + rowStrips * (k / kStepValues) * kUnitsOfStep<kParts>;
        const bool first = k == 0, last = k + depth >= p.k;
        const int64_t parts = first && pending > 0 ? divideUp(kBlockParts, piece.steps()) : 0;
        const int64_t prefetched = last ? divideUp(kStripLines, piece.steps()) : 0;
        for (int64_t i = 0; i < p.m; i += kStripLines, rows += piece.stripUnits()) {
          float* const block = blocks + i * kStripLines;
          const int64_t height = min(kStripLines, p.m - i);
          multiplyStrips<true>(lines, rows, piece.steps(), columns, height, first ? nullptr : block, block, kStripLines,
                         [&](int64_t step) __attribute__((always_inline)) {
            for (int64_t part = step * parts; part < min((step + 1) * parts, kBlockParts); part++)
              transposed.apply(block, part, i, j - kStripLines, pending);
            for (int64_t r = step * prefetched; r < min((step + 1) * prefetched, height); r++)
              epilogue.prefetch((i + r) * p.n + j);
            prefetch.step();
          });
        }
      }
      pending = columns;
    }
    const int64_t j = (end - 1) * kStripLines;
    for (int64_t i = 0; i < p.m; i += kStripLines)
      for (int64_t part = 0; part < kBlockParts; part++) transposed.apply(blocks + i * kStripLines, part, i, j, pending);
  });
}

// Columns of B per thread and turn, if k runs across B's columns. For each value of k, many neighbouring columns are
// read.
constexpr int64_t kFewRowsColumns = 384;

// For k across B's columns: each thread takes some columns, and multiplies one piece of k after the other.
template <int kParts, class Epilogue>
static void multiplyFewRowsAcross(const TileProduct<kParts>& p, Pool& pool, const Epilogue& epilogue) {
  const int64_t depth = min(roundUp(p.k, kStepValues), kFewRowsValues);
  const int64_t stripUnits = depth / kStepValues * kUnitsOfStep<kParts>;
  const int64_t strips = stripsOf(p.n), threads = min(threadsFor(p, pool), strips);
  const int64_t width = min(divideUp(strips, threads), kFewRowsColumns / kStripLines);
  const int64_t units = (width + 1) * stripUnits + stripsOf(p.m) * width * kBlockUnits;
  if (!pool.reserveScratch(units * int64_t{sizeof(float)})) return;
  const PackStrips packA = packStripsOf<kParts>(p.a, false), packB = packStripsOf<kParts>(p.b, true);
  parallelRanges(pool, strips, divideUp(strips, threads), [&](int64_t begin, int64_t end, int thread) {
    float* const packed = static_cast<float*>(pool.scratch(thread));
    float* const scratch = packed + width * stripUnits;
    const BlockSums sums{scratch + stripUnits, width};
    StripMultiplier<Epilogue> multiplier(p.n, epilogue);
    const TileScope scope;
    for (int64_t strip = begin; strip < end; strip += width) {
      const int64_t j0 = strip * kStripLines, j1 = min(min(strip + width, end) * kStripLines, p.n);
      for (int64_t k = 0; k < p.k; k += depth) {
        const PieceOfK<kParts> piece{k, min(depth, p.k - k)};
        const bool last = k + depth >= p.k;
        packB(p.b.at(j0, k), p.b.stride, j1 - j0, piece.values, packed, piece.stripUnits(), nullptr);
        OperandPrefetch prefetch(p.b, j0, j1 - j0, k + depth, min(depth, p.k - k - depth),
                             stripsOf(p.m) * stripsOf(j1 - j0) * piece.steps());
        for (int64_t i = 0; i < p.m; i += kStripLines) {
          const int64_t height = min(kStripLines, p.m - i);
          const StripOfParts<kParts> a = stripOfA(p, piece, i, height, scratch, packA);
          const float* b = packed;
          for (int64_t j = j0; j < j1; j += kStripLines, b += piece.stripUnits()) {
            const int64_t columns = min(kStripLines, j1 - j);
            float* const block = sums.block(i, j - j0);
            const float* const from = k == 0 ? nullptr : block;
            if (last) multiplier.multiply(a, b, piece.steps(), from, {i, j, height, columns});
            else
              multiplyStrips(a, b, piece.steps(), height, columns, from, block, kStripLines,
                             [&](int64_t) __attribute__((always_inline)) { prefetch.step(); });
          }
        }
      }
    }
    multiplier.end();
  });
}

}  // namespace foretoken::FT_ISA
