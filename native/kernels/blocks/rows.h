// Copies rows of weights in blocks from the layout of a GGUF file to panels.
#pragma once

#include <cstdint>
#include <cstring>

#include "../../generated/kernels.h"
#include "../../parallel.h"
#include "form.h"

namespace foretoken::FT_ISA {

// Bytes in a file for a row's block of 32 values, or of 256 values if scales are nested.
template <class Form>
constexpr int64_t fileBlockBytes() {
  switch (Form::kScales) {
    case BlockScales::kOffset: return 2 + 4 * Form::kBits;
    case BlockScales::kMinimum: return 4 + 4 * Form::kBits;
    case BlockScales::kNested: return 4 + 12 + 32 * Form::kBits;
    case BlockScales::kHalved: return 128 + 64 + 16 + 2;
  }
}

// Reads 6 bits of scale and 6 bits of minimum from 12 bytes. These bits are for part `j` (32 values) of a block of 256
// values.
FT_INLINE uint8_t nestedScale(const uint8_t* at, int64_t j) {
  return static_cast<uint8_t>(j < 4 ? at[j] & 63 : (at[j + 4] & 15) | at[j - 4] >> 6 << 4);
}
FT_INLINE uint8_t nestedMinimum(const uint8_t* at, int64_t j) {
  return static_cast<uint8_t>(j < 4 ? at[j + 4] & 63 : at[j + 4] >> 4 | at[j] >> 6 << 4);
}

// Writes one row's block of 32 values into a panel with bytes that are 0. `from`: the block of the file that contains
// these values.
template <class Form>
static void packBlock(const uint8_t* from, int64_t block, int64_t row, uint8_t* values, uint8_t* scales, uint8_t* nested) {
  const auto put = [&](int64_t i, unsigned value) { putBlockValue<Form>(values, row, i, value); };
  const auto copyHalf = [&](const uint8_t* half, uint8_t* to) { std::memcpy(to + 2 * row, half, 2); };
  const int64_t j = block % kNestedBlocks;
  if constexpr (Form::kScales == BlockScales::kOffset || Form::kScales == BlockScales::kMinimum) {
    constexpr bool kMinimum = Form::kScales == BlockScales::kMinimum;
    copyHalf(from, scales);
    if constexpr (kMinimum) copyHalf(from + 2, scales + 32);
    const uint8_t* at = from + (kMinimum ? 4 : 2);
    if constexpr (Form::kBits == 8) {
      for (int64_t i = 0; i < kBlockValues; i++) put(i, at[i] ^ 0x80u);
    } else {
      uint32_t high = 0;
      if constexpr (Form::kBits == 5) {
        std::memcpy(&high, at, sizeof high);
        at += sizeof high;
      }
      for (int64_t i = 0; i < 16; i++) {
        put(i, (at[i] & 15u) | (high >> i & 1u) << 4);
        put(16 + i, static_cast<unsigned>(at[i] >> 4) | (high >> (i + 16) & 1u) << 4);
      }
    }
  } else if constexpr (Form::kScales == BlockScales::kNested) {
    if (j == 0) {
      copyHalf(from, nested);
      copyHalf(from + 2, nested + 32);
    }
    scales[row] = nestedScale(from + 4, j);
    scales[16 + row] = nestedMinimum(from + 4, j);
    const uint8_t* const low = from + (Form::kBits == 5 ? 48 : 16) + j / 2 * 32;
    for (int64_t i = 0; i < kBlockValues; i++) {
      unsigned value = static_cast<unsigned>(low[i]) >> j % 2 * 4 & 15u;
      if constexpr (Form::kBits == 5) value |= (static_cast<unsigned>(from[16 + i]) >> j & 1u) << 4;
      put(i, value);
    }
  } else {
    if (j == 0) copyHalf(from + 208, nested);
    scales[row] = from[192 + 2 * j];
    scales[16 + row] = from[192 + 2 * j + 1];
    const uint8_t* const low = from + 64 * (j / 4) + 32 * (j % 2);
    const uint8_t* const high = from + 128 + 32 * (j / 4);
    for (int64_t i = 0; i < kBlockValues; i++)
      put(i, (static_cast<unsigned>(low[i]) >> j % 4 / 2 * 4 & 15u) | (static_cast<unsigned>(high[i]) >> 2 * (j % 4) & 3u) << 4);
  }
}

// Declared in src/backend/kernels/blocks.ts.
static void blocksPack(const BlocksPackArgs& args, Pool& pool) {
  const uint8_t* const from = reinterpret_cast<const uint8_t*>(static_cast<const uint32_t*>(args.x));
  uint8_t* const to = reinterpret_cast<uint8_t*>(static_cast<uint32_t*>(args.y));
  const int64_t rows = args.rows, k = args.k, blocks = k / kBlockValues;
  withBlockForm(args.form, [&]<class Form>(Form) {
    constexpr int64_t kTogether = Form::kNestedBytes > 0 ? kNestedBlocks : 1;
    const int64_t rowBytes = divideUp(blocks, kTogether) * fileBlockBytes<Form>();
    const int64_t panelBytes = Form::panelBytes(k);
    parallelRanges(pool, divideUp(rows, kPanelRows), 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t panel = begin; panel < end; panel++) {
        uint8_t* const at = to + panel * panelBytes;
        std::memset(at, 0, static_cast<size_t>(panelBytes));
        const BlockPanel<Form> places(at, k);
        for (int64_t row = 0; row < min(rows - panel * kPanelRows, kPanelRows); row++) {
          const uint8_t* const line = from + (panel * kPanelRows + row) * rowBytes;
          for (int64_t block = 0; block < blocks; block++)
            packBlock<Form>(line + block / kTogether * fileBlockBytes<Form>(), block, row,
                            const_cast<uint8_t*>(places.valuesOf(block)), const_cast<uint8_t*>(places.scalesOf(block)),
                            const_cast<uint8_t*>(places.nestedOf(block)));
        }
      }
    });
  });
}

}  // namespace foretoken::FT_ISA
