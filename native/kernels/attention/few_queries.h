// Attention for few queries, as in generation. Most of the time goes into reading the keys and values of all earlier
// positions. A vector has scores of one query. Keys are transposed while they are packed. Values are read in place. All
// sums have the same order as in forward.h, so the bits are equal.
#pragma once

#include <cstdint>

#include "../../generated/kernels.h"
#include "../../math.h"
#include "../../parallel.h"
#include "masks.h"
#include "parts.h"

namespace foretoken::FT_ISA {

// Multiply-adds for which one more thread is worth waking. Each multiply-add reads its own value from memory.
constexpr int64_t kFewWork = int64_t{1} << 16;

// The running maximum and sum of one query, like `maxima` and `totals` in forward.h.
struct RunningSum {
  float maximum, total;
};

// Scratch of one thread, for a block of keys and the queries of all heads that share these keys.
template <class Operands>
struct AttentionFewScratch {
  float* keys;          // [kGroups][units of headDim][kGroup]
  float* queries;       // [group · kFewQueries][alongStride]
  float* weights;       // [kBlock]: scores, then weights
  float* weightsAlong;  // [kBlock]: the weights as units
  float* out;           // [group · kFewQueries][width], unnormalised
  RunningSum* sums;     // [group · kFewQueries]

  static int64_t floats(const Attention& a) {
    const int64_t most = a.group * kFewQueries;
    return kBlock * (a.headDim + 2) + 2 * most * a.width + most * int64_t{sizeof(RunningSum) / sizeof(float)};
  }
  AttentionFewScratch(const Attention& a, void* memory) {
    weights = static_cast<float*>(memory);
    weightsAlong = weights + kBlock;
    queries = weightsAlong + kBlock;
    out = queries + a.group * kFewQueries * a.width;
    keys = out + a.group * kFewQueries * a.width;
    sums = reinterpret_cast<RunningSum*>(keys + kBlock * a.headDim);
  }
};

// Computes the scores of one query with kGroup transposed keys.
template <class Operands>
FT_INLINE void scoreGroup(const float* query, const float* keys, int64_t units, float* scores) {
  using Stored = typename Operands::Stored;
  constexpr int kVectors = kGroup / kLanes;
  F32 sums[kVectors] = {};
  for (int64_t u = 0; u < units; u++) {
    const F32 value = Stored::splatUnit(query + u);
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) sums[v] = Stored::multiplyAdd(value, load(keys + u * kGroup + v * kLanes), sums[v]);
  }
  FT_UNROLL
  for (int v = 0; v < kVectors; v++) store(scores + v * kLanes, sums[v]);
}

// Computes the weights of one query from its scores with keys [oldest, keys). Sets all other weights to zero, from the
// first vector to the end of the last group. Returns the factor for the output of earlier blocks.
FT_INLINE float softmaxAlong(float* scores, int64_t oldest, int64_t keys, float scale, bool first, RunningSum& sum) {
  // With a negative scale, the lowest score has the largest exponent.
  const float sign = scale < 0 ? -1.0f : 1.0f;
  const int64_t begin = oldest / kLanes * kLanes;
  const auto fromOldest = [&](int64_t j, F32 value, F32 before) {
    return (I32)laneIndex() >= static_cast<int32_t>(max(oldest - j, int64_t{0})) ? value : before;
  };
  F32 highest = splat(-kInfinity);
  forVectors(begin, keys, [&](int64_t j, auto lanes) {
    const F32 value = fromOldest(j, load(scores + j) * sign, splat(-kInfinity));
    highest = max(within(lanes, value, splat(-kInfinity)), highest);
  });
  float reference = maxLanes(highest) * sign * scale;
  float factor = 1;
  if (!first) {
    if (sum.maximum > reference) reference = sum.maximum;
    factor = exp2(splat(sum.maximum - reference))[0];
  }
  sum.maximum = reference;

  typedef float F4 __attribute__((vector_size(16)));
  F4 sums{};
  for (int64_t j = begin; j < roundUp(keys, kGroup); j += kLanes) {
    const F32 weight = exp2(fma(load(scores + j), splat(scale), splat(-reference)));
    const F32 seen = fromOldest(j, (I32)laneIndex() < static_cast<int32_t>(keys - j) ? weight : F32{}, F32{});
    store(scores + j, seen);
    F4 quarters[kLanes / 4];
    std::memcpy(quarters, &seen, sizeof quarters);
    for (const F4& quarter : quarters) sums += quarter;
  }
  const float total = (sums[0] + sums[2]) + (sums[1] + sums[3]);
  sum.total = first ? total : fma(splat(sum.total), splat(factor), splat(total))[0];
  return factor;
}

// out[column] = factor · out[column] + Σ over keys of weights · values, for kVectors vectors of columns. From here, a
// row of values has `count` columns. `lastOfFirst`: the query sees only the last key of the first unit.
template <class Operands, int kVectors, typename T>
FT_INLINE void addValues(const float* weights, const T* values, int64_t stride, int64_t keys, int64_t count,
                         bool lastOfFirst, bool first, float factor, float* out) {
  using Stored = typename Operands::Stored;
  F32 sums[kVectors];
  FT_UNROLL
  for (int v = 0; v < kVectors; v++) sums[v] = first ? F32{} : load(out + v * kLanes) * factor;
  const auto add = [&](int64_t key, int64_t rows, bool whole, bool last = false) __attribute__((always_inline)) {
    const F32 weight = Stored::splatUnit(weights + key / Operands::kUnitDepth);
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) {
      const int64_t columns = whole ? kLanes : count - v * kLanes;
      F32 value = loadAcross<Operands>(values + key * stride + v * kLanes, stride, rows, columns);
      if (last) value = Stored::lastOfUnit(value);
      sums[v] = Stored::multiplyAdd(weight, value, sums[v]);
    }
  };
  int64_t key = 0;
  if constexpr (Operands::kUnitDepth > 1) {
    if (lastOfFirst) {
      add(0, Operands::kUnitDepth, false, true);
      key = Operands::kUnitDepth;
    }
  }
  if (count >= kVectors * kLanes)
    for (; key + Operands::kUnitDepth <= keys; key += Operands::kUnitDepth) add(key, Operands::kUnitDepth, true);
  for (; key < keys; key += Operands::kUnitDepth) add(key, keys - key, false);
  FT_UNROLL
  for (int v = 0; v < kVectors; v++) store(out + v * kLanes, sums[v]);
}

// Computes all query heads that share the key and value head `shared`. Keys are packed once for all these heads.
template <class Operands, typename T>
static void attendFewOfGroup(const AttentionForwardArgs& args, const Attention& a,
                             const AttentionFewScratch<Operands>& s, int64_t shared) {
  const int64_t first = shared * a.group;
  const T* k = args.k.as<T>() + a.keyOf(first);
  const T* v = args.v.as<T>() + a.keyOf(first);
  const int64_t units = unitsOf<Operands>(a.headDim);
  const int64_t queryStride = a.alongStride<Operands>();
  for (int64_t member = 0; member < a.group; member++)
    packAlong<Operands>(a, args.q.as<T>() + a.queryOf(first + member), a.queryStride, a.queries, a.queries,
                        s.queries + member * a.queries * queryStride);

  const int64_t oldestOfAll = a.firstSeen(a.start);
  for (int64_t block = oldestOfAll / kBlock * kBlock; block < a.keys; block += kBlock) {
    const int64_t blockKeys = min(a.keys - block, kBlock);
    for (int64_t group = max(oldestOfAll - block, int64_t{0}) / kGroup * kGroup; group < blockKeys; group += kGroup)
      packGroup<Operands>(a, k + a.keyAt(block + group), a.keyStride, 0, min(blockKeys - group, kGroup),
                          s.keys + group * units);
    for (int64_t row = 0; row < a.group * a.queries; row++) {
      const int64_t head = first + row / a.queries, i = row % a.queries;
      const int64_t keys = min(a.keysSeen(a.start + i + 1) - block, kBlock);
      const int64_t oldest = max(a.firstSeen(a.start + i) - block, int64_t{0});
      if (keys <= oldest) continue;
      const bool begins = a.firstSeen(a.start + i) >= block;
      for (int64_t group = oldest / kGroup * kGroup; group < keys; group += kGroup)
        scoreGroup<Operands>(s.queries + row * queryStride, s.keys + group * units, units, s.weights + group);
      const float factor = softmaxAlong(s.weights, oldest, keys, a.exponentScale, begins, s.sums[row]);
      const DropoutMask<uint32_t> dropoutMask(a, args.kept.orNull(), head);
      for (int64_t begin = oldest / kDropoutBlock * kDropoutBlock; a.drops && begin < keys; begin += kDropoutBlock) {
        const uint64_t kept = keptBits(a.dropoutKey, a.maskRow(head, i), block + begin);
        if (dropoutMask.words != nullptr) dropoutMask.putRow(kept, i, block + begin);
        for (int64_t j = 0; j < kDropoutBlock; j += kLanes) {
          float* const weights = s.weights + begin + j;
          store(weights, (F32)((U32)load(weights) & (U32)lanesOf(static_cast<uint32_t>(kept >> j))));
        }
      }
      const int64_t firstUnit = oldest / Operands::kUnitDepth;
      for (int64_t u = firstUnit / kLanes * kLanes; u < unitsOf<Operands>(keys); u += kLanes)
        store(s.weightsAlong + u, Operands::along(s.weights + u * Operands::kUnitDepth, kGroup));
      const int64_t used = firstUnit * Operands::kUnitDepth;
      a.forKeys(block + used, block + keys, [&](int64_t at, int64_t from, int64_t count) __attribute__((always_inline)) {
        const bool leads = from == 0;
        const auto add = [&]<int kVectors>(int64_t d) __attribute__((always_inline)) {
          addValues<Operands, kVectors>(s.weightsAlong + firstUnit + from / Operands::kUnitDepth, v + at + d, a.keyStride,
                                        count, a.headDim - d, leads && used < oldest, leads && begins,
                                        leads ? factor : 1.0f, s.out + row * a.width + d);
        };
        int64_t d = 0;
        for (; d + 4 * kLanes <= a.width; d += 4 * kLanes) add.template operator()<4>(d);
        for (; d + 2 * kLanes <= a.width; d += 2 * kLanes) add.template operator()<2>(d);
        for (; d < a.width; d += kLanes) add.template operator()<1>(d);
      });
    }
  }

  for (int64_t row = 0; row < a.group * a.queries; row++) {
    const int64_t head = first + row / a.queries, i = row % a.queries;
    T* out = args.out.as<T>() + a.outOf(head) + i * a.outStride();
    const float* from = s.out + row * a.width;
    const float factor = a.keptScale / s.sums[row].total;
    forVectors(0, a.headDim, [&](int64_t d, auto lanes) { store(out + d, load(from + d) * factor, lanes); });
    args.logSumExp[a.statOf(head) + i] = fma(splat(s.sums[row].maximum), splat(kLn2), log(splat(s.sums[row].total)))[0];
  }
}

// Computes the sequences with few queries. The caller must reserve the scratch first.
template <class Operands, typename T>
static void attendFew(const AttentionForwardArgs& args, const Attention& call, const AttentionExtent& extent, Pool& pool) {
  const int64_t queries = min(extent.queries, kFewQueries) * call.group;
  const int64_t keys = min(extent.keys, call.window);
  const int64_t grain = 1 + kFewWork / (2 * queries * keys * max(call.headDim, 1));
  parallelRanges(pool, call.batch * call.keyHeads, grain, [&](int64_t begin, int64_t end, int thread) {
    const AttentionFewScratch<Operands> scratch(call, pool.scratch(thread));
    for (int64_t item = begin; item < end; item++) {
      const Attention a = call.sequence(item / call.keyHeads);
      if (a.few() && a.queries > 0) attendFewOfGroup<Operands, T>(args, a, scratch, item % call.keyHeads);
    }
  });
}

}  // namespace foretoken::FT_ISA
