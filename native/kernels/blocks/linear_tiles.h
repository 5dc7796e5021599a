// The product of linear.h by tiles, for 16 rows of x at a time. The values of a few panels are unpacked to signed bytes,
// once for all rows. The sums of blocks are the same integers as in linear.h, and are added in the same order.
#pragma once

#include <cstdint>

#include "../../gemm/amx/tiles.h"
#include "byte_rows.h"
#include "byte_sums.h"

namespace foretoken::FT_ISA {

// Number of panels that are unpacked at a time. Results of neighbouring panels are neighbours in memory, so they are
// written together. The unpacked panels must fit into a part of the L2 cache.
constexpr int64_t kUnpackedPanels = 8;
constexpr int64_t kUnpackedBytes = int64_t{1} << 19;

// A panel in the layout that tiles read.
struct BlockTileScratch {
  uint8_t* lines;     // [blocks][8 groups][64]
  float* scales;      // [blocks][16]
  float* minima;      // [blocks][16]; or the integer scales of the two halves of a block, [blocks][2][16]
  int32_t* sums;      // [2][16][16]: two blocks, used alternately
  float* totals;      // [16][16]

  static int64_t bytes(int64_t k) { return k / kBlockValues * (kGroups4 * kLineBytes + 3 * 64) + 3 * 1024; }
  static int64_t panelsOf(int64_t k) { return min(max(kUnpackedBytes / bytes(k), 1), kUnpackedPanels); }

  BlockTileScratch(void* memory, int64_t k) {
    const int64_t blocks = k / kBlockValues;
    lines = static_cast<uint8_t*>(memory);
    scales = reinterpret_cast<float*>(lines + blocks * kGroups4 * kLineBytes);
    minima = scales + blocks * kPanelRows;
    sums = reinterpret_cast<int32_t*>(minima + 2 * blocks * kPanelRows);
    totals = reinterpret_cast<float*>(sums + 512);
  }
};

#if defined(FT_EMULATED_TILES)

template <bool kHalved>
struct BlockTileScope {};

// sums[16][16]: 4 · kGroups values of 16 rows of x times the panel's lines.
template <int kGroups, int kTile>
FT_EMULATION void multiplyBytesByTile(const int8_t* x, int64_t stride, const uint8_t* lines, int32_t* sums) {
  for (int64_t r = 0; r < kTileSide; r++)
    for (int64_t c = 0; c < kTileSide; c++) {
      int32_t sum = 0;
      for (int64_t i = 0; i < 4 * kGroups; i++)
        sum += x[r * stride + i] * static_cast<int8_t>(lines[i / 4 * kLineBytes + c * 4 + i % 4]);
      sums[r * kTileSide + c] = sum;
    }
}

#else

// Tiles 0 and 1 have sums. Tiles 2 and 4 have values of x, and tiles 3 and 5 have weights: of a block, or of half a
// block.
struct alignas(64) BlockTileShapes {
  uint8_t palette = 1;
  uint8_t startRow = 0;
  uint8_t reserved[14] = {};
  uint16_t rowBytes[16] = {64, 64, 32, 64, 32, 64};
  uint8_t rows[16] = {16, 16, 16, 8, 16, 8};
};
constexpr BlockTileShapes kByteTiles{};
constexpr BlockTileShapes kHalfByteTiles{1, 0, {}, {64, 64, 16, 64, 16, 64}, {16, 16, 16, 4, 16, 4}};

template <bool kHalved>
struct BlockTileScope {
  BlockTileScope() { _tile_loadconfig(kHalved ? &kHalfByteTiles : &kByteTiles); }
  ~BlockTileScope() { _tile_release(); }
  BlockTileScope(const BlockTileScope&) = delete;
  BlockTileScope& operator=(const BlockTileScope&) = delete;
};

template <int kGroups, int kTile>
FT_INLINE void multiplyBytesByTile(const int8_t* x, int64_t stride, const uint8_t* lines, int32_t* sums) {
  asm volatile(
      "tilezero %%tmm%c4\n\t"
      "tileloadd (%0,%1,1), %%tmm%c5\n\t"
      "tileloadd (%2,%3,1), %%tmm%c6\n\t"
      "tdpbssd %%tmm%c6, %%tmm%c5, %%tmm%c4" ::"r"(x),
      "r"(stride), "r"(lines), "r"(kLineBytes), "i"(kTile), "i"(2 + 2 * kTile), "i"(3 + 2 * kTile)
      : "memory");
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(sums), "r"(kLineBytes), "i"(kTile) : "memory");
}

#endif

// Unpacks a panel: subtracts the offset and stores signed bytes.
template <class Form>
static void unpackPanel(const BlockPanel<Form>& weights, int64_t blocks, const BlockTileScratch& to) {
  static_assert(kLanes == kPanelRows && kLineVectors == 1);
  const __m512i offset = _mm512_set1_epi8(static_cast<char>(Form::kOffset));
  for (int64_t block = 0; block < blocks; block++) {
    forGroups<Form::kBits>(weights.valuesOf(block), [&](int group, const Line& line) __attribute__((always_inline)) {
      _mm512_store_si512(to.lines + (block * kGroups4 + group) * kLineBytes, _mm512_sub_epi8((__m512i)line.vectors[0], offset));
    });
    const BlockScaling<Form> scaling(weights, block, 0);
    store(to.scales + block * kPanelRows, scaling.scale);
    if constexpr (Form::kHasMinimum) store(to.minima + block * kPanelRows, scaling.minimum);
    if constexpr (Form::kIsHalved) {
      store(to.minima + 2 * block * kPanelRows, (F32)scaling.halves[0]);
      store(to.minima + (2 * block + 1) * kPanelRows, (F32)scaling.halves[1]);
    }
  }
}

// totals[16][16] = rows [row, row + 16) of x times an unpacked panel.
template <class Form>
FT_INLINE void multiplyTile(const ByteRows& x, const BlockTileScratch& s, int64_t row) {
  const auto multiply = [&]<int kTile>(int64_t block) __attribute__((always_inline)) {
    const int8_t* const values = x.values + row * x.k + block * kBlockValues;
    const uint8_t* const lines = s.lines + block * kGroups4 * kLineBytes;
    if constexpr (Form::kIsHalved) {
      multiplyBytesByTile<4, 0>(values, x.k, lines, s.sums);
      multiplyBytesByTile<4, 1>(values + 16, x.k, lines + 4 * kLineBytes, s.sums + 256);
    } else {
      multiplyBytesByTile<8, kTile>(values, x.k, lines, s.sums + 256 * kTile);
    }
  };
  F32 totals[kTileSide] = {};
  const auto add = [&]<int kTile>(int64_t block) __attribute__((always_inline)) {
    const int64_t first = row * x.blocks + block;
    BlockScaling<Form> scaling;
    scaling.scale = load(s.scales + block * kPanelRows);
    if constexpr (Form::kHasMinimum) scaling.minimum = load(s.minima + block * kPanelRows);
    if constexpr (Form::kIsHalved) {
      scaling.halves[0] = (I32)load(s.minima + 2 * block * kPanelRows);
      scaling.halves[1] = (I32)load(s.minima + (2 * block + 1) * kPanelRows);
    }
    FT_UNROLL
    for (int r = 0; r < kTileSide; r++) {
      const int64_t at = first + r * x.blocks;
      I32 sum;
      std::memcpy(&sum, s.sums + (Form::kIsHalved ? 0 : 256 * kTile) + r * kTileSide, sizeof sum);
      if constexpr (Form::kIsHalved) {
        I32 second;
        std::memcpy(&second, s.sums + 256 + r * kTileSide, sizeof second);
        sum = scaling.halves[0] * sum + scaling.halves[1] * second;
      }
      totals[r] = addBlock<Form>(sum, scaling, x.scales[at], x.scaledSums[at], totals[r]);
    }
  };
  if constexpr (Form::kIsHalved) {
    for (int64_t block = 0; block < x.blocks; block++) {
      multiply.template operator()<0>(block);
      add.template operator()<0>(block);
    }
  } else {
    // Tiles compute the next block while the sums of this block are added.
    multiply.template operator()<0>(0);
    int64_t block = 0;
    for (; block + 2 <= x.blocks; block += 2) {
      multiply.template operator()<1>(block + 1);
      add.template operator()<0>(block);
      if (block + 2 < x.blocks) multiply.template operator()<0>(block + 2);
      add.template operator()<1>(block + 1);
    }
    if (block < x.blocks) add.template operator()<0>(block);
  }
  FT_UNROLL
  for (int r = 0; r < kTileSide; r++) store(s.totals + r * kPanelRows, totals[r]);
}

// Multiplies all rows of x by `panels` neighbouring panels, at most panelsOf(k). take(sums, panel, row, rows) gets
// sums[rows][16] of rows [row, row + rows) and one of these panels.
template <class Form, typename Take>
static void multiplyPanelsByTiles(const ByteRows& x, const uint8_t* at, int64_t panels, char* memory, int64_t m, Take take) {
  const auto scratchOf = [&](int64_t panel) {
    return BlockTileScratch(memory + panel * BlockTileScratch::bytes(x.k), x.k);
  };
  for (int64_t panel = 0; panel < panels; panel++)
    unpackPanel(BlockPanel<Form>(at + panel * Form::panelBytes(x.k), x.k), x.blocks, scratchOf(panel));
  for (int64_t row = 0; row < m; row += kTileSide)
    for (int64_t panel = 0; panel < panels; panel++) {
      const BlockTileScratch scratch = scratchOf(panel);
      multiplyTile<Form>(x, scratch, row);
      take(scratch.totals, panel, row, min(m - row, int64_t{kTileSide}));
    }
}

}  // namespace foretoken::FT_ISA
