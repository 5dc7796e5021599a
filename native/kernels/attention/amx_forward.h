// Attention of bfloat16 by tiles (gemm/amx/tiles.h): a strip of kStripLines queries against all keys that one of them
// sees. Of a head, keys and values are packed once; the scores of one strip are all that is kept.
//
// The order of a query's sums, whatever else is in the call: a score is the tiles' sum over headDim; weights are added to
// their total in two chains a lane, over every other vector of keys; the output is the tiles' sum over keys from 0 on.
#pragma once

#include <cstdint>

#include "../../generated/kernels.h"
#include "../../math.h"
#include "../../parallel.h"
#include "amx_parts.h"
#include "masks.h"
#include "parts.h"

namespace foretoken::FT_ISA {

struct TileForwardScratch {
  float* keys;     // right of queries: strips of keys
  float* values;   // right of weights: strips of headDim
  float* queries;  // a strip
  float* weights;  // a strip
  float* masked;   // a strip of `values` in which what a query does not see is 0
  float* scores;   // [kStripLines][keys in strips]
  uint32_t* kept;  // [words of keys in blocks of the mask][kGroup]: the dropout mask of a strip
  float* out;      // [kStripLines][headDim in strips]
  int64_t floats;  // of all together

  TileForwardScratch(const Attention& a, const AttentionExtent& extent, void* memory) {
    const int64_t strips = stripsOf(a.headDim);
    const int64_t keyUnits = stripsOf(extent.keys) * kStepUnits;
    Scratch scratch{static_cast<float*>(memory)};
    keys = scratch.take(strips * keyUnits);
    values = scratch.take(strips * keyUnits);
    queries = scratch.take(strips * kStepUnits);
    weights = scratch.take(keyUnits);
    masked = scratch.take(keyUnits);
    scores = scratch.take(stripsOf(extent.keys) * kStripLines * kStripLines);
    out = scratch.take(strips * kStripLines * kStripLines);
    kept = reinterpret_cast<uint32_t*>(scratch.take(roundUp(extent.keys, kDropoutBlock) / kWordKeys * kGroup));
    floats = scratch.used;
  }
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
  bool finite = true;  // all values are

  TileForwardHead(const AttentionForwardArgs& args, const Attention& attention, const TileForwardScratch& scratch,
                  int64_t head)
      : a(attention), s(scratch), number(head), dropoutMask(a, args.kept.orNull(), head) {
    q = args.q.as<Narrow>() + a.queryOf(head);
    k = args.k.as<Narrow>() + a.keyOf(head);
    v = args.v.as<Narrow>() + a.keyOf(head);
    out = args.out.as<Narrow>() + a.outOf(head);
    logSumExp = args.logSumExp + a.statOf(head);
  }

  // For queries before number `end`. Returns whether all values are finite.
  bool pack(int64_t end) const {
    const int64_t keys = a.keysSeen(a.start + end);
    if (!a.few()) packRowsOf(a, k, a.keyStride, keys, s.keys);
    packAcrossRows<true>(a, v, a.keyStride, keys, s.values);
    // The last query sees all keys there are.
    return !a.causal || a.queries == 1 || allFinite(v, keys);
  }

  // Queries [begin, begin + rows) of the call, at most kStripLines; `packedKeys` as they were packed.
  void attend(int64_t begin, int64_t rows, int64_t packedKeys, ArraysOfNextHead<4>& next) const {
    const int64_t dSteps = stripsOf(a.headDim);
    const int64_t keys = a.keysSeen(a.start + begin + rows);
    const int64_t keySteps = stripsOf(keys);
    const int64_t stride = keySteps * kStripLines;
    if (a.few()) {
      scoreFew(rows, keys, stride);
    } else {
      const StripOfA queries = stripOfRows(a, q + begin * a.queryStride, a.queryStride, rows, s.queries);
      for (int64_t strip = 0; strip < keySteps; strip++)
        multiplyPackedStrips(queries, s.keys + strip * dSteps * kStepUnits, dSteps, rows, keys - strip * kStripLines,
                             s.scores + strip * kStripLines, stride);
    }

    if (a.drops) draw(begin, rows);
    alignas(64) float maxima[kStripLines] = {}, totals[kStripLines];
    for (float& total : totals) total = 1;
    for (int64_t row = 0; row < rows; row++) {
      next.prefetch();
      softmaxRow(begin + row, row, s.scores + row * stride, keySteps, maxima + row, totals + row);
    }

    const int64_t outStride = dSteps * kStripLines;
    const int64_t valueUnits = stripsOf(packedKeys) * kStepUnits;
    for (int64_t strip = 0; strip < dSteps; strip++) {
      const float* values = s.values + strip * valueUnits;
      float* to = s.out + strip * kStripLines;
      const int64_t columns = a.headDim - strip * kStripLines;
      if (finite) multiplyPackedStrips({s.weights}, values, keySteps, rows, columns, to, outStride);
      else mixMasked(values, begin, rows, columns, to, outStride);
    }

    for (int64_t i = 0; i < kStripLines; i += kLanes) {
      const F32 total = load(totals + i);
      store(maxima + i, fma(load(maxima + i), splat(kLn2), log(total)));
      store(totals + i, splat(a.keptScale) / total);
    }
    std::memcpy(logSumExp + begin, maxima, sizeof(float) * static_cast<size_t>(rows));
    for (int64_t row = 0; row < rows; row++) {
      Narrow* to = out + (begin + row) * a.outStride();
      forVectors(0, a.headDim, [&](int64_t d, auto lanes) {
        store(to + d, load(s.out + row * outStride + d) * totals[row], lanes);
      });
    }
  }

 private:
  // Scores of few queries, all of the call's, with keys as they lie for the left operand: factors may change places.
  void scoreFew(int64_t rows, int64_t keys, int64_t stride) const {
    alignas(64) float sums[kStripLines * kStripLines];
    const I32 across = (I32)laneIndex() * kStripLines;
    packRowsOf(a, q, a.queryStride, rows, s.queries);
    for (int64_t key = 0; key < keys; key += kStripLines) {
      const int64_t count = min(keys - key, kStripLines);
      const StripOfA lines = stripOfRows(a, k + key * a.keyStride, a.keyStride, count, s.keys);
      multiplyPackedStrips(lines, s.queries, stripsOf(a.headDim), count, rows, sums, kStripLines);
      for (int64_t row = 0; row < rows; row++)
        for (int64_t half = 0; half < kStripLines; half += kLanes)
          store(s.scores + row * stride + key + half,
                (F32)_mm512_i32gather_ps((__m512i)across, sums + half * kStripLines + row, sizeof(float)));
    }
  }

  bool allFinite(const Narrow* rows, int64_t count) const {
    I32 wrong{};
    for (int64_t i = 0; i < count; i++)
      forVectors(0, a.headDim, [&](int64_t d, auto lanes) {
        wrong |= ((U32)load(rows + i * a.keyStride + d, lanes) & 0x7F800000u) == 0x7F800000u;
      });
    return sumLanes(wrong != 0 ? splat(1.0f) : F32{}) == 0;
  }

  // Turns the scores of one query into weights 2^(scale · score − maximum), less what is dropped, as a row of `weights`.
  void softmaxRow(int64_t query, int64_t row, const float* scores, int64_t keySteps, float* maximum, float* total) const {
    const int64_t seen = a.keysSeen(a.start + query + 1);
    const F32 scale = splat(a.exponentScale);
    F32 highest[2] = {splat(-kInfinity), splat(-kInfinity)};
    int64_t key = 0;
    for (; key + 2 * kLanes <= seen; key += 2 * kLanes) {
      FT_UNROLL
      for (int i = 0; i < 2; i++) highest[i] = max(load(scores + key + i * kLanes) * scale, highest[i]);
    }
    forVectors(key, seen, [&](int64_t at, auto lanes) {
      highest[0] = max(within(lanes, load(scores + at, lanes) * scale, splat(-kInfinity)), highest[0]);
    });
    const float reference = maxLanes(max(highest[0], highest[1]));
    *maximum = reference;

    float* to = s.weights + row / kTileSide * kTileUnits + row % kTileSide * kTileSide;
    F32 sums[2] = {};
    const auto weigh = [&](int64_t step, bool whole) __attribute__((always_inline)) {
      F32 weights[2];
      FT_UNROLL
      for (int i = 0; i < 2; i++) {
        const int64_t at = step * kStripLines + i * kLanes;
        F32 weight = exp2(fma(load(scores + at), scale, splat(-reference)));
        if (!whole) weight = (I32)laneIndex() < static_cast<int32_t>(seen - at) ? weight : F32{};
        sums[i] += weight;
        weights[i] = weight;
      }
      if (a.drops) storeUnits(to + step * kStepUnits, weights[0], weights[1], s.kept[step * kGroup + row]);
      else storeUnits(to + step * kStepUnits, weights[0], weights[1]);
    };
    const int64_t wholeSteps = seen / kStripLines;
    for (int64_t step = 0; step < wholeSteps; step++) weigh(step, true);
    int64_t step = wholeSteps;
    if (seen % kStripLines != 0) weigh(step++, false);
    for (; step < keySteps; step++) storeUnits(to + step * kStepUnits, F32{}, F32{});
    *total = sumLanes(sums[0] + sums[1]);
  }

  // The dropout mask of queries [begin, begin + rows).
  __attribute__((noinline)) void draw(int64_t begin, int64_t rows) const {
    static_assert(kWordKeys == kStripLines && kGroup == kStripLines, "a word is the mask of a step");
    const DropoutKey dropoutKey = a.dropoutKey;  // no store reaches it: so what depends on it alone is computed once
    const int64_t all = a.keysSeen(a.start + begin + rows);
    if (dropoutMask.words != nullptr) dropoutMask.prefetch(begin, rows, all);
    for (int64_t row = 0; row < rows; row++) {
      const int64_t seen = a.keysSeen(a.start + begin + row + 1);
      for (int64_t key = 0; key < seen; key += kDropoutBlock) {
        const uint64_t bits = keptBits(dropoutKey, a.maskRow(number, begin + row), key);
        uint32_t* const to = s.kept + key / kWordKeys * kGroup + row;
        to[0] = static_cast<uint32_t>(bits);
        to[kGroup] = static_cast<uint32_t>(bits >> kWordKeys);
      }
    }
    if (dropoutMask.words != nullptr) dropoutMask.put(s.kept, begin, rows, 0, all);
  }

  // The output of queries, one by one, where a value is infinite or NaN: what a later token holds must not reach an
  // earlier one, and 0 · ∞ would.
  void mixMasked(const float* values, int64_t begin, int64_t rows, int64_t columns, float* to, int64_t stride) const {
    alignas(64) float sums[kStripLines * kStripLines];
    for (int64_t row = 0; row < rows; row++) {
      const int64_t seen = a.keysSeen(a.start + begin + row + 1);
      const int64_t steps = stripsOf(seen);
      std::memcpy(s.masked, values, sizeof(float) * static_cast<size_t>(steps * kStepUnits));
      for (int64_t key = seen; key < steps * kStripLines; key++) {
        float* pairs = s.masked + (steps - 1) * kStepUnits + key % kStripLines / 2 * kTileSide;
        for (int64_t tile = 0; tile < 2; tile++)
          store(pairs + tile * kTileUnits, (F32)((U32)load(pairs + tile * kTileUnits) & (key % 2 == 0 ? 0u : 0xFFFFu)));
      }
      multiplyPackedStrips({s.weights}, s.masked, steps, rows, columns, sums, kStripLines);
      for (int64_t d = 0; d < kStripLines; d += kLanes)
        store(to + row * stride + d, load(sums + row * kStripLines + d));
    }
  }
};

static void attendForwardByTiles(const AttentionForwardArgs& args, const Attention& call, Pool& pool) {
  const AttentionExtent extent = call.extent();
  if (!pool.reserveScratch(TileForwardScratch(call, extent, nullptr).floats * int64_t{sizeof(float)})) return;
  // By head, or where there are fewer than threads, by strip of a head.
  const int64_t heads = call.batch * call.heads;
  const int64_t parts = heads >= pool.threads() ? 1 : stripsOf(extent.queries);
  const int64_t work = call.headDim * extent.queries * extent.keys / max(parts, 1);
  const int64_t grain = kThreadWork / max(work, 1) + 1;
  parallelRanges(pool, heads * parts, grain, [&](int64_t begin, int64_t end, int thread) {
    const TileForwardScratch scratch(call, extent, pool.scratch(thread));
    const TileScope scope;
    bool packed = false, finite = true;  // the keys and values of the item before
    Attention a = call.sequence(begin / parts / call.heads), after = a;
    for (int64_t item = begin; item < end; item++) {
      const int64_t index = item / parts;
      if (index / call.heads != a.number) a = call.sequence(index / call.heads);
      TileForwardHead head(args, a, scratch, index % call.heads);
      const int64_t strips = stripsOf(a.queries);
      const int64_t first = parts == 1 ? 0 : item % parts;
      const int64_t last = parts == 1 ? strips : min(first + 1, strips);
      const bool shared = packed && parts == 1 && !a.isFirstOfGroup(head.number);
      packed = first < last;
      if (!packed) continue;
      const int64_t queryEnd = min(last * kStripLines, a.queries);
      if (!shared) finite = head.pack(queryEnd);
      head.finite = finite;
      ArraysOfNextHead<4> next = {};
      if (parts == 1 && item + 1 < end) {
        const bool same = (index + 1) / call.heads == a.number;
        if (!same) after = call.sequence(a.number + 1);
        const Attention& its = same ? a : after;
        const TileForwardHead other(args, its, scratch, (index + 1) % call.heads);
        next = {{{other.q, a.queryStride}, {other.k, a.keyStride}, {other.v, a.keyStride}, {other.out, a.outStride()}}};
        next.begin(its.queries, a.headDim, a.queries);
      }
      for (int64_t strip = first; strip < last; strip++) {
        const int64_t query = strip * kStripLines;
        head.attend(query, min(a.queries - query, kStripLines), a.keysSeen(a.start + queryEnd), next);
      }
    }
  });
}

}  // namespace foretoken::FT_ISA
