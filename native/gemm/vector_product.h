// C = A·B for float32 matrices in any order, as in BLIS (Van Zee & van de Geijn, "BLIS: a framework for rapidly
// instantiating BLAS functionality", 2015): all threads share packed panels of B. Each thread packs A for its own rows.
// Register tiles multiply the packed parts. If operands are bfloat16, packing rounds them.
// Bias and addend are added to the sums in registers. The epilogue is applied to a finished tile of C while the tile is
// in the L1 cache. If C is not stored, because the result has another type, the sums are in the scratch of a thread
// before the epilogue.
// Numerics: the reduction is cut at multiples of kDepth units (see operands.h) from its beginning. Inside a piece, an
// element is one chain of multiplyAdd. Pieces are added in ascending order. One thread computes the whole sum of an
// element. So the bits of an element depend only on its row of A and its column of B.
#pragma once

#include <cstdint>

#include "../parallel.h"
#include "product.h"
#include "stream_prefetch.h"

namespace foretoken::FT_ISA {

// Units of k in a piece. A panel of B (kDepth × kTileColumns) and a tile of A (kTileRows × kDepth) together fit into
// the L1 cache.
constexpr int64_t kDepth = 128;
static_assert(kDepth <= kTileDepth, "a tile of A holds one piece");

// Maximum size (about this number of floats) of the part of B that is packed and used between two barriers …
constexpr int64_t kChunkFloats = int64_t{1} << 20;
// … and its maximum number of units. If k is long, C is small (a gradient of weights). So C is swept more often, and B
// is still in L2 when it is used.
template <Order kA>
constexpr int64_t kChunkDepth = kA == Order::kRows ? 2048 : 512;
// … and the maximum number of columns in a sweep over one block of rows. A piece of these columns stays in L2.
constexpr int64_t kSweepColumns = 512;
constexpr int64_t kSweepFloats = int64_t{1} << 17;

// The part of B that is packed at one time: units [k0, k1) of k, columns [j0, j1). The part consists of panels of
// kTileColumns columns. A panel has its columns unit by unit.
struct Chunk {
  int64_t k0, k1, j0, j1;
  float* packed;

  float* panel(int64_t j, int64_t k) const { return packed + (j - j0) * (k1 - k0) + (k - k0) * kTileColumns; }
};

// The number of values of k in units [k0, k1). The first value is valueOf(k0).
template <class Operands>
FT_INLINE int64_t valueOf(int64_t unit) {
  return unit * Operands::kUnitDepth;
}
template <class Operands>
FT_INLINE int64_t valuesIn(const Product& p, int64_t k0, int64_t k1) {
  return min(valueOf<Operands>(k1), p.k) - valueOf<Operands>(k0);
}

template <class Operands, Order kB>
FT_INLINE void packPanel(const Product& p, int64_t j, int64_t columns, int64_t k0, int64_t k1, float* to) {
  const int64_t k = valueOf<Operands>(k0);
  const int64_t values = valuesIn<Operands>(p, k0, k1);
  const int64_t offset = kB == Order::kRows ? k * p.b.stride + j : j * p.b.stride + k;
  withElementsFrom<Operands>(p.b, offset, [&](const auto* from) __attribute__((always_inline)) {
    if constexpr (kB == Order::kRows)
      copyBlockPadded<Operands>(from, p.b.stride, to, kTileColumns, values, columns);
    else transposeBlockPadded<Operands>(from, p.b.stride, to, kTileColumns, columns, values);
  });
}

template <class Operands, Order kB>
static void packChunk(const Product& p, const Chunk& chunk, Pool& pool) {
  const int64_t panels = divideUp(chunk.j1 - chunk.j0, kTileColumns);
  const int64_t pieces = divideUp(chunk.k1 - chunk.k0, kDepth);
  const int64_t grain = 1 + kThreadWork / 8 / (kDepth * kTileColumns);
  parallelRanges(pool, panels * pieces, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t item = begin; item < end; item++) {
      const int64_t j = chunk.j0 + item / pieces * kTileColumns;
      const int64_t k = chunk.k0 + item % pieces * kDepth;
      packPanel<Operands, kB>(p, j, min(kTileColumns, chunk.j1 - j), k, min(k + kDepth, chunk.k1),
                              chunk.panel(j, k));
    }
  });
}

FT_INLINE Result resultOfPiece(const Product& p, int64_t k) {
  return k > 0 || p.accumulate ? Result::kAdd : Result::kSet;
}

// Prepares the last piece of the tile of C at (i, j).
template <class Operands>
FT_INLINE void addEpilogue(const Product& p, int64_t i, int64_t j, RegisterTile& tile) {
  if (p.bias) tile.bias = p.bias + j;
  if (p.addend) {
    tile.addend = p.addend + i * p.n + j;
    tile.ldAddend = p.n;
    tile.toRead = {tile.addend, p.n};
  }
  if (p.beside.at) tile.toRead = {placeOf<Operands>(p.beside, i, j), floatsToNext<Operands>(p.beside)};
  if (!hasC<Operands>(p)) tile.toWrite = {placeOf<Operands>(p.result, i, j), floatsToNext<Operands>(p.result)};
}

// Floats of a tile of A in a thread's scratch.
template <Order kA>
constexpr int64_t kPackedTile = kA == Order::kRows ? kTileRows * kRowStride : kDepth * kColumnStride;

// Packs units [k0, k1) of rows [i, i + rows) of A.
template <class Operands>
FT_INLINE void packRows(const Product& p, int64_t i, int64_t rows, int64_t k0, int64_t k1, float* to) {
  withElementsFrom<Operands>(p.a, i * p.a.stride + valueOf<Operands>(k0), [&](const auto* from)
                                                                              __attribute__((always_inline)) {
    copyBlock<Operands>(from, p.a.stride, to, kRowStride, rows, valuesIn<Operands>(p, k0, k1));
  });
}

// Number of tiles of A that are packed together, if k runs across A's rows. Several tiles share a cache line, which is
// then read only once.
constexpr int64_t kBlockTiles = 8;
// Units of k of one tile that are packed before the next tile. The cache lines of these units stay in L1 for any
// stride.
constexpr int64_t kUnitsAtATime = 8;
// Floats of all tiles of A in a thread's scratch.
template <Order kA>
constexpr int64_t kPackedTiles = (kA == Order::kRows ? 1 : kBlockTiles) * kPackedTile<kA>;

// Packs units [k0, k1) of tiles [t0, t1) of rows [i0, i1) of A, each tile into kPackedTile floats of `to`. Adds the
// values before rounding to aSums: aSums[i] += Σ over k of a[k · stride + i], where `a` points to the first value of A.
template <class Operands, typename T>
static void packColumns(const Product& p, const T* a, int64_t i0, int64_t i1, int64_t t0, int64_t t1, int64_t k0, int64_t k1,
                        float* to, bool sum) {
  constexpr int kUnitDepth = Operands::kUnitDepth;
  constexpr int64_t kStrips = kColumnStride / kLanes;
  F32 totals[kBlockTiles * kStrips] = {};
  const auto forStrips = [&](auto body) __attribute__((always_inline)) {
    for (int64_t t = t0; t < t1; t++) {
      const int64_t i = i0 + tileBegin(i1 - i0, t);
      const int64_t rows = i0 + tileBegin(i1 - i0, t + 1) - i;
      for (int64_t r = 0; r < rows; r += kLanes)
        body(i + r, static_cast<int>(min(kLanes, rows - r)), to + (t - t0) * kPackedTile<Order::kColumns> + r,
             totals[(t - t0) * kStrips + r / kLanes]);
    }
  };
  for (int64_t k = k0; k < k1; k += kUnitsAtATime) {
    const int64_t kEnd = min(k + kUnitsAtATime, k1);
    const int64_t values = valuesIn<Operands>(p, k, kEnd);
    forStrips([&](int64_t i, int count, float* strip, F32& total) __attribute__((always_inline)) {
      // Loads a whole vector if the row of A is long enough. Values after the tile are not used.
      const int width = i + kLanes <= p.m ? kLanes : count;
      const T* from = a + valueOf<Operands>(k) * p.a.stride + i;
      float* target = strip + (k - k0) * kColumnStride;
      F32 added = total;
      const auto pack = [&](int64_t valuesLeft) __attribute__((always_inline)) {
        F32 unit[kUnitDepth];
        FT_UNROLL
        for (int d = 0; d < kUnitDepth; d++, from += p.a.stride) {
          if (d < valuesLeft) {
            unit[d] = Float32::along(from, width);
            added += unit[d];
          } else {
            unit[d] = F32{};
          }
        }
        if constexpr (kIsNarrow<T>) store(target, Operands::acrossExact(unit));
        else store(target, Operands::across(unit));
        target += kColumnStride;
      };
      int64_t value = 0;
      for (; value + kUnitDepth <= values; value += kUnitDepth) pack(kUnitDepth);
      if (value < values) pack(values - value);
      total = added;
    });
  }
  if (!sum) return;
  forStrips([&](int64_t i, int count, float*, F32& total) __attribute__((always_inline)) {
    float* sums = p.aSums + i;
    if (count == kLanes) store(sums, load(sums) + total);
    else storePartial(sums, loadPartial(sums, count) + total, count);
  });
}

// While a tile is computed, prefetches the part of A that is packed next:
// - by rows: the whole next tile of A, during one sweep over the columns of C;
// - by columns: the next piece of k for all tiles of a block, which share cache lines, during the whole block.
template <class Operands, Order kA>
struct PrefetchOfA {
  const float* at = nullptr;  // null: nothing
  int64_t stride = 0, rows = 0, lines = 0;

  // For tile `t` of rows [i0, i1), in blocks of `blockTiles`, and units [k, kEnd).
  PrefetchOfA(const Product& p, int64_t i0, int64_t i1, int64_t blockTiles, int64_t t, int64_t k, int64_t kEnd,
              const Chunk& chunk) {
    if constexpr (kValuesPerPrefetch == 0) return;
    const int64_t tiles = tileCount(i1 - i0);
    const int64_t block = t / blockTiles * blockTiles;
    const int64_t blockEnd = min(block + blockTiles, tiles);
    const bool sameBlock = kEnd < chunk.k1;
    int64_t first = sameBlock ? block : blockEnd;
    int64_t unit = sameBlock ? kEnd : chunk.k0;
    if (kA == Order::kRows && t + 1 < blockEnd) {
      first = t + 1;
      unit = k;
    }
    if (first >= tiles) return;
    const int64_t values = valuesIn<Operands>(p, unit, min(unit + kDepth, chunk.k1));
    const int64_t i = i0 + tileBegin(i1 - i0, first);
    const int64_t value = valueOf<Operands>(unit);
    const int64_t perLine = kLineFloats * (isNarrow<Operands>(p.a) ? 2 : 1);
    stride = floatsToNext<Operands>(p.a);
    if constexpr (kA == Order::kRows) {
      at = placeOf<Operands>(p.a, i, value);
      rows = kTileRows;
      lines = divideUp(values, perLine);
    } else {
      at = placeOf<Operands>(p.a, value, i);
      rows = values;
      lines = divideUp(tileBegin(i1 - i0, min(first + blockTiles, tiles)) + i0 - i, perLine);
    }
  }

  // The part to prefetch during tile number `index` of the sweep, or of the block.
  PrefetchRows during(int64_t index, const float* otherwise) const {
    constexpr int64_t kLines = kPrefetchLines<kA, Operands>;
    if (kValuesPerPrefetch == 0 || at == nullptr) return {otherwise, 0};
    const int64_t across = divideUp(lines, kLines);
    const int64_t row = index / across * kTileRows;
    if (row >= rows) return {otherwise, 0};
    return {at + row * stride + index % across * kLines * kLineFloats, stride};
  }
};

// Place of a thread's sums if C is not stored. They are the sums of one tile before its epilogue, or of a block of
// tiles between pieces of k.
struct Resting {
  float* sums;  // null: the sums are in C
  int64_t stride;
  bool oneTile;

  template <class Operands>
  static int64_t floats(const Product& p, int64_t units) {
    if (hasC<Operands>(p)) return 0;
    return units <= kDepth ? kTileRows * kTileColumns : kBlockTiles * kTileRows * kSweepColumns;
  }
  Resting(const Product& p, const Chunk& chunk, int64_t sweep, float* scratch)
      : sums(p.c ? nullptr : scratch),
        stride(chunk.k1 - chunk.k0 <= kDepth ? kTileColumns : roundUp(sweep, kTileColumns)),
        oneTile(chunk.k1 - chunk.k0 <= kDepth) {}

  // The sums of tile `t` of a block, from column `j` of the sweep on.
  float* of(int64_t t, int64_t j) const { return oneTile ? sums : sums + t * kTileRows * stride + j; }
};

// Whether an epilogue is applied to whole rows of a sweep (which are still in L1), and not to each tile. Whole rows are
// better if a row of a tile is shorter than a cache line. Otherwise other memory of the epilogue would be read in
// pieces that no CPU prefetches.
template <class Operands>
constexpr bool kEpilogueBySweep = kTileColumns < kLineFloats && !Operands::kTakesNarrow;

// Computes rows [i0, i1) × columns [j0, j1) of C over the chunk's units of k.
template <class Operands, Order kA, class Epilogue>
static void multiplyChunk(const Product& p, const Chunk& chunk, int64_t i0, int64_t i1, int64_t j0, int64_t j1,
                          float* scratch, const Epilogue& epilogue) {
  const bool small = (chunk.k1 - chunk.k0) * (j1 - j0) <= kSweepFloats;
  const int64_t sweep = small ? j1 - j0 : kSweepColumns;
  const int64_t tiles = tileCount(i1 - i0);
  const int64_t blockTiles = small && kA == Order::kRows ? 1 : kBlockTiles;
  const Resting resting(p, chunk, sweep, scratch + kPackedTiles<kA>);
  for (int64_t jBegin = j0; jBegin < j1; jBegin += sweep) {
    const int64_t jEnd = min(jBegin + sweep, j1);
    for (int64_t block = 0; block < tiles; block += blockTiles) {
      const int64_t blockEnd = min(block + blockTiles, tiles);
      for (int64_t k = chunk.k0; k < chunk.k1; k += kDepth) {
        const int64_t kEnd = min(k + kDepth, chunk.k1);
        int64_t tileOfC = 0;
        if constexpr (kA == Order::kColumns)
          withElementsFrom<Operands>(p.a, 0, [&](const auto* a) {
            packColumns<Operands>(p, a, i0, i1, block, blockEnd, k, kEnd, scratch, p.aSums && jBegin == 0);
          });
        for (int64_t t = block; t < blockEnd; t++) {
          if (kA == Order::kRows) tileOfC = 0;
          const int64_t i = i0 + tileBegin(i1 - i0, t);
          const int rows = static_cast<int>(i0 + tileBegin(i1 - i0, t + 1) - i);
          const float* packed = scratch;
          if constexpr (kA == Order::kRows)
            packRows<Operands>(p, i, rows, k, kEnd, scratch);
          else packed += (t - block) * kPackedTile<kA>;
          const bool last = valueOf<Operands>(kEnd) >= p.k;
          const PrefetchOfA<Operands, kA> prefetch(p, i0, i1, blockTiles, t, k, kEnd, chunk);
          for (int64_t j = jBegin; j < jEnd; j += kTileColumns) {
            const int columns = static_cast<int>(min(kTileColumns, jEnd - j));
            float* const c = hasC<Operands>(p) ? p.c + i * p.n + j : resting.of(t - block, j - jBegin);
            const int64_t stride = hasC<Operands>(p) ? p.n : resting.stride;
            RegisterTile tile{rows,   columns,             kEnd - k, packed, chunk.panel(j, k), c,
                              stride, resultOfPiece(p, k), prefetch.during(tileOfC++, scratch)};
            if (last) addEpilogue<Operands>(p, i, j, tile);
            multiply<kA, Operands>(tile);
            if (last && !kEpilogueBySweep<Operands>) applyBlock(epilogue, p.n, i, j, rows, columns, c, stride);
          }
          if (last && kEpilogueBySweep<Operands>)
            applyBlock(epilogue, p.n, i, jBegin, rows, jEnd - jBegin, p.c + i * p.n + jBegin, p.n);
        }
      }
    }
  }
}

// Multiply-adds of one row for which one more thread is worth waking. Each multiply-add reads its own value of B. Half
// of B may fit into a cache that is too small for the whole B.
constexpr int64_t kOneRowWork = kThreadWork / 16;

// Units of k of a panel that are packed between two prefetches of the next panel.
constexpr int64_t kUnitsPerPrefetch = 16;
static_assert(kUnitsPerPrefetch % kLanes == 0, "a panel is packed in whole vectors");

// Few rows, as in generation: B is used only about once. So each thread packs a piece of a panel directly before it
// uses the piece.
template <class Operands, Order kB, class Epilogue>
static void multiplyOneRowTile(const Product& p, Pool& pool, const Epilogue& epilogue) {
  const int64_t panels = divideUp(p.n, kTileColumns);
  const int64_t units = unitsOf<Operands>(p.k);
  const int64_t grain = 1 + kOneRowWork / (p.k * kTileColumns);
  constexpr int64_t kA = kPackedTile<Order::kRows>;
  constexpr int64_t kPanel = kDepth * kTileColumns;
  if (!pool.reserveScratch((kA + kPanel + Resting::floats<Operands>(p, 1)) * int64_t{sizeof(float)})) return;
  const int64_t lineBytes = p.b.stride * (isNarrow<Operands>(p.b) ? 2 : 4);
  const bool streams = kB == Order::kColumns && p.n * lineBytes >= kStreamedBytes;
  parallelParts(pool, panels, grain, [&](int64_t begin, int64_t end, int thread) {
    float* scratch = static_cast<float*>(pool.scratch(thread));
    for (int64_t panel = begin; panel < end; panel++) {
      const int64_t j = panel * kTileColumns;
      const int64_t columns = min(kTileColumns, p.n - j), next = j + columns;
      const int64_t ahead = streams && panel + 1 < end ? min(kTileColumns, p.n - next) * lineBytes : 0;
      StreamPrefetch prefetch(static_cast<const char*>(p.b.at) + (ahead > 0 ? next * lineBytes : 0), ahead,
                              divideUp(units, kUnitsPerPrefetch));
      float* const c = hasC<Operands>(p) ? p.c + j : scratch + kA + kPanel;
      const int64_t stride = hasC<Operands>(p) ? p.n : kTileColumns;
      for (int64_t k = 0; k < units; k += kDepth) {
        const int64_t kEnd = min(k + kDepth, units);
        packRows<Operands>(p, 0, p.m, k, kEnd, scratch);
        for (int64_t unit = k; unit < kEnd; unit += kUnitsPerPrefetch) {
          const int64_t unitEnd = min(unit + kUnitsPerPrefetch, kEnd);
          packPanel<Operands, kB>(p, j, columns, unit, unitEnd, scratch + kA + (unit - k) * kTileColumns);
          prefetch.step();
        }
        RegisterTile tile{static_cast<int>(p.m), static_cast<int>(columns), kEnd - k, scratch, scratch + kA, c,
                          stride,                resultOfPiece(p, k),       {c, 0}};
        if (kEnd == units) addEpilogue<Operands>(p, 0, j, tile);
        multiply<Order::kRows, Operands>(tile);
      }
      applyBlock(epilogue, p.n, 0, j, p.m, columns, c, stride);
    }
  });
}

template <class Operands, Order kA, Order kB, class Epilogue>
static void multiplyAs(Product p, Pool& pool, const Epilogue& epilogue) {
  if constexpr (kA == Order::kRows) {
    if (p.m <= kTileRows) return multiplyOneRowTile<Operands, kB>(p, pool, epilogue);
  }

  const int64_t units = unitsOf<Operands>(p.k);
  static_assert(kChunkDepth<kA> % kDepth == 0, "pieces begin at multiples of kDepth");
  const int64_t depth = min(units, kChunkDepth<kA>);
  const int64_t width = min(roundUp(p.n, kTileColumns), roundUp(kChunkFloats / depth, kTileColumns));
  // Between chunks of k, the sums are stored in a separate C.
  const bool rests = !hasC<Operands>(p) && depth < units;
  float* packed = static_cast<float*>(
      pool.sharedScratch((depth * width + (rests ? p.m * p.n : 0)) * int64_t{sizeof(float)}));
  if (packed != nullptr && rests) p.c = packed + depth * width;
  const int64_t floats = kPackedTiles<kA> + Resting::floats<Operands>(p, units);
  if (packed == nullptr || !pool.reserveScratch(floats * int64_t{sizeof(float)})) return;
  const int64_t work = p.m * p.n * p.k / kThreadWork + 1;
  const Grid grid = gridOver(tileCount(p.m), divideUp(min(p.n, width), kTileColumns),
                             min(pool.threads(), work));
  const int64_t rowTiles = tileCount(p.m);

  for (int64_t k = 0; k < units; k += depth) {
    for (int64_t j = 0; j < p.n; j += width) {
      const Chunk chunk{k, min(k + depth, units), j, min(j + width, p.n), packed};
      packChunk<Operands, kB>(p, chunk, pool);
      const int64_t panels = divideUp(chunk.j1 - chunk.j0, kTileColumns);
      parallelRanges(pool, grid.rows * grid.columns, 1, [&](int64_t begin, int64_t end, int thread) {
        float* scratch = static_cast<float*>(pool.scratch(thread));
        for (int64_t part = begin; part < end; part++) {
          const int64_t row = part / grid.columns;
          const int64_t column = part % grid.columns;
          const int64_t i0 = tileBegin(p.m, rowTiles * row / grid.rows);
          const int64_t i1 = tileBegin(p.m, rowTiles * (row + 1) / grid.rows);
          const int64_t j0 = chunk.j0 + panels * column / grid.columns * kTileColumns;
          const int64_t j1 = min(chunk.j0 + panels * (column + 1) / grid.columns * kTileColumns, chunk.j1);
          if (i0 < i1 && j0 < j1) multiplyChunk<Operands, kA>(p, chunk, i0, i1, j0, j1, scratch, epilogue);
        }
      });
    }
  }
}

template <Order kA, Order kB, class Epilogue = NoEpilogue>
static void multiplyMatrices(const Product& p, bool bfloat16, Pool& pool, const Epilogue& epilogue = {}) {
  if (p.m == 0 || p.n == 0) return;
  if (p.k == 0) return multiplyNothing(p, epilogue);
  if (!bfloat16) return multiplyAs<Float32, kA, kB>(p, pool, epilogue);
  multiplyAs<Bfloat16, kA, kB>(p, pool, epilogue);
}

}  // namespace foretoken::FT_ISA
