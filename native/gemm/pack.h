// Operands of a matrix product copied into the layouts that the register tile reads.
#pragma once

#include <cstdint>
#include <cstring>

#include "tile.h"

namespace foretoken::FT_ISA {

// to[i · toStride + j] = from[i · fromStride + j] for a block of rows.
FT_INLINE void copyBlock(const float* from, int64_t fromStride, float* to, int64_t toStride, int64_t rows,
                         int64_t width) {
  for (int64_t i = 0; i < rows; i++) {
    const float* source = from + i * fromStride;
    float* target = to + i * toStride;
    int64_t j = 0;
    for (; j + kLanes <= width; j += kLanes) store(target + j, load(source + j));
    if (j < width) storePartial(target + j, loadPartial(source + j, static_cast<int>(width - j)),
                                static_cast<int>(width - j));
  }
}

// to[i · toStride + j] = from[i · fromStride + j]; columns [width, up to the next multiple of kLanes) become 0.
FT_INLINE void copyBlockPadded(const float* from, int64_t fromStride, float* to, int64_t toStride, int64_t rows,
                               int64_t width) {
  for (int64_t i = 0; i < rows; i++) {
    const float* source = from + i * fromStride;
    float* target = to + i * toStride;
    int64_t j = 0;
    for (; j + kLanes <= width; j += kLanes) store(target + j, load(source + j));
    if (j < width) store(target + j, loadPartial(source + j, static_cast<int>(width - j)));
  }
}

// to[j · toStride + i] = from[i · fromStride + j] for i in [0, rows), j in [0, width). In every row of `to`, columns
// [rows, up to the next multiple of kLanes) become 0. toStride must hold them.
static void transposeBlockPadded(const float* from, int64_t fromStride, float* to, int64_t toStride, int64_t rows,
                                 int64_t width) {
  for (int64_t i = 0; i < rows; i += kLanes) {
    const int height = static_cast<int>(rows - i < kLanes ? rows - i : kLanes);
    for (int64_t j = 0; j < width; j += kLanes) {
      const int count = static_cast<int>(width - j < kLanes ? width - j : kLanes);
      const float* source = from + i * fromStride + j;
      float* target = to + j * toStride + i;
      F32 block[kLanes];
      if (height == kLanes && count == kLanes) {
        FT_UNROLL
        for (int r = 0; r < kLanes; r++) block[r] = load(source + r * fromStride);
        transpose(block);
        FT_UNROLL
        for (int r = 0; r < kLanes; r++) store(target + r * toStride, block[r]);
      } else {
        for (int r = 0; r < kLanes; r++)
          block[r] = r < height ? loadPartial(source + r * fromStride, count) : F32{};
        transpose(block);
        for (int r = 0; r < count; r++) store(target + r * toStride, block[r]);
      }
    }
  }
}

}  // namespace foretoken::FT_ISA
