// y = x · wᵀ with w in blocks of few bits. Rows of x are rounded to 8 bits in blocks of 32, each with a scale; sums of a block are
// integers, and those of a row are added from block 0 on. So a row's bits depend on nothing but that row and w.
#pragma once

#include <cstdint>

#include "byte_sums.h"
#include "rows.h"

namespace foretoken::FT_ISA {

// Rows of x as bytes.
struct ByteRows {
  int8_t* values;   // [m][k], between −127 and 127
  float* scales;    // [m][blocks]
  int32_t* sums;    // [m][2 · blocks]: of the values of half a block
  int64_t k, blocks;

  static int64_t bytes(int64_t m, int64_t k) { return m * (roundUp(k, kLineBytes) + k / kBlockValues * 12) + kLineBytes; }

  ByteRows(void* memory, int64_t m, int64_t width) : k(width), blocks(width / kBlockValues) {
    scales = static_cast<float*>(memory);
    sums = reinterpret_cast<int32_t*>(scales + m * blocks);
    values = reinterpret_cast<int8_t*>(sums + 2 * m * blocks);
  }
};

// value = q · scale, with the largest at ±127. What is not finite makes the scale NaN.
template <typename T>
static void roundRow(const T* x, const ByteRows& to, int64_t row) {
  constexpr int kVectors = kBlockValues / kLanes;
  // Adding this leaves the nearest whole number in the lowest bits, ties to even.
  const F32 magic = splat(12582912.0f);
  for (int64_t block = 0; block < to.blocks; block++) {
    F32 values[kVectors], largest = {}, poison = {};
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) {
      values[v] = load(x + block * kBlockValues + v * kLanes);
      largest = max(largest, max(values[v], -values[v]));
      poison = poison + values[v] * splat(0.0f);
    }
    const float most = maxLanes(largest);
    const float inverse = most > 0 ? 127.0f / most : 0.0f;
    // A subnormal's inverse is infinite: the block is 0 then.
    const F32 factor = splat(inverse <= 0x1p126f ? inverse : 0.0f);
    to.scales[row * to.blocks + block] = most / 127.0f + sumLanes(poison);
    int8_t* const out = to.values + row * to.k + block * kBlockValues;
    int32_t sums[2] = {};
    FT_UNROLL
    for (int v = 0; v < kVectors; v++) {
      const I32 q = floatToBits(values[v] * factor + magic) - floatToBits(magic);
      const SignedBytes bytes = __builtin_convertvector(q, SignedBytes);
      std::memcpy(out + v * kLanes, &bytes, sizeof bytes);
    }
    for (int64_t i = 0; i < kBlockValues; i++) sums[i / 16] += out[i];
    std::memcpy(to.sums + 2 * (row * to.blocks + block), sums, sizeof sums);
  }
}

// A product, and what is added to it.
struct BlocksProduct {
  const uint8_t* weights;
  int64_t m, n, k, yStride;
  ByteRows x;
  const float* bias;    // [n] or null
  const float* addend;  // [m, yStride] or null
};

// Rows [row, row + kRows) of x by one panel.
template <class Form, int kRows, typename T>
static void multiplyPanel(const BlocksProduct& p, int64_t panel, int64_t row, T* y) {
  constexpr bool kHalved = Form::kScales == BlockScales::kHalved;
  const BlockPanel<Form> weights(p.weights + panel * Form::panelBytes(p.k), p.k);
  const ByteRows& x = p.x;
  F32 totals[kRows][kPanelVectors] = {};
  for (int64_t block = 0; block < x.blocks; block++) {
    // With scales of half a block, sums of each half.
    ByteSums<Form::kBits> sums[kHalved ? 2 : 1][kRows] = {};
    const int8_t* const values = x.values + row * x.k + block * kBlockValues;
    forGroups<Form::kBits>(weights.valuesOf(block), [&](int group, const Line& line) __attribute__((always_inline)) {
      FT_UNROLL
      for (int r = 0; r < kRows; r++) {
        int32_t four;
        std::memcpy(&four, values + r * x.k + group * 4, sizeof four);
        sums[kHalved && group >= 4 ? 1 : 0][r].add(line, four);
      }
    });
    const uint8_t* const scales = weights.scalesOf(block);
    const uint8_t* const nested = weights.nestedOf(block);
    FT_UNROLL
    for (int v = 0; v < kPanelVectors; v++) {
      F32 scale, minimum = {};
      [[maybe_unused]] I32 halves[2];
      if constexpr (Form::kScales == BlockScales::kOffset || Form::kScales == BlockScales::kMinimum) {
        scale = halvesToFloat(scales + 2 * v * kLanes);
        if constexpr (Form::kScales == BlockScales::kMinimum) minimum = halvesToFloat(scales + 32 + 2 * v * kLanes);
      } else {
        scale = halvesToFloat(nested + 2 * v * kLanes);
        if constexpr (kHalved) {
          halves[0] = signedBytes(scales + v * kLanes);
          halves[1] = signedBytes(scales + 16 + v * kLanes);
        } else {
          scale *= bytesToFloat(scales + v * kLanes);
          minimum = -(halvesToFloat(nested + 32 + 2 * v * kLanes) * bytesToFloat(scales + 16 + v * kLanes));
        }
      }
      FT_UNROLL
      for (int r = 0; r < kRows; r++) {
        const int64_t at = (row + r) * x.blocks + block;
        const int32_t first = x.sums[2 * at], second = x.sums[2 * at + 1];
        const F32 unit = splat(x.scales[at]);
        I32 sum;
        if constexpr (kHalved) {
          sum = halves[0] * (sums[0][r].rows(v) - Form::kOffset * first) + halves[1] * (sums[1][r].rows(v) - Form::kOffset * second);
        } else {
          sum = sums[0][r].rows(v) - Form::kOffset * (first + second);
        }
        totals[r][v] = fma(__builtin_convertvector(sum, F32), scale * unit, totals[r][v]);
        if constexpr (Form::kScales == BlockScales::kMinimum || Form::kScales == BlockScales::kNested)
          totals[r][v] = fma(minimum, splat(static_cast<float>(first + second)) * unit, totals[r][v]);
      }
    }
  }
  FT_UNROLL
  for (int v = 0; v < kPanelVectors; v++) {
    const int64_t column = panel * kPanelRows + v * kLanes;
    const auto finish = [&](auto lanes) {
      const F32 bias = p.bias == nullptr ? F32{} : load(p.bias + column, lanes);
      for (int r = 0; r < kRows; r++) {
        const int64_t at = (row + r) * p.yStride + column;
        F32 total = totals[r][v] + bias;
        if (p.addend != nullptr) total += load(p.addend + at, lanes);
        store(y + at, total, lanes);
      }
    };
    const int64_t columns = p.n - column;
    if (columns >= kLanes) finish(All{});
    else if (columns > 0) finish(First{static_cast<int>(columns)});
  }
}

// Multiply-adds that are worth waking one more thread for.
constexpr int64_t kBlocksWork = int64_t{1} << 16;

// Declared in src/backend/kernels/blocks.ts.
static void blocksLinearForward(const BlocksLinearForwardArgs& args, Pool& pool) {
  constexpr int kRows = kLanes == 16 ? 8 : kLanes == 8 ? 2 : 1;
  const int64_t m = args.m, n = args.n, k = args.k;
  void* const memory = pool.sharedScratch(ByteRows::bytes(m, k));
  if (memory == nullptr) return;
  const ByteRows rows(memory, m, k);
  withElements(args.x, [&]<typename T>(const T* x) {
    parallelRanges(pool, m, max(4096 / max(k, 1), 1), [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; row++) roundRow(x + row * k, rows, row);
    });
  });
  const BlocksProduct product{reinterpret_cast<const uint8_t*>(static_cast<const uint32_t*>(args.w)),
                              m, n, k, args.yStride, rows, args.bias.orNull(), args.addend.orNull()};
  withElements(args.y, [&]<typename T>(T* y) {
    withBlockForm(args.form, [&]<class Form>(Form) {
      const int64_t grain = max(kBlocksWork / max(m * k * kPanelRows, 1), 1);
      parallelRanges(pool, divideUp(n, kPanelRows), grain, [&](int64_t begin, int64_t end, int) {
        for (int64_t panel = begin; panel < end; panel++) {
          int64_t row = 0;
          for (; row + kRows <= m; row += kRows) multiplyPanel<Form, kRows>(product, panel, row, y);
          for (; row < m; row++) multiplyPanel<Form, 1>(product, panel, row, y);
        }
      });
    });
  });
}

}  // namespace foretoken::FT_ISA
