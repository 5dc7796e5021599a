// sum and sumOfSquares, accumulated in double precision: chunks of fixed length, whose totals are added in order.
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../parallel.h"

namespace foretoken::FT_ISA {
namespace {

constexpr int64_t kReduceChunk = 4096;

typedef float HalfF32 __attribute__((vector_size(FT_VECTOR_BYTES / 2)));
typedef double F64 __attribute__((vector_size(FT_VECTOR_BYTES)));

FT_INLINE F64 widen(const float* from) {
  HalfF32 half;
  std::memcpy(&half, from, sizeof half);
  return __builtin_convertvector(half, F64);
}

FT_INLINE double sumDoubles(F64 value) {
  double total = 0;
  for (int i = 0; i < kLanes / 2; i++) total += value[i];
  return total;
}

// Σ term(x[i]) for one chunk. Four accumulators hide the latency of the additions.
template <typename Term>
FT_INLINE double reduceChunk(const float* x, int64_t n, Term term) {
  constexpr int kHalf = kLanes / 2;
  F64 totals[4] = {};
  int64_t i = 0;
  for (; i + 4 * kHalf <= n; i += 4 * kHalf)
    for (int j = 0; j < 4; j++) totals[j] += term(widen(x + i + j * kHalf));
  double rest = 0;
  for (; i < n; i++) rest += term(static_cast<double>(x[i]));
  return sumDoubles((totals[0] + totals[1]) + (totals[2] + totals[3])) + rest;
}

// `args` of either sum.
template <typename Args, typename Term>
FT_INLINE void reduce(const Args& args, Pool& pool, Term term) {
  const float* x = args.x;
  float* y = args.y;
  const int64_t n = args.n;
  if (n <= kReduceChunk) {
    *y = static_cast<float>(reduceChunk(x, n, term));
    return;
  }
  const int64_t chunks = divideUp(n, kReduceChunk);
  double* totals = static_cast<double*>(pool.sharedScratch(chunks * static_cast<int64_t>(sizeof(double))));
  if (totals == nullptr) return;
  parallelRanges(pool, chunks, 4, [=](int64_t begin, int64_t end, int) {
    for (int64_t c = begin; c < end; c++) {
      const int64_t first = c * kReduceChunk;
      totals[c] = reduceChunk(x + first, min(n - first, kReduceChunk), term);
    }
  });
  double total = 0;
  for (int64_t c = 0; c < chunks; c++) total += totals[c];
  *y = static_cast<float>(total);
}

void sum(const SumArgs& args, Pool& pool) {
  reduce(args, pool, [](auto x) { return x; });
}

void sumOfSquares(const SumOfSquaresArgs& args, Pool& pool) {
  reduce(args, pool, [](auto x) { return x * x; });
}

}  // namespace
}  // namespace foretoken::FT_ISA
