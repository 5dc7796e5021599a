// Gradients of attention of bfloat16 by tiles; the formulas are those of attention_backward.h. Of a pair of a strip of keys
// and a strip of queries there are scores and dOut·Vᵀ with the queries along the vector, S[key][query]; from them come P∘M
// and dS as operands. A strip of keys meets all queries that see it, and then its dV and dK are one product each; dQ is
// added up from strip to strip, transposed.
#pragma once

#include <cstdint>
#include <type_traits>

#include "attention_tiles.h"

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
  float* rows;             // [kStripLines][headDim in strips]: dV or dK of a strip
  float* exponents;        // [queries]: logSumExp · log₂ e
  float* deltas;           // [queries]: scale · rowsum(dOut∘out)

  int64_t floats;          // of all together

  TileBackwardScratch(const Attention& a, void* memory) : strips(stripsOf(a.headDim)), qStrips(stripsOf(a.queries)) {
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
    rows = s.take(strips * kStripLines * kStripLines);
    exponents = s.take(qStrips * kStripLines);
    deltas = s.take(qStrips * kStripLines);
    floats = s.used;
  }
};

// Which queries of a strip see which keys of another: those that exist, and on the diagonal those that come no earlier.
struct PairSight {
  int64_t keys, queries;
  bool diagonal;

  bool all() const { return keys == kStripLines && queries == kStripLines && !diagonal; }
  I32 lanes(int64_t key, int64_t firstQuery) const {
    const int64_t first = key >= keys ? kStripLines : diagonal ? key : 0;
    const I32 query = (I32)laneIndex() + static_cast<int32_t>(firstQuery);
    return (query >= static_cast<int32_t>(first)) & (query < static_cast<int32_t>(queries));
  }
};

// One head of a call.
struct TileBackwardHead {
  const Attention& a;
  const TileBackwardScratch& s;
  const Narrow *dOut, *q, *k, *v, *out;
  const float* logSumExp;
  Narrow *dq, *dk, *dv;
  int64_t index;
  HeadMask<const uint32_t> mask;

  TileBackwardHead(const AttentionBackwardArgs& args, const Attention& attention, const TileBackwardScratch& scratch,
                   int64_t head)
      : a(attention), s(scratch), index(head), mask(a, args.kept.orNull(), head) {
    const int64_t b = head / a.heads, h = head % a.heads;
    const int64_t queryOffset = b * a.queryBatchStride + h * a.headDim;
    const int64_t keyOffset = b * a.keyBatchStride + h * a.headDim;
    const int64_t outOffset = b * a.queries * a.outStride() + h * a.headDim;
    dOut = args.dOut.as<Narrow>() + outOffset;
    q = args.q.as<Narrow>() + queryOffset;
    k = args.k.as<Narrow>() + keyOffset;
    v = args.v.as<Narrow>() + keyOffset;
    out = args.out.as<Narrow>() + outOffset;
    logSumExp = args.logSumExp + head * a.queries;
    dq = args.dq.as<Narrow>() + queryOffset;
    dk = args.dk.as<Narrow>() + keyOffset;
    dv = args.dv.as<Narrow>() + keyOffset;
  }

  void run(RowsOfNextHead<8>& next) const {
    pack();
    for (int64_t strip = 0; strip < s.qStrips; strip += kMaskStrips) meetQueries(strip, next);
    for (int64_t strip = 0; strip < s.qStrips; strip++) writeTransposed(strip);
  }

 private:
  int64_t queriesIn(int64_t strip) const { return lesser(a.queries - strip * kStripLines, kStripLines); }

  void pack() const {
    packAcrossRows<false>(a, k, a.keyStride, a.queries, s.keysAcross);
    packRowsOf(a, q, a.queryStride, a.queries, s.queryColumns);
    packRowsOf(a, dOut, a.outStride(), a.queries, s.gradientColumns);
    packAcrossRows<true>(a, q, a.queryStride, a.queries, s.queriesAcross);
    packAcrossRows<true>(a, dOut, a.outStride(), a.queries, s.gradientsAcross);
    for (int64_t i = 0; i < a.queries; i++) {
      F32 sum{};
      forVectors(0, a.headDim, [&](int64_t d, auto lanes) {
        sum = fma(load(dOut + i * a.outStride() + d, lanes), load(out + i * a.outStride() + d, lanes), sum);
      });
      s.exponents[i] = logSumExp[i] * kLog2E;
      s.deltas[i] = a.scale * sumLanes(sum);
    }
    for (int64_t i = a.queries; i < s.qStrips * kStripLines; i++) s.exponents[i] = s.deltas[i] = 0;
  }

  // Strips of keys [strip, strip + kMaskStrips), and all queries that see them.
  void meetQueries(int64_t strip, RowsOfNextHead<8>& next) const {
    const int64_t last = lesser(strip + kMaskStrips, s.qStrips);
    StripOfA left[kMaskStrips][2] = {};
    for (int64_t keys = strip; keys < last; keys++) {
      const int64_t which = keys - strip, at = keys * kStripLines * a.keyStride, units = s.strips * kStepUnits;
      left[which][0] = stripOfRows(a, k + at, a.keyStride, queriesIn(keys), s.keys + which * units);
      left[which][1] = stripOfRows(a, v + at, a.keyStride, queriesIn(keys), s.values + which * units);
    }
    for (int64_t queries = a.causal ? strip : 0; queries < s.qStrips; queries++) {
      const int64_t query = queries * kStripLines, key = strip * kStripLines;
      if (a.drops && mask.words != nullptr) {
        mask.get(s.kept, query, queriesIn(queries), key, kDropoutBlock);
      } else if (a.drops) {
        for (int64_t lane = 0; lane < kStripLines; lane += kLanes)
          drawMask(a, a.maskRow(index, query + lane), key, kDropoutBlock, s.kept + lane);
      }
      for (int64_t keys = strip; keys < last; keys++)
        if (!a.causal || keys <= queries) {
          meet(left[keys - strip], keys, queries, keys - strip);
          next.ask();
        }
    }
    for (int64_t keys = strip; keys < last; keys++) {
      const int64_t first = a.causal ? keys : 0;
      const int64_t from = ((keys - strip) * s.qStrips + first) * kStepUnits;
      writeProduct(s.weights + from, s.gradientsAcross, keys, first, a.keptScale, dv);
      writeProduct(s.dScores + from, s.queriesAcross, keys, first, 1, dk);
    }
  }

  // What a strip of keys, number `which` of the block, and a strip of queries give each other.
  void meet(const StripOfA (&left)[2], int64_t keys, int64_t queries, int64_t which) const {
    const int64_t units = s.strips * kStepUnits;
    const int64_t keyCount = queriesIn(keys), queryCount = queriesIn(queries);
    multiplyTiles(left[0], s.queryColumns + queries * units, s.strips, keyCount, queryCount, s.scores,
                  kStripLines);
    multiplyTiles(left[1], s.gradientColumns + queries * units, s.strips, keyCount, queryCount, s.dWeights,
                  kStripLines);
    const int64_t at = (which * s.qStrips + queries) * kStepUnits;
    const uint32_t* kept = a.drops ? s.kept + which * kGroup : nullptr;
    const float* exponents = s.exponents + queries * kStripLines;
    const float* deltas = s.deltas + queries * kStripLines;
    const PairSight sight{keyCount, queryCount, a.causal && keys == queries};
    const auto pair = [&](auto all, auto drops) {
      softmaxPair<all, drops>(sight, exponents, deltas, kept, s.weights + at, s.dScores + at);
    };
    const auto whole = [&](auto drops) { sight.all() ? pair(std::true_type{}, drops) : pair(std::false_type{}, drops); };
    kept == nullptr ? whole(std::false_type{}) : whole(std::true_type{});

    // dQᵀ += Kᵀ · dSᵀ
    for (int64_t strip = 0; strip < s.strips; strip++)
      multiplyTiles({s.keysAcross + (strip * s.qStrips + keys) * kStepUnits}, s.dScoresAcross, 1,
                    a.headDim - strip * kStripLines, queryCount,
                    s.dQueries + (queries * s.strips + strip) * kStripLines * kStripLines, kStripLines, keys > 0);
  }

  // Scores and dOut·Vᵀ become P∘M (but for its factor) and dS, as rows of keys and, dS, as pairs of keys too.
  template <bool kAll, bool kDrops>
  __attribute__((noinline)) void softmaxPair(const PairSight& sight, const float* exponents, const float* deltas,
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
            const I32 sees = sight.lanes(key + i, v * kLanes);
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

  // A strip of keys' rows of a gradient: factor · left · right, over strips of queries from `first` on.
  void writeProduct(const float* left, const float* right, int64_t keys, int64_t first, float factor, Narrow* to) const {
    const int64_t rows = queriesIn(keys);
    const int64_t stride = s.strips * kStripLines;
    for (int64_t strip = 0; strip < s.strips; strip++)
      multiplyTiles({left}, right + (strip * s.qStrips + first) * kStepUnits, s.qStrips - first, rows,
                    a.headDim - strip * kStripLines, s.rows + strip * kStripLines, stride);
    for (int64_t row = 0; row < rows; row++)
      forVectors(0, a.headDim, [&](int64_t d, auto lanes) {
        store(to + (keys * kStripLines + row) * a.keyStride + d, load(s.rows + row * stride + d) * factor, lanes);
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
        const int64_t rows = lesser(count - begin, kLanes);
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

// One thread computes a whole head, so no sum is divided.
static void attendBackwardByTiles(const AttentionBackwardArgs& args, const Attention& a, Pool& pool) {
  if (!pool.reserveScratch(TileBackwardScratch(a, nullptr).floats * int64_t{sizeof(float)})) return;
  parallelRanges(pool, a.batch * a.heads, 1, [&](int64_t begin, int64_t end, int thread) {
    const TileBackwardScratch scratch(a, pool.scratch(thread));
    const TileScope scope;
    for (int64_t head = begin; head < end; head++) {
      RowsOfNextHead<8> next = {};
      if (head + 1 < end) {
        const TileBackwardHead n(args, a, scratch, head + 1);
        next = {{{n.dOut, a.outStride()},
                 {n.q, a.queryStride},
                 {n.k, a.keyStride},
                 {n.v, a.keyStride},
                 {n.out, a.outStride()},
                 {n.dq, a.queryStride},
                 {n.dk, a.keyStride},
                 {n.dv, a.keyStride}}};
        next.begin(a.queries, a.headDim, scratch.qStrips * (scratch.qStrips + 1) / 2);
      }
      TileBackwardHead(args, a, scratch, head).run(next);
    }
  });
}

}  // namespace foretoken::FT_ISA
