// A matrix product, independent of how it is computed.
#pragma once

#include <cstdint>
#include <type_traits>

#include "epilogue.h"
#include "pack.h"
#include "register_tile.h"

namespace foretoken::FT_ISA {

// A matrix in memory, of float32, or of bfloat16 if the operands allow it. Rows are `stride` elements apart.
struct Matrix {
  const void* at;
  bool narrow;
  int64_t stride;
};

struct Product {
  int64_t m, n, k;
  Matrix a;             // kRows: a[i · stride + k]; kColumns: a[k · stride + i]
  Matrix b;             // kRows: b[k · stride + j]; kColumns: b[j · stride + k]
  float* c;             // c[i · n + j]; if null, only the epilogue gets the sums
  bool accumulate;      // C += A·B
  const float* bias;    // [n], added to every row, or null
  const float* addend;  // [m, n], added after the bias; or null. Must not overlap C.
  Matrix beside;        // [m, n], memory that the epilogue uses, prefetched for each tile; or null
  Matrix result;        // the matrix that the epilogue writes if C is null
  float* aSums;         // [m] += Σ over k of A before rounding (kColumns only), or null
};

// If operands must not be bfloat16, the compiler knows that they are float32 and that C exists.
template <class Operands>
FT_INLINE bool isNarrow(const Matrix& matrix) {
  return Operands::kTakesNarrow && matrix.narrow;
}
template <class Operands>
FT_INLINE bool hasC(const Product& p) {
  return !Operands::kTakesNarrow || p.c != nullptr;
}

// Address of element (i, j) of a matrix, for a prefetch. The type is a pointer to float for any element type.
template <class Operands>
FT_INLINE const float* placeOf(const Matrix& matrix, int64_t i, int64_t j) {
  const int64_t bytes = (i * matrix.stride + j) * (isNarrow<Operands>(matrix) ? 2 : 4);
  return reinterpret_cast<const float*>(static_cast<const char*>(matrix.at) + bytes);
}
// Floats between the beginnings of two rows.
template <class Operands>
FT_INLINE int64_t floatsToNext(const Matrix& matrix) {
  return isNarrow<Operands>(matrix) ? matrix.stride / 2 : matrix.stride;
}

// Calls body with a typed pointer to element `offset` of the matrix.
template <class Operands, typename Body>
FT_INLINE void withElementsFrom(const Matrix& matrix, int64_t offset, Body body) {
  if constexpr (Operands::kTakesNarrow) {
    if (isNarrow<Operands>(matrix)) return body(static_cast<const Narrow*>(matrix.at) + offset);
  }
  body(static_cast<const float*>(matrix.at) + offset);
}

// Applies an epilogue to the sums of rows [i, i + rows) × columns [j, j + columns) of a C with n columns. The sums are
// at `sums`, and the distance between their rows is `stride`. If C exists, the sums are in C.
template <class Epilogue>
FT_INLINE void applyBlock(const Epilogue& epilogue, int64_t n, int64_t i, int64_t j, int64_t rows, int64_t columns,
                          const float* sums, int64_t stride) {
  if constexpr (std::is_same_v<Epilogue, NoEpilogue>) return;
  else
    for (int64_t r = 0; r < rows; r++) {
      const float* const row = sums + r * stride;
      const int64_t at = (i + r) * n + j;
      forVectors(0, columns, [&](int64_t offset, auto lanes) __attribute__((always_inline)) {
        epilogue.apply(at + offset, j + offset, Vectors<1>{{load(row + offset, lanes)}}, lanes);
      });
    }
}

// Divides C among threads in a grid, so that the largest share is as small as possible. If possible, divides rows and
// not columns.
struct Grid {
  int64_t rows, columns;
};

// For a C of rows × columns units. A unit is a tile, or another block that one thread computes as a whole.
FT_INLINE Grid gridOver(int64_t rowTiles, int64_t columnTiles, int64_t threads) {
  Grid best{1, 1};
  int64_t least = rowTiles * columnTiles + 1;
  for (int64_t columns = 1; columns <= threads; columns++) {
    const int64_t rows = threads / columns;
    const int64_t share = divideUp(rowTiles, rows) * divideUp(columnTiles, columns);
    if (share < least) {
      least = share;
      best = {rows, columns};
    }
  }
  return best;
}

// The sums of a product with k = 0.
template <class Epilogue>
static void multiplyNothing(const Product& p, const Epilogue& epilogue) {
  float sums[kTileColumns];
  for (int64_t i = 0; i < p.m; i++) {
    for (int64_t begin = 0; begin < p.n; begin += kTileColumns) {
      const int64_t columns = min(kTileColumns, p.n - begin);
      float* const c = p.c ? p.c + i * p.n + begin : sums;
      for (int64_t j = 0; j < columns; j++) {
        const int64_t at = begin + j;
        c[j] = (p.accumulate ? c[j] : 0.0f) + (p.bias ? p.bias[at] : 0.0f) + (p.addend ? p.addend[i * p.n + at] : 0.0f);
      }
      applyBlock(epilogue, p.n, i, begin, 1, columns, c, p.n);
    }
  }
}

}  // namespace foretoken::FT_ISA
