// Code for the forward and the backward pass of attention: arguments, blocks, and the layout of operands for the
// register tile. Scores are stored as S[key][query], with queries along the vector. So a maximum or a sum over keys is
// computed vector by vector. Keys are the left operand, and values are the right operand, both with the layout that
// they have in memory. Only queries are transposed.
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

// Number of keys or queries in a block. Blocks begin at multiples of this absolute position, for any part of the
// sequence in a call. So a query sees its keys in the same order and in the same blocks in every call.
constexpr int64_t kBlock = 128;
// Number of queries of a block that are computed together, in whole vectors. Groups begin at multiples of this absolute
// position. Gradients of keys and values are read and written once per group. So a group has at least 16 queries, even
// if vectors are short.
constexpr int64_t kGroup = max(2 * kLanes, 16);
constexpr int64_t kGroups = kBlock / kGroup;
static_assert(kBlock % kGroup == 0 && kGroup % kTileHeight == 0 && kLanes % 4 == 0 && kBlock % kDropoutBlock == 0);

// Rows of a page of keys and values (`pageRows` in src/backend/kernels/sizes.ts). A group of keys lies in one page.
constexpr int64_t kPageRows = 32;
static_assert(kBlock % kPageRows == 0 && kPageRows % kGroup == 0);

// Maximum number of queries for few_queries.h. For more queries, a register tile is faster.
constexpr int64_t kFewQueries = 4;

constexpr float kLn2 = 0.693147181f;
constexpr float kLog2E = 1.44269504f;

FT_INLINE int64_t vectorsOf(int64_t count) { return roundUp(count, kLanes); }
FT_INLINE int64_t tilesOf(int64_t count) { return roundUp(count, kTileHeight); }

// Size of the largest sequence of a call, and whether the call has sequences with few or with many queries.
struct AttentionExtent {
  int64_t queries = 0, keys = 0;        // of the largest sequence
  bool few = false, many = false;       // whether some sequence has few queries; whether some sequence has many queries
};

// The arguments of a call, for one sequence of the call. A sequence is a row of the batch, or a segment.
struct Attention {
  int64_t batch, longest, heads, keyHeads, headDim;
  int64_t group;  // heads that share keys and values
  int64_t queryStride, queryBatchStride, keyStride, keyBatchStride;
  int64_t width;  // headDim rounded up to whole vectors
  bool causal;
  int64_t window;  // a query sees its last `window` keys; without a window, this number is larger than any sequence
  float scale;
  float exponentScale;  // scale · log₂ e, because weights are powers of 2
  bool drops;
  DropoutKey dropoutKey;
  float keptScale;  // 1 / (1 − p)
  const int32_t* segments;
  int64_t rows, keyRows;  // rows of all segments
  const int32_t* pages = nullptr;  // pages of all segments; null in the backward direction
  int64_t pageCount = 0;

  // The sequence.
  int64_t number, queries, start;
  int64_t keys;  // start + queries

  // `args`: arguments of the forward or the backward pass.
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

  // The same call for sequence `b`. If a segment is outside of the rows, the caller made a mistake. The segment is
  // clipped, so that it cannot access memory outside of the arrays.
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

  // Whether a head is the first head, or the last head, of the heads that share its keys and values.
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

  // Whether packing keys would take most of the time, as in generation.
  bool few() const { return queries <= kFewQueries; }

  int64_t outStride() const { return heads * headDim; }
  // Index of the first element of a head of the sequence. queryOf: in q. keyOf: in k and v. outOf: in out. statOf: in
  // logSumExp.
  int64_t queryOf(int64_t head) const {
    return (segments == nullptr ? number * queryBatchStride : firstQuery_ * queryStride) + head * headDim;
  }
  int64_t keyOf(int64_t head) const {
    return (segments == nullptr ? number * keyBatchStride : firstKey_ * keyStride) +
           (group == 1 ? head : head / group) * headDim;
  }
  // Offset of row `key` of k or v from keyOf(), in elements.
  int64_t keyAt(int64_t key) const {
    if (pages == nullptr) return key * keyStride;
    const int64_t page = between(pages[key / kPageRows], keyRows / kPageRows - 1);
    return (page * kPageRows + key % kPageRows) * keyStride;
  }
  // Calls body(at, from, count) for each contiguous run of the keys [begin, end): `count` keys from `begin` + `from`
  // on. The first of these keys is at keyAt() = `at`.
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
  // Index of a head, counted over all sequences.
  int64_t indexOf(int64_t head) const { return number * heads + head; }
  // Row of the dropout mask (see `linearDropoutForward` in src/backend/kernels/linear.ts).
  uint32_t maskRow(int64_t head, int64_t query) const { return static_cast<uint32_t>(indexOf(head) * longest + query); }
  // Number of keys that the last query before position `end` sees without windows. Earlier queries see at most this
  // number.
  int64_t keysSeen(int64_t end) const { return causal ? end : keys; }
  // First key that the query at a position sees.
  int64_t firstSeen(int64_t position) const { return max(position - window + 1, int64_t{0}); }
  // The first position with a query that does not see any key before position `end`.
  int64_t queriesSeeing(int64_t end) const { return end - 1 + window; }
  // Row stride of a left operand with k along headDim.
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

// Rows of the next head. The rows are scattered in memory, so reading each row would take time. A few rows at a time
// are prefetched between the products, because the processor drops prefetches if there are too many at once. prefetch()
// is always inlined: compilers assume that a call that only prefetches has no effect.
struct RowsOfNextHead {
  // Rows to prefetch for each tile of keys. The tiles of a causal block together fetch all its rows.
  static constexpr int64_t kTilesOfBlock = kGroup / kTileHeight * kGroups * (kGroups + 1) / 2;
  static constexpr int64_t kRows = divideUp(kBlock, kTilesOfBlock);

  int64_t row = 0, end = 0;

  template <class Head>
  __attribute__((always_inline)) void prefetch(const Attention& a, const Head& next, int64_t rows) {
    for (; rows > 0 && row < end; rows--, row++) next.prefetch(a, row);
  }
};

// Packs rows of headDim values as units along headDim: to[row][stride]. Sets rows from `rows` to `end` to 0.
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

// Packs rows of headDim values as units across the rows: to[row / kUnitDepth][width]. Sets rows from `rows` to `end` to
// 0.
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

// Packs the queries [first, last) of a group transposed: to[unit][kGroup]. A missing query becomes zeros. `from` points
// to query `first`.
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

// Stores four rows, one vector each, as units across the rows: to[row / kUnitDepth][stride].
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
