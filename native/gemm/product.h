// A matrix product and what is to happen to its sums, however they are computed.
#pragma once

#include <cstdint>

#include "pack.h"
#include "tile.h"

namespace foretoken::FT_ISA {

struct Product {
  int64_t m, n, k;
  const float* a;       // kRows: a[i · lda + k]; kColumns: a[k · lda + i]
  int64_t lda;
  const float* b;       // kRows: b[k · ldb + j]; kColumns: b[j · ldb + k]
  int64_t ldb;
  float* c;             // c[i · n + j]
  bool accumulate;      // C += A·B
  const float* bias;    // [n], added to every row, or null
  const float* addend;  // [m, n], added after the bias, or null; no part of C
  const float* beside;  // [m, n], what a Finish takes beside C, or null
  float* aSums;         // [m] += Σ over k of A as it is (kColumns only), or null
};

// Rows [i, i + rows) × columns [j, j + columns) of C hold what is wanted of them. A kernel with more to do passes a
// function of these arguments: it may read and overwrite those elements of C and use the same ones of other arrays.
// It is called once for every element, on some thread.
struct Done {
  void operator()(int64_t /*i*/, int64_t /*j*/, int64_t /*rows*/, int64_t /*columns*/) const {}
};

FT_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
FT_INLINE int64_t roundUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

// Threads in a grid over C, so that the largest share is as small as possible; rather over rows than over columns.
struct Grid {
  int64_t rows, columns;
};

// For a C of rows × columns tiles, or whatever a thread takes whole.
FT_INLINE Grid gridOver(int64_t rowTiles, int64_t columnTiles, int64_t threads) {
  Grid best{1, 1};
  int64_t least = rowTiles * columnTiles + 1;
  for (int64_t columns = 1; columns <= threads; columns++) {
    const int64_t rows = threads / columns;
    const int64_t share = ((rowTiles + rows - 1) / rows) * ((columnTiles + columns - 1) / columns);
    if (share < least) {
      least = share;
      best = {rows, columns};
    }
  }
  return best;
}

// Sums of nothing.
template <class Finish>
static void multiplyNothing(const Product& p, const Finish& finish) {
  for (int64_t i = 0; i < p.m; i++) {
    for (int64_t j = 0; j < p.n; j++) {
      float* c = p.c + i * p.n + j;
      *c = (p.accumulate ? *c : 0.0f) + (p.bias ? p.bias[j] : 0.0f) + (p.addend ? p.addend[i * p.n + j] : 0.0f);
    }
    finish(i, 0, 1, p.n);
  }
}

}  // namespace foretoken::FT_ISA
