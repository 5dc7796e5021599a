// Sums for the norms: along one row, and over all rows.
#pragma once

#include "../lanes.h"
#include "../parallel.h"
#include "elementwise.h"

namespace foretoken::FT_ISA {
namespace {

// Σ term(offset, lanes) over one row. `term` must return 0 in lanes outside of the row. The order of the sum depends
// only on the length of the row.
template <typename Term>
FT_INLINE float sumRow(int64_t channels, Term term) {
  F32 totals[4] = {};
  int64_t c = 0;
  for (; c + 4 * kLanes <= channels; c += 4 * kLanes)
    for (int j = 0; j < 4; j++) totals[j] += term(c + j * kLanes, All{});
  forVectors(c, channels, [&](int64_t i, auto lanes) { totals[0] += term(i, lanes); });
  return sumLanes((totals[0] + totals[1]) + (totals[2] + totals[3]));
}

// Two terms of one element, or two sums over a row.
struct Terms {
  F32 first, second;
};
struct RowSums {
  float first, second;
};

// sumRow for two terms at once.
template <typename Both>
FT_INLINE RowSums sumRowTwice(int64_t channels, Both terms) {
  Terms totals[4] = {};
  int64_t c = 0;
  for (; c + 4 * kLanes <= channels; c += 4 * kLanes)
    for (int j = 0; j < 4; j++) {
      const Terms term = terms(c + j * kLanes, All{});
      totals[j] = {totals[j].first + term.first, totals[j].second + term.second};
    }
  forVectors(c, channels, [&](int64_t i, auto lanes) {
    const Terms term = terms(i, lanes);
    totals[0] = {totals[0].first + term.first, totals[0].second + term.second};
  });
  return {sumLanes((totals[0].first + totals[1].first) + (totals[2].first + totals[3].first)),
          sumLanes((totals[0].second + totals[1].second) + (totals[2].second + totals[3].second))};
}

// Adds sums over all rows to to[i], which has widths[i] elements, at most `width`. If to[i] is null, its sums are not
// stored. rowsBody(begin, end, partial) must add the sums of its rows to partial[i, :], `width` elements.
// Rows are summed in chunks. The length of a chunk depends only on `rows`. Then the sums of the chunks are added in
// order.
template <int kSums, typename Rows>
FT_INLINE void sumOverRows(Pool& pool, int64_t rows, int64_t width, float* const (&to)[kSums],
                           const int64_t (&widths)[kSums], Rows rowsBody) {
  const int64_t chunkRows = rows > 64 * 256 ? divideUp(rows, 256) : 64;
  const int64_t chunks = divideUp(rows, chunkRows);
  if (chunks == 0 || width == 0) return;
  const int64_t bytes = chunks * kSums * width * static_cast<int64_t>(sizeof(float));
  float* partials = static_cast<float*>(pool.sharedScratch(bytes));
  if (partials == nullptr) return;
  parallelRanges(pool, chunks, 1, [=](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      float* partial = partials + i * kSums * width;
      std::memset(partial, 0, sizeof(float) * kSums * static_cast<size_t>(width));
      rowsBody(i * chunkRows, min((i + 1) * chunkRows, rows), partial);
    }
  });
  const int64_t grain = roundUp(rowGrain(chunks), 16);
  parallelRanges(pool, width, grain, [=, &to, &widths](int64_t begin, int64_t end, int) {
    for (int sum = 0; sum < kSums; sum++) {
      float* target = to[sum];
      const float* from = partials + sum * width;
      if (target == nullptr) continue;
      forVectors(begin, min(end, widths[sum]), [=](int64_t c, auto lanes) {
        F32 total{};
        for (int64_t i = 0; i < chunks; i++) total += load(from + i * kSums * width + c, lanes);
        store(target + c, load(target + c, lanes) + total, lanes);
      });
    }
  });
}

// sumOverRows for arrays to[i] with `width` elements each.
template <int kSums, typename Rows>
FT_INLINE void sumOverRows(Pool& pool, int64_t rows, int64_t width, float* const (&to)[kSums], Rows rowsBody) {
  int64_t widths[kSums];
  for (int64_t& one : widths) one = width;
  sumOverRows(pool, rows, width, to, widths, rowsBody);
}

}  // namespace
}  // namespace foretoken::FT_ISA
