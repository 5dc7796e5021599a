// Attention without a T×T array: blocks of keys with a running maximum and sum (Milakov & Gimelshein 2018; Dao et al.,
// "FlashAttention", 2022). Causal attention skips all scores above the diagonal. Attention also skips blocks of keys
// before the windows of all queries. Declared in src/backend/kernels/kernels.ts. The order of a query's sums does not
// depend on other queries in the call. A score is one chain over headDim. Keys are processed in blocks of kBlock. The
// maximum of a block is found before its weights are added. Weights are added to their total in four chains: a chain
// has every fourth key. Weighted values are added to the output in one chain for each channel. If a query has not yet
// seen a key, its sums stay zero.
#pragma once

#include <cstdint>
#include <cstring>

#include "../../generated/kernels.h"
#include "../../math.h"
#include "../../parallel.h"
#include "few_queries.h"
#include "masks.h"
#include "parts.h"
#if defined(FT_TILES)
#include "amx_forward.h"
#endif

namespace foretoken::FT_ISA {

// Scratch of one thread, for the queries of a block and a block of keys.
template <class Operands>
struct AttentionForwardScratch {
  float* queries;  // [kGroups][units of headDim][kGroup]
  float* keys;     // [kBlock][alongStride]
  float* values;   // [units of kBlock][width]
  float* scores;   // [kBlock][kGroup]: scores of one group, then its weights as units
  uint32_t* kept;  // [kBlockWords][kGroup]: the dropout mask of one group
  float* out;      // [kBlock][width], unnormalised
  float* maxima;   // [kBlock]: running maxima of scores, times exponentScale; at the end: logSumExp
  float* totals;   // [kBlock]: running sums of weights; at the end: the factor for `out`

  static int64_t floats(const Attention& a) {
    return kBlock * (a.headDim + 3 * a.width + kGroup + 2) + kBlockWords * kGroup;
  }
  AttentionForwardScratch(const Attention& a, void* memory) {
    keys = static_cast<float*>(memory);
    values = keys + kBlock * a.width;
    out = values + kBlock * a.width;
    scores = out + kBlock * a.width;
    maxima = scores + kBlock * kGroup;
    totals = maxima + kBlock;
    queries = totals + kBlock;
    kept = reinterpret_cast<uint32_t*>(queries + kBlock * a.headDim);
  }
};

// The highest or lowest score of each query in a vector. The distance between rows of scores is kGroup.
template <bool kHighest>
FT_INLINE F32 extremeColumns(const float* scores, const KeyMask& keyMask, int64_t rows) {
  const auto pick = [](F32 a, F32 b) { return kHighest ? max(a, b) : min(a, b); };
  const F32 none = splat(kHighest ? -kInfinity : kInfinity);
  F32 extremes[4] = {none, none, none, none};
  int64_t key = keyMask.firstRow();
  const auto some = [&](int64_t end) __attribute__((always_inline)) {
    for (; key < end; key++) extremes[0] = pick(keyMask.lanes(key) ? load(scores + key * kGroup) : none, extremes[0]);
  };
  some(min(keyMask.wholeFrom(), rows));
  for (; key + 4 <= keyMask.full; key += 4) {
    FT_UNROLL
    for (int i = 0; i < 4; i++) extremes[i] = pick(load(scores + (key + i) * kGroup), extremes[i]);
  }
  some(rows);
  return pick(pick(extremes[0], extremes[1]), pick(extremes[2], extremes[3]));
}

// Computes units of the weights 2^(scale · score − maximum) from the scores of a vector of queries. The distance
// between rows of scores is kGroup. Adds the weights to `total`, then clears dropped weights. Returns the factor for
// the output of earlier blocks.
template <class Operands>
FT_INLINE F32 softmaxColumns(float* scores, const KeyMask& keyMask, int64_t rows, const uint32_t* kept, float scale,
                             bool first, float* maximum, float* total) {
  F32 reference = scale < 0 ? extremeColumns<false>(scores, keyMask, rows) : extremeColumns<true>(scores, keyMask, rows);
  reference *= scale;
  const F32 none = splat(-kInfinity);  // maximum of a query that has seen no key
  if (keyMask.edge + kLanes > rows) reference = keyMask.lanesBefore(rows) ? reference : none;
  F32 factor = splat(1.0f);
  if (!first) {
    const F32 before = load(maximum);
    reference = max(before, reference);
    factor = before == none ? F32{} : exp2(before - reference);
  }
  store(maximum, reference);

  F32 sums[4] = {};
  int64_t key = keyMask.firstRow();
  const auto weigh = [&](auto seen) __attribute__((always_inline)) {
    F32 weights[4];
    FT_UNROLL
    for (int i = 0; i < 4; i++) {
      const F32 weight = exp2(fma(load(scores + (key + i) * kGroup), splat(scale), -reference));
      weights[i] = seen(key + i, weight);
      sums[i] += weights[i];
    }
    if (kept != nullptr) {
      const U32 words = loadWords(kept + key / kWordKeys * kGroup);
      FT_UNROLL
      for (int i = 0; i < 4; i++) weights[i] = maskedBy(words, key + i, weights[i]);
    }
    storeAcross<Operands>(weights, scores + key / Operands::kUnitDepth * kGroup, kGroup);
  };
  const auto some = [&](int64_t at, F32 weight) __attribute__((always_inline)) { return keyMask.lanes(at) ? weight : F32{}; };
  for (const int64_t end = min(keyMask.wholeFrom(), rows); key < end; key += 4) weigh(some);
  for (; key + 4 <= keyMask.full; key += 4) weigh([](int64_t, F32 weight) { return weight; });
  for (; key < rows; key += 4) weigh(some);
  const F32 sum = (sums[0] + sums[2]) + (sums[1] + sums[3]);
  store(total, first ? sum : fma(load(total), factor, sum));
  return factor;
}

// Pointers to the first row of one head of a sequence.
template <typename T>
struct AttentionForwardHead {
  const T *q, *k, *v;
  T* out;
  float* logSumExp;
  int64_t number, start;
  DropoutMask<uint32_t> dropoutMask;

  AttentionForwardHead(const AttentionForwardArgs& args, const Attention& a, int64_t head)
      : number(head), start(a.start), dropoutMask(a, args.kept.orNull(), head) {
    q = args.q.as<T>() + a.queryOf(head);
    k = args.k.as<T>() + a.keyOf(head);
    v = args.v.as<T>() + a.keyOf(head);
    out = args.out.as<T>() + a.outOf(head);
    logSumExp = args.logSumExp + a.statOf(head);
  }

  __attribute__((always_inline)) void prefetch(const Attention& a, int64_t query) const {
    const int64_t key = start + query;
    prefetchRow(q + query * a.queryStride, a.headDim);
    prefetchRow<true>(out + query * a.outStride(), a.headDim);
    if (a.pages != nullptr) return;  // `a` may be another sequence with other pages
    prefetchRow(k + key * a.keyStride, a.headDim);
    prefetchRow(v + key * a.keyStride, a.headDim);
  }
};

// Computes positions [begin, end) of one head. All these positions are in one block.
template <class Operands, typename T>
struct ForwardBlock {
  const Attention& a;
  const AttentionForwardScratch<Operands>& s;
  const AttentionForwardHead<T>& head;
  const AttentionForwardHead<T>& next;
  int64_t begin, end;
  RowsOfNextHead nextRows = {};

  void run() {
    const int64_t home = begin / kBlock * kBlock;
    const int64_t keyEnd = a.keysSeen(end);
    forGroups([&](int64_t group, int64_t first, int64_t last) {
      packGroup<Operands>(a, head.q + (group + first - a.start) * a.queryStride, a.queryStride, first, last,
                          queriesOf(group));
    });
    const int64_t oldest = a.firstSeen(begin) / kTileHeight * kTileHeight;
    for (int64_t block = oldest / kBlock * kBlock; block < keyEnd; block += kBlock) {
      const int64_t keys = min(keyEnd - block, kBlock), unseen = max(oldest - block, int64_t{0});
      if (keyEnd - block <= kBlock) nextRows = {begin - a.start, end - a.start};
      a.forKeys(block + unseen, block + keys, [&](int64_t at, int64_t after, int64_t count) __attribute__((always_inline)) {
        const int64_t from = unseen + after;
        const int64_t end = from + count == keys ? tilesOf(keys) - from : count;
        packAlong<Operands>(a, head.k + at, a.keyStride, count, end, s.keys + from * a.alongStride<Operands>());
        packAcross<Operands>(a, head.v + at, a.keyStride, count, end, s.values + from / Operands::kUnitDepth * a.width);
      });
      forGroups([&](int64_t group, int64_t first, int64_t last) { attend(block, keys, group, first, last); });
    }
    writeOut(home);
  }

 private:
  // Calls body(group, first, last) for each group. Queries [first, last) of the group are in the call.
  template <typename Body>
  void forGroups(Body body) {
    for (int64_t group = begin / kGroup * kGroup; group < end; group += kGroup)
      body(group, max(begin - group, 0), min(end - group, kGroup));
  }

  float* queriesOf(int64_t group) const { return s.queries + group % kBlock * unitsOf<Operands>(a.headDim); }

  // Adds weighted values to the output of a group: keys [0, blockKeys) of the block at position `block`.
  void attend(int64_t block, int64_t blockKeys, int64_t group, int64_t first, int64_t last) {
    const int64_t inBlock = group % kBlock;
    const bool diagonal = a.causal && group - inBlock == block;
    // The position in the block where the window of the group's first query begins. The window of each later query
    // begins one key later.
    const int64_t edge = group - a.window + 1 - block;
    const int64_t oldest = max(edge + first, int64_t{0});
    if (oldest >= blockKeys) return;
    const bool begins = a.firstSeen(group + first) >= block;
    const int64_t keys = diagonal ? min(inBlock + kGroup, tilesOf(blockKeys)) : blockKeys;
    const int64_t keyStride = a.alongStride<Operands>();
    for (int64_t key = oldest / kTileHeight * kTileHeight; key < keys; key += kTileHeight) {
      nextRows.prefetch(a, next, RowsOfNextHead::kRows);
      // The first vector of queries does not see the keys at the positions of the second vector.
      const int64_t vector = diagonal && key >= inBlock + kLanes ? kLanes : 0;
      multiplyBlock<Operands, LeftOrder::kByRow>(
          {s.keys + key * keyStride, keyStride, queriesOf(group) + vector, kGroup, unitsOf<Operands>(a.headDim),
           s.scores + key * kGroup + vector, kGroup, false},
          kGroup - vector);
    }

    float* out = s.out + inBlock * a.width;
    for (int64_t v = 0; v < kGroup; v += kLanes) {
      if (v >= last || v + kLanes <= first) continue;
      const KeyMask keyMask{diagonal ? inBlock + v : blockKeys, diagonal, edge + v};
      const int64_t rows = diagonal ? min(keyMask.full + kLanes, tilesOf(blockKeys)) : roundUp(blockKeys, 4);
      if (a.drops) {
        const int64_t undrawn = keyMask.firstRow() / kDropoutBlock * kDropoutBlock;
        drawMask(a, a.maskRow(head.number, group + v - a.start), block + undrawn, rows - undrawn,
                 s.kept + undrawn / kWordKeys * kGroup + v);
        const int64_t begin = max(first, v), query = group + begin - a.start;
        if (head.dropoutMask.words != nullptr)
          head.dropoutMask.putSeen(a, s.kept + begin, query, min(last, v + kLanes) - begin, block, undrawn, rows);
      }
      const F32 factor = softmaxColumns<Operands>(s.scores + v, keyMask, rows, a.drops ? s.kept + v : nullptr,
                                                  a.exponentScale, begins, s.maxima + inBlock + v,
                                                  s.totals + inBlock + v);
      if (begins) continue;
      float factors[kLanes];
      store(factors, factor);
      for (int64_t i = 0; i < kLanes; i++) {
        float* row = out + (v + i) * a.width;
        for (int64_t d = 0; d < a.width; d += kLanes) store(row + d, load(row + d) * factors[i]);
      }
    }

    for (int64_t query = 0; query < kGroup; query += kTileHeight) {
      if (query >= last || query + kTileHeight <= first) continue;
      const int64_t units = unitsOf<Operands>(diagonal ? inBlock + query : blockKeys);
      const BlockProduct product{s.scores + query, kGroup, s.values, a.width, units, out + query * a.width, a.width,
                                 !begins};
      if (diagonal) multiplyWindow<Operands, true>(product, edge + query, a.width);
      else multiplyWindow<Operands, false>(product, edge + query, a.width);
    }
  }

  void writeOut(int64_t home) const {
    for (int64_t i = 0; i < kBlock; i += kLanes) {
      const F32 total = load(s.totals + i);
      store(s.maxima + i, fma(load(s.maxima + i), splat(kLn2), log(total)));
      store(s.totals + i, splat(a.keptScale) / total);
    }
    const int64_t row = begin - a.start;
    std::memcpy(head.logSumExp + row, s.maxima + (begin - home), sizeof(float) * static_cast<size_t>(end - begin));
    forVectors(0, a.headDim, [&](int64_t d, auto lanes) {
      const float* from = s.out + (begin - home) * a.width + d;
      T* to = head.out + row * a.outStride() + d;
      for (int64_t i = begin - home; i < end - home; i++, from += a.width, to += a.outStride())
        store(to, load(from) * s.totals[i], lanes);
    });
  }
};

// The blocks of queries of a head, and the number of key blocks for each block of queries. This number is proportional
// to the work.
struct QueryBlocks {
  const Attention& a;
  int64_t first, count, keyBlocksOfAll;

  explicit QueryBlocks(const Attention& attention)
      : a(attention), first(a.start / kBlock), count((a.keys - 1) / kBlock - first + 1), keyBlocksOfAll(0) {
    for (int64_t block = 0; block < count; block++) keyBlocksOfAll += keyBlocks(block);
  }

  int64_t keyBlocks(int64_t block) const {
    if (!a.causal) return first + count;
    const int64_t position = max((first + block) * kBlock, a.start);
    return first + block + 1 - a.firstSeen(position) / kBlock;
  }
};

// Calls body(a) for each sequence with many queries, in order.
template <typename Body>
FT_INLINE void forSequencesOfMany(const Attention& call, Body body) {
  for (int64_t b = 0; b < call.batch; b++) {
    const Attention a = call.sequence(b);
    if (!a.few()) body(a);
  }
}

// Computes the heads of sequences with many queries.
template <class Operands, typename T>
static void attendMany(const AttentionForwardArgs& args, const Attention& call, Pool& pool) {
  int64_t cost = 0, multiplyAdds = 0;
  forSequencesOfMany(call, [&](const Attention& a) {
    cost += a.heads * QueryBlocks(a).keyBlocksOfAll;
    // Twice the mean number of keys that a query sees.
    const int64_t keys = min(2 * a.start + (a.causal ? 1 : 2) * a.queries, 2 * a.window);
    multiplyAdds += a.heads * a.headDim * a.queries * keys;
  });
  const int64_t wanted = multiplyAdds / kThreadWork + 1;
  const int64_t parts = min(wanted, pool.threads());
  parallelRanges(pool, parts, 1, [&](int64_t firstPart, int64_t lastPart, int thread) {
    const AttentionForwardScratch<Operands> scratch(call, pool.scratch(thread));
    int64_t done = 0;
    // The middle of a block decides which part gets the block: the part with this share of the cost.
    const auto partOf = [&](int64_t keyBlocks) { return (2 * done + keyBlocks) * parts / (2 * cost); };
    forSequencesOfMany(call, [&](const Attention& a) {
      const QueryBlocks blocks(a);
      const int64_t ofHead = blocks.keyBlocksOfAll;
      for (int64_t number = 0; number < a.heads; number++) {
        const int64_t lastBlock = 2 * ofHead - blocks.keyBlocks(blocks.count - 1);
        if (partOf(blocks.keyBlocks(0)) >= lastPart || partOf(lastBlock) < firstPart) {
          done += ofHead;
          continue;
        }
        const AttentionForwardHead<T> head(args, a, number);
        const bool last = number + 1 == a.heads;
        const bool follows = last && a.number + 1 < a.batch;
        const AttentionForwardHead<T> next(args, follows ? a.sequence(a.number + 1) : a,
                                           follows ? 0 : number + (last ? 0 : 1));
        for (int64_t block = 0; block < blocks.count; block++) {
          const int64_t part = partOf(blocks.keyBlocks(block));
          done += blocks.keyBlocks(block);
          if (part < firstPart || part >= lastPart) continue;
          const int64_t position = (blocks.first + block) * kBlock;
          ForwardBlock<Operands, T>{a,    scratch,                    head,
                                    next, max(position, a.start), min(position + kBlock, a.keys)}
              .run();
        }
      }
    });
  });
}

// q, k, v and out have elements of type T.
template <class Operands, typename T = float>
static void attendForward(const AttentionForwardArgs& args, const Attention& call, Pool& pool) {
  const AttentionExtent extent = call.extent();
  const int64_t few = extent.few ? AttentionFewScratch<Operands>::floats(call) : 0;
  const int64_t many = extent.many ? AttentionForwardScratch<Operands>::floats(call) : 0;
  if (!pool.reserveScratch(max(few, many) * int64_t{sizeof(float)})) return;
  if (extent.few) attendFew<Operands, T>(args, call, extent, pool);
  if (extent.many) attendMany<Operands, T>(args, call, pool);
}

// Declared in src/backend/kernels/kernels.ts.
static void attentionForward(const AttentionForwardArgs& args, Pool& pool) {
  const Attention call(args);
  if (call.batch == 0 || call.queries == 0 || call.heads == 0) return;
#if defined(FT_TILES)
  if (args.q.narrow()) return attendForwardByTiles(args, call, pool);
#elif defined(FT_NARROW)
  if (args.q.narrow()) return attendForward<Bfloat16, Narrow>(args, call, pool);
#endif
  if (args.bfloat16) attendForward<Bfloat16>(args, call, pool);
  else attendForward<Float32>(args, call, pool);
}

}  // namespace foretoken::FT_ISA
