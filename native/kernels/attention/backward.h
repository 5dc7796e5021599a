// Gradients of attention. P are the probabilities, recomputed from logSumExp; M is the dropout mask:
// dV = (P∘M)ᵀ·dOut; dP = (dOut·Vᵀ)∘M; dS = scale·P∘(dP − rowsum(dOut∘out)); dQ = dS·K; dK = dSᵀ·Q.
// A block of keys is combined with one group of queries after the other, one tile of keys at a time. For each pair,
// only dS is stored, for dQ. Groups of queries whose windows begin after the block are skipped.
#pragma once

#include <cstdint>

#include "../../generated/kernels.h"
#include "../../math.h"
#include "../../parallel.h"
#include "masks.h"
#include "parts.h"
#if defined(FT_TILES)
#include "amx_backward.h"
#endif

namespace foretoken::FT_ISA {

// Scratch of one thread, for a block of keys and a group of queries. An array of shape [queries] has all queries of a
// head, rounded up to whole groups.
template <class Operands>
struct AttentionBackwardScratch {
  // Whether packing along and packing across are different. The two packings are equal if a unit has one value.
  static constexpr bool kTwoWays = Operands::kUnitDepth > 1;

  float* keys;             // [kBlock][alongStride]: left operand of Q
  float* values;           // [kBlock][alongStride]: left operand of dOut
  float* keysAcross;       // [units of kBlock][width]: right operand of dS
  float* queries;          // [units of kGroup][width]: right operand of dSᵀ
  float* gradients;        // [units of kGroup][width]: dOut, right operand of Pᵀ
  float* queryColumns;     // [units of headDim][kGroup]: Q, right operand of K
  float* gradientColumns;  // [units of headDim][kGroup]: dOut, right operand of V
  float* weights;          // [kTileHeight][kGroup]: scores, then P∘M without its factor
  float* tileScores;       // [kTileHeight][kGroup]: dS of a tile of keys, if units are pairs
  float* weightsAlong;     // [kTileHeight][kGroup]: `weights` as units along the queries, if units are pairs
  float* scoresAlong;      // [kTileHeight][kGroup]: `tileScores` as units along the queries, if units are pairs
  float* dScores;          // [units of kBlock][kGroup]: dOut·Vᵀ, then dS
  uint32_t* kept;          // [kBlockWords][kGroup]: M
  float* dKeys;            // [kBlock][width]; [queries][width] if heads share keys
  float* dValues;          // the same shape as dKeys; without the factor of M
  float* dQueries;         // [queries][width]
  float* exponents;        // [queries]: logSumExp · log₂ e
  float* deltas;           // [queries]: scale · rowsum(dOut∘out)

  static int64_t floats(const Attention& a, const AttentionExtent& extent) {
    const int64_t all = stats(extent);
    return (3 * kBlock + 2 * keyRows(a, extent) + 2 * kGroup + all) * a.width + 2 * kGroup * a.headDim +
           (4 * kTileHeight + kBlock + kBlockWords) * kGroup + 2 * all;
  }
  AttentionBackwardScratch(const Attention& a, const AttentionExtent& extent, void* memory) {
    float* at = static_cast<float*>(memory);
    const auto take = [&at](int64_t count) {
      float* taken = at;
      at += count;
      return taken;
    };
    keys = take(kBlock * a.width);
    values = take(kBlock * a.width);
    keysAcross = kTwoWays ? take(kBlock * a.width) : keys;
    dKeys = take(keyRows(a, extent) * a.width);
    dValues = take(keyRows(a, extent) * a.width);
    queries = take(kGroup * a.width);
    gradients = take(kGroup * a.width);
    dQueries = take(stats(extent) * a.width);
    dScores = take(kBlock * kGroup);
    weights = take(kTileHeight * kGroup);
    tileScores = take(kTileHeight * kGroup);
    weightsAlong = kTwoWays ? take(kTileHeight * kGroup) : weights;
    scoresAlong = take(kTileHeight * kGroup);
    kept = reinterpret_cast<uint32_t*>(take(kBlockWords * kGroup));
    queryColumns = take(kGroup * a.headDim);
    gradientColumns = take(kGroup * a.headDim);
    exponents = take(stats(extent));
    deltas = take(stats(extent));
  }

 private:
  static int64_t stats(const AttentionExtent& extent) { return roundUp(extent.queries, kGroup); }
  static int64_t keyRows(const Attention& a, const AttentionExtent& extent) {
    return a.group > 1 ? roundUp(extent.queries, kBlock) : kBlock;
  }
};

// Pointers to the first row of one head of a sequence.
template <typename T>
struct AttentionHead {
  const T *dOut, *q, *k, *v, *out;
  const float* logSumExp;
  T *dq, *dk, *dv;
  int64_t number;
  bool first, last;  // whether it is the first head, or the last head, of the heads that share keys and values
  DropoutMask<const uint32_t> dropoutMask;

  AttentionHead(const AttentionBackwardArgs& args, const Attention& a, int64_t head)
      : number(head),
        first(a.isFirstOfGroup(head)),
        last(a.isLastOfGroup(head)),
        dropoutMask(a, args.kept.orNull(), head) {
    dOut = args.dOut.as<T>() + a.outOf(head);
    q = args.q.as<T>() + a.queryOf(head);
    k = args.k.as<T>() + a.keyOf(head);
    v = args.v.as<T>() + a.keyOf(head);
    out = args.out.as<T>() + a.outOf(head);
    logSumExp = args.logSumExp + a.statOf(head);
    dq = args.dq.as<T>() + a.queryOf(head);
    dk = args.dk.as<T>() + a.keyOf(head);
    dv = args.dv.as<T>() + a.keyOf(head);
  }

  __attribute__((always_inline)) void prefetch(const Attention& a, int64_t row) const {
    prefetchRow(dOut + row * a.outStride(), a.headDim);
    prefetchRow(q + row * a.queryStride, a.headDim);
    prefetchRow(k + row * a.keyStride, a.headDim);
    prefetchRow(v + row * a.keyStride, a.headDim);
    prefetchRow(out + row * a.outStride(), a.headDim);
    prefetchRow<true>(dq + row * a.queryStride, a.headDim);
    prefetchRow<true>(dk + row * a.keyStride, a.headDim);
    prefetchRow<true>(dv + row * a.keyStride, a.headDim);
  }
};

// Computes P∘M (without its factor) and dS from scores and dOut·Vᵀ, for a vector of queries and a tile of keys. The
// distance between rows is kGroup. `seen` clears lanes of queries that do not see a key. `masked` clears lanes of
// dropped weights.
template <class Operands, typename Seen, typename Masked>
FT_INLINE void softmaxBackward(const Attention& a, Seen seen, Masked masked, F32 exponent, F32 delta, float* weights,
                               float* dScores) {
  constexpr bool kPairs = Operands::kUnitDepth > 1;
  const F32 dScale = splat(a.scale * a.keptScale);
  FT_UNROLL
  for (int i = 0; i < kTileHeight; i++) {
    F32 weight = seen(i, exp2(fma(load(weights + i * kGroup), splat(a.exponentScale), -exponent)));
    const F32 dWeight = masked(i, load(dScores + i * kGroup));
    const F32 keptWeight = masked(i, weight);
    const F32 dScore = seen(i, weight * fma(dWeight, dScale, -delta));
    if constexpr (kPairs) {
      store(weights + i * kGroup, keptWeight);
      store(dScores + i * kGroup, dScore);
    } else {
      store(weights + i * kGroup, Operands::across({keptWeight}));
      store(dScores + i * kGroup, Operands::across({dScore}));
    }
  }
}

// A block of keys [block, blockEnd) of one head, and all queries that see one of these keys.
template <class Operands, typename T>
struct BackwardBlock {
  const Attention& a;
  const AttentionBackwardScratch<Operands>& s;
  const AttentionHead<T>& head;
  const AttentionHead<T>& next;
  int64_t block, keys;
  RowsOfNextHead nextRows = {block, block + keys};
  // If heads share keys, the sums for all blocks are stored until the last of these heads is added.
  int64_t firstRow = a.group > 1 ? block : 0;
  float* dKeys = s.dKeys + firstRow * a.width;
  float* dValues = s.dValues + firstRow * a.width;

  void run() {
    packAlong<Operands>(a, head.k + block * a.keyStride, a.keyStride, keys, tilesOf(keys), s.keys);
    packAlong<Operands>(a, head.v + block * a.keyStride, a.keyStride, keys, tilesOf(keys), s.values);
    if constexpr (Operands::kUnitDepth > 1)
      packAcross<Operands>(a, head.k + block * a.keyStride, a.keyStride, keys, tilesOf(keys), s.keysAcross);
    const int64_t queryEnd = min(a.queriesSeeing(block + keys), a.queries);
    for (int64_t group = a.causal ? block : 0; group < queryEnd; group += kGroup) {
      const int64_t count = min(a.queries - group, kGroup);
      if (begins(group)) prepare(group, count);
      attend(group, count);
    }
    if (!head.last) return;
    writeRows(a, dKeys, keys, 1, head.dk + block * a.keyStride, a.keyStride);
    writeRows(a, dValues, keys, a.keptScale, head.dv + block * a.keyStride, a.keyStride);
  }

 private:
  static constexpr int kDepth = Operands::kUnitDepth;
  static constexpr int64_t kRowsAtATime = divideUp(RowsOfNextHead::kRows, 4);

  // Whether no query of a group sees a key before this block.
  bool begins(int64_t group) const { return a.firstSeen(group) >= block; }

  // Computes exponents and deltas of queries [group, group + count).
  void prepare(int64_t group, int64_t count) const {
    for (int64_t i = group; i < group + count; i++) {
      F32 sum{};
      for (int64_t d = 0; d < a.headDim; d += kLanes) {
        const F32 dOut = Operands::rounded(Float32::along(head.dOut + i * a.outStride() + d, a.headDim - d));
        sum = fma(dOut, Float32::along(head.out + i * a.outStride() + d, a.headDim - d), sum);
      }
      s.exponents[i] = head.logSumExp[i] * kLog2E;
      s.deltas[i] = a.scale * sumLanes(sum);
    }
    for (int64_t i = group + count; i < group + kGroup; i++) s.exponents[i] = s.deltas[i] = 0;
  }

  // Adds the gradients of the block's keys that come from queries [group, group + count).
  void attend(int64_t group, int64_t count) {
    const int64_t inBlock = group - block;
    const bool diagonal = a.causal && inBlock < kBlock;
    const T* q = head.q + group * a.queryStride;
    const T* dOut = head.dOut + group * a.outStride();
    packAcross<Operands>(a, q, a.queryStride, count, kGroup, s.queries);
    packAcross<Operands>(a, dOut, a.outStride(), count, kGroup, s.gradients);
    packGroup<Operands>(a, q, a.queryStride, 0, count, s.queryColumns);
    packGroup<Operands>(a, dOut, a.outStride(), 0, count, s.gradientColumns);

    const int64_t rows = diagonal ? min(inBlock + kGroup, tilesOf(keys)) : keys;
    const int64_t edge = inBlock - a.window + 1, oldest = max(edge, int64_t{0});
    const int64_t undrawn = oldest / kDropoutBlock * kDropoutBlock;
    uint32_t* const kept = s.kept + undrawn / kWordKeys * kGroup;
    if (a.drops && head.dropoutMask.words != nullptr) {
      head.dropoutMask.get(kept, group, count, block + undrawn, rows - undrawn);
    } else if (a.drops) {
      for (int64_t v = 0; v < kGroup; v += kLanes)
        drawMask(a, a.maskRow(head.number, group + v), block + undrawn, rows - undrawn, kept + v);
    }
    for (int64_t key = oldest / kTileHeight * kTileHeight; key < rows; key += kTileHeight) attendTile(group, count, key, diagonal);

    float* const dQueries = s.dQueries + group * a.width;
    for (int64_t query = 0; query < count; query += kTileHeight) {
      const int64_t units = unitsOf<Operands>(diagonal ? inBlock + query : keys);
      const BlockProduct product{s.dScores + query,           kGroup,  s.keysAcross, a.width, units,
                                 dQueries + query * a.width, a.width, !begins(group)};
      if (diagonal) multiplyWindow<Operands, true>(product, edge + query, a.width);
      else multiplyWindow<Operands, false>(product, edge + query, a.width);
    }
    const bool lastKeys = diagonal || block + kBlock >= a.keys;
    if (lastKeys) writeRows(a, dQueries, count, 1, head.dq + group * a.queryStride, a.queryStride);
  }

  // Processes a group of queries with keys [key, key + kTileHeight) of the block.
  void attendTile(int64_t group, int64_t count, int64_t key, bool diagonal) {
    const int64_t inBlock = group - block;
    // query: the first query that sees one of these keys. vector: the vector that contains this query. queryEnd: the
    // end of the queries that see one of these keys.
    const int64_t query = diagonal ? max(key - inBlock, 0) : 0;
    const int64_t queryEnd = min(a.queriesSeeing(key + kTileHeight) - inBlock, count);
    const int64_t vector = query / kLanes * kLanes;
    const int64_t stride = a.alongStride<Operands>();
    float* dScores = kDepth > 1 ? s.tileScores : s.dScores + key * kGroup;
    nextRows.prefetch(a, next, kRowsAtATime);
    multiplyBlock<Operands, LeftOrder::kByRow>({s.keys + key * stride, stride, s.queryColumns + vector, kGroup,
                                                unitsOf<Operands>(a.headDim), s.weights + vector, kGroup, false},
                                               kGroup - vector);
    nextRows.prefetch(a, next, kRowsAtATime);
    multiplyBlock<Operands, LeftOrder::kByRow>({s.values + key * stride, stride, s.gradientColumns + vector, kGroup,
                                                unitsOf<Operands>(a.headDim), dScores + vector, kGroup, false},
                                               kGroup - vector);

    for (int64_t v = vector; v < kGroup; v += kLanes) {
      const KeyMask keyMask{diagonal ? inBlock + v : keys, diagonal, inBlock + v - a.window + 1};
      const F32 exponent = load(s.exponents + group + v);
      const F32 delta = load(s.deltas + group + v);
      const auto all = [](int, F32 value) { return value; };
      const auto some = [&](int i, F32 value) { return keyMask.lanes(key + i) ? value : F32{}; };
      const auto through = [&](auto masked) __attribute__((always_inline)) {
        if (key >= keyMask.wholeFrom() && key + kTileHeight <= keyMask.full)
          softmaxBackward<Operands>(a, all, masked, exponent, delta, s.weights + v, dScores + v);
        else softmaxBackward<Operands>(a, some, masked, exponent, delta, s.weights + v, dScores + v);
      };
      if (!a.drops) through(all);
      else through([&](int i, F32 value) { return maskedBy(loadWords(s.kept + (key + i) / kWordKeys * kGroup + v), key + i, value); });
    }
    if constexpr (kDepth > 1) packPairs(key, vector);

    const int64_t units = unitsOf<Operands>(queryEnd - query);
    if (queryEnd <= query) return;
    const bool continues = !head.first || (group != 0 && !(diagonal && key >= inBlock));
    const int64_t firstUnit = query / kDepth;
    nextRows.prefetch(a, next, kRowsAtATime);
    multiplyBlock<Operands, LeftOrder::kByRow>(
        {s.weightsAlong + firstUnit, kGroup, s.gradients + firstUnit * a.width, a.width, units,
         dValues + key * a.width, a.width, continues},
        a.width);
    nextRows.prefetch(a, next, kRowsAtATime);
    multiplyBlock<Operands, LeftOrder::kByRow>(
        {(kDepth > 1 ? s.scoresAlong : dScores) + firstUnit, kGroup, s.queries + firstUnit * a.width, a.width, units,
         dKeys + key * a.width, a.width, continues},
        a.width);
  }

  // If units are pairs, packs P∘M along the queries, and dS both along the queries and across the keys.
  void packPairs(int64_t key, int64_t vector) const {
    for (int64_t i = 0; i < kTileHeight; i++) {
      store(s.weightsAlong + i * kGroup, Operands::along(s.weights + i * kGroup, kGroup));
      store(s.scoresAlong + i * kGroup, Operands::along(s.tileScores + i * kGroup, kGroup));
    }
    for (int64_t v = vector; v < kGroup; v += kLanes)
      for (int64_t i = 0; i < kTileHeight; i += kDepth)
        store(s.dScores + (key + i) / kDepth * kGroup + v,
              loadAcross<Operands>(s.tileScores + i * kGroup + v, kGroup, kDepth, kLanes));
  }
};

// dOut, q, k, v, out, dq, dk and dv have elements of type T.
template <class Operands, typename T = float>
static void attendBackward(const AttentionBackwardArgs& args, const Attention& call, Pool& pool) {
  using Scratch = AttentionBackwardScratch<Operands>;
  const AttentionExtent extent = call.extent();
  if (!pool.reserveScratch(Scratch::floats(call, extent) * int64_t{sizeof(float)})) return;
  parallelRanges(pool, call.batch * call.keyHeads, 1, [&](int64_t begin, int64_t end, int thread) {
    const Scratch scratch(call, extent, pool.scratch(thread));
    const int64_t last = end * call.group - 1;
    for (int64_t index = begin * call.group; index <= last; index++) {
      const Attention a = call.sequence(index / call.heads);
      const AttentionHead<T> head(args, a, index % call.heads);
      const int64_t following = min(index + 1, last);
      const AttentionHead<T> next(args, call.sequence(following / call.heads), following % call.heads);
      for (int64_t block = 0; block < a.queries; block += kBlock)
        BackwardBlock<Operands, T>{a, scratch, head, next, block, min(a.queries - block, kBlock)}.run();
    }
  });
}

// Declared in src/backend/kernels/kernels.ts. One thread computes all heads that share keys and values, so no sum is
// split between threads.
static void attentionBackward(const AttentionBackwardArgs& args, Pool& pool) {
  const Attention call(args);
  if (call.batch == 0 || call.queries == 0 || call.heads == 0) return;
#if defined(FT_TILES)
  if (args.q.narrow()) return attendBackwardByTiles(args, call, pool);
#elif defined(FT_NARROW)
  if (args.q.narrow()) return attendBackward<Bfloat16, Narrow>(args, call, pool);
#endif
  if (args.bfloat16) attendBackward<Bfloat16>(args, call, pool);
  else attendBackward<Float32>(args, call, pool);
}

}  // namespace foretoken::FT_ISA
