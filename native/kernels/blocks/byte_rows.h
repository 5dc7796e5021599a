// Rows of activations, rounded to 8 bits in blocks of 32. The rows are operands of products with weights in blocks.
#pragma once

#include <cstdint>
#include <cstring>

#include "../../narrow.h"
#include "form.h"

namespace foretoken::FT_ISA {

constexpr int32_t kInfinityBits = 0x7F800000;

struct ByteRows {
  float* scales;      // [m][blocks]: a value is its byte times this scale
  float* scaledSums;  // [m][blocks]: the sum of a block's values
  int32_t* sums;      // [m][blocks]: the sum of a block's bytes
  int32_t* halves;    // [m][blocks][2]: the sum of the bytes of each half of a block
  int8_t* values;     // [m][k], between −127 and 127
  int64_t k, blocks;

  // Tiles read 16 rows at a time.
  static constexpr int64_t rowsOf(int64_t m) { return roundUp(m, kPanelRows); }
  static int64_t bytes(int64_t m, int64_t k) { return rowsOf(m) * (k + k / kBlockValues * 5 * 4); }

  ByteRows(void* memory, int64_t m, int64_t width) : k(width), blocks(width / kBlockValues) {
    const int64_t all = rowsOf(m) * blocks;
    scales = static_cast<float*>(memory);
    scaledSums = scales + all;
    sums = reinterpret_cast<int32_t*>(scaledSums + all);
    halves = sums + all;
    values = reinterpret_cast<int8_t*>(halves + 2 * all);
  }

  // Clears the rows after row `m`. Tiles also compute sums for these rows, which are not used. Old memory could contain
  // numbers that are slow to compute with.
  void clearAfter(int64_t m) const {
    const int64_t rest = rowsOf(m) - m;
    std::memset(scales + m * blocks, 0, sizeof(float) * static_cast<size_t>(rest * blocks));
    std::memset(scaledSums + m * blocks, 0, sizeof(float) * static_cast<size_t>(rest * blocks));
    std::memset(values + m * k, 0, static_cast<size_t>(rest * k));
  }

  // Rounds a row. The largest magnitude of a block becomes ±127. If a value is not finite, the scale becomes NaN.
  template <typename T>
  void round(const T* x, int64_t row) const {
    constexpr int kVectors = kBlockValues / kLanes;
    // After adding this number, the lowest bits have the nearest integer; ties go to even.
    const F32 magic = splat(12582912.0f);
    for (int64_t block = 0; block < blocks; block++) {
      F32 from[kVectors];
      I32 largest = {};  // magnitudes as bits, which have the order of the numbers; then infinity, then NaN
      FT_UNROLL
      for (int v = 0; v < kVectors; v++) {
        from[v] = load(x + block * kBlockValues + v * kLanes);
        largest = max(largest, floatToBits(from[v]) & 0x7FFFFFFF);
      }
      const int32_t bits = maxLanes(largest);
      float most;
      std::memcpy(&most, &bits, sizeof most);
      const float inverse = most > 0 ? 127.0f / most : 0.0f;
      // The inverse of a subnormal number would be infinite, so the block becomes 0.
      const F32 factor = splat(inverse <= 0x1p126f ? inverse : 0.0f);
      const float scale = bits < kInfinityBits ? most / 127.0f : __builtin_nanf("");
      int8_t* const out = values + row * k + block * kBlockValues;
      I32 all[2] = {};
      FT_UNROLL
      for (int v = 0; v < kVectors; v++) {
        const I32 q = (I32)((U32)(from[v] * factor + magic) - (U32)magic);
        storeBytes(out + v * kLanes, q);
        // Loads the stored bytes again, because q may be any number if a value is not finite.
        all[2 * v / kVectors] += signedBytes(out + v * kLanes);
      }
      const int64_t at = row * blocks + block;
      const int32_t both[2] = {sumLanes(all[0]), sumLanes(all[1])};
      std::memcpy(halves + 2 * at, both, sizeof both);
      sums[at] = both[0] + both[1];
      scales[at] = scale;
      scaledSums[at] = static_cast<float>(both[0] + both[1]) * scale;
    }
  }
};

}  // namespace foretoken::FT_ISA
