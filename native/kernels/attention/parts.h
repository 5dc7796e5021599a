// What the two directions of attention share: the arguments, the blocks, and how operands are laid out for the
// register tile.
//
// Scores lie with the queries along the vector, S[key][query]. So a maximum or a sum over keys is taken vector by
// vector, keys are the left operand as they lie in memory, values the right one, and only queries are transposed.
#pragma once

#include <cstdint>
#include <cstring>

#include "../../gemm/pack.h"
#include "../../gemm/register_tile.h"
#include "../../generated/kernels.h"
#include "../../lanes.h"
#include "../../math.h"
#include "../../random.h"
#include "../../simd.h"
#include "register_tile.h"

namespace foretoken::FT_ISA {

// Keys and queries go in blocks that begin at multiples of this absolute position, whatever part of the sequence a
// call computes: so a query meets its keys in the same order and the same blocks in every call.
constexpr int64_t kBlock = 128;
// Queries of a block that are computed together, in whole vectors; groups begin at multiples of this absolute position. Gradients
// of keys and values are read and written once a group, so short vectors share one.
constexpr int64_t kGroup = max(2 * kLanes, 16);
constexpr int64_t kGroups = kBlock / kGroup;
static_assert(kBlock % kGroup == 0 && kGroup % kTileHeight == 0 && kLanes % 4 == 0 && kBlock % kDropoutBlock == 0);

// Rows of a page of keys and values (`pageRows` in src/backend/kernels/sizes.ts): a group of keys lies in one page.
constexpr int64_t kPageRows = 32;
static_assert(kBlock % kPageRows == 0 && kPageRows % kGroup == 0);

// More queries are worth a tile of the register.
constexpr int64_t kFewQueries = 4;

constexpr float kLn2 = 0.693147181f;
constexpr float kLog2E = 1.44269504f;

FT_INLINE int64_t vectorsOf(int64_t count) { return roundUp(count, kLanes); }
FT_INLINE int64_t tilesOf(int64_t count) { return roundUp(count, kTileHeight); }

// The largest of a call's sequences, and which kinds there are.
struct AttentionExtent {
  int64_t queries = 0, keys = 0;        // of the largest
  bool few = false, many = false;       // whether any has few queries, and whether any has more
};

// A call, as seen from one of its sequences: a row of the batch, or a segment.
struct Attention {
  int64_t batch, longest, heads, keyHeads, headDim;
  int64_t group;  // heads that share keys and values
  int64_t queryStride, queryBatchStride, keyStride, keyBatchStride;
  int64_t width;  // headDim in whole vectors
  bool causal;
  int64_t window;  // a query sees the last so many of its keys: where it sees all, more than there can be
  float scale;
  float exponentScale;  // scale · log₂ e: weights are powers of 2
  bool drops;
  DropoutKey dropoutKey;
  float keptScale;  // 1 / (1 − p)
  const int32_t* segments;
  int64_t rows, keyRows;  // of all segments
  const int32_t* pages = nullptr;  // of all segments; of the backward direction there are none
  int64_t pageCount = 0;

  // Of the sequence.
  int64_t number, queries, start;
  int64_t keys;  // start + queries

  // `args` of either direction.
  template <typename Args>
  explicit Attention(const Args& args)
      : batch(args.batch),
        longest(args.queries),
        heads(args.heads),
        keyHeads(args.keyHeads),
        headDim(args.headDim),
        group(keyHeads > 0 ? heads / keyHeads : 0),
        queryStride(args.queryStride),
        queryBatchStride(args.queryBatchStride),
        keyStride(args.keyStride),
        keyBatchStride(args.keyBatchStride),
        width(vectorsOf(headDim)),
        causal(args.causal != 0),
        window(causal && args.window > 0 ? args.window : kNoWindow),
        scale(static_cast<float>(args.scale)),
        exponentScale(static_cast<float>(args.scale * 1.4426950408889634)),
        drops(args.p > 0),
        dropoutKey(dropoutKeyOf(args)),
        keptScale(drops ? static_cast<float>(1.0 / (1.0 - args.p)) : 1.0f),
        segments(args.segments.orNull()),
        rows(args.rows),
        keyRows(args.keyRows),
        number(0),
        queries(args.queries),
        start(args.start),
        keys(start + queries) {
    if constexpr (requires { args.pages; }) {
      pages = args.pages.orNull();
      pageCount = args.pageCount;
    }
  }

  // The same call, seen from sequence `b`. A segment that lies outside of the rows, which the caller should not have passed,
  // must not reach memory that is not ours.
  Attention sequence(int64_t b) const {
    Attention a = *this;
    a.number = b;
    if (segments == nullptr) return a;
    const int32_t* const segment = segments + 4 * b;
    a.firstQuery_ = between(segment[0], rows);
    int64_t room;  // for keys
    if (pages == nullptr) {
      a.firstKey_ = between(segment[2], keyRows);
      room = keyRows - a.firstKey_;
    } else {
      const int64_t first = between(segment[2], pageCount);
      a.pages = pages + first;
      room = keyRows < kPageRows ? 0 : (pageCount - first) * kPageRows;
    }
    a.queries = between(segment[1], min(longest, min(rows - a.firstQuery_, room)));
    a.start = between(segment[3], room - a.queries);
    a.keys = a.start + a.queries;
    return a;
  }

  // Whether a head is the first, or the last, of those that share its keys and values.
  bool isFirstOfGroup(int64_t head) const { return group == 1 || head % group == 0; }
  bool isLastOfGroup(int64_t head) const { return group == 1 || head % group == group - 1; }

  AttentionExtent extent() const {
    AttentionExtent e;
    for (int64_t b = 0; b < (segments == nullptr ? min(batch, 1) : batch); b++) {
      const Attention a = sequence(b);
      e.queries = max(e.queries, a.queries);
      e.keys = max(e.keys, a.keys);
      (a.few() ? e.few : e.many) |= a.queries > 0;
    }
    return e;
  }

  // Whether packing keys would be most of the work, as in decoding.
  bool few() const { return queries <= kFewQueries; }

  int64_t outStride() const { return heads * headDim; }
  // Where the first rows of a head of the sequence begin: in q, in k and v, in out and in logSumExp.
  int64_t queryOf(int64_t head) const {
    return (segments == nullptr ? number * queryBatchStride : firstQuery_ * queryStride) + head * headDim;
  }
  int64_t keyOf(int64_t head) const {
    return (segments == nullptr ? number * keyBatchStride : firstKey_ * keyStride) +
           (group == 1 ? head : head / group) * headDim;
  }
  // Where row `key` of k or v lies, in elements from keyOf().
  int64_t keyAt(int64_t key) const {
    if (pages == nullptr) return key * keyStride;
    const int64_t page = between(pages[key / kPageRows], keyRows / kPageRows - 1);
    return (page * kPageRows + key % kPageRows) * keyStride;
  }
  // Calls body(at, from, count) for runs of keys [begin, end) that lie in a row: `count` keys from `begin` + `from` on, the first
  // of them at keyAt() = `at`.
  template <typename Body>
  __attribute__((always_inline)) void forKeys(int64_t begin, int64_t end, Body body) const {
    if (pages == nullptr) return body(keyAt(begin), int64_t{0}, end - begin);
    for (int64_t key = begin; key < end;) {
      const int64_t count = min(kPageRows - key % kPageRows, end - key);
      body(keyAt(key), key - begin, count);
      key += count;
    }
  }
  int64_t outOf(int64_t head) const {
    return (segments == nullptr ? number * queries : firstQuery_) * outStride() + head * headDim;
  }
  int64_t statOf(int64_t head) const {
    return segments == nullptr ? indexOf(head) * queries : head * rows + firstQuery_;
  }
  // A head's number among those of all sequences.
  int64_t indexOf(int64_t head) const { return number * heads + head; }
  // The row of the dropout mask (see `linearDropoutForward` in src/backend/kernels/linear.ts).
  uint32_t maskRow(int64_t head, int64_t query) const { return static_cast<uint32_t>(indexOf(head) * longest + query); }
  // How many keys the queries before position `end` see, but for the window: those of the last.
  int64_t keysSeen(int64_t end) const { return causal ? end : keys; }
  // The first key that the query at a position sees.
  int64_t firstSeen(int64_t position) const { return max(position - window + 1, int64_t{0}); }
  // The queries from which on none sees a key before position `end`, as their position.
  int64_t queriesSeeing(int64_t end) const { return end - 1 + window; }
  // From row to row of a left operand over headDim.
  template <class Operands>
  int64_t alongStride() const {
    return vectorsOf(unitsOf<Operands>(headDim));
  }

 private:
  static constexpr int64_t kNoWindow = int64_t{1} << 40;

  static int64_t between(int64_t value, int64_t most) { return value < 0 ? 0 : min(value, most); }

  int64_t firstQuery_ = 0, firstKey_ = 0;
};

template <bool kToWrite = false, typename T>
FT_INLINE void prefetchRow(const T* row, int64_t headDim) {
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t d = 0; d < headDim; d += kLine) __builtin_prefetch(row + d, kToWrite, 2);
}

// Rows of the next head, which lie apart and would be waited for one by one. They are prefetched a few at a time between
// the products: the processor drops what is too much at once. Inlined always, since compilers take a call that does
// nothing else for one without effect.
struct RowsOfNextHead {
  // How many at each tile of keys: so many that the tiles of a causal block come to all of its rows.
  static constexpr int64_t kTilesOfBlock = kGroup / kTileHeight * kGroups * (kGroups + 1) / 2;
  static constexpr int64_t kRows = divideUp(kBlock, kTilesOfBlock);

  int64_t row = 0, end = 0;

  template <class Head>
  __attribute__((always_inline)) void prefetch(const Attention& a, const Head& next, int64_t rows) {
    for (; rows > 0 && row < end; rows--, row++) next.prefetch(a, row);
  }
};

// Packs rows of headDim values as units along headDim: to[row][stride]. Rows from `rows` to `end` become 0.
template <class Operands, typename T>
FT_INLINE void packAlong(const Attention& a, const T* from, int64_t fromStride, int64_t rows, int64_t end,
                         float* to) {
  const int64_t stride = a.alongStride<Operands>();
  for (int64_t u = 0; u < stride; u += kLanes) {
    const T* source = from + u * Operands::kUnitDepth;
    const int64_t count = a.headDim - u * Operands::kUnitDepth;
    for (int64_t i = 0; i < rows; i++, source += fromStride) store(to + i * stride + u, Operands::along(source, count));
    for (int64_t i = rows; i < end; i++) store(to + i * stride + u, F32{});
  }
}

// The same as units across the rows: to[row / kUnitDepth][width].
template <class Operands, typename T>
FT_INLINE void packAcross(const Attention& a, const T* from, int64_t fromStride, int64_t rows, int64_t end,
                          float* to) {
  constexpr int kDepth = Operands::kUnitDepth;
  int64_t d = 0;
  if constexpr (kIsNarrow<T>) {
    for (; a.headDim - d >= 2 * kLanes; d += 2 * kLanes) {
      const T* source = from + d;
      float* target = to + d;
      int64_t i = 0;
      for (; i + kDepth <= rows; i += kDepth, source += kDepth * fromStride, target += a.width)
        Operands::acrossTwo(source, source + fromStride, target);
      for (; i < end; i += kDepth, target += a.width) {
        for (int64_t v = 0; v < 2 * kLanes; v += kLanes)
          store(target + v, i < rows ? loadAcross<Operands>(source + v, fromStride, rows - i, kLanes) : F32{});
      }
    }
  }
  for (; d < a.width; d += kLanes) {
    const T* source = from + d;
    float* target = to + d;
    const int64_t count = a.headDim - d;
    for (int64_t i = 0; i < rows; i += kDepth, source += kDepth * fromStride, target += a.width)
      store(target, loadAcross<Operands>(source, fromStride, rows - i, count));
    for (int64_t i = unitsOf<Operands>(rows) * kDepth; i < end; i += kDepth, target += a.width) store(target, F32{});
  }
}

// The queries [first, last) of a group, transposed: to[unit][kGroup], zeros where there is no query. `from` is where the
// first of them lies.
template <class Operands, typename T>
FT_INLINE void packGroup(const Attention& a, const T* from, int64_t stride, int64_t first, int64_t last, float* to) {
  for (int64_t begin = 0; begin < kGroup; begin += kLanes) {
    const T* rows = from + (begin - first) * stride;
    const bool whole = first <= begin && begin + kLanes <= last;
    for (int64_t u = 0; u < unitsOf<Operands>(a.headDim); u += kLanes) {
      const int64_t d = u * Operands::kUnitDepth;
      float* target = to + u * kGroup + begin;
      F32 block[kLanes];
      if (whole) {
        FT_UNROLL
        for (int r = 0; r < kLanes; r++) block[r] = Operands::along(rows + r * stride + d, a.headDim - d);
      } else {
        for (int64_t r = 0; r < kLanes; r++) {
          const bool present = first <= begin + r && begin + r < last;
          block[r] = present ? Operands::along(rows + r * stride + d, a.headDim - d) : F32{};
        }
      }
      transpose(block);
      const int64_t units = min(unitsOf<Operands>(a.headDim) - u, kLanes);
      if (units == kLanes) {
        FT_UNROLL
        for (int r = 0; r < kLanes; r++) store(target + r * kGroup, block[r]);
      } else {
        for (int64_t r = 0; r < units; r++) store(target + r * kGroup, block[r]);
      }
    }
  }
}

// to[row] = factor · from[row][width] for `rows` rows of a head.
template <typename T>
FT_INLINE void writeRows(const Attention& a, const float* from, int64_t rows, float factor, T* to, int64_t stride) {
  forVectors(0, a.headDim, [&](int64_t d, auto lanes) {
    const float* source = from + d;
    T* target = to + d;
    for (int64_t i = 0; i < rows; i++, source += a.width, target += stride) store(target, load(source) * factor, lanes);
  });
}

// Four rows of a vector each as units across them: to[row / kUnitDepth][stride].
template <class Operands>
FT_INLINE void storeAcross(const F32 (&rows)[4], float* to, int64_t stride) {
  constexpr int kDepth = Operands::kUnitDepth;
  FT_UNROLL
  for (int i = 0; i < 4; i += kDepth) {
    F32 values[kDepth];
    FT_UNROLL
    for (int j = 0; j < kDepth; j++) values[j] = rows[i + j];
    store(to + i / kDepth * stride, Operands::across(values));
  }
}

}  // namespace foretoken::FT_ISA
