// The tiles of Intel's Advanced Matrix Extensions: eight registers of 16 rows of 64 bytes. A row of A has 16 pairs of
// bfloat16 for successive k. A row of B has one pair of k for each of 16 columns. C has 16 × 16 sums in float32. C +=
// A·B treats subnormal numbers as zero. (Intel, "Architecture Instruction Set Extensions Programming Reference",
// chapter 3.) With FT_EMULATED_TILES the registers are ordinary memory. So the sanitizers see every access, and
// machines without tiles can test the kernels.
#pragma once

#include <cstdint>

#include "../../simd.h"

namespace foretoken::FT_ISA {

constexpr int kTileSide = 16;                      // rows of a tile, and units of 32 bits in a row
constexpr int kTileUnits = kTileSide * kTileSide;  // units in a whole tile

#if defined(FT_EMULATED_TILES)

// Not inline, because there are hundreds of calls. A compiler would need minutes to sanitize so many loops.
#define FT_EMULATION [[gnu::noinline]] [[maybe_unused]] static

namespace {
thread_local float emulatedTiles[8][kTileUnits];
}

// While an object of this class exists, its thread may use the tiles. The initial contents of the tiles are undefined.
struct TileScope {
  TileScope() { std::memset(emulatedTiles, 0xFF, sizeof emulatedTiles); }
};

template <int kIndex>
FT_EMULATION void clearTile() {
  std::memset(emulatedTiles[kIndex], 0, sizeof emulatedTiles[kIndex]);
}

template <int kIndex>
FT_EMULATION void loadTile(const float* from) {
  std::memcpy(emulatedTiles[kIndex], from, sizeof emulatedTiles[kIndex]);
}

// Rows at from[r · stride].
template <int kIndex>
FT_EMULATION void loadTile(const float* from, int64_t stride) {
  for (int r = 0; r < kTileSide; r++)
    std::memcpy(emulatedTiles[kIndex] + r * kTileSide, from + r * stride, sizeof(float) * kTileSide);
}

// Rows at to[r · stride].
template <int kIndex>
FT_EMULATION void storeTile(float* to, int64_t stride) {
  for (int r = 0; r < kTileSide; r++)
    std::memcpy(to + r * stride, emulatedTiles[kIndex] + r * kTileSide, sizeof(float) * kTileSide);
}

// One bfloat16 of each unit: the lower half (0) or the upper half. Subnormal numbers become zero.
FT_INLINE F32 halvesOf(F32 units, int half) {
  const U32 bits = half == 0 ? (U32)units << 16 : (U32)units & 0xFFFF0000u;
  return select((bits & 0x7F800000u) != 0u, (F32)bits, F32{});
}

template <int kC, int kA, int kB>
FT_EMULATION void multiplyAddTiles() {
  static_assert(kLanes == kTileSide, "a row of a tile is a vector");
  for (int half = 0; half < 2; half++) {
    F32 right[kTileSide];
    for (int u = 0; u < kTileSide; u++) right[u] = halvesOf(load(emulatedTiles[kB] + u * kTileSide), half);
    for (int i = 0; i < kTileSide; i++) {
      const F32 left = halvesOf(load(emulatedTiles[kA] + i * kTileSide), half);
      F32 sum{};
      for (int u = 0; u < kTileSide; u++) sum += splat(left[u]) * right[u];
      float* const to = emulatedTiles[kC] + i * kTileSide;
      store(to, load(to) + sum);
    }
  }
}

#else

struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t startRow = 0;
  uint8_t reserved[14] = {};
  uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr TileShapes kWholeTiles{};

// While an object of this class exists, its thread may use the tiles. The initial contents of the tiles are undefined.
// Released tiles cost nothing when the system switches threads.
struct TileScope {
  TileScope() { _tile_loadconfig(&kWholeTiles); }
  ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

// The number of a register is part of the instruction, so these are macros and not functions. GCC's intrinsics do not
// tell the compiler that loading a tile reads memory.
template <int kIndex>
FT_INLINE void clearTile() {
  asm volatile("tilezero %%tmm%c0" ::"i"(kIndex));
}

// Rows at from[r · stride].
template <int kIndex>
FT_INLINE void loadTile(const float* from, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride * int64_t{sizeof(float)}), "i"(kIndex) : "memory");
}

template <int kIndex>
FT_INLINE void loadTile(const float* from) {
  loadTile<kIndex>(from, kTileSide);
}

// Rows at to[r · stride].
template <int kIndex>
FT_INLINE void storeTile(float* to, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride * int64_t{sizeof(float)}), "i"(kIndex) : "memory");
}

template <int kC, int kA, int kB>
FT_INLINE void multiplyAddTiles() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kC), "i"(kA), "i"(kB));
}

#endif

}  // namespace foretoken::FT_ISA
