// Gradients of attention of bfloat16 by tiles; the formulas are those of backward.h. Of a pair of a strip of keys
// and a strip of queries there are scores and dOut·Vᵀ with the queries along the vector, S[key][query]; from them come P∘M
// and dS as operands. A strip of keys meets all queries that see it, and then its dV and dK are one product each; dQ is
// added up from strip to strip, transposed.
#pragma once

#include <cstdint>
#include <type_traits>

#include "../../generated/kernels.h"
#include "../../math.h"
#include "../../parallel.h"
#include "amx_parts.h"
#include "masks.h"

namespace foretoken::FT_ISA {

// Keys that share the dropout mask's counters: two strips.
constexpr int64_t kMaskStrips = kDropoutBlock / kStripLines;
static_assert(kGroup == kStripLines && kWordKeys == kStripLines, "a group's words are the mask of a pair of strips");

struct TileBackwardScratch {
  int64_t strips;   // of headDim
  int64_t qStrips;  // of queries, which are as many as keys

  float* keys;             // left of queryColumns: as many strips as share the mask's counters
  float* values;           // left of gradientColumns: the same
  float* keysAcross;       // left of dS: strips of headDim
  float* queryColumns;     // strips of queries
  float* gradientColumns;  // strips of queries: dOut
  float* queriesAcross;    // right of dSᵀ: strips of headDim
  float* gradientsAcross;  // right of P: strips of headDim
  float* scores;           // [kStripLines][kStripLines]
  float* dWeights;         // [kStripLines][kStripLines]
  float* weights;          // P∘M but for its factor: strips of keys, with all queries
  float* dScores;          // dSᵀ: strips of keys, with all queries
  float* dScoresAcross;    // dS: a strip of queries, with a strip of keys
  uint32_t* kept;          // [kMaskStrips][kGroup]: the dropout mask
  float* dQueries;         // [strips of queries][headDim in strips][kStripLines]
  float* dKeys;            // [kStripLines][headDim in strips]: dK of a strip; where heads share keys, of all strips
  float* dValues;          // the same: dV
  float* exponents;        // [queries]: logSumExp · log₂ e
  float* deltas;           // [queries]: scale · rowsum(dOut∘out)

  int64_t floats;          // of all together

  TileBackwardScratch(const Attention& a, const AttentionExtent& extent, void* memory)
      : strips(stripsOf(a.headDim)), qStrips(stripsOf(extent.queries)) {
    Scratch s{static_cast<float*>(memory)};
    const int64_t all = strips * qStrips * kStepUnits;
    keys = s.take(kMaskStrips * strips * kStepUnits);
    values = s.take(kMaskStrips * strips * kStepUnits);
    keysAcross = s.take(all);
    queryColumns = s.take(all);
    gradientColumns = s.take(all);
    queriesAcross = s.take(all);
    gradientsAcross = s.take(all);
    scores = s.take(kStripLines * kStripLines);
    dWeights = s.take(kStripLines * kStripLines);
    weights = s.take(kMaskStrips * qStrips * kStepUnits);
    dScores = s.take(kMaskStrips * qStrips * kStepUnits);
    dScoresAcross = s.take(kStepUnits);
    kept = reinterpret_cast<uint32_t*>(s.take(kMaskStrips * kGroup));
    dQueries = s.take(qStrips * strips * kStripLines * kStripLines);
    const int64_t keyStrips = a.group > 1 ? qStrips : 1;
    dKeys = s.take(keyStrips * strips * kStripLines * kStripLines);
    dValues = s.take(keyStrips * strips * kStripLines * kStripLines);
    exponents = s.take(qStrips * kStripLines);
    deltas = s.take(qStrips * kStripLines);
    floats = s.used;
  }
};

// Which queries of a strip see which keys of another: those that exist, and on the diagonal those that come no earlier.
struct PairMask {
  int64_t keys, queries;
  bool diagonal;

  bool all() const { return keys == kStripLines && queries == kStripLines && !diagonal; }
  I32 lanes(int64_t key, int64_t firstQuery) const {
    const int64_t first = key >= keys ? kStripLines : diagonal ? key : 0;
    const I32 query = (I32)laneIndex() + static_cast<int32_t>(firstQuery);
    return (query >= static_cast<int32_t>(first)) & (query < static_cast<int32_t>(queries));
  }
};

// One head of a sequence.
struct TileBackwardHead {
  const Attention& a;
  const TileBackwardScratch& s;
  const Narrow *dOut, *q, *k, *v, *out;
  const float* logSumExp;
  Narrow *dq, *dk, *dv;
  int64_t number;
  int64_t qStrips;  // of the sequence
  bool first, last;  // of those that share keys and values
  DropoutMask<const uint32_t> dropoutMask;

  TileBackwardHead(const AttentionBackwardArgs& args, const Attention& attention, const TileBackwardScratch& scratch,
                   int64_t head)
      : a(attention),
        s(scratch),
        number(head),
        qStrips(stripsOf(a.queries)),
        first(a.isFirstOfGroup(head)),
        last(a.isLastOfGroup(head)),
        dropoutMask(a, args.kept.orNull(), head) {
    dOut = args.dOut.as<Narrow>() + a.outOf(head);
    q = args.q.as<Narrow>() + a.queryOf(head);
    k = args.k.as<Narrow>() + a.keyOf(head);
    v = args.v.as<Narrow>() + a.keyOf(head);
    out = args.out.as<Narrow>() + a.outOf(head);
    logSumExp = args.logSumExp + a.statOf(head);
    dq = args.dq.as<Narrow>() + a.queryOf(head);
    dk = args.dk.as<Narrow>() + a.keyOf(head);
    dv = args.dv.as<Narrow>() + a.keyOf(head);
  }

  void run(ArraysOfNextHead<8>& next) const {
    pack();
    for (int64_t strip = 0; strip < qStrips; strip += kMaskStrips) meetQueries(strip, next);
    for (int64_t strip = 0; strip < qStrips; strip++) writeTransposed(strip);
  }

 private:
  int64_t queriesIn(int64_t strip) const { return min(a.queries - strip * kStripLines, kStripLines); }

  void pack() const {
    if (first) packAcrossRows(a, k, a.keyStride, a.queries, s.keysAcross);
    packRowsOf(a, q, a.queryStride, a.queries, s.queryColumns);
    packRowsOf(a, dOut, a.outStride(), a.queries, s.gradientColumns);
    packPairsOfRows(a, q, a.queryStride, a.queries, s.queriesAcross);
    packPairsOfRows(a, dOut, a.outStride(), a.queries, s.gradientsAcross);
    for (int64_t i = 0; i < a.queries; i++) {
      F32 sum{};
      forVectors(0, a.headDim, [&](int64_t d, auto lanes) {
        sum = fma(load(dOut + i * a.outStride() + d, lanes), load(out + i * a.outStride() + d, lanes), sum);
      });
      s.exponents[i] = logSumExp[i] * kLog2E;
      s.deltas[i] = a.scale * sumLanes(sum);
    }
    for (int64_t i = a.queries; i < qStrips * kStripLines; i++) s.exponents[i] = s.deltas[i] = 0;
  }

  // Strips of keys [strip, strip + kMaskStrips), and all queries that see them.
  void meetQueries(int64_t strip, ArraysOfNextHead<8>& next) const {
    const int64_t end = min(strip + kMaskStrips, qStrips);
    StripOfA left[kMaskStrips][2] = {};
    for (int64_t keys = strip; keys < end; keys++) {
      const int64_t which = keys - strip, at = keys * kStripLines * a.keyStride, units = s.strips * kStepUnits;
      left[which][0] = stripOfRows(a, k + at, a.keyStride, queriesIn(keys), s.keys + which * units);
      left[which][1] = stripOfRows(a, v + at, a.keyStride, queriesIn(keys), s.values + which * units);
    }
    for (int64_t queries = a.causal ? strip : 0; queries < qStrips; queries++) {
      const int64_t query = queries * kStripLines, key = strip * kStripLines;
      if (a.drops && dropoutMask.words != nullptr) {
        dropoutMask.get(s.kept, query, queriesIn(queries), key, kDropoutBlock);
      } else if (a.drops) {
        for (int64_t lane = 0; lane < kStripLines; lane += kLanes)
          drawMask(a, a.maskRow(number, query + lane), key, kDropoutBlock, s.kept + lane);
      }
      for (int64_t keys = strip; keys < end; keys++)
        if (!a.causal || keys <= queries) {
          meet(left[keys - strip], keys, queries, keys - strip);
          next.prefetch();
        }
    }
    for (int64_t keys = strip; keys < end; keys++) {
      const int64_t seen = a.causal ? keys : 0;
      const int64_t from = ((keys - strip) * qStrips + seen) * kStepUnits;
      addProduct(s.weights + from, s.gradientsAcross, keys, seen, a.keptScale, s.dValues, dv);
      addProduct(s.dScores + from, s.queriesAcross, keys, seen, 1, s.dKeys, dk);
    }
  }

  // P∘M and dS of a strip of keys, number `which` of the block, and a strip of queries.
  void meet(const StripOfA (&left)[2], int64_t keys, int64_t queries, int64_t which) const {
    const int64_t units = s.strips * kStepUnits;
    const int64_t keyCount = queriesIn(keys), queryCount = queriesIn(queries);
    multiplyPackedStrips(left[0], s.queryColumns + queries * units, s.strips, keyCount, queryCount, s.scores,
                         kStripLines);
    multiplyPackedStrips(left[1], s.gradientColumns + queries * units, s.strips, keyCount, queryCount, s.dWeights,
                         kStripLines);
    const int64_t at = (which * qStrips + queries) * kStepUnits;
    const uint32_t* kept = a.drops ? s.kept + which * kGroup : nullptr;
    const float* exponents = s.exponents + queries * kStripLines;
    const float* deltas = s.deltas + queries * kStripLines;
    const PairMask keyMask{keyCount, queryCount, a.causal && keys == queries};
    const auto pair = [&](auto all, auto drops) {
      softmaxPair<all, drops>(keyMask, exponents, deltas, kept, s.weights + at, s.dScores + at);
    };
    const auto whole = [&](auto drops) { keyMask.all() ? pair(std::true_type{}, drops) : pair(std::false_type{}, drops); };
    kept == nullptr ? whole(std::false_type{}) : whole(std::true_type{});

    // dQᵀ += Kᵀ · dSᵀ
    for (int64_t strip = 0; strip < s.strips; strip++)
      multiplyPackedStrips({s.keysAcross + (strip * qStrips + keys) * kStepUnits}, s.dScoresAcross, 1,
                           a.headDim - strip * kStripLines, queryCount,
                           s.dQueries + (queries * s.strips + strip) * kStripLines * kStripLines, kStripLines, keys > 0);
  }

  // Scores and dOut·Vᵀ become P∘M (but for its factor) and dS, as rows of keys and, dS, as pairs of keys too.
  template <bool kAll, bool kDrops>
  __attribute__((noinline)) void softmaxPair(const PairMask& keyMask, const float* exponents, const float* deltas,
                                             const uint32_t* kept, float* weightRows,
                                             float* dScoreRows) const {
    const F32 scale = splat(a.exponentScale), dScale = splat(a.scale * a.keptScale);
    F32 exponent[2], delta[2];
    U32 words[2] = {};
    FT_UNROLL
    for (int v = 0; v < 2; v++) {
      exponent[v] = load(exponents + v * kLanes);
      delta[v] = load(deltas + v * kLanes);
      if constexpr (kDrops) words[v] = loadWords(kept + v * kLanes);
    }
    U32 bit = U32{} + 1;  // of the key
    for (int64_t key = 0; key < kStripLines; key += 2) {
      F32 weights[2][2], dScores[2][2];
      FT_UNROLL
      for (int i = 0; i < 2; i++) {
        __mmask16 lanes[2];
        FT_UNROLL
        for (int v = 0; v < 2; v++) {
          const int64_t at = (key + i) * kStripLines + v * kLanes;
          const F32 weight = exp2(fma(load(s.scores + at), scale, -exponent[v]));
          F32 dWeight = load(s.dWeights + at);
          if constexpr (kDrops) {
            lanes[v] = _mm512_test_epi32_mask((__m512i)words[v], (__m512i)bit);
            dWeight = (F32)_mm512_maskz_loadu_ps(lanes[v], s.dWeights + at);
          }
          weights[i][v] = weight;
          dScores[i][v] = weight * fma(dWeight, dScale, -delta[v]);
          if constexpr (!kAll) {
            const I32 sees = keyMask.lanes(key + i, v * kLanes);
            weights[i][v] = sees ? weights[i][v] : F32{};
            dScores[i][v] = sees ? dScores[i][v] : F32{};
          }
        }
        const int64_t row = (key + i) / kTileSide * kTileUnits + (key + i) % kTileSide * kTileSide;
        if constexpr (kDrops) {
          storeUnits(weightRows + row, weights[i][0], weights[i][1], _mm512_kunpackw(lanes[1], lanes[0]));
          bit += bit;
        } else {
          storeUnits(weightRows + row, weights[i][0], weights[i][1]);
        }
        storeUnits(dScoreRows + row, dScores[i][0], dScores[i][1]);
      }
      FT_UNROLL
      for (int v = 0; v < 2; v++)
        store(s.dScoresAcross + v * kTileUnits + key / 2 * kTileSide,
              PairedBfloat16::across({dScores[0][v], dScores[1][v]}));
    }
  }

  // A strip of keys' rows of a gradient: left · right, over strips of queries from `seen` on, is added to those of the heads
  // before that share the keys. The last of them writes factor · sum.
  void addProduct(const float* left, const float* right, int64_t keys, int64_t seen, float factor, float* sums,
                  Narrow* to) const {
    const int64_t rows = queriesIn(keys);
    const int64_t stride = s.strips * kStripLines;
    if (a.group > 1) sums += keys * kStripLines * stride;
    for (int64_t strip = 0; strip < s.strips; strip++)
      multiplyPackedStrips({left}, right + (strip * qStrips + seen) * kStepUnits, qStrips - seen, rows,
                           a.headDim - strip * kStripLines, sums + strip * kStripLines, stride, !first);
    for (int64_t row = 0; last && row < rows; row++)
      forVectors(0, a.headDim, [&](int64_t d, auto lanes) {
        store(to + (keys * kStripLines + row) * a.keyStride + d, load(sums + row * stride + d) * factor, lanes);
      });
  }

  // dQ of a strip of queries.
  void writeTransposed(int64_t queries) const {
    const int64_t count = queriesIn(queries);
    for (int64_t d = 0; d < a.headDim; d += kLanes) {
      const float* from = s.dQueries + (queries * s.strips * kStripLines + d) * kStripLines;
      for (int64_t begin = 0; begin < count; begin += kLanes) {
        F32 block[kLanes];
        FT_UNROLL
        for (int i = 0; i < kLanes; i++) block[i] = load(from + i * kStripLines + begin);
        transpose(block);
        const int64_t rows = min(count - begin, kLanes);
        Narrow* to = dq + (queries * kStripLines + begin) * a.queryStride + d;
        if (a.headDim - d >= kLanes) {
          for (int64_t i = 0; i < rows; i++) store(to + i * a.queryStride, block[i]);
        } else {
          for (int64_t i = 0; i < rows; i++)
            storePartial(to + i * a.queryStride, block[i], static_cast<int>(a.headDim - d));
        }
      }
    }
  }
};

// One thread computes all heads that share keys and values, so no sum is divided.
static void attendBackwardByTiles(const AttentionBackwardArgs& args, const Attention& call, Pool& pool) {
  const AttentionExtent extent = call.extent();
  if (!pool.reserveScratch(TileBackwardScratch(call, extent, nullptr).floats * int64_t{sizeof(float)})) return;
  parallelRanges(pool, call.batch * call.keyHeads, 1, [&](int64_t begin, int64_t end, int thread) {
    const TileBackwardScratch scratch(call, extent, pool.scratch(thread));
    const TileScope scope;
    Attention a = call.sequence(begin * call.group / call.heads), after = a;
    for (int64_t index = begin * call.group; index < end * call.group; index++) {
      if (index / call.heads != a.number) a = call.sequence(index / call.heads);
      if (a.queries == 0) continue;
      const TileBackwardHead head(args, a, scratch, index % call.heads);
      ArraysOfNextHead<8> next = {};
      if (index + 1 < end * call.group) {
        const bool same = (index + 1) / call.heads == a.number;
        if (!same) after = call.sequence(a.number + 1);
        const Attention& its = same ? a : after;
        const TileBackwardHead n(args, its, scratch, (index + 1) % call.heads);
        next = {{{n.dOut, a.outStride()},
                 {n.q, a.queryStride},
                 {n.k, a.keyStride},
                 {n.v, a.keyStride},
                 {n.out, a.outStride()},
                 {n.dq, a.queryStride},
                 {n.dk, a.keyStride},
                 {n.dv, a.keyStride}}};
        next.begin(its.queries, a.headDim, head.qStrips * (head.qStrips + 1) / 2);
      }
      head.run(next);
    }
  });
}

}  // namespace foretoken::FT_ISA
