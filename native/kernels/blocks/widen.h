// Converts rows of weights in blocks to numbers: single rows for a table look-up, or all rows of a panel for products
// in training. Each number is rounded to float32 at most once. Both functions give the same bits.
#pragma once

#include <cstdint>
#include <cstring>

#include "../../gemm/operands.h"
#include "../../generated/kernels.h"
#include "../../narrow.h"
#include "../../parallel.h"
#include "../../kernels/embedding.h"
#include "form.h"

namespace foretoken::FT_ISA {

// Converts 32 numbers of one row.
template <class Form>
FT_INLINE void widenBlock(const BlockPanel<Form>& panel, int64_t block, int64_t row, float (&to)[kBlockValues]) {
  const uint8_t* const values = panel.valuesOf(block);
  const uint8_t* const scales = panel.scalesOf(block);
  const uint8_t* const nested = panel.nestedOf(block);
  const auto number = [&](int64_t i) { return static_cast<float>(blockValue<Form>(values, row, i) - Form::kOffset); };
  if constexpr (Form::kScales == BlockScales::kHalved) {
    const float d = halfToFloat(nested + 2 * row);
    for (int64_t half = 0; half < 2; half++) {
      const float scale = d * static_cast<float>(static_cast<int8_t>(scales[16 * half + row]));
      for (int64_t i = 16 * half; i < 16 * half + 16; i++) to[i] = scale * number(i);
    }
  } else if constexpr (Form::kScales == BlockScales::kNested) {
    const float scale = halfToFloat(nested + 2 * row) * static_cast<float>(scales[row]);
    const float minimum = halfToFloat(nested + 32 + 2 * row) * static_cast<float>(scales[16 + row]);
    for (int64_t i = 0; i < kBlockValues; i++) to[i] = scale * number(i) - minimum;
  } else {
    const float d = halfToFloat(scales + 2 * row);
    for (int64_t i = 0; i < kBlockValues; i++) to[i] = d * number(i);
    if constexpr (Form::kHasMinimum) {
      const float m = halfToFloat(scales + 32 + 2 * row);
      for (int64_t i = 0; i < kBlockValues; i++) to[i] += m;
    }
  }
}

// Four unsigned values from each of kLanes rows of a panel's block: one value in each byte of a lane.
template <class Form>
FT_INLINE U32 fourValues(const uint8_t* values, int group, int vector) {
  const auto line = [=](int number) __attribute__((always_inline)) {
    U32 words;
    std::memcpy(&words, values + number * kLineBytes + vector * static_cast<int>(sizeof words), sizeof words);
    return words;
  };
  if constexpr (Form::kBits == 8) return line(group);
  U32 four = line(group % 4) >> (group / 4 * 4) & 0x0F0F0F0Fu;
  if constexpr (Form::kBits == 5) four |= (line(4) >> group & 0x01010101u) << 4;
  if constexpr (Form::kBits == 6) four |= (line(4 + group / 4) >> (group % 4 * 2) & 0x03030303u) << 4;
  return four;
}

// Two neighbouring values as bfloat16, in each lane.
#if defined(FT_NARROW)
FT_INLINE F32 narrowPair(F32 first, F32 second) {
  const F32 pair[2] = {first, second};
  return PairedBfloat16::across(pair);
}
#endif

// Converts 32 numbers of each of the panel's rows [begin, end), and writes them from `y` on. During the computation,
// each lane is a row. Then the numbers are transposed.
template <class Form, typename T>
FT_INLINE void widenPanelBlock(const BlockPanel<Form>& panel, int64_t block, int64_t begin, int64_t end, T* y, int64_t stride) {
  constexpr int kTogether = kIsNarrow<T> ? 2 : 1;  // numbers of a row in a lane
  constexpr int kColumns = kLanes * kTogether;
  static_assert(kBlockValues % kColumns == 0, "a block is stored in whole vectors");
  const uint8_t* const values = panel.valuesOf(block);
  for (int vector = 0; vector < kPanelVectors; vector++) {
    const BlockScaling<Form> scaling(panel, block, vector);
    for (int column = 0; column < kBlockValues; column += kColumns) {
      F32 lines[kLanes];
      FT_UNROLL
      for (int group = 0; group < kColumns / 4; group++) {
        const int first = column + 4 * group;
        const U32 four = fourValues<Form>(values, first / 4, vector);
        F32 numbers[4];
        FT_UNROLL
        for (int i = 0; i < 4; i++) {
          numbers[i] = toFloat((I32)(four >> (8 * i) & 0xFFu) - Form::kOffset);
          if constexpr (Form::kIsHalved) numbers[i] = scaling.scale * toFloat(scaling.halves[first / 16]) * numbers[i];
          else numbers[i] = scaling.scale * numbers[i];
          if constexpr (Form::kHasMinimum) numbers[i] += scaling.minimum;
        }
#if defined(FT_NARROW)
        if constexpr (kIsNarrow<T>) {
          lines[2 * group] = narrowPair(numbers[0], numbers[1]);
          lines[2 * group + 1] = narrowPair(numbers[2], numbers[3]);
          continue;
        }
#endif
        FT_UNROLL
        for (int i = 0; i < 4; i++) lines[4 * group + i] = numbers[i];
      }
      transpose(lines);
      FT_UNROLL
      for (int lane = 0; lane < kLanes; lane++) {
        const int64_t row = vector * kLanes + lane;
        if (row >= begin && row < end) std::memcpy(y + (row - begin) * stride + column, &lines[lane], sizeof lines[lane]);
      }
    }
  }
}

// Declared in src/backend/kernels/blocks.ts.
static void blocksRows(const BlocksRowsArgs& args, Pool& pool) {
  const uint8_t* const from = reinterpret_cast<const uint8_t*>(static_cast<const uint32_t*>(args.w));
  const int32_t* const ids = args.ids.orNull();
  const int64_t rows = args.rows, n = args.n, k = args.k, first = args.first, last = first + rows;
  const int64_t blocks = k / kBlockValues;
  // Only neighbouring rows are converted together. All other rows are converted one by one.
  const bool byPanels = ids == nullptr && rows > 0 && last <= n;
  withElements(args.y, [&]<typename T>(T* y) {
    withBlockForm(args.form, [&]<class Form>(Form) {
      const int64_t panelBytes = Form::panelBytes(k);
      if (byPanels) {
        const int64_t firstPanel = first / kPanelRows, panels = divideUp(last, kPanelRows) - firstPanel;
        parallelRanges(pool, panels, divideUp(rowGrain(k), kPanelRows), [&](int64_t begin, int64_t end, int) {
          for (int64_t number = firstPanel + begin; number < firstPanel + end; number++) {
            const BlockPanel<Form> panel(from + number * panelBytes, k);
            const int64_t row = max(first, number * kPanelRows), rowEnd = min(last, (number + 1) * kPanelRows);
            T* const to = y + (row - first) * k;
            for (int64_t block = 0; block < blocks; block++)
              widenPanelBlock<Form>(panel, block, row - number * kPanelRows, rowEnd - number * kPanelRows, to + block * kBlockValues, k);
          }
        });
        return;
      }
      parallelRanges(pool, rows, rowGrain(k), [&](int64_t begin, int64_t end, int) {
        for (int64_t r = begin; r < end; r++) {
          const int64_t row = clampIndex(ids == nullptr ? static_cast<int32_t>(first + r) : ids[r], n);
          const BlockPanel<Form> panel(from + row / kPanelRows * panelBytes, k);
          for (int64_t block = 0; block < blocks; block++) {
            alignas(64) float numbers[kBlockValues];
            widenBlock<Form>(panel, block, row % kPanelRows, numbers);
            for (int64_t i = 0; i < kBlockValues; i += kLanes) store(y + r * k + block * kBlockValues + i, load(numbers + i));
          }
        }
      });
    });
  });
}

}  // namespace foretoken::FT_ISA
