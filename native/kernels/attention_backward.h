// Gradients of attention. With P the probabilities, recomputed from logSumExp, and M the dropout mask:
//   dV = (P∘M)ᵀ·dOut;  dP = (dOut·Vᵀ)∘M;  dS = P∘(dP − rowsum(dOut∘out));  dQ = scale·dS·K;  dK = scale·dSᵀ·Q.
#pragma once

#include <cstdint>

#include "../call.h"
#include "../math.h"
#include "../parallel.h"
#include "attention_parts.h"

namespace foretoken::FT_ISA {

// Scratch of one thread, for a block of keys and a block of queries.
struct AttentionBackwardScratch {
  float* left;              // [kTileRows][kRowStride] queries · scale
  float* leftOut;           // [kTileRows][kRowStride] gradients of the output
  float* pairs;             // [kBlock][kRowStride]: P∘M in columns [0, kBlock), dS in [kBlock, 2·kBlock)
  float* mask;              // [kBlock]
  float* keysTransposed;    // of K
  float* valuesTransposed;  // of V
  float* keys;              // panels of scale · K
  float* queries;           // panels of scale · Q
  float* gradients;         // panels of dOut

  static int64_t floats(const Attention& a) {
    return (2 * kTileRows + kBlock) * kRowStride + kBlock + 5 * a.panelFloats();
  }
  AttentionBackwardScratch(const Attention& a, void* memory) {
    left = static_cast<float*>(memory);
    leftOut = left + kTileRows * kRowStride;
    pairs = leftOut + kTileRows * kRowStride;
    mask = pairs + kBlock * kRowStride;
    keysTransposed = mask + kBlock;
    valuesTransposed = keysTransposed + a.panelFloats();
    keys = valuesTransposed + a.panelFloats();
    queries = keys + a.panelFloats();
    gradients = queries + a.panelFloats();
  }
};

// The pointers of one head, at its first row.
struct AttentionHead {
  const float *dOut, *q, *k, *v, *out, *logSumExp;
  float *dq, *dk, *dv;
  uint32_t maskRow;

  AttentionHead(const Call& call, const Attention& a, int64_t index) {
    const int64_t b = index / a.heads, h = index % a.heads;
    const int64_t queryOffset = b * a.queryBatchStride + h * a.headDim;
    const int64_t keyOffset = b * a.keyBatchStride + h * a.headDim;
    const int64_t outOffset = b * a.queries * a.outStride() + h * a.headDim;
    dOut = call.buffer(0) + outOffset;
    q = call.buffer(1) + queryOffset;
    k = call.buffer(2) + keyOffset;
    v = call.buffer(3) + keyOffset;
    out = call.buffer(4) + outOffset;
    logSumExp = call.buffer(5) + index * a.queries;
    dq = call.buffer(6) + queryOffset;
    dk = call.buffer(7) + keyOffset;
    dv = call.buffer(8) + keyOffset;
    maskRow = a.maskRow(b, h, 0);
  }

  void prefetch(const Attention& a, int64_t row, int64_t rows) const {
    prefetchRows(dOut + row * a.outStride(), a.outStride(), rows, a.headDim);
    prefetchRows(q + row * a.queryStride, a.queryStride, rows, a.headDim);
    prefetchRows(k + row * a.keyStride, a.keyStride, rows, a.headDim);
    prefetchRows(v + row * a.keyStride, a.keyStride, rows, a.headDim);
    prefetchRows(out + row * a.outStride(), a.outStride(), rows, a.headDim);
    prefetchRows<true>(dq + row * a.queryStride, a.queryStride, rows, a.headDim);
    prefetchRows<true>(dk + row * a.keyStride, a.keyStride, rows, a.headDim);
    prefetchRows<true>(dv + row * a.keyStride, a.keyStride, rows, a.headDim);
  }
};

FT_INLINE float dotRows(const float* a, const float* b, int64_t width) {
  F32 sum{};
  int64_t d = 0;
  for (; d + kLanes <= width; d += kLanes) sum = fma(load(a + d), load(b + d), sum);
  if (d < width) {
    const int count = static_cast<int>(width - d);
    sum = fma(loadPartial(a + d, count), loadPartial(b + d, count), sum);
  }
  return sumLanes(sum);
}

// Scores and dOut·Vᵀ of one query become P∘M and dS for its `count` keys of the block, and 0 up to `zeroEnd`.
FT_INLINE void softmaxBackwardRow(float* pair, int64_t count, int64_t zeroEnd, float logSumExp, float rowSum,
                                  const float* mask) {
  float* gradient = pair + kBlock;
  int64_t j = 0;
  for (; j < count; j += kLanes) {
    F32 weight = firstLanes(count - j, exp(load(pair + j) - logSumExp), F32{});
    F32 dWeight = load(gradient + j);
    F32 kept = weight;
    if (mask) {
      dWeight *= load(mask + j);
      kept *= load(mask + j);
    }
    store(gradient + j, firstLanes(count - j, weight * (dWeight - rowSum), F32{}));
    store(pair + j, kept);
  }
  for (; j < zeroEnd; j += kLanes) {
    store(pair + j, F32{});
    store(gradient + j, F32{});
  }
}

// Adds what queries [q0, q1) and keys [k0, k1) give each other; each is one block.
static void attendBackwardBlock(const Attention& a, const AttentionBackwardScratch& s, const AttentionHead& head,
                                const AttentionHead& next, int64_t k0, int64_t k1, int64_t q0, int64_t q1) {
  const bool diagonal = a.causal && q0 == k0;
  const int64_t keys = k1 - k0;
  const int64_t queries = q1 - q0;
  packRight(head.q + q0 * a.queryStride, a.queryStride, queries, a.headDim, a.scale, s.queries);
  packRight(head.dOut + q0 * a.outStride(), a.outStride(), queries, a.headDim, 1, s.gradients);

  const int64_t queryTiles = tileCount(queries);
  for (int64_t t = 0; t < queryTiles; t++) {
    const int64_t query = tileBegin(queries, t);
    const int rows = static_cast<int>(tileBegin(queries, t + 1) - query);
    const int64_t fewest = diagonal ? query + 1 : keys;
    const int64_t most = diagonal ? query + rows : keys;
    const float* dOut = head.dOut + (q0 + query) * a.outStride();
    const float* out = head.out + (q0 + query) * a.outStride();
    float* pairs = s.pairs + query * kRowStride;
    if (q0 == k0) next.prefetch(a, q0 + query, rows);
    packLeft(head.q + (q0 + query) * a.queryStride, a.queryStride, rows, a.headDim, a.scale, s.left);
    packLeft(dOut, a.outStride(), rows, a.headDim, 1, s.leftOut);
    multiplyByKeys(s.left, rows, s.keysTransposed, most, a.headDim, pairs);
    multiplyByKeys(s.leftOut, rows, s.valuesTransposed, most, a.headDim, pairs + kBlock);
    for (int i = 0; i < rows; i++) {
      const int64_t count = diagonal ? fewest + i : keys;
      // dK and dV read the row as far as the tile of keys that the query's own position is in.
      const int64_t reach = vectorsOf(count + kTileRows);
      if (a.drops)
        dropoutScales(a.dropoutKey, head.maskRow + static_cast<uint32_t>(q0 + query + i), k0, vectorsOf(count),
                      a.keptScale, s.mask);
      softmaxBackwardRow(pairs + i * kRowStride, count, reach < kBlock ? reach : kBlock,
                         head.logSumExp[q0 + query + i],
                         dotRows(dOut + i * a.outStride(), out + i * a.outStride(), a.headDim),
                         a.drops ? s.mask : nullptr);
    }
    float* dq = head.dq + (q0 + query) * a.queryStride;
    const Result result = k0 == 0 ? Result::kSet : Result::kContinue;
    if (diagonal) multiplyCausally(pairs + kBlock, rows, fewest, s.keys, a.headDim, dq, a.queryStride, result);
    else multiplyByRows<Order::kRows>(pairs + kBlock, rows, keys, s.keys, a.headDim, dq, a.queryStride, result);
  }

  const int64_t keyTiles = tileCount(keys);
  const Result result = diagonal || q0 == 0 ? Result::kSet : Result::kContinue;
  for (int64_t t = 0; t < keyTiles; t++) {
    const int64_t key = tileBegin(keys, t);
    const int rows = static_cast<int>(tileBegin(keys, t + 1) - key);
    const int64_t first = diagonal ? key : 0;
    const float* pairs = s.pairs + first * kRowStride + key;
    const int64_t row = (k0 + key) * a.keyStride;
    multiplyByRows<Order::kColumns>(pairs, rows, queries - first, s.gradients + first * kTileColumns, a.headDim,
                                    head.dv + row, a.keyStride, result);
    multiplyByRows<Order::kColumns>(pairs + kBlock, rows, queries - first, s.queries + first * kTileColumns, a.headDim,
                                    head.dk + row, a.keyStride, result);
  }
}

// dOut, out: [B, T, H·D]; q, k, v and their gradients as in attentionForward. One thread computes a whole head, so no
// sum is divided.
static void attentionBackward(const Call& call, Pool& pool) {
  const Attention a(call);
  if (a.batch == 0 || a.queries == 0 || a.heads == 0) return;
  if (!pool.reserveScratch(AttentionBackwardScratch::floats(a) * int64_t{sizeof(float)})) return;
  parallelRanges(pool, a.batch * a.heads, 1, [&](int64_t begin, int64_t end, int thread) {
    const AttentionBackwardScratch scratch(a, pool.scratch(thread));
    for (int64_t index = begin; index < end; index++) {
      const AttentionHead head(call, a, index);
      const AttentionHead next(call, a, index + 1 < end ? index + 1 : index);
      for (int64_t k0 = 0; k0 < a.queries; k0 += kBlock) {
        const int64_t k1 = k0 + kBlock < a.queries ? k0 + kBlock : a.queries;
        const float* k = head.k + k0 * a.keyStride;
        packRightTransposed(k, a.keyStride, k1 - k0, a.headDim, scratch.keysTransposed);
        packRightTransposed(head.v + k0 * a.keyStride, a.keyStride, k1 - k0, a.headDim, scratch.valuesTransposed);
        packRight(k, a.keyStride, k1 - k0, a.headDim, a.scale, scratch.keys);
        for (int64_t q0 = a.causal ? k0 : 0; q0 < a.queries; q0 += kBlock)
          attendBackwardBlock(a, scratch, head, next, k0, k1, q0, q0 + kBlock < a.queries ? q0 + kBlock : a.queries);
      }
    }
  });
}

}  // namespace foretoken::FT_ISA
