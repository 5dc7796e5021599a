// Attention in bfloat16 by tiles (gemm/amx/tiles.h). A strip of kStripLines queries is combined with all strips of keys
// that one of its queries sees. Keys and values are packed once per head. Only the scores of one strip are stored.
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
#include "../../parallel.h"
#include "amx_parts.h"
#include "masks.h"
#include "parts.h"

namespace foretoken::FT_ISA {

struct TileForwardScratch {
  float* keys;     // right operand of queries: strips of keys
  float* values;   // right operand of weights: strips of headDim
  float* queries;  // a strip
  float* weights;  // a strip
  float* masked;   // a strip of `values`, with zeros for values that a query does not see
  float* scores;   // [2][kStripLines][kStripLines]: the scores of this strip of keys, and of the next strip, which tiles compute in the meantime
  float* sums;     // [kStripLines][kLanes]: sums of weights
  float* rounded;  // [kStripLines][kLanes]: sums of weights rounded to bfloat16
  uint32_t* kept;  // [words of keys, in whole mask blocks][kGroup]: the dropout mask of a strip of queries, beginning at its first key
  float* out;      // [kStripLines][headDim in strips]
  int64_t floats;  // total size of all arrays

  TileForwardScratch(const Attention& a, const AttentionExtent& extent, void* memory) {
    const int64_t strips = stripsOf(a.headDim);
    const int64_t keyUnits = stripsOf(packedKeys(a, extent)) * kStepUnits;
    Scratch scratch{static_cast<float*>(memory)};
    keys = scratch.take(strips * keyUnits);
    values = scratch.take(strips * keyUnits);
    queries = scratch.take(strips * kStepUnits);
    weights = scratch.take(keyUnits);
    masked = scratch.take(keyUnits);
    scores = scratch.take(2 * kBlockUnits);
    sums = scratch.take(kStripLines * kLanes);
    rounded = scratch.take(kStripLines * kLanes);
    out = scratch.take(strips * kStripLines * kStripLines);
    kept = reinterpret_cast<uint32_t*>(scratch.take(roundUp(extent.keys, kDropoutBlock) / kWordKeys * kGroup));
    floats = scratch.used;
  }

 private:
  // Maximum number of keys that all queries of a head together see, counted from the beginning of a strip.
  static int64_t packedKeys(const Attention& a, const AttentionExtent& extent) {
    return min(extent.keys, extent.queries + a.window + kStripLines);
  }
};

// The packed keys and values of a head: positions [first, end). `first` is the beginning of a strip.
struct PackedKeys {
  int64_t first = 0, end = 0;
  bool finite = true;  // all values are finite, or every query sees all values
};

// One head of a sequence.
struct TileForwardHead {
  const Attention& a;
  const TileForwardScratch& s;
  const Narrow *q, *k, *v;
  Narrow* out;
  float* logSumExp;
  int64_t number;
  DropoutMask<uint32_t> dropoutMask;

  TileForwardHead(const AttentionForwardArgs& args, const Attention& attention, const TileForwardScratch& scratch,
                  int64_t head)
      : a(attention), s(scratch), number(head), dropoutMask(a, args.kept.orNull(), head) {
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

  // Computes queries [begin, begin + rows) of the call, at most kStripLines.
  void attend(int64_t begin, int64_t rows, const PackedKeys& packed, ArraysOfNextHead<4>& next) const {
    const int64_t dSteps = stripsOf(a.headDim);
    const int64_t firstStep = a.firstSeen(a.start + begin) / kStripLines;
    const int64_t packedStep = packed.first / kStripLines, skipped = firstStep - packedStep;
    const int64_t keySteps = stripsOf(a.keysSeen(a.start + begin + rows));
    Queries queries{begin, rows, firstStep, keySteps, packedStep, {}};
    if (a.few()) packRowsOf(a, q, a.queryStride, rows, s.queries);
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
    std::memcpy(logSumExp + begin, references, sizeof(float) * static_cast<size_t>(rows));
    for (int64_t row = 0; row < rows; row++)
      storeScaled(s.out + row * outStride, a.headDim, totals.rounded[row], out + (begin + row) * a.outStride());
  }

 private:
  // A strip of queries.
  struct Queries {
    int64_t begin, rows;
    int64_t firstStep, keySteps;  // strips of keys that some query sees: [firstStep, keySteps)
    int64_t packedStep;           // first packed strip
    StripOfA left;                // not used with few queries
  };

  // Sums of weights for each query. The output is a sum over bfloat16 weights, divided by the sum of the same rounded
  // weights. So the rounding errors of the largest weights cancel.
  struct Totals {
    alignas(64) float exact[kStripLines], rounded[kStripLines];
  };

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
      if (kIndex == 0) scoreFew(queries.rows, step);
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

  // Computes scores when the whole call has few queries. Keys are the left operand, unpacked if possible. (The factors
  // of a product may be swapped.)
  __attribute__((noinline)) void scoreFew(int64_t rows, int64_t step) const {
    alignas(64) float sums[kStripLines * kStripLines];
    const I32 across = (I32)laneIndex() * kStripLines;
    const int64_t key = step * kStripLines, count = min(a.keysSeen(a.start + rows) - key, kStripLines);
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
    const int64_t last = queries.begin + queries.rows - 1;
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
        const uint32_t sees = kWhole ? ~0u : seenBits(step, queries.begin + row);
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
        const uint32_t bits = seenBits(step, queries.begin + row);
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
    const int64_t begin = queries.begin, rows = queries.rows;
    static_assert(kWordKeys == kStripLines && kGroup == kStripLines, "a word is the mask of a step");
    const DropoutKey dropoutKey = a.dropoutKey;  // a local copy: the compiler then knows that no store changes it
    const int64_t first = maskStep(queries) * kStripLines, all = a.keysSeen(a.start + begin + rows);
    if (dropoutMask.words != nullptr) dropoutMask.prefetch(begin, rows, first, all - first);
    for (int64_t row = 0; row < rows; row++) {
      const int64_t seen = a.keysSeen(a.start + begin + row + 1);
      for (int64_t key = first; key < seen; key += kDropoutBlock) {
        const uint64_t bits = keptBits(dropoutKey, a.maskRow(number, begin + row), key);
        uint32_t* const to = s.kept + (key - first) / kWordKeys * kGroup + row;
        to[0] = static_cast<uint32_t>(bits);
        to[kGroup] = static_cast<uint32_t>(bits >> kWordKeys);
      }
    }
    if (dropoutMask.words != nullptr) dropoutMask.putSeen(a, s.kept, begin, rows, first, 0, all - first);
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
      const int64_t position = a.start + queries.begin + row;
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

static void attendForwardByTiles(const AttentionForwardArgs& args, const Attention& call, Pool& pool) {
  const AttentionExtent extent = call.extent();
  if (!pool.reserveScratch(TileForwardScratch(call, extent, nullptr).floats * int64_t{sizeof(float)})) return;
  // Each thread computes whole heads. If there are fewer heads than threads, each thread computes strips of queries of
  // a head.
  const int64_t heads = call.batch * call.heads;
  const int64_t parts = heads >= pool.threads() ? 1 : stripsOf(extent.queries);
  const int64_t work = call.headDim * extent.queries * min(extent.keys, call.window) / max(parts, 1);
  const int64_t grain = kThreadWork / max(work, 1) + 1;
  parallelRanges(pool, heads * parts, grain, [&](int64_t begin, int64_t end, int thread) {
    const TileForwardScratch scratch(call, extent, pool.scratch(thread));
    const TileScope scope;
    bool attended = false;  // the previous item: its keys and values are packed
    PackedKeys packed;
    Attention a = call.sequence(begin / parts / call.heads), after = a;
    for (int64_t item = begin; item < end; item++) {
      const int64_t index = item / parts;
      if (index / call.heads != a.number) a = call.sequence(index / call.heads);
      const TileForwardHead head(args, a, scratch, index % call.heads);
      const int64_t strips = stripsOf(a.queries);
      const int64_t first = parts == 1 ? 0 : item % parts;
      const int64_t last = parts == 1 ? strips : min(first + 1, strips);
      const bool shared = attended && parts == 1 && !a.isFirstOfGroup(head.number);
      attended = first < last;
      if (!attended) continue;
      if (!shared) packed = head.pack(first * kStripLines, min(last * kStripLines, a.queries));
      ArraysOfNextHead<4> next = {};
      if (parts == 1 && item + 1 < end && a.pages == nullptr) {
        const bool same = (index + 1) / call.heads == a.number;
        if (!same) after = call.sequence(a.number + 1);
        const Attention& its = same ? a : after;
        const TileForwardHead other(args, its, scratch, (index + 1) % call.heads);
        next = {{{other.q, a.queryStride}, {other.k, a.keyStride}, {other.v, a.keyStride}, {other.out, a.outStride()}}};
        const int64_t met = min((a.causal ? strips + 1 : 2 * strips), 2 * (a.window / kStripLines + 1));
        next.begin(its.queries, a.headDim, 4 * strips * met / 2);
      }
      for (int64_t strip = first; strip < last; strip++) {
        const int64_t query = strip * kStripLines;
        head.attend(query, min(a.queries - query, kStripLines), packed, next);
      }
    }
  });
}

}  // namespace foretoken::FT_ISA
