// Threefry-4x32 with 13 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), with one
// counter for each lane, and dropout masks. The random numbers are the same as in src/core/random.ts.
// `linearDropoutForward` in src/backend/kernels/linear.ts says which random number each element gets. The result does
// not depend on the vector width.
#pragma once

#include <cstdint>

#include "lanes.h"
#include "simd.h"

namespace foretoken::FT_ISA {

// Elements in one block: 16 counters of four words each.
constexpr int kDropoutBlock = 64;

struct DropoutKey {
  uint32_t key[4];
  uint32_t site;
  uint32_t threshold;  // an element is kept if its random word is at least this number
};

struct Words {
  U32 word[4];
};

template <int kLeft>
FT_INLINE U32 rotate(U32 x) {
  return (x << kLeft) | (x >> (32 - kLeft));
}

// One round for the pairs (a, b) and (c, d).
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

// round(p · 2³²), the smallest random word for which an element is kept; p in [0, 1).
FT_INLINE uint32_t dropoutThreshold(double p) {
  const double threshold = p * 4294967296.0 + 0.5;
  return threshold >= 4294967295.0 ? 0xFFFFFFFFu : static_cast<uint32_t>(threshold);
}

// One bit for each lane: whether the lane is at least `least`. The first lane is the lowest bit.
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

// The key from the arguments of a kernel with dropout; p in [0, 1).
template <typename Args>
FT_INLINE DropoutKey dropoutKeyOf(const Args& args) {
  return {{static_cast<uint32_t>(args.key0), static_cast<uint32_t>(args.key1), static_cast<uint32_t>(args.key2),
           static_cast<uint32_t>(args.key3)},
          static_cast<uint32_t>(args.site),
          dropoutThreshold(args.p)};
}

// Bit i says whether element begin + i of `row` is kept. `begin` is a multiple of 64.
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

// keptBits for kLanes rows [row, row + kLanes). Each of the two vectors has the bits of 32 elements.
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

// A mask vector. All bits of lane i are set if bit i is set.
FT_INLINE I32 lanesOf(uint32_t bits) {
  U32 lane{};
  for (int i = 0; i < kLanes; i++) lane[i] = 1u << i;
  return (lane & bits) != 0u;
}

// Bits of elements [at, at + count) of an array, at most 32. Bit i % 32 of word i / 32 belongs to element i.
FT_INLINE uint32_t bitsAt(const uint32_t* words, int64_t at, int64_t count) {
  const uint32_t first = static_cast<uint32_t>(at % 32), bits = words[at / 32] >> first;
  return first + count <= 32 ? bits : bits | words[at / 32 + 1] << (32 - first);
}

// `scale` in the lanes whose bit is set, 0 in the other lanes.
FT_INLINE F32 scaleWhere(uint32_t bits, float scale) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  return (F32)_mm512_maskz_mov_ps(static_cast<__mmask16>(bits), (__m512)splat(scale));
#else
  return (F32)((U32)splat(scale) & (U32)lanesOf(bits));
#endif
}

}  // namespace foretoken::FT_ISA
