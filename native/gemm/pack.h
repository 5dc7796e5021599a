// Copies operands of a matrix product into the layouts that the register tile reads (see operands.h).
#pragma once

#include <cstdint>

#include "operands.h"

namespace foretoken::FT_ISA {

template <class Operands>
FT_INLINE int64_t unitsOf(int64_t values) {
  return divideUp(values, Operands::kUnitDepth);
}

// For k along the rows of `from`: writes unit u of row i to to[i · toStride + u]. A row of the block has `width` values
// of k.
template <class Operands = Float32, typename T>
FT_INLINE void copyBlock(const T* from, int64_t fromStride, float* to, int64_t toStride, int64_t rows,
                         int64_t width) {
  const int64_t units = unitsOf<Operands>(width);
  for (int64_t i = 0; i < rows; i++) {
    const T* source = from + i * fromStride;
    float* target = to + i * toStride;
    int64_t u = 0;
    for (; u + kLanes <= units; u += kLanes)
      store(target + u, Operands::along(source + u * Operands::kUnitDepth, width - u * Operands::kUnitDepth));
    if (u < units)
      storePartial(target + u, Operands::along(source + u * Operands::kUnitDepth, width - u * Operands::kUnitDepth),
                   static_cast<int>(units - u));
  }
}

// Reads `count` lanes (at least one) of the rows of k that make one unit. The first row is at `from`, and there are
// `rows` rows.
template <class Operands, typename T>
FT_INLINE F32 loadAcross(const T* from, int64_t stride, int64_t rows, int64_t count) {
  if constexpr (kIsNarrow<T>) return Operands::across(from, rows > 1 ? from + stride : nullptr, count);
  F32 values[Operands::kUnitDepth];
  FT_UNROLL
  for (int d = 0; d < Operands::kUnitDepth; d++) values[d] = d < rows ? Float32::along(from + d * stride, count) : F32{};
  return Operands::across(values);
}

// For k across the rows of `from`: writes unit u of column j to to[u · toStride + j], for `rows` values of k and
// `width` columns. Columns from `width` to the next multiple of kLanes are set to 0.
template <class Operands = Float32, typename T>
FT_INLINE void copyBlockPadded(const T* from, int64_t fromStride, float* to, int64_t toStride, int64_t rows,
                               int64_t width) {
  for (int64_t k = 0; k < rows; k += Operands::kUnitDepth) {
    const T* source = from + k * fromStride;
    float* target = to + k / Operands::kUnitDepth * toStride;
    int64_t j = 0;
    if constexpr (kIsNarrow<T>) {
      for (; k + 1 < rows && j + 2 * kLanes <= width; j += 2 * kLanes)
        Operands::acrossTwo(source + j, source + fromStride + j, target + j);
    }
    for (; j < width; j += kLanes)
      store(target + j, loadAcross<Operands>(source + j, fromStride, rows - k, width - j));
  }
}

// Transposes rows of `from` (k along the rows) to columns: writes unit u of row i to to[u · toStride + i]. A row of the
// block has `width` values of k. In each row of `to`, columns from `rows` to the next multiple of kLanes are set to 0.
// toStride must be large enough for these columns.
template <class Operands = Float32, typename T>
static void transposeBlockPadded(const T* from, int64_t fromStride, float* to, int64_t toStride, int64_t rows,
                                 int64_t width) {
  constexpr int kDepth = kLanes * Operands::kUnitDepth;
  for (int64_t i = 0; i < rows; i += kLanes) {
    const int height = static_cast<int>(min(rows - i, kLanes));
    for (int64_t k = 0; k < width; k += kDepth) {
      const T* source = from + i * fromStride + k;
      float* target = to + k / Operands::kUnitDepth * toStride + i;
      F32 block[kLanes];
      if (height == kLanes && width - k >= kDepth) {
        FT_UNROLL
        for (int r = 0; r < kLanes; r++) block[r] = Operands::along(source + r * fromStride, kDepth);
        transpose(block);
        FT_UNROLL
        for (int r = 0; r < kLanes; r++) store(target + r * toStride, block[r]);
      } else {
        for (int r = 0; r < kLanes; r++)
          block[r] = r < height ? Operands::along(source + r * fromStride, width - k) : F32{};
        transpose(block);
        const int64_t units = unitsOf<Operands>(width - k);
        for (int64_t r = 0; r < kLanes && r < units; r++) store(target + r * toStride, block[r]);
      }
    }
  }
}

}  // namespace foretoken::FT_ISA
