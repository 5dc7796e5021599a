// sum, sumOfSquares and addSquares, accumulated in double. Chunks have a fixed length, and their sums are added in
// order.
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

// Σ term(x[i]) for one chunk. Four accumulators hide the latency of the additions. Before it reads elements [from, to),
// it calls finish(from, to).
template <typename Term, typename Finish>
FT_INLINE double reduceChunk(const float* x, int64_t n, Term term, Finish finish) {
  constexpr int kHalf = kLanes / 2;
  F64 totals[4] = {};
  int64_t i = 0;
  for (; i + 4 * kHalf <= n; i += 4 * kHalf) {
    finish(i, i + 4 * kHalf);
    for (int j = 0; j < 4; j++) totals[j] += term(widen(x + i + j * kHalf));
  }
  finish(i, n);
  double rest = 0;
  for (; i < n; i++) rest += term(static_cast<double>(x[i]));
  return sumDoubles((totals[0] + totals[1]) + (totals[2] + totals[3])) + rest;
}

template <typename Term>
FT_INLINE double reduceChunk(const float* x, int64_t n, Term term) {
  return reduceChunk(x, n, term, [](int64_t, int64_t) {});
}

// `args`: arguments of sum or sumOfSquares.
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

// Ranges of an array. Each range has its own chunks. So the sum of a range has the same bits as without other ranges.
class ChunkedRanges {
 public:
  // `bounds` has the begin and the end of `count` ranges. Parts outside of [0, n) are ignored.
  ChunkedRanges(const int32_t* bounds, int64_t count, int64_t n) : bounds_(bounds), count_(count), n_(n) {}

  int64_t begin(int64_t range) const { return min(max(int64_t{bounds_[2 * range]}, int64_t{0}), n_); }
  int64_t end(int64_t range) const { return min(max(int64_t{bounds_[2 * range + 1]}, begin(range)), n_); }
  int64_t chunks(int64_t range) const { return divideUp(end(range) - begin(range), kReduceChunk); }

  int64_t chunks() const {
    int64_t total = 0;
    for (int64_t range = 0; range < count_; range++) total += chunks(range);
    return total;
  }

  // Calls body(chunk, begin, end) for chunks [from, to) in descending order. So the first elements of the array are
  // read last. The next pass over the array begins there, and finds them in the caches.
  template <typename Body>
  __attribute__((always_inline)) void descending(int64_t from, int64_t to, Body body) const {
    int64_t first = chunks();
    for (int64_t range = count_ - 1; range >= 0 && first > from; range--) {
      const int64_t past = first;
      first -= chunks(range);
      for (int64_t chunk = min(past, to) - 1; chunk >= max(first, from); chunk--) {
        const int64_t at = begin(range) + (chunk - first) * kReduceChunk;
        body(chunk, at, min(at + kReduceChunk, end(range)));
      }
    }
  }

 private:
  const int32_t* bounds_;
  int64_t count_;
  int64_t n_;
};

void addSquares(const AddSquaresArgs& args, Pool& pool) {
  float* x = args.x;
  const float* addend = args.addend.orNull();
  float* squares = args.squares;
  const ChunkedRanges ranges(args.ranges, args.count, args.n);
  const int64_t chunks = ranges.chunks();
  double* totals = static_cast<double*>(pool.sharedScratch(max(chunks, int64_t{1}) * static_cast<int64_t>(sizeof(double))));
  if (totals == nullptr) return;
  const auto square = [](auto value) { return value * value; };
  parallelRanges(pool, chunks, 4, [=](int64_t begin, int64_t end, int) {
    ranges.descending(begin, end, [=](int64_t chunk, int64_t from, int64_t to) __attribute__((always_inline)) {
      if (addend == nullptr) {
        totals[chunk] = reduceChunk(x + from, to - from, square);
        return;
      }
      totals[chunk] = reduceChunk(x + from, to - from, square, [=](int64_t first, int64_t last) __attribute__((always_inline)) {
        // The next chunk is before this chunk in memory. Near the end of a chunk, the beginning of the next chunk is
        // prefetched.
        const int64_t ahead = first + kAhead < kReduceChunk ? kAhead : kAhead - 2 * kReduceChunk;
        forVectors(from + first, from + last, [=](int64_t i, auto lanes) __attribute__((always_inline)) {
          prefetchLine(x + max(i + ahead, int64_t{0}));
          prefetchLine(addend + max(i + ahead, int64_t{0}));
          store(x + i, load(x + i, lanes) + load(addend + i, lanes), lanes);
        });
      });
    });
  });
  int64_t chunk = 0;
  for (int64_t range = 0; range < args.count; range++) {
    double total = 0;
    for (const int64_t past = chunk + ranges.chunks(range); chunk < past; chunk++) total += totals[chunk];
    squares[range] = static_cast<float>(total);
  }
}

}  // namespace
}  // namespace foretoken::FT_ISA
