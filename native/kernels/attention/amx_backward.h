// Gradients of attention in bfloat16 by tiles. The formulas are in backward.h.
// A unit of work is a pair: a strip of keys and a strip of queries. The scores and dOut·Vᵀ of a pair are computed as
// S[key][query], with queries along the vector. While P∘M and dS are computed from them, tiles compute the scores of
// the next pair.
// A strip of keys is paired with all queries that see it. Then one product gives its dV, and one product gives its dK.
// The transposed dQ is summed, over kBlockStrips strips of keys at a time.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "../../generated/kernels.h"
#include "../../math.h"
#include "../../parallel.h"
#include "amx_parts.h"
#include "masks.h"

namespace foretoken::FT_ISA {

// Number of strips of keys (two) that share the counters of the dropout mask.
constexpr int64_t kMaskStrips = kDropoutBlock / kStripLines;
static_assert(kGroup == kStripLines && kWordKeys == kStripLines, "a group's words are the mask of a pair of strips");
// Number of strips of keys that are added to dQ by one product.
constexpr int64_t kBlockStrips = 8;
static_assert(kBlockStrips % kMaskStrips == 0);

struct TileBackwardScratch {
  int64_t strips;   // strips of headDim
  int64_t qStrips;  // number of strips of queries, equal to the number of strips of keys

  float* keys;             // left operand of queryColumns: the strips of keys that must be packed
  float* values;           // left operand of gradientColumns: the strips of values that must be packed
  float* keysAcross;       // left operand of dS: strips of headDim
  float* queryColumns;     // strips of queries
  float* gradientColumns;  // strips of queries: dOut
  float* queriesAcross;    // right operand of dSᵀ: strips of headDim
  float* gradientsAcross;  // right operand of P: strips of headDim
  float* scores;           // [2][2][kStripLines][kStripLines]: scores and dOut·Vᵀ of this pair and of the next pair
  float* weights;          // P∘M without its factor, for a strip of keys and all queries
  float* dScores;          // dSᵀ, for a strip of keys and all queries
  float* dScoresAcross;    // dS, for strips of queries and kBlockStrips strips of keys; columns in the order of storePairs()
  uint32_t* kept;          // [qStrips][kMaskStrips][kGroup]: the dropout mask
  float* dQueries;         // [strips of queries][headDim in strips][kStripLines]
  float* dKeys;            // [kStripLines][headDim in strips]: dK of one strip of keys, or of all strips if heads share keys
  float* dValues;          // dV, in the shape of dKeys
  float* exponents;        // [queries]: logSumExp · log₂ e
  float* deltas;           // [queries]: scale · rowsum(dOut∘out)

  int64_t floats;          // total size of all arrays

  TileBackwardScratch(const Attention& a, const AttentionExtent& extent, void* memory)
      : strips(stripsOf(a.headDim)), qStrips(stripsOf(extent.queries)) {
    Scratch s{static_cast<float*>(memory)};
    const int64_t all = strips * qStrips * kStepUnits;
    keys = s.take(all);
    values = s.take(all);
    keysAcross = s.take(all);
    queryColumns = s.take(all);
    gradientColumns = s.take(all);
    queriesAcross = s.take(all);
    gradientsAcross = s.take(all);
    scores = s.take(2 * 2 * kBlockUnits);
    weights = s.take(qStrips * kStepUnits);
    dScores = s.take(qStrips * kStepUnits);
    dScoresAcross = s.take(qStrips * kBlockStrips * kStepUnits);
    kept = reinterpret_cast<uint32_t*>(s.take(qStrips * kMaskStrips * kGroup));
    dQueries = s.take(qStrips * strips * kStripLines * kStripLines);
    const int64_t keyStrips = a.group > 1 ? qStrips : 1;
    dKeys = s.take(keyStrips * strips * kStripLines * kStripLines);
    dValues = s.take(keyStrips * strips * kStripLines * kStripLines);
    exponents = s.take(qStrips * kStripLines);
    deltas = s.take(qStrips * kStripLines);
    floats = s.used;
  }
};

// Which queries of a strip see which keys of another strip. A query sees a key if both positions exist and query <
// `reach` + key: at this position, the key leaves the window. On the diagonal, query ≥ key must also be true.
struct PairMask {
  int64_t keys, queries;
  bool diagonal;
  int64_t reach;

  bool all() const { return keys == kStripLines && queries == kStripLines && !diagonal && reach >= kStripLines; }
  uint32_t bits(int64_t key) const {
    return key >= keys ? 0 : firstBits(min(queries, reach + key)) & (diagonal ? ~firstBits(key) : ~0u);
  }
  // Whether some query sees a score of a tile. Tiles are numbered as in multiplyOneOfFour(). Tile 0 is always needed.
  bool hasTile(int64_t index) const {
    const int64_t key = index / 2 * kTileSide, query = index % 2 * kTileSide;
    const bool reached = index == 0 || query < reach + key + kTileSide - 1;
    return key < keys && query < queries && !(diagonal && key > query) && reached;
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
  int64_t qStrips;  // number of strips of queries of the sequence
  bool first, last;  // whether it is the first head, or the last head, of the heads that share keys and values
  DropoutMask<const uint32_t> dropoutMask;

  // Number of parts of a pair's scores. Each part is computed between two keys of the previous pair.
  static constexpr int kParts = 8;

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
    computeScores(pairAt(0, 0, 0));
    int64_t buffer = 0;
    for (int64_t keys = 0; keys < qStrips; keys++) {
      meetQueries(keys, buffer, next);
      if (keys + 1 == qStrips || (keys + 1) % kBlockStrips == 0) addToQueries(keys / kBlockStrips * kBlockStrips, keys + 1);
    }
  }

 private:
  // Two strips.
  struct Pair {
    int64_t keys, queries;  // their numbers
    PairMask mask;
    uint32_t tiles;  // bit i: whether some query sees a score of tile i (of four tiles)
    StripOfA left[2];
    const float* right[2];
    float* scores;  // one of two buffers

    bool hasTile(int index) const { return (tiles >> index & 1u) != 0; }
  };

  int64_t queriesIn(int64_t strip) const { return min(a.queries - strip * kStripLines, kStripLines); }
  Pair pairAt(int64_t keys, int64_t queries, int64_t buffer) const {
    const PairMask mask{queriesIn(keys), queriesIn(queries), a.causal && keys == queries,
                        a.window - (queries - keys) * kStripLines};
    uint32_t tiles = 0;
    for (int i = 0; i < 4; i++) tiles |= (mask.hasTile(i) ? 1u : 0u) << i;
    const int64_t units = s.strips * kStepUnits, at = keys * kStripLines * a.keyStride;
    const bool lies = liesAsStrip(a, a.keyStride, mask.keys);
    const auto left = [&](const Narrow* from, const float* packed) {
      return lies ? stripThatLies(from + at, a.keyStride) : StripOfA{packed + keys * units};
    };
    return {keys, queries, mask, tiles, {left(k, s.keys), left(v, s.values)},
            {s.queryColumns + queries * units, s.gradientColumns + queries * units}, s.scores + buffer * 2 * kBlockUnits};
  }
  // The first strip of queries that sees a strip of keys.
  int64_t firstSeeing(int64_t keys) const { return a.causal ? keys : 0; }
  // The end of the strips of queries that see a key of the strip.
  int64_t endSeeing(int64_t keys) const {
    return min(divideUp(a.queriesSeeing((keys + 1) * kStripLines), kStripLines), qStrips);
  }
  // The first strip of keys that some query of the strip sees.
  int64_t firstSeen(int64_t queries) const { return a.firstSeen(queries * kStripLines) / kStripLines; }

  void pack() const {
    if (first) packAcrossRows(a, k, a.keyStride, a.queries, s.keysAcross);
    packRowsOf(a, q, a.queryStride, a.queries, s.queryColumns);
    packPairsOfRows(a, q, a.queryStride, a.queries, s.queriesAcross);
    packRowsOf(a, dOut, a.outStride(), a.queries, s.gradientColumns);
    packPairsOfRows(a, dOut, a.outStride(), a.queries, s.gradientsAcross);
    for (int64_t keys = 0; keys < qStrips; keys++) {
      const int64_t at = keys * kStripLines * a.keyStride, to = keys * s.strips * kStepUnits;
      stripOfRows(a, k + at, a.keyStride, queriesIn(keys), s.keys + to);
      stripOfRows(a, v + at, a.keyStride, queriesIn(keys), s.values + to);
    }
    for (int64_t i = 0; i < qStrips * kStripLines; i += kLanes) {
      F32 sums[kLanes];
      FT_UNROLL
      for (int row = 0; row < kLanes; row++) {
        sums[row] = F32{};
        for (int64_t d = 0; i + row < a.queries && d < a.headDim; d += 2 * kLanes) {
          const int64_t at = (i + row) * a.outStride() + d;
          sums[row] = addProducts(loadUnits(dOut + at, a.headDim - d), loadUnits(out + at, a.headDim - d), sums[row]);
        }
      }
      store(s.deltas + i, sumRows(sums) * a.scale);
      const auto exist = static_cast<__mmask16>(firstBits(a.queries - i));
      store(s.exponents + i, (F32)_mm512_maskz_loadu_ps(exist, logSumExp + i) * kLog2E);
    }
  }

  // Computes one tile, part kPart: a tile of a pair's scores (0..3) or of dOut·Vᵀ (4..7). storePart() stores the tile.
  template <int kPart>
  __attribute__((always_inline)) void computePart(const Pair& pair) const {
    if (pair.hasTile(kPart % 4)) multiplyOneOfFour<kPart % 4>(pair.left[kPart / 4], pair.right[kPart / 4], s.strips);
  }
  template <int kPart>
  __attribute__((always_inline)) static void storePart(const Pair& pair) {
    if (pair.hasTile(kPart % 4)) endSums<kPart % 4>(pair.scores + kPart / 4 * kBlockUnits, kStripLines);
  }
  template <int kPart = 0>
  void computeScores(const Pair& pair) const {
    computePart<kPart>(pair);
    storePart<kPart>(pair);
    if constexpr (kPart + 1 < kParts) computeScores<kPart + 1>(pair);
  }

  // Processes a strip of keys with all queries that see it. The scores of the next pair are computed in advance.
  void meetQueries(int64_t keys, int64_t& buffer, ArraysOfNextHead<8>& next) const {
    const int64_t seen = firstSeeing(keys), seenEnd = endSeeing(keys);
    if (a.drops && keys % kMaskStrips == 0) fetchMask(keys);
    for (int64_t queries = seen; queries < seenEnd; queries++) {
      const Pair pair = pairAt(keys, queries, buffer);
      buffer ^= 1;
      const bool turns = queries + 1 == seenEnd;
      const bool ends = turns && keys + 1 == qStrips;
      const int64_t nextKeys = turns ? keys + 1 : keys;
      const Pair following = ends ? Pair{} : pairAt(nextKeys, turns ? firstSeeing(nextKeys) : queries + 1, buffer);
      const auto meets = [&](auto all, auto drops) { meet<all, drops>(pair, following, next); };
      const auto whole = [&](auto drops) {
        pair.mask.all() ? meets(std::true_type{}, drops) : meets(std::false_type{}, drops);
      };
      a.drops ? whole(std::true_type{}) : whole(std::false_type{});
    }
    const float* const weights = s.weights + seen * kStepUnits;
    const float* const dScores = s.dScores + seen * kStepUnits;
    addProduct(weights, s.gradientsAcross, keys, seen, seenEnd, s.dValues);
    addProduct(dScores, s.queriesAcross, keys, seen, seenEnd, s.dKeys);
    if (!last) return;
    writeRows(s.dValues, keys, a.keptScale, dv);
    writeRows(s.dKeys, keys, 1, dk);
  }

  // Fetches the dropout mask of kMaskStrips strips of keys, for all queries that see one of these strips.
  __attribute__((noinline)) void fetchMask(int64_t keys) const {
    const int64_t key = keys * kStripLines;
    const int64_t seenEnd = endSeeing(keys + kMaskStrips - 1);
    for (int64_t queries = firstSeeing(keys); queries < seenEnd; queries++) {
      uint32_t* const to = s.kept + queries * kMaskStrips * kGroup;
      const int64_t query = queries * kStripLines;
      if (dropoutMask.words != nullptr) {
        dropoutMask.get(to, query, queriesIn(queries), key, kDropoutBlock);
      } else {
        for (int64_t lane = 0; lane < kStripLines; lane += kLanes)
          drawMask(a, a.maskRow(number, query + lane), key, kDropoutBlock, to + lane);
      }
    }
  }

  // Computes P∘M and dS of a pair, while tiles compute the scores of the next pair. The next pair may be empty. kAll:
  // every query sees every key.
  template <bool kAll, bool kDrops>
  __attribute__((noinline)) void meet(const Pair& pair, const Pair& following, ArraysOfNextHead<8>& next) const {
    const PairMask mask = pair.mask;
    const F32 scale = splat(a.exponentScale), dScale = splat(a.scale * a.keptScale);
    F32 exponent[2], delta[2];
    U32 words[2] = {};
    const uint32_t* const kept = s.kept + (pair.queries * kMaskStrips + pair.keys % kMaskStrips) * kGroup;
    FT_UNROLL
    for (int v = 0; v < 2; v++) {
      const int64_t at = pair.queries * kStripLines + v * kLanes;
      exponent[v] = load(s.exponents + at);
      delta[v] = load(s.deltas + at);
      if constexpr (kDrops) words[v] = loadWords(kept + v * kLanes);
    }
    const float* const scores = pair.scores;
    float* const weightRows = s.weights + pair.queries * kStepUnits;
    float* const dScoreRows = s.dScores + pair.queries * kStepUnits;
    float* const across = s.dScoresAcross + (pair.queries * kBlockStrips + pair.keys % kBlockStrips) * kStepUnits;
    const auto meetKey = [&](int64_t key) __attribute__((always_inline)) {
      const uint32_t sees = kAll ? ~0u : mask.bits(key);
      F32 weights[2] = {}, dScores[2] = {};
      uint32_t stay = 0;
      FT_UNROLL
      for (int v = 0; v < 2; v++) {
        const auto lanes = static_cast<__mmask16>(sees >> v * kLanes);
        if (!kAll && lanes == 0) continue;
        const int64_t at = key * kStripLines + v * kLanes;
        weights[v] = weightExp2<true>(fma(load(scores + at), scale, -exponent[v]));
        F32 dWeight = load(scores + kBlockUnits + at);
        if constexpr (kDrops) {
          const __mmask16 stays = _mm512_test_epi32_mask((__m512i)words[v], _mm512_set1_epi32(static_cast<int>(1u << key)));
          dWeight = (F32)_mm512_maskz_mov_ps(stays, (__m512)dWeight);
          stay |= static_cast<uint32_t>(stays) << v * kLanes;
        }
        dScores[v] = weights[v] * fma(dWeight, dScale, -delta[v]);
        if constexpr (!kAll) {
          weights[v] = (F32)_mm512_maskz_mov_ps(lanes, (__m512)weights[v]);
          dScores[v] = (F32)_mm512_maskz_mov_ps(lanes, (__m512)dScores[v]);
        }
      }
      const int64_t row = key / kTileSide * kTileUnits + key % kTileSide * kTileSide;
      if constexpr (kDrops) storeUnits(weightRows + row, weights[0], weights[1], stay);
      else storeUnits(weightRows + row, weights[0], weights[1]);
      const F32 units = toBfloat16(dScores[0], dScores[1]);
      store(dScoreRows + row, units);
      return (__m512i)units;
    };
    const auto part = [&](auto index) __attribute__((always_inline)) {
      if constexpr (index > 0) storePart<index - 1>(following);
      computePart<index>(following);
      next.prefetch();
      constexpr int64_t kKeys = kStripLines / kParts;
      for (int64_t key = index * kKeys; key < (index + 1) * kKeys; key += 2) {
        const __m512i upper = meetKey(key), lower = meetKey(key + 1);
        float* const to = across + key / 2 * kTileSide;
        store(to, (F32)_mm512_unpacklo_epi16(upper, lower));
        store(to + kTileUnits, (F32)_mm512_unpackhi_epi16(upper, lower));
      }
    };
    [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) __attribute__((always_inline)) {
      (part(std::integral_constant<int, kIndex>{}), ...);
    }(std::make_integer_sequence<int, kParts>{});
    storePart<kParts - 1>(following);
  }

  // Computes the rows of a gradient for a strip of keys: left · right, summed over strips of queries [seen, seenEnd).
  // Adds the rows to the sum over the previous heads that share the keys.
  void addProduct(const float* left, const float* right, int64_t keys, int64_t seen, int64_t seenEnd, float* sums) const {
    sums = sumsOf(sums, keys);
    for (int64_t strip = 0; strip < s.strips; strip++)
      multiplyPackedStrips({left}, right + (strip * qStrips + seen) * kStepUnits, seenEnd - seen, queriesIn(keys),
                           a.headDim - strip * kStripLines, sums + strip * kStripLines, s.strips * kStripLines, !first);
  }
  float* sumsOf(float* sums, int64_t keys) const {
    return a.group > 1 ? sums + keys * kStripLines * s.strips * kStripLines : sums;
  }
  void writeRows(float* sums, int64_t keys, float factor, Narrow* to) const {
    sums = sumsOf(sums, keys);
    for (int64_t row = 0; row < queriesIn(keys); row++)
      storeScaled(sums + row * s.strips * kStripLines, a.headDim, factor, to + (keys * kStripLines + row) * a.keyStride);
  }

  // dQᵀ += Kᵀ · dSᵀ over strips of keys [begin, end), at most kBlockStrips strips.
  void addToQueries(int64_t begin, int64_t end) const {
    const int64_t seenEnd = endSeeing(end - 1);
    for (int64_t queries = a.causal ? begin : 0; queries < seenEnd; queries++) {
      const int64_t seen = a.causal ? min(queries + 1, end) : end;
      const int64_t oldest = firstSeen(queries), first = max(oldest, begin);
      for (int64_t strip = 0; strip < s.strips; strip++)
        multiplyPackedStrips({s.keysAcross + (strip * qStrips + first) * kStepUnits},
                             s.dScoresAcross + (queries * kBlockStrips + first - begin) * kStepUnits, seen - first,
                             a.headDim - strip * kStripLines, kStripLines,
                             s.dQueries + (queries * s.strips + strip) * kBlockUnits, kStripLines, first > oldest);
    }
    for (int64_t queries = a.causal ? begin : 0; queries < qStrips; queries++)
      if (end == qStrips || (a.causal && queries < end)) writeTransposed(queries);
  }

  // Writes dQ of a strip of queries. The sums are in the order of storePairs().
  void writeTransposed(int64_t queries) const {
    const int64_t count = queriesIn(queries);
    for (int64_t strip = 0; strip < s.strips; strip++) {
      const float* from = s.dQueries + (queries * s.strips + strip) * kBlockUnits;
      const uint32_t columns = firstBits(a.headDim - strip * kStripLines);
      for (int64_t half = 0; half < 2; half++) {
        F32 units[kTileSide];
        FT_UNROLL
        for (int i = 0; i < kTileSide; i++) {
          const float* pair = from + 2 * i * kStripLines + half * kLanes;
          units[i] = PairedBfloat16::across({load(pair), load(pair + kStripLines)});
        }
        transpose(units);
        FT_UNROLL
        for (int i = 0; i < kTileSide; i++) {
          const int64_t query = i / 4 * 8 + half * 4 + i % 4;
          if (query < count)
            _mm512_mask_storeu_epi16(dq + (queries * kStripLines + query) * a.queryStride + strip * kStripLines, columns,
                                     (__m512i)units[i]);
        }
      }
    }
  }
};

// One thread computes all heads that share keys and values, so no sum is split between threads.
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
        const int64_t met = min(head.qStrips + 1, 2 * (a.window / kStripLines + 1));
        next.begin(its.queries, a.headDim, TileBackwardHead::kParts * head.qStrips * met / 2);
      }
      head.run(next);
    }
  });
}

}  // namespace foretoken::FT_ISA
