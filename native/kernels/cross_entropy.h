// Cross-entropy of a softmax, per row, in nats, as torch.nn.functional.cross_entropy with reduction="none" and
// negative targets ignored. loss = ln Σ exp(z) − z[target]; dz = dLoss·(softmax(z) − onehot(target)).
#pragma once

#include "../call.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../math.h"
#include "../parallel.h"
#include "elementwise.h"

namespace foretoken::FT_ISA {
namespace {

FT_INLINE float rowMax(const float* row, int64_t n) {
  F32 largest[4];
  for (F32& one : largest) one = splat(-kInfinity);
  int64_t c = 0;
  for (; c + 4 * kLanes <= n; c += 4 * kLanes)
    for (int j = 0; j < 4; j++) largest[j] = max(load(row + c + j * kLanes), largest[j]);
  forVectors(c, n, [&](int64_t i, auto lanes) {
    largest[0] = max(within(lanes, load(row + i, lanes), splat(-kInfinity)), largest[0]);
  });
  return maxLanes(max(max(largest[0], largest[1]), max(largest[2], largest[3])));
}

// Σ exp(row − largest). A long row is summed in chunks whose totals are added in double, or float32 would lose digits.
FT_INLINE float sumOfExp(const float* row, int64_t n, float largest) {
  constexpr int64_t kChunk = 2048;
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kChunk) {
    const int64_t end = begin + kChunk < n ? begin + kChunk : n;
    F32 totals[2] = {};
    int64_t c = begin;
    for (; c + 2 * kLanes <= end; c += 2 * kLanes)
      for (int j = 0; j < 2; j++) totals[j] += exp(load(row + c + j * kLanes) - largest);
    forVectors(c, end, [&](int64_t i, auto lanes) {
      totals[0] += within(lanes, exp(load(row + i, lanes) - largest), F32{});
    });
    total += sumLanes(totals[0] + totals[1]);
  }
  return static_cast<float>(total);
}

FT_INLINE int64_t clampTarget(int32_t target, int64_t vocabSize) {
  return target >= vocabSize ? vocabSize - 1 : target;
}

void crossEntropyForward(const Call& call, Pool& pool) {
  const float* logits = call.buffer(0);
  const int32_t* targets = call.buffer<int32_t>(1);
  float* losses = call.buffer(2);
  float* logSumExps = call.buffer(3);
  const int64_t rows = call.ints[0], vocabSize = call.ints[1];
  parallelRanges(pool, rows, rowGrain(vocabSize), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const float* row = logits + r * vocabSize;
      const float largest = rowMax(row, vocabSize);
      const float logSum = log(sumOfExp(row, vocabSize, largest));
      logSumExps[r] = largest + logSum;
      losses[r] = targets[r] < 0 ? 0.0f : (largest - row[clampTarget(targets[r], vocabSize)]) + logSum;
    }
  });
}

template <typename T>
FT_INLINE void crossEntropyBackwardTo(const Call& call, Pool& pool, T* dLogits) {
  const float* logits = call.buffer(0);
  const int32_t* targets = call.buffer<int32_t>(1);
  const float* logSumExps = call.buffer(2);
  const int64_t rows = call.ints[0], vocabSize = call.ints[1];
  const float gradient = *call.buffer(3);
  parallelRanges(pool, rows, rowGrain(vocabSize), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const float* row = logits + r * vocabSize;
      T* out = dLogits + r * vocabSize;
      if (targets[r] < 0) {
        std::memset(out, 0, sizeof(T) * static_cast<size_t>(vocabSize));
        continue;
      }
      const float logSumExp = logSumExps[r];
      forVectors(0, vocabSize, [=](int64_t c, auto lanes) {
        store(out + c, exp(load(row + c, lanes) - logSumExp) * gradient, lanes);
      });
      const int64_t target = clampTarget(targets[r], vocabSize);
      const F32 probability = exp(splat(row[target] - logSumExp));
      storePartial(out + target, probability * gradient - gradient, 1);
    }
  });
}

void crossEntropyBackward(const Call& call, Pool& pool) {
  withElements(call, 4, [&](auto* dLogits) { crossEntropyBackwardTo(call, pool, dLogits); });
}

}  // namespace
}  // namespace foretoken::FT_ISA
