// Attention in bfloat16 by tiles (gemm/amx/tiles.h). A strip of kStripLines queries is combined with all strips of keys
// that one of its queries sees. If the sequence has few queries, as in generation, then a strip has the queries of
// several heads that share their keys and values. Keys and values are packed once for all heads that share them. Only
// the scores of one strip are stored.
// A weight is 2^(scale · score). The maximum of a query's scores is not subtracted first: bfloat16 has the exponent
// range of float32, so no precision is lost. If a query's total is near the limits of this range, its weights are
// computed again, relative to the maximum.
// The order of a query's sums does not depend on other queries in the call. Tiles sum a score over headDim. The weights
// of a strip of keys are added to the total lane by lane, after its two vectors were added to each other. At the end,
// the lanes are added in a tree (sumRows). Tiles sum the output over keys, from the first strip that some query sees.
// (Earlier strips would only add zeros.)
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "../../generated/kernels.h"
#include "../../math.h"
#include "amx_forward_scratch.h"
#include "amx_parts.h"
#include "few_queries.h"
#include "masks.h"
#include "parts.h"

namespace foretoken::FT_ISA {

// One head of a sequence; or, if the sequence has few queries, the first of `heads` heads that are computed together.
struct TileForwardHead {
  const Attention& a;
  const TileForwardScratch& s;
  const Narrow *q, *k, *v;
  Narrow* out;
  float* logSumExp;
  int64_t number, heads;
  uint32_t* kept;

  TileForwardHead(const AttentionForwardArgs& args, const Attention& attention, const TileForwardScratch& scratch,
                  int64_t head, int64_t together = 1)
      : a(attention), s(scratch), number(head), heads(together), kept(args.kept.orNull()) {
    q = args.q.as<Narrow>() + a.queryOf(head);
    k = args.k.as<Narrow>() + a.keyOf(head);
    v = args.v.as<Narrow>() + a.keyOf(head);
    out = args.out.as<Narrow>() + a.outOf(head);
    logSumExp = args.logSumExp + a.statOf(head);
  }

  // Packs keys and values for queries [begin, end).
  PackedKeys pack(int64_t begin, int64_t end) const {
    const int64_t oldest = a.firstSeen(a.start + begin);
    const int64_t firstKey = oldest / kStripLines * kStripLines, keyEnd = a.keysSeen(a.start + end);
    if (!a.few()) packKeys(a, k, firstKey, keyEnd, s.keys);
    packValues(a, v, firstKey, keyEnd, s.values);
    // The last query sees all packed keys, except keys before its window.
    const bool seesAll = oldest == firstKey && (!a.causal || a.queries == 1);
    return {firstKey, keyEnd, seesAll || allFinite(v, firstKey, keyEnd)};
  }

  // Computes queries [begin, end) of each head, at most kStripLines for all heads together.
  void attend(int64_t begin, int64_t end, const PackedKeys& packed, ArraysOfNextHead<4>& next) const {
    const int64_t dSteps = stripsOf(a.headDim), rows = heads * (end - begin);
    const int64_t firstStep = a.firstSeen(a.start + begin) / kStripLines;
    const int64_t packedStep = packed.first / kStripLines, skipped = firstStep - packedStep;
    const int64_t keySteps = stripsOf(a.keysSeen(a.start + end));
    Queries queries{begin, end, rows, firstStep, keySteps, packedStep, {}};
    if (a.few()) packFew(queries);
    else queries.left = stripOfRows(a, q + begin * a.queryStride, a.queryStride, rows, s.queries);
    if (a.drops) draw(queries);
    alignas(64) float references[kStripLines] = {};
    Totals totals;
    weigh(queries, references, totals, next);
    if (!findReferences(queries, totals.exact, references)) weigh(queries, references, totals, next);

    const int64_t outStride = dSteps * kStripLines;
    const int64_t valueUnits = stripsOf(packed.end - packed.first) * kStepUnits;
    for (int64_t strip = 0; strip < dSteps; strip++) {
      const float* values = s.values + strip * valueUnits + skipped * kStepUnits;
      float* to = s.out + strip * kStripLines;
      const int64_t columns = a.headDim - strip * kStripLines;
      if (packed.finite) multiplyPackedStrips({s.weights}, values, keySteps - firstStep, rows, columns, to, outStride);
      else mixMasked(values, queries, columns, to, outStride);
    }

    for (int64_t i = 0; i < kStripLines; i += kLanes) {
      store(references + i, fma(load(references + i), splat(kLn2), log(load(totals.exact + i))));
      store(totals.rounded + i, splat(a.keptScale) / load(totals.rounded + i));
    }
    const int64_t count = end - begin;
    for (int64_t head = 0; head < heads; head++)
      std::memcpy(logSumExp + a.statOf(number + head) - a.statOf(number) + begin, references + head * count,
                  sizeof(float) * static_cast<size_t>(count));
    for (int64_t row = 0; row < rows; row++)
      storeScaled(s.out + row * outStride, a.headDim, totals.rounded[row],
                  out + headOf(queries, row) * a.headDim + queryOf(queries, row) * a.outStride());
  }

 private:
  // A strip of queries: queries [begin, end) of the first head, then the same queries of the next head.
  struct Queries {
    int64_t begin, end;
    int64_t rows;                 // of all heads
    int64_t firstStep, keySteps;  // strips of keys that some query sees: [firstStep, keySteps)
    int64_t packedStep;           // first packed strip
    StripOfA left;                // not used with few queries
  };

  // Sums of weights for each query. The output is a sum over bfloat16 weights, divided by the sum of the same rounded
  // weights. So the rounding errors of the largest weights cancel.
  struct Totals {
    alignas(64) float exact[kStripLines], rounded[kStripLines];
  };

  // The query in a row of a strip, and its head.
  int64_t queryOf(const Queries& queries, int64_t row) const {
    return queries.begin + (heads == 1 ? row : row % (queries.end - queries.begin));
  }
  int64_t headOf(const Queries& queries, int64_t row) const {
    return heads == 1 ? 0 : row / (queries.end - queries.begin);
  }

  // Packs the queries of all heads as the right operand.
  void packFew(const Queries& queries) const {
    Narrow* const to = reinterpret_cast<Narrow*>(s.gathered);
    for (int64_t row = 0; row < queries.rows; row++)
      std::memcpy(to + row * a.headDim, q + headOf(queries, row) * a.headDim + queryOf(queries, row) * a.queryStride,
                  sizeof(Narrow) * static_cast<size_t>(a.headDim));
    packRowsOf(a, to, a.headDim, queries.rows, s.queries);
  }

  float* scoresOf(int64_t step) const { return s.scores + step % 2 * kBlockUnits; }
  // Number of keys that a query sees from strip `step` on. If it is 0 or less, the query sees no keys. If it is at
  // least kStripLines, the query sees the whole strip.
  int64_t seenFrom(int64_t step, int64_t query) const { return a.keysSeen(a.start + query + 1) - step * kStripLines; }
  // Number of keys from strip `step` on that are before the query's window.
  int64_t unseenFrom(int64_t step, int64_t query) const { return a.firstSeen(a.start + query) - step * kStripLines; }
  // Bit i: whether the query sees key i of the strip.
  uint32_t seenBits(int64_t step, int64_t query) const {
    return firstBits(seenFrom(step, query)) & ~firstBits(unseenFrom(step, query));
  }

  // Computes one tile of scores of a strip of keys; storeScores() stores it. Skips a tile that no query sees, except
  // tile 0, which multiplyOneOfFour() always needs.
  template <int kIndex>
  __attribute__((always_inline)) void scoreTile(const Queries& queries, int64_t step) const {
    if (a.few()) {
      if (kIndex == 0) scoreFew(queries, step);
      return;
    }
    const int64_t dSteps = stripsOf(a.headDim);
    if (isSeen<kIndex>(queries, step))
      multiplyOneOfFour<kIndex>(queries.left, s.keys + (step - queries.packedStep) * dSteps * kStepUnits, dSteps);
  }
  template <int kIndex>
  __attribute__((always_inline)) void storeScores(const Queries& queries, int64_t step) const {
    if (!a.few() && isSeen<kIndex>(queries, step)) endSums<kIndex>(scoresOf(step), kStripLines);
  }
  template <int kIndex>
  __attribute__((always_inline)) bool isSeen(const Queries& queries, int64_t step) const {
    constexpr int64_t kRow = kIndex / 2 * kTileSide, kKey = kIndex % 2 * kTileSide;
    if constexpr (kIndex == 0) return true;
    return queries.rows > kRow && seenFrom(step, queries.begin + min(queries.rows, kRow + kTileSide) - 1) > kKey &&
           unseenFrom(step, queries.begin + kRow) < kKey + kTileSide;
  }
  void score(const Queries& queries, int64_t step) const {
    const auto tile = [&](auto index) {
      scoreTile<index>(queries, step);
      storeScores<index>(queries, step);
    };
    tile(std::integral_constant<int, 0>{});
    tile(std::integral_constant<int, 1>{});
    tile(std::integral_constant<int, 2>{});
    tile(std::integral_constant<int, 3>{});
  }

  // Computes scores when the sequence has few queries. Keys are the left operand, unpacked if possible. (The factors of
  // a product may be swapped.)
  __attribute__((noinline)) void scoreFew(const Queries& queries, int64_t step) const {
    alignas(64) float sums[kStripLines * kStripLines];
    const I32 across = (I32)laneIndex() * kStripLines;
    const int64_t rows = queries.rows;
    const int64_t key = step * kStripLines, count = min(a.keysSeen(a.start + queries.end) - key, kStripLines);
    const StripOfA lines = stripOfRows(a, k + a.keyAt(key), a.keyStride, count, s.keys);
    multiplyPackedStrips(lines, s.queries, stripsOf(a.headDim), count, rows, sums, kStripLines);
    for (int64_t row = 0; row < rows; row++)
      for (int64_t half = 0; half < kStripLines; half += kLanes)
        store(scoresOf(step) + row * kStripLines + half,
              (F32)_mm512_i32gather_ps((__m512i)across, sums + half * kStripLines + row, sizeof(float)));
  }

  bool allFinite(const Narrow* rows, int64_t begin, int64_t end) const {
    const __m512i magnitude = _mm512_set1_epi16(0x7FFF);
    __m512i largest = _mm512_setzero_si512();
    a.forKeys(begin, end, [&](int64_t at, int64_t, int64_t run) {
      for (int64_t i = 0; i < run; i++)
        for (int64_t d = 0; d < a.headDim; d += 2 * kLanes) {
          const __m512i values = _mm512_maskz_loadu_epi16(firstBits(a.headDim - d), rows + at + i * a.keyStride + d);
          largest = _mm512_max_epu16(largest, _mm512_and_si512(values, magnitude));
        }
    });
    return _mm512_cmpge_epu16_mask(largest, _mm512_set1_epi16(0x7F80)) == 0;
  }

  // Computes the weights 2^(scale · score − reference) of all queries, without the dropped weights. Also computes the
  // totals of the weights.
  void weigh(const Queries& queries, const float* references, Totals& totals, ArraysOfNextHead<4>& next) const {
    score(queries, queries.firstStep);
    const int64_t last = queries.end - 1;
    for (int64_t step = queries.firstStep; step < queries.keySteps; step++) {
      const auto weighed = [&](auto whole, auto drops) { weighStep<whole, drops>(queries, step, references, next); };
      const auto any = [&](auto whole) { a.drops ? weighed(whole, std::true_type{}) : weighed(whole, std::false_type{}); };
      if (seenFrom(step, queries.begin) >= kStripLines && unseenFrom(step, last) <= 0) any(std::true_type{});
      else any(std::false_type{});
    }
    for (int64_t row = 0; row < kStripLines; row += kLanes) {
      store(totals.exact + row, sumRows(s.sums + row * kLanes));
      store(totals.rounded + row, sumRows(s.rounded + row * kLanes));
    }
  }

  // Computes the weights of one strip of keys, while tiles compute the scores of the next strip. kWhole: every query
  // sees the whole strip.
  template <bool kWhole, bool kDrops>
  __attribute__((noinline)) void weighStep(const Queries& queries, int64_t step, const float* references,
                                           ArraysOfNextHead<4>& next) const {
    constexpr int64_t kRows = kStripLines / 4;
    const F32 scale = splat(a.exponentScale);
    const float* const scores = scoresOf(step);
    float* const to = s.weights + (step - queries.firstStep) * kStepUnits;
    const __mmask16 adds = step > queries.firstStep ? 0xFFFF : 0;
    const uint32_t* const kept = s.kept + (step - maskStep(queries)) * kGroup;
    const auto quarter = [&](auto index) __attribute__((always_inline)) {
      if (step + 1 < queries.keySteps) {
        if constexpr (index > 0) storeScores<index - 1>(queries, step + 1);
        scoreTile<index>(queries, step + 1);
      }
      next.prefetch();
      for (int64_t row = index * kRows; row < min((index + 1) * kRows, queries.rows); row++) {
        const uint32_t sees = kWhole ? ~0u : seenBits(step, queryOf(queries, row));
        F32 weights[2] = {};
        FT_UNROLL
        for (int i = 0; i < 2; i++) {
          const auto lanes = static_cast<__mmask16>(sees >> i * kLanes);
          if (!kWhole && lanes == 0) continue;
          weights[i] = weightExp2<false>(fma(load(scores + row * kStripLines + i * kLanes), scale, splat(-references[row])));
          if constexpr (!kWhole) weights[i] = (F32)_mm512_maskz_mov_ps(lanes, (__m512)weights[i]);
        }
        F32 units = toBfloat16(weights[0], weights[1]);
        float* const sums = s.sums + row * kLanes;
        float* const rounded = s.rounded + row * kLanes;
        store(sums, (F32)_mm512_maskz_loadu_ps(adds, sums) + (weights[0] + weights[1]));
        store(rounded, sumUnits(units, (F32)_mm512_maskz_loadu_ps(adds, rounded)));
        if constexpr (kDrops) units = (F32)_mm512_maskz_mov_epi16(kept[row], (__m512i)units);
        store(to + row / kTileSide * kTileUnits + row % kTileSide * kTileSide, units);
      }
    };
    quarter(std::integral_constant<int, 0>{});
    quarter(std::integral_constant<int, 1>{});
    quarter(std::integral_constant<int, 2>{});
    quarter(std::integral_constant<int, 3>{});
    if (step + 1 < queries.keySteps) storeScores<3>(queries, step + 1);
  }

  // Returns whether all totals are far from the limits of the number range. For a query with a total near a limit, the
  // reference becomes the maximum of scale · score.
  bool findReferences(const Queries& queries, const float* totals, float* references) const {
    constexpr float kLargest = 0x1p64f;
    uint32_t unusual = 0;
    for (int i = 0; i < 2; i++) {
      const F32 total = load(totals + i * kLanes);
      const __mmask16 usual = _mm512_cmp_ps_mask((__m512)total, (__m512)splat(1 / kLargest), _CMP_GT_OQ) &
                              _mm512_cmp_ps_mask((__m512)total, (__m512)splat(kLargest), _CMP_LT_OQ);
      unusual |= (~static_cast<uint32_t>(usual) & 0xFFFFu) << i * kLanes;
    }
    unusual &= firstBits(queries.rows);
    if (unusual == 0) return true;
    for (int64_t row = 0; row < queries.rows; row++) store(s.sums + row * kLanes, splat(-kInfinity));
    for (int64_t step = queries.firstStep; step < queries.keySteps; step++) {
      score(queries, step);
      for (int64_t row = 0; row < queries.rows; row++) {
        const uint32_t bits = seenBits(step, queryOf(queries, row));
        F32 highest = load(s.sums + row * kLanes);
        for (int64_t lane = 0; lane < kStripLines; lane += kLanes) {
          const F32 exponent = load(scoresOf(step) + row * kStripLines + lane) * splat(a.exponentScale);
          const auto sees = static_cast<__mmask16>(bits >> lane);
          highest = max((F32)_mm512_mask_mov_ps((__m512)splat(-kInfinity), sees, (__m512)exponent), highest);
        }
        store(s.sums + row * kLanes, highest);
      }
    }
    for (int64_t row = 0; row < queries.rows; row++)
      if (unusual >> row & 1u) references[row] = maxLanes(load(s.sums + row * kLanes));
    return false;
  }

  // The first strip of keys whose mask words are in `kept`.
  static int64_t maskStep(const Queries& queries) {
    return queries.firstStep / (kDropoutBlock / kStripLines) * (kDropoutBlock / kStripLines);
  }

  // Draws the dropout mask of a strip of queries.
  __attribute__((noinline)) void draw(const Queries& queries) const {
    const int64_t begin = queries.begin, rows = queries.rows, count = queries.end - begin;
    static_assert(kWordKeys == kStripLines && kGroup == kStripLines, "a word is the mask of a step");
    const DropoutKey dropoutKey = a.dropoutKey;  // a local copy: the compiler then knows that no store changes it
    const int64_t first = maskStep(queries) * kStripLines, all = a.keysSeen(a.start + queries.end);
    const auto forStored = [&](auto body) {
      for (int64_t head = 0; kept != nullptr && head < heads; head++) body(DropoutMask<uint32_t>(a, kept, number + head), head);
    };
    forStored([&](const auto& mask, int64_t) { mask.prefetch(begin, count, first, all - first); });
    for (int64_t row = 0; row < rows; row++) {
      const int64_t query = queryOf(queries, row), seen = a.keysSeen(a.start + query + 1);
      for (int64_t key = first; key < seen; key += kDropoutBlock) {
        const uint64_t bits = keptBits(dropoutKey, a.maskRow(number + headOf(queries, row), query), key);
        uint32_t* const to = s.kept + (key - first) / kWordKeys * kGroup + row;
        to[0] = static_cast<uint32_t>(bits);
        to[kGroup] = static_cast<uint32_t>(bits >> kWordKeys);
      }
    }
    forStored([&](const auto& mask, int64_t head) {
      mask.putSeen(a, s.kept + head * count, begin, count, first, 0, all - first);
    });
  }

  // Computes the output query by query, if some value is infinite or NaN. A value that a query does not see must not
  // affect the query, but 0 · ∞ is NaN. `values` begin with the first strip of keys that the queries see.
  void mixMasked(const float* values, const Queries& queries, int64_t columns, float* to, int64_t stride) const {
    alignas(64) float sums[kStripLines * kStripLines];
    const int64_t origin = queries.firstStep * kStripLines;
    const auto clear = [&](int64_t begin, int64_t end) {
      for (int64_t key = begin; key < end; key++) {
        float* pairs = s.masked + key / kStripLines * kStepUnits + key % kStripLines / 2 * kTileSide;
        for (int64_t tile = 0; tile < 2; tile++)
          store(pairs + tile * kTileUnits,
                (F32)((U32)load(pairs + tile * kTileUnits) & (key % 2 == 0 ? 0xFFFF0000u : 0xFFFFu)));
      }
    };
    for (int64_t row = 0; row < queries.rows; row++) {
      const int64_t position = a.start + queryOf(queries, row);
      const int64_t seen = a.keysSeen(position + 1) - origin;
      const int64_t steps = stripsOf(seen);
      std::memcpy(s.masked, values, sizeof(float) * static_cast<size_t>(steps * kStepUnits));
      clear(0, a.firstSeen(position) - origin);
      clear(seen, steps * kStripLines);
      multiplyPackedStrips({s.weights}, s.masked, steps, queries.rows, columns, sums, kStripLines);
      for (int64_t d = 0; d < kStripLines; d += kLanes)
        store(to + row * stride + d, load(sums + row * kStripLines + d));
    }
  }
};

}  // namespace foretoken::FT_ISA
