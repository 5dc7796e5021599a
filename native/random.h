// Threefry-4x32 with 13 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), one counter a
// lane, and the dropout masks made of it. The numbers are those of src/core/random.ts; which number belongs to which
// element is written at `dropout` in src/backend/kernels.ts and is the same for every vector width.
#pragma once

#include <cstdint>

#include "lanes.h"
#include "simd.h"

namespace foretoken::FT_ISA {

// Elements that share a block: 16 counters of four words each.
constexpr int kDropoutBlock = 64;

struct DropoutKey {
  uint32_t key[4];
  uint32_t site;
  uint32_t threshold;  // an element is kept where its word is at least this
};

struct Words {
  U32 word[4];
};

template <int kLeft>
FT_INLINE U32 rotate(U32 x) {
  return (x << kLeft) | (x >> (32 - kLeft));
}

// One round on both pairs (a, b) and (c, d).
template <int kFirst, int kSecond>
FT_INLINE void mix(U32& a, U32& b, U32& c, U32& d) {
  a += b;
  c += d;
  b = rotate<kFirst>(b) ^ a;
  d = rotate<kSecond>(d) ^ c;
}

FT_INLINE Words threefry(const Words& counter, const uint32_t key[4]) {
  const uint32_t parity = 0x1BD11BDAu ^ key[0] ^ key[1] ^ key[2] ^ key[3];
  U32 a = counter.word[0] + key[0];
  U32 b = counter.word[1] + key[1];
  U32 c = counter.word[2] + key[2];
  U32 d = counter.word[3] + key[3];
  mix<10, 26>(a, b, c, d);
  mix<11, 21>(a, d, c, b);
  mix<13, 27>(a, b, c, d);
  mix<23, 5>(a, d, c, b);
  a += key[1];
  b += key[2];
  c += key[3];
  d += parity + 1;
  mix<6, 20>(a, b, c, d);
  mix<17, 11>(a, d, c, b);
  mix<25, 10>(a, b, c, d);
  mix<18, 20>(a, d, c, b);
  a += key[2];
  b += key[3];
  c += parity;
  d += key[0] + 2;
  mix<10, 26>(a, b, c, d);
  mix<11, 21>(a, d, c, b);
  mix<13, 27>(a, b, c, d);
  mix<23, 5>(a, d, c, b);
  a += key[3];
  b += parity;
  c += key[0];
  d += key[1] + 3;
  mix<6, 20>(a, b, c, d);
  return {{a, b, c, d}};
}

// round(p · 2³²), the smallest word that is kept; p in [0, 1).
FT_INLINE uint32_t dropoutThreshold(double p) {
  const double threshold = p * 4294967296.0 + 0.5;
  return threshold >= 4294967295.0 ? 0xFFFFFFFFu : static_cast<uint32_t>(threshold);
}

// Calls body(offset, scales) for each vector of the block that starts at element `begin` (a multiple of 64) of `row`:
// `scales` holds `scale` where elements [begin + offset, begin + offset + kLanes) are kept and 0 where they are not.
template <typename Body>
FT_INLINE void dropoutBlock(const DropoutKey& key, uint32_t row, int64_t begin, float scale, Body body) {
  const uint32_t first = static_cast<uint32_t>(begin / kDropoutBlock) * 16u;
  for (int part = 0; part < 16; part += kLanes) {
    const U32 index = laneIndex() + (first + static_cast<uint32_t>(part));
    const Words words = threefry({{index, U32{} + row, U32{} + key.site, U32{}}}, key.key);
    for (int i = 0; i < 4; i++) {
      const F32 scales = words.word[i] >= key.threshold ? splat(scale) : F32{};
      body(i * 16 + part, scales);
    }
  }
}

// Of a vector the lanes that are at least `least`, as bits, the first lane's lowest.
FT_INLINE uint32_t bitsAtLeast(U32 values, uint32_t least) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  return _mm512_cmpge_epu32_mask((__m512i)values, _mm512_set1_epi32(static_cast<int>(least)));
#elif defined(__AVX2__) && FT_VECTOR_BYTES == 32
  return static_cast<uint32_t>(_mm256_movemask_ps((__m256)(values >= least)));
#elif defined(__wasm_simd128__)
  return wasm_i32x4_bitmask((v128_t)(values >= least));
#elif defined(__SSE2__)
  return static_cast<uint32_t>(_mm_movemask_ps((__m128)(values >= least)));
#else
  uint32_t bits = 0;
  for (int i = 0; i < kLanes; i++) bits |= (values[i] >= least ? 1u : 0u) << i;
  return bits;
#endif
}

// Bit i: whether element begin + i of `row` is kept; begin is a multiple of 64.
FT_INLINE uint64_t keptBits(const DropoutKey& key, uint32_t row, int64_t begin) {
  const uint32_t first = static_cast<uint32_t>(begin / kDropoutBlock) * 16u;
  uint64_t bits = 0;
  for (int part = 0; part < 16; part += kLanes) {
    const U32 index = laneIndex() + (first + static_cast<uint32_t>(part));
    const Words words = threefry({{index, U32{} + row, U32{} + key.site, U32{}}}, key.key);
    for (int i = 0; i < 4; i++) bits |= uint64_t{bitsAtLeast(words.word[i], key.threshold)} << (i * 16 + part);
  }
  return bits;
}

// The same bits for each of kLanes rows [row, row + kLanes): those of 32 elements a vector.
FT_INLINE void keptColumns(const DropoutKey& key, uint32_t row, int64_t begin, U32 (&bits)[2]) {
  const uint32_t first = static_cast<uint32_t>(begin / kDropoutBlock) * 16u;
  bits[0] = bits[1] = U32{};
  for (uint32_t part = 0; part < 16; part++) {
    const Words words = threefry({{U32{} + (first + part), laneIndex() + row, U32{} + key.site, U32{}}}, key.key);
    FT_UNROLL
    for (int i = 0; i < 4; i++)
      bits[i / 2] |= (U32)(words.word[i] >= key.threshold) & (1u << (static_cast<uint32_t>(i) % 2 * 16 + part));
  }
}

// All bits of the lanes whose bit is set.
FT_INLINE I32 lanesOf(uint32_t bits) {
  U32 lane{};
  for (int i = 0; i < kLanes; i++) lane[i] = 1u << i;
  return (lane & bits) != 0u;
}

// Writes `scale` (1 / (1 − p)) or 0 for elements [begin, begin + count) of `row`; begin is a multiple of 64.
FT_INLINE void dropoutScales(const DropoutKey& key, uint32_t row, int64_t begin, int64_t count, float scale,
                             float* out) {
  int64_t done = 0;
  for (; done + kDropoutBlock <= count; done += kDropoutBlock)
    dropoutBlock(key, row, begin + done, scale, [&](int offset, F32 scales) { store(out + done + offset, scales); });
  if (done == count) return;
  dropoutBlock(key, row, begin + done, scale, [&](int offset, F32 scales) {
    const int64_t left = count - done - offset;
    if (left >= kLanes) store(out + done + offset, scales);
    else if (left > 0) storePartial(out + done + offset, scales, static_cast<int>(left));
  });
}

}  // namespace foretoken::FT_ISA
