// y = x · wᵀ with w in blocks of few bits. Rows of x are rounded to 8 bits, in blocks of 32 values with one scale. The
// sum of a block is an integer. The sums of a row's blocks are added in order, from block 0 on. So a row's bits depend
// only on this row and on w.
//
//   total += sum(block) · (scale of w · scale of x)         and for scales with a minimum
//   total += minimum · (sum of x · scale of x)
#pragma once

#include <cstdint>

#include "../../call.h"
#include "../../gemm/stream_prefetch.h"
#include "byte_rows.h"
#include "byte_sums.h"
#include "rows.h"
#include "widen.h"
#if defined(FT_TILES)
#include "linear_tiles.h"
#endif

namespace foretoken::FT_ISA {

// Multiplies one block of a panel by rows [row, row + kRows) of x, and adds the products to the totals.
template <class Form, int kRows>
FT_INLINE void multiplyBlock(const ByteRows& x, const BlockPanel<Form>& weights, int64_t row, int64_t block,
                             F32 (&totals)[kRows][kPanelVectors]) {
  // If the halves of a block have their own scales, there is one sum for each half.
  ByteSums<Form::kBits> parts[Form::kIsHalved ? 2 : 1][kRows];
  FT_UNROLL
  for (int r = 0; r < kRows; r++) {
    const int64_t at = (row + r) * x.blocks + block;
    if constexpr (Form::kIsHalved) {
      parts[0][r].begin(-Form::kOffset * x.halves[2 * at]);
      parts[1][r].begin(-Form::kOffset * x.halves[2 * at + 1]);
    } else {
      parts[0][r].begin(Form::kOffset == 0 ? 0 : -Form::kOffset * x.sums[at]);
    }
  }
  const int8_t* const values = x.values + row * x.k + block * kBlockValues;
  forGroups<Form::kBits>(weights.valuesOf(block), [&](int group, const Line& line) __attribute__((always_inline)) {
    FT_UNROLL
    for (int r = 0; r < kRows; r++) {
      int32_t four;
      std::memcpy(&four, values + r * x.k + group * 4, sizeof four);
      parts[Form::kIsHalved && group >= 4 ? 1 : 0][r].add(line, four);
    }
  });
  FT_UNROLL
  for (int v = 0; v < kPanelVectors; v++) {
    const BlockScaling<Form> scaling(weights, block, v);
    FT_UNROLL
    for (int r = 0; r < kRows; r++) {
      const int64_t at = (row + r) * x.blocks + block;
      I32 sum = parts[0][r].rows(v);
      if constexpr (Form::kIsHalved) sum = scaling.halves[0] * sum + scaling.halves[1] * parts[1][r].rows(v);
      totals[r][v] = addBlock<Form>(sum, scaling, x.scales[at], x.scaledSums[at], totals[r][v]);
    }
  }
}

template <int kRows>
FT_INLINE void storeTotals(const F32 (&totals)[kRows][kPanelVectors], float* sums) {
  FT_UNROLL
  for (int r = 0; r < kRows; r++) {
    FT_UNROLL
    for (int v = 0; v < kPanelVectors; v++) store(sums + r * kPanelRows + v * kLanes, totals[r][v]);
  }
}

// Multiplies rows [row, row + kRows) of x by one panel: sums[kRows][kPanelRows]. With each block, prefetches a part of
// the next panel.
template <class Form, int kRows>
static void multiplyPanel(const ByteRows& x, const BlockPanel<Form>& weights, int64_t row, StreamPrefetch prefetch,
                          float* sums) {
  F32 totals[kRows][kPanelVectors] = {};
  for (int64_t block = 0; block < x.blocks; block++) {
    prefetch.step();
    multiplyBlock<Form, kRows>(x, weights, row, block, totals);
  }
  storeTotals(totals, sums);
}

// Multiplies row `row` of x by kPanels consecutive panels at the same time: sums[kPanels][kPanelRows]. This product waits
// for memory. So with each block of panel i, it prefetches the same number of bytes from ahead[i] on. Memory is faster with
// several streams of addresses, if they are not short: so if `halves`, it prefetches both halves of ahead[i] by turns.
// (Measured on a Xeon: one thread reads 10.5 GB/s in one stream, 13.5 GB/s in 4, and 14.5 GB/s in 8.)
template <class Form, int kPanels>
static void multiplyPanels(const ByteRows& x, const uint8_t* at, int64_t panelBytes, int64_t row,
                           const uint8_t* const (&ahead)[kPanels], bool halves, float* sums) {
  constexpr int64_t kBytes = Form::kValueBytes + Form::kScaleBytes, kCacheLine = 64;
  F32 totals[kPanels][1][kPanelVectors] = {};
  const int64_t half = divideUp(x.blocks, 2);
  for (int64_t block = 0; block < x.blocks; block++) {
    const int64_t prefetched = (halves ? block / 2 + block % 2 * half : block) * kBytes;
    FT_UNROLL
    for (int panel = 0; panel < kPanels; panel++) {
      FT_UNROLL
      for (int64_t line = 0; line < kBytes; line += kCacheLine) __builtin_prefetch(ahead[panel] + prefetched + line, 0, 1);
      multiplyBlock<Form, 1>(x, BlockPanel<Form>(at + panel * panelBytes, x.k), row, block, totals[panel]);
    }
  }
  FT_UNROLL
  for (int panel = 0; panel < kPanels; panel++) storeTotals(totals[panel], sums + panel * kPanelRows);
}

// Where the sums of a panel are written.
template <typename T>
struct BlocksResult {
  T* y;
  int64_t n, stride;
  const float* bias;    // [n] or null
  const float* addend;  // rows `stride` apart, or null

  void take(const float* sums, int64_t panel, int64_t row, int64_t rows) const {
    for (int64_t r = 0; r < rows; r++) {
      for (int64_t v = 0; v < kPanelVectors; v++) {
        const int64_t column = panel * kPanelRows + v * kLanes, at = (row + r) * stride + column;
        const auto put = [&](auto lanes) {
          F32 total = load(sums + r * kPanelRows + v * kLanes);
          if (bias != nullptr) total += load(bias + column, lanes);
          if (addend != nullptr) total += load(addend + at, lanes);
          store(y + at, total, lanes);
        };
        if (n - column >= kLanes) put(All{});
        else if (n > column) put(First{static_cast<int>(n - column)});
      }
    }
  }
};

// Number of rows of x that are multiplied by a panel each time it is read: the maximum for which registers are enough.
constexpr int kRowsTogether = kLanes == 16 ? 8 : kLanes == 8 ? 2 : 1;
// Number of panels that a single row is multiplied by at the same time. It is 1 if instructions limit the product.
constexpr int kPanelsTogether = kLanes >= 8 ? 4 : 1;
// Bytes of a panel whose halves are long enough for two streams of addresses.
constexpr int64_t kLongPanel = 8192;
// Multiply-adds for which one more thread is worth waking.
constexpr int64_t kBlocksWork = int64_t{1} << 16;

// Panels that a thread reads after its part of a product.
struct NextPanels {
  const uint8_t* at = nullptr;
  int64_t bytes = 0, panelBytes = 0;

  NextPanels() = default;
  NextPanels(const BlocksLinearForwardArgs& args, int64_t begin, int64_t end) {
    withBlockForm(args.form, [&]<class Form>(Form) { panelBytes = Form::panelBytes(args.k); });
    at = reinterpret_cast<const uint8_t*>(static_cast<const uint32_t*>(args.w)) + begin * panelBytes;
    bytes = (end - begin) * panelBytes;
  }
};

// Multiplies all rows of x by panels [begin, end) of the weights of `args`. `scratch`: memory for tiles; null if tiles
// are not used.
static void multiplyPart(const BlocksLinearForwardArgs& args, const ByteRows& x, int64_t begin, int64_t end,
                         const NextPanels& next, [[maybe_unused]] void* scratch) {
  const int64_t m = args.m, n = args.n, k = args.k;
  const uint8_t* const w = reinterpret_cast<const uint8_t*>(static_cast<const uint32_t*>(args.w));
  withElements(args.y, [&]<typename T>(T* y) {
    const BlocksResult<T> result{y, n, args.yStride, args.bias.orNull(), args.addend.orNull()};
    withBlockForm(args.form, [&]<class Form>(Form) {
      const int64_t panelBytes = Form::panelBytes(k);
#if defined(FT_TILES)
      if (scratch != nullptr) {
        [[maybe_unused]] const BlockTileScope<Form::kIsHalved> scope;
        const int64_t together = BlockTileScratch::panelsOf(k);
        for (int64_t first = begin; first < end; first += together)
          multiplyPanelsByTiles<Form>(
              x, w + first * panelBytes, min(end - first, together), static_cast<char*>(scratch), m,
              [&](const float* sums, int64_t panel, int64_t row, int64_t rows) { result.take(sums, first + panel, row, rows); });
        return;
      }
#endif
      const bool streams = divideUp(n, kPanelRows) * panelBytes >= kStreamedBytes;
      alignas(64) float sums[max(kRowsTogether, kPanelsTogether) * kPanelRows];
      int64_t panel = begin;
      if (m == 1 && kPanelsTogether > 1) {
        const bool halves = panelBytes >= kLongPanel;
        const auto together = [&]<int kPanels>() {
          for (; panel + kPanels <= end; panel += kPanels) {
            const uint8_t* const at = w + panel * panelBytes;
            const uint8_t* ahead[kPanels];
            for (int i = 0; i < kPanels; i++) {
              const int64_t later = panel + kPanelsTogether + i;
              const int64_t offset = (later - end) * max(panelBytes, next.panelBytes);
              if (later < end) ahead[i] = w + later * panelBytes;
              else if (offset < next.bytes) ahead[i] = next.at + offset;
              else ahead[i] = at + i * panelBytes;  // prefetches nothing new
            }
            multiplyPanels<Form, kPanels>(x, at, panelBytes, 0, ahead, halves, sums);
            for (int i = 0; i < kPanels; i++) result.take(sums + i * kPanelRows, panel + i, 0, 1);
          }
        };
        if constexpr (kPanelsTogether > 2) together.template operator()<4>();
        if constexpr (kPanelsTogether > 1) together.template operator()<2>();
        together.template operator()<1>();
      }
      for (; panel < end; panel++) {
        const uint8_t* const at = w + panel * panelBytes;
        const BlockPanel<Form> weights(at, k);
        const int64_t ahead = streams && panel + 1 < end ? panelBytes : 0;
        int64_t row = 0;
        const auto together = [&]<int kRows>() {
          for (; row + kRows <= m; row += kRows) {
            // The first rows prefetch the next panel. Later rows find this panel in the cache.
            const StreamPrefetch prefetch(at + ahead, row == 0 ? ahead : 0, x.blocks);
            multiplyPanel<Form, kRows>(x, weights, row, prefetch, sums);
            result.take(sums, panel, row, kRows);
          }
        };
        if constexpr (kRowsTogether > 4) together.template operator()<8>();
        if constexpr (kRowsTogether > 2) together.template operator()<4>();
        if constexpr (kRowsTogether > 1) together.template operator()<2>();
        together.template operator()<1>();
      }
    });
  });
}

// Products of the same rows of x.
struct Products {
  Calls all;

  int count() const { return all.count; }
  BlocksLinearForwardArgs operator[](int i) const { return BlocksLinearForwardArgs::of(all.calls[i]); }

  int64_t panels() const {
    int64_t sum = 0;
    for (int i = 0; i < count(); i++) sum += divideUp((*this)[i].n, kPanelRows);
    return sum;
  }
  // Number of panels for which one more thread is worth waking.
  int64_t grain() const {
    const auto first = (*this)[0];
    return max(kBlocksWork / max(first.m * first.k * kPanelRows, 1), 1);
  }

  // The panels that `thread` reads first.
  NextPanels firstOf(int thread, int threads) const {
    if (count() == 0) return {};
    const int64_t sum = panels();
    return panelsOf(partOf(sum, equalGrain(sum, grain(), threads), thread, threads));
  }

  // The panels of `part`, up to the end of the product of the first one.
  NextPanels panelsOf(Part part) const {
    int64_t before = 0;
    for (int i = 0; i < count() && part.begin < part.end; i++) {
      const auto product = (*this)[i];
      const int64_t own = divideUp(product.n, kPanelRows);
      if (part.begin < before + own) return {product, part.begin - before, min(part.end - before, own)};
      before += own;
    }
    return {};
  }
};

// Computes products of the same rows of x. The rows are rounded once, and threads wait for each other once. In
// generation, the products of a layer's queries, keys and values are short. (Measured on a Xeon with two threads and a model
// of 135 million weights: a token takes 2% less time with 8 bits, and 5% less with 4 bits.) Each thread also prefetches the
// first panels that it reads for the products `after` these, and its whole part of them while it waits. It then finishes its
// part early, and computes panels of the other threads. (Measured in the same way: 5% less with 8 bits, and 3% less with 4
// bits.)
static void multiplyBlocks(const Products& now, const Products& after, Pool& pool) {
  const int64_t m = now[0].m, k = now[0].k;
#if defined(FT_TILES)
  // For fewer rows, tiles are not faster.
  const bool tiles = m > kRowsTogether;
  if (tiles && !pool.reserveScratch(BlockTileScratch::panelsOf(k) * BlockTileScratch::bytes(k))) return;
#else
  constexpr bool tiles = false;
#endif
  void* const memory = pool.sharedScratch(ByteRows::bytes(m, k));
  if (memory == nullptr) return;
  const ByteRows x(memory, m, k);
#if defined(FT_TILES)
  if (tiles) x.clearAfter(m);
#endif
  withElements(now[0].x, [&]<typename T>(const T* from) {
    parallelRanges(pool, m, max(8192 / max(k, 1), 1), [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; row++) x.round(from + row * k, row);
    });
  });
  const auto multiplySome = [&](Part panels, Part next, int thread) {
    int64_t first = 0;  // the first panel of this product, among the panels of all products
    for (int i = 0; i < now.count() && first < panels.end; i++) {
      const auto product = now[i];
      const int64_t end = first + divideUp(product.n, kPanelRows);
      const Part own = {max(panels.begin, first), min(panels.end, end)};
      if (own.begin < own.end) {
        const NextPanels ahead = own.end < panels.end   ? now.panelsOf({own.end, panels.end})
                                 : next.begin < next.end ? now.panelsOf(next)
                                                         : after.firstOf(thread, pool.threads());
        multiplyPart(product, x, own.begin - first, own.end - first, ahead, tiles ? pool.scratch(thread) : nullptr);
      }
      first = end;
    }
  };
  if (kPanelsTogether > 1 && !tiles) {
    parallelShared(pool, now.panels(), now.grain(), kPanelsTogether, multiplySome, [&](int thread) {
      const NextPanels next = after.firstOf(thread, pool.threads());
      pool.readAhead(thread, {reinterpret_cast<const char*>(next.at), next.bytes, next.panelBytes});
    });
    return;
  }
  parallelParts(pool, now.panels(), now.grain(), [&](int64_t begin, int64_t end, int thread) {
    multiplySome({begin, end}, {end, end}, thread);
  });
}

// Declared in src/backend/kernels/blocks.ts.
static void blocksLinearForward(const BlocksLinearForwardArgs& args, Pool& pool) {
  const Call call = args.toCall<Call>();
  multiplyBlocks({{&call, 1}}, {{nullptr, 0}}, pool);
}

// The memory of a result: `elements` of buffer `index` of a call.
struct Extent {
  const char *begin, *end;

  Extent(const Call& call, int index, int64_t elements)
      : begin(static_cast<const char*>(call.buffers[index])), end(begin + elements * (call.isNarrow(index) ? 2 : 4)) {}

  bool overlaps(const Extent& other) const { return begin < other.end && other.begin < end; }
};

// The results of a product, and its addend, are rows `yStride` apart.
static int64_t elementsOfRows(const BlocksLinearForwardArgs& args) {
  return args.m == 0 ? 0 : (args.m - 1) * args.yStride + args.n;
}

// Consecutive products of the same rows of x. None of them writes what another one reads or writes.
constexpr Together kBlocksLinearTogether = {
    .joins =
        [](Calls before, const Call& next) {
          const auto argsOf = [](const Call& call) { return BlocksLinearForwardArgs::of(call); };
          const Call& first = before.calls[0];
          const auto one = argsOf(first), other = argsOf(next);
          if (first.buffers[0] != next.buffers[0] || first.isNarrow(0) != next.isNarrow(0)) return false;
          if (one.m != other.m || one.k != other.k || other.addend.orNull() != nullptr) return false;
          const Extent x(next, 0, other.m * other.k), y(next, 4, elementsOfRows(other));
          for (int i = 0; i < before.count; i++) {
            const auto args = argsOf(before.calls[i]);
            const Extent result(before.calls[i], 4, elementsOfRows(args));
            if (result.overlaps(x) || result.overlaps(y)) return false;
            if (other.bias.orNull() != nullptr && result.overlaps(Extent(next, 2, other.n))) return false;
            if (args.bias.orNull() != nullptr && y.overlaps(Extent(before.calls[i], 2, args.n))) return false;
            if (args.addend.orNull() != nullptr && y.overlaps(Extent(before.calls[i], 3, elementsOfRows(args)))) return false;
          }
          return true;
        },
    .run = [](Calls calls, Calls after, Pool& pool) { multiplyBlocks({calls}, {after}, pool); },
};

}  // namespace foretoken::FT_ISA
