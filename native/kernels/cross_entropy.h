// Cross-entropy of a softmax, per row, in nats, like torch.nn.functional.cross_entropy with reduction="none". Negative
// targets are ignored. loss = ln Σ exp(z) − z[target]; dz = dLoss·(softmax(z) − onehot(target)).
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../math.h"
#include "../narrow.h"
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

// Σ exp(row − largest). A long row is summed in chunks. The sums of the chunks are added in double, because float32
// would lose digits.
FT_INLINE float sumOfExp(const float* row, int64_t n, float largest) {
  constexpr int64_t kChunk = 2048;
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kChunk) {
    const int64_t end = min(begin + kChunk, n);
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

// ln Σ exp(row) = shift + log; −∞ if every element is −∞.
struct LogSumExp {
  float shift, log;
};

FT_INLINE LogSumExp logSumExpOf(const float* row, int64_t n) {
  const float largest = rowMax(row, n);
  const float shift = largest > -kInfinity ? largest : 0.0f;
  const float sum = sumOfExp(row, n, shift);
  return {shift, sum == 0.0f ? -kInfinity : log(sum)};
}

// ln(eᵃ + eᵇ)
FT_INLINE float logAddExp(float a, float b) {
  const float larger = a > b ? a : b;
  const float smaller = a > b ? b : a;
  return smaller == -kInfinity ? larger : larger + log(1.0f + exp(smaller - larger));
}

// Columns [first, first + columns) of a vocabulary of vocabSize tokens.
struct LossRange {
  int64_t columns, first, vocabSize;

  // `args`: arguments of the forward or the backward pass.
  template <typename Args>
  explicit LossRange(const Args& args) : columns(args.columns), first(args.first), vocabSize(args.vocabSize) {}

  bool isLast() const { return first + columns == vocabSize; }
  // Index of a target among these columns, if the target is not ignored. If the target is in other columns, the index
  // is outside of [0, columns).
  int64_t columnOf(int32_t target) const { return min(target, vocabSize - 1) - first; }
  bool holds(int64_t column) const { return column >= 0 && column < columns; }
};

void crossEntropyForward(const CrossEntropyForwardArgs& args, Pool& pool) {
  const float* logits = args.logits;
  const int32_t* targets = args.targets;
  float* losses = args.losses;
  float* logSumExps = args.logSumExp;
  const LossRange range(args);
  parallelRanges(pool, args.rows, rowGrain(range.columns), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const float* row = logits + r * range.columns;
      const LogSumExp here = logSumExpOf(row, range.columns);
      const float before = range.first == 0 ? -kInfinity : logSumExps[r];
      const float total = logAddExp(before, here.shift + here.log);
      logSumExps[r] = total;
      if (targets[r] < 0) {
        losses[r] = 0.0f;
        continue;
      }
      const int64_t column = range.columnOf(targets[r]);
      const float negated = range.holds(column) ? -row[column] : range.first == 0 ? 0.0f : losses[r];
      if (!range.isLast()) losses[r] = negated;
      else losses[r] = range.first == 0 ? (here.shift + negated) + here.log : total + negated;
    }
  });
}

template <typename T>
FT_INLINE void crossEntropyBackwardTo(const CrossEntropyBackwardArgs& args, Pool& pool, T* dLogits) {
  const float* logits = args.logits;
  const int32_t* targets = args.targets;
  const float* logSumExps = args.logSumExp;
  const float gradient = *args.dLoss;
  const LossRange range(args);
  parallelRanges(pool, args.rows, rowGrain(range.columns), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const float* row = logits + r * range.columns;
      T* out = dLogits + r * range.columns;
      if (targets[r] < 0) {
        std::memset(out, 0, sizeof(T) * static_cast<size_t>(range.columns));
        continue;
      }
      const float logSumExp = logSumExps[r];
      forVectors(0, range.columns, [=](int64_t c, auto lanes) {
        store(out + c, exp(load(row + c, lanes) - logSumExp) * gradient, lanes);
      });
      const int64_t column = range.columnOf(targets[r]);
      if (!range.holds(column)) continue;
      const F32 probability = exp(splat(row[column] - logSumExp));
      storePartial(out + column, probability * gradient - gradient, 1);
    }
  });
}

void crossEntropyBackward(const CrossEntropyBackwardArgs& args, Pool& pool) {
  withElements(args.dLogits, [&](auto* dLogits) { crossEntropyBackwardTo(args, pool, dLogits); });
}

}  // namespace
}  // namespace foretoken::FT_ISA
