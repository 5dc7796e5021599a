// Sums of products of bytes. Weights are unsigned. A line has 4 values from each of 16 rows, and is multiplied by 4
// signed values of an activation. The sums are integers, so they are exact in any order.
#pragma once

#include <cstdint>
#include <cstring>

#include "form.h"

namespace foretoken::FT_ISA {

// A line of weights, as vectors.
constexpr int kLineVectors = kLineBytes / FT_VECTOR_BYTES;
struct Line {
  U32 vectors[kLineVectors];
};

FT_INLINE Line loadLine(const uint8_t* from) {
  Line line;
  FT_UNROLL
  for (int v = 0; v < kLineVectors; v++) std::memcpy(&line.vectors[v], from + v * FT_VECTOR_BYTES, FT_VECTOR_BYTES);
  return line;
}

// Shifts each byte right by `shift` places and keeps the bits of `mask`.
template <int kShift, uint32_t kMask>
FT_INLINE Line lowered(const Line& line) {
  Line out;
  FT_UNROLL
  for (int v = 0; v < kLineVectors; v++) out.vectors[v] = (line.vectors[v] >> kShift) & kMask;
  return out;
}
template <int kShift, uint32_t kMask>
FT_INLINE Line raised(const Line& line, const Line& with) {
  Line out;
  FT_UNROLL
  for (int v = 0; v < kLineVectors; v++) out.vectors[v] = ((line.vectors[v] & kMask) << kShift) | with.vectors[v];
  return out;
}

#if defined(__AVX512VNNI__) && FT_VECTOR_BYTES == 64

// kBits: bits of a weight.
template <int kBits>
struct ByteSums {
  I32 sums;
  __attribute__((always_inline)) void begin(int32_t sum) { sums = sum - I32{}; }
  __attribute__((always_inline)) void add(const Line& weights, int32_t x) {
    sums = (I32)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)weights.vectors[0], _mm512_set1_epi32(x));
  }
  __attribute__((always_inline)) I32 rows(int) const { return sums; }
};

#elif defined(__AVX2__) && FT_VECTOR_BYTES >= 32

#if FT_VECTOR_BYTES == 64
FT_INLINE U32 multiplyBytes(U32 u, I32 s) { return (U32)_mm512_maddubs_epi16((__m512i)u, (__m512i)s); }
FT_INLINE I32 addPairs(U32 pairs, int16_t factor) { return (I32)_mm512_madd_epi16((__m512i)pairs, _mm512_set1_epi16(factor)); }
FT_INLINE U32 addShorts(U32 a, U32 b) { return (U32)_mm512_add_epi16((__m512i)a, (__m512i)b); }
#else
FT_INLINE U32 multiplyBytes(U32 u, I32 s) { return (U32)_mm256_maddubs_epi16((__m256i)u, (__m256i)s); }
FT_INLINE I32 addPairs(U32 pairs, int16_t factor) { return (I32)_mm256_madd_epi16((__m256i)pairs, _mm256_set1_epi16(factor)); }
FT_INLINE U32 addShorts(U32 a, U32 b) { return (U32)_mm256_add_epi16((__m256i)a, (__m256i)b); }
#endif

// Products of two pairs are first summed in 16 bits. The sum of 8 groups of 4-bit weights fits into 16 bits: 8 · 2 · 15
// · 127 < 2^15.
template <int kBits>
struct ByteSums {
  U32 shorts[kBits == 4 ? kLineVectors : 1];
  I32 sums[kBits == 4 ? 1 : kLineVectors];
  __attribute__((always_inline)) void begin(int32_t sum) {
    for (U32& one : shorts) one = U32{};
    for (I32& one : sums) one = sum - I32{};
  }
  __attribute__((always_inline)) void add(const Line& weights, int32_t x) {
    const I32 s = x - I32{};
    FT_UNROLL
    for (int v = 0; v < kLineVectors; v++) {
      const U32 u = weights.vectors[v];
      if constexpr (kBits == 4) {
        shorts[v] = addShorts(shorts[v], multiplyBytes(u, s));
      } else if constexpr (kBits == 8) {
        // 2 · 255 · 127 does not fit into 16 bits, so the highest bit of a weight is multiplied separately.
        sums[v] += addPairs(multiplyBytes(u & 0x7F7F7F7Fu, s), 1) + addPairs(multiplyBytes((u >> 7) & 0x01010101u, s), 128);
      } else {
        sums[v] += addPairs(multiplyBytes(u, s), 1);
      }
    }
  }
  __attribute__((always_inline)) I32 rows(int v) const {
    if constexpr (kBits == 4) return addPairs(shorts[v], 1) + sums[0];
    else return sums[v];
  }
};

#else

#if defined(__SSE2__)
// Each lane has a sum of two products, for the low and for the high half of the bytes.
FT_INLINE void addHalves(U32 u, int32_t x, I32& low, I32& high) {
  const __m128i zero = _mm_setzero_si128();
  const __m128i bytes = _mm_set1_epi32(x);
  const __m128i wide = _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
  low += (I32)_mm_madd_epi16(_mm_unpacklo_epi8((__m128i)u, zero), wide);
  high += (I32)_mm_madd_epi16(_mm_unpackhi_epi8((__m128i)u, zero), wide);
}
#elif defined(__wasm_simd128__)
FT_INLINE void addHalves(U32 u, int32_t x, I32& low, I32& high) {
  const v128_t wide = wasm_i16x8_extend_low_i8x16(wasm_i32x4_splat(x));
  low += (I32)wasm_i32x4_dot_i16x8(wasm_u16x8_extend_low_u8x16((v128_t)u), wide);
  high += (I32)wasm_i32x4_dot_i16x8(wasm_u16x8_extend_high_u8x16((v128_t)u), wide);
}
#else
FT_INLINE I32 addNeighbours(int16x8_t a, int16x8_t b) {
  return (I32)vpaddq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(b)), vmull_s16(vget_high_s16(a), vget_high_s16(b)));
}
FT_INLINE void addHalves(U32 u, int32_t x, I32& low, I32& high) {
  const uint8x16_t bytes = (uint8x16_t)u;
  const int16x8_t wide = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(x)));
  low += addNeighbours(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes))), wide);
  high += addNeighbours(vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(bytes))), wide);
}
#endif

template <int kBits>
struct ByteSums {
  I32 low[kLineVectors], high[kLineVectors], start;
  __attribute__((always_inline)) void begin(int32_t sum) {
    for (I32& one : low) one = I32{};
    for (I32& one : high) one = I32{};
    start = sum - I32{};
  }
  __attribute__((always_inline)) void add(const Line& weights, int32_t x) {
    FT_UNROLL
    for (int v = 0; v < kLineVectors; v++) addHalves(weights.vectors[v], x, low[v], high[v]);
  }
  __attribute__((always_inline)) I32 rows(int v) const {
    return __builtin_shufflevector(low[v], high[v], 0, 2, 4, 6) + __builtin_shufflevector(low[v], high[v], 1, 3, 5, 7) + start;
  }
};

#endif

// Calls body(group, line) for the groups of a block of a panel.
template <int kBits, typename Body>
FT_INLINE void forGroups(const uint8_t* values, Body body) {
  if constexpr (kBits == 8) {
    FT_UNROLL
    for (int g = 0; g < kGroups4; g++) body(g, loadLine(values + g * kLineBytes));
  } else {
    [[maybe_unused]] Line upper[2];
    if constexpr (kBits > 4) upper[0] = loadLine(values + 4 * kLineBytes);
    if constexpr (kBits == 6) upper[1] = loadLine(values + 5 * kLineBytes);
    const auto both = [&]<int g>() __attribute__((always_inline)) {
      const Line line = loadLine(values + g * kLineBytes);
      Line low = lowered<0, 0x0F0F0F0Fu>(line), high = lowered<4, 0x0F0F0F0Fu>(line);
      if constexpr (kBits == 5) {
        low = raised<4, 0x01010101u>(lowered<g, 0xFFFFFFFFu>(upper[0]), low);
        high = raised<4, 0x01010101u>(lowered<g + 4, 0xFFFFFFFFu>(upper[0]), high);
      }
      if constexpr (kBits == 6) {
        low = raised<4, 0x03030303u>(lowered<2 * g, 0xFFFFFFFFu>(upper[0]), low);
        high = raised<4, 0x03030303u>(lowered<2 * g, 0xFFFFFFFFu>(upper[1]), high);
      }
      body(g, low);
      body(4 + g, high);
    };
    both.template operator()<0>();
    both.template operator()<1>();
    both.template operator()<2>();
    both.template operator()<3>();
  }
}

}  // namespace foretoken::FT_ISA
