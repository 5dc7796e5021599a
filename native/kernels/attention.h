// Attention without a T×T array: blocks of keys with a running maximum and sum (Milakov & Gimelshein 2018;
// Dao et al., "FlashAttention", 2022); where it is causal, nothing above the diagonal is computed. Declared in
// src/backend/kernels.ts.
#pragma once

#include <cstdint>

#include "../call.h"
#include "../math.h"
#include "../parallel.h"
#include "attention_backward.h"
#include "attention_parts.h"

namespace foretoken::FT_ISA {

// Scratch of one thread. Of the queries of a block: the unnormalised output, the running maximum, and the running sum
// with one partial sum a lane.
struct AttentionForwardScratch {
  float* left;        // [kTileRows][kRowStride] queries · scale
  float* scores;      // [kTileRows][kRowStride] scores, then probabilities
  float* mask;        // [kBlock]
  float* maxima;      // [kBlock]
  float* sums;        // [kBlock][kLanes]
  float* keys;        // transposed
  float* values;      // panels
  float* out;         // [kBlock][outStride]
  int64_t outStride;

  static int64_t floats(const Attention& a) {
    return 2 * kTileRows * kRowStride + 2 * kBlock + kBlock * kLanes + 3 * a.panelFloats();
  }
  AttentionForwardScratch(const Attention& a, void* memory) {
    left = static_cast<float*>(memory);
    scores = left + kTileRows * kRowStride;
    mask = scores + kTileRows * kRowStride;
    maxima = mask + kBlock;
    sums = maxima + kBlock;
    keys = sums + kBlock * kLanes;
    values = keys + a.panelFloats();
    out = values + a.panelFloats();
    outStride = a.panelFloats() / kBlock;
  }
};

// Turns the scores of one query with `count` keys of a block into e^(score − maximum), and brings what was summed over
// earlier blocks to the new maximum.
FT_INLINE void softmaxRow(float* scores, int64_t count, bool first, float* maximum, float* sums, float* out,
                          int64_t width) {
  F32 highest = splat(-kInfinity);
  for (int64_t j = 0; j < count; j += kLanes)
    highest = max(firstLanes(count - j, load(scores + j), splat(-kInfinity)), highest);
  float reference = maxLanes(highest);
  F32 sum{};
  if (!first) {
    if (*maximum > reference) reference = *maximum;
    const F32 factor = exp(splat(*maximum - reference));
    sum = load(sums) * factor;
    for (int64_t d = 0; d < width; d += kLanes) store(out + d, load(out + d) * factor);
  }
  *maximum = reference;
  for (int64_t j = 0; j < count; j += kLanes) {
    const F32 weight = firstLanes(count - j, exp(load(scores + j) - reference), F32{});
    store(scores + j, weight);
    sum += weight;
  }
  store(sums, sum);
}

// The pointers of one head, at its first row.
struct AttentionForwardHead {
  const float *q, *k, *v;
  float *out, *logSumExp;
  uint32_t maskRow;

  AttentionForwardHead(const Call& call, const Attention& a, int64_t index) {
    const int64_t b = index / a.heads, h = index % a.heads;
    q = call.buffer(0) + b * a.queryBatchStride + h * a.headDim;
    k = call.buffer(1) + b * a.keyBatchStride + h * a.headDim;
    v = call.buffer(2) + b * a.keyBatchStride + h * a.headDim;
    out = call.buffer(3) + b * a.queries * a.outStride() + h * a.headDim;
    logSumExp = call.buffer(4) + index * a.queries;
    maskRow = a.maskRow(b, h, 0);
  }

  void prefetch(const Attention& a, int64_t query, int64_t rows) const {
    const int64_t key = a.start + query;
    prefetchRows(q + query * a.queryStride, a.queryStride, rows, a.headDim);
    prefetchRows(k + key * a.keyStride, a.keyStride, rows, a.headDim);
    prefetchRows(v + key * a.keyStride, a.keyStride, rows, a.headDim);
    prefetchRows<true>(out + query * a.outStride(), a.outStride(), rows, a.headDim);
  }
};

// Queries [begin, end) of one head, all in one block of positions.
static void attendBlock(const Attention& a, const AttentionForwardScratch& s, const AttentionForwardHead& head,
                        const AttentionForwardHead& next, int64_t begin, int64_t end) {
  const int64_t width = vectorsOf(a.headDim);
  const int64_t firstPosition = a.start + begin;
  const int64_t keyEnd = a.start + (a.causal ? end : a.queries);
  const int64_t tiles = tileCount(end - begin);
  for (int64_t block = 0; block < keyEnd; block += kBlock) {
    const int64_t blockKeys = keyEnd - block < kBlock ? keyEnd - block : kBlock;
    const bool last = keyEnd - block <= kBlock;
    const bool diagonal = a.causal && last;
    packRightTransposed(head.k + block * a.keyStride, a.keyStride, blockKeys, a.headDim, s.keys);
    packRight(head.v + block * a.keyStride, a.keyStride, blockKeys, a.headDim, 1, s.values);
    for (int64_t t = 0; t < tiles; t++) {
      const int64_t query = tileBegin(end - begin, t);
      const int rows = static_cast<int>(tileBegin(end - begin, t + 1) - query);
      // Keys of this block that the first and the last query of the tile see.
      const int64_t fewest = diagonal ? firstPosition + query + 1 - block : blockKeys;
      const int64_t most = diagonal ? fewest + rows - 1 : blockKeys;
      if (last) next.prefetch(a, begin + query, rows);
      packLeft(head.q + (begin + query) * a.queryStride, a.queryStride, rows, a.headDim, a.scale, s.left);
      multiplyByKeys(s.left, rows, s.keys, most, a.headDim, s.scores);
      for (int i = 0; i < rows; i++) {
        const int64_t row = query + i;
        const int64_t count = diagonal ? fewest + i : blockKeys;
        float* scores = s.scores + i * kRowStride;
        softmaxRow(scores, count, block == 0, s.maxima + row, s.sums + row * kLanes, s.out + row * s.outStride, width);
        if (!a.drops) continue;
        dropoutScales(a.dropoutKey, head.maskRow + static_cast<uint32_t>(begin + row), block, vectorsOf(count),
                      a.keptScale, s.mask);
        for (int64_t j = 0; j < count; j += kLanes) store(scores + j, load(scores + j) * load(s.mask + j));
      }
      const Result result = block == 0 ? Result::kSet : Result::kContinue;
      float* sum = s.out + query * s.outStride;
      if (diagonal) multiplyCausally(s.scores, rows, fewest, s.values, width, sum, s.outStride, result);
      else multiplyByRows<Order::kRows>(s.scores, rows, blockKeys, s.values, width, sum, s.outStride, result);
    }
  }
  for (int64_t row = 0; row < end - begin; row++) {
    const float total = sumLanes(load(s.sums + row * kLanes));
    const float factor = 1.0f / total;
    float* target = head.out + (begin + row) * a.outStride();
    const float* source = s.out + row * s.outStride;
    int64_t d = 0;
    for (; d + kLanes <= a.headDim; d += kLanes) store(target + d, load(source + d) * factor);
    if (d < a.headDim) storePartial(target + d, load(source + d) * factor, static_cast<int>(a.headDim - d));
    head.logSumExp[begin + row] = s.maxima[row] + log(total);
  }
}

// q: [B, queries, H·D], k, v: [B, start + queries, H·D] → out: [B, queries, H·D], logSumExp: [B, H, queries]
static void attentionForward(const Call& call, Pool& pool) {
  const Attention a(call);
  if (a.batch == 0 || a.queries == 0 || a.heads == 0) return;

  // Work in query blocks, in proportion to the keys that they see.
  const int64_t firstBlock = a.start / kBlock;
  const int64_t blocks = (a.start + a.queries - 1) / kBlock - firstBlock + 1;
  const int64_t allKeyBlocks = firstBlock + blocks;
  const int64_t costPerHead = a.causal ? blocks * firstBlock + blocks * (blocks + 1) / 2 : blocks * allKeyBlocks;
  const int64_t cost = a.batch * a.heads * costPerHead;
  const int64_t pairsSeen = a.queries * (2 * a.start + (a.causal ? 1 : 2) * a.queries);  // twice their mean
  const int64_t multiplyAdds = a.batch * a.heads * a.headDim * pairsSeen;
  const int64_t wanted = multiplyAdds / kThreadWork + 1;
  const int64_t parts = wanted < pool.threads() ? wanted : pool.threads();
  if (!pool.reserveScratch(AttentionForwardScratch::floats(a) * int64_t{sizeof(float)})) return;
  parallelRanges(pool, parts, 1, [&](int64_t firstPart, int64_t lastPart, int thread) {
    const AttentionForwardScratch scratch(a, pool.scratch(thread));
    int64_t done = 0;
    for (int64_t head = 0; head < a.batch * a.heads; head++) {
      for (int64_t block = 0; block < blocks; block++) {
        // A block belongs to the part in whose share of the cost its middle lies.
        const int64_t keyBlocks = a.causal ? firstBlock + block + 1 : allKeyBlocks;
        const int64_t middle = 2 * done + keyBlocks;
        done += keyBlocks;
        const int64_t part = middle * parts / (2 * cost);
        if (part < firstPart || part >= lastPart) continue;
        const int64_t position = (firstBlock + block) * kBlock;
        const int64_t begin = position < a.start ? 0 : position - a.start;
        const int64_t limit = position + kBlock - a.start;
        const int64_t end = limit < a.queries ? limit : a.queries;
        const int64_t nextHead = head + 1 < a.batch * a.heads ? head + 1 : head;
        attendBlock(a, scratch, {call, a, head}, {call, a, nextHead}, begin, end);
      }
    }
  });
}

}  // namespace foretoken::FT_ISA
