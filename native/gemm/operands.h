// The layout of packed operands of a product: units of 32 bits. A unit has one value of k in float32, or two
// neighbouring values in bfloat16, the first value in the lower half. If the last value has no neighbour, the upper
// half is zero.
// Packed memory is declared as float, but the only arithmetic on units is multiplyAdd.
#pragma once

#include <cstdint>
#include <cstring>

#include "../narrow.h"
#include "../simd.h"

namespace foretoken::FT_ISA {

struct Float32 {
  using Stored = Float32;                    // the type that the register tile multiplies
  static constexpr int kUnitDepth = 1;       // values of k in a unit
  static constexpr bool kTakesNarrow = false;  // whether the matrix may be bfloat16 in memory before it is packed

  FT_INLINE F32 splatUnit(const float* unit) { return splat(*unit); }
  FT_INLINE F32 multiplyAdd(F32 left, F32 right, F32 sum) { return fma(left, right, sum); }

  // The first value of each unit; the other values are zero.
  FT_INLINE F32 firstOfUnit(F32 units) { return units; }
  // The last value of each unit.
  FT_INLINE F32 lastOfUnit(F32 units) { return units; }

  // The values in float32, rounded in the same way as in the product.
  FT_INLINE F32 rounded(F32 values) { return values; }
  // Makes units of neighbouring lanes from kUnitDepth rows of successive k.
  FT_INLINE F32 across(const F32 (&rows)[kUnitDepth]) { return rows[0]; }
  // Makes units of successive k from the first `count` values (at least one) of a row. Values after these are zero.
  FT_INLINE F32 along(const float* from, int64_t count) {
    return count >= kLanes ? load(from) : loadPartial(from, static_cast<int>(count));
  }
#if defined(FT_NARROW)
  FT_INLINE F32 along(const Narrow* from, int64_t count) {
    return count >= kLanes ? load(from) : loadPartial(from, static_cast<int>(count));
  }
#endif
};

#if defined(__AVX512BF16__) && FT_VECTOR_BYTES == 64

// Pairs the first 16 of 32 values with the last 16, lane by lane.
alignas(64) constexpr uint16_t kInterleaved[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                   8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
// Pairs the first halves of two rows of 32 values, lane by lane. The second halves are 16 elements further.
alignas(64) constexpr uint16_t kInterleavedPair[32] = {0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                                       8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};

// Pairs for vdpbf16ps, which treats subnormal bfloat16 as zero.
struct PairedBfloat16 {
  using Stored = PairedBfloat16;
  static constexpr int kUnitDepth = 2;
  static constexpr bool kTakesNarrow = true;

  FT_INLINE F32 splatUnit(const float* unit) {
    int32_t bits;
    std::memcpy(&bits, unit, sizeof bits);
    return (F32)_mm512_set1_epi32(bits);
  }
  FT_INLINE F32 multiplyAdd(F32 left, F32 right, F32 sum) {
    return (F32)_mm512_dpbf16_ps((__m512)sum, (__m512bh)left, (__m512bh)right);
  }
  FT_INLINE F32 firstOfUnit(F32 units) { return (F32)((U32)units & 0xFFFFu); }
  FT_INLINE F32 lastOfUnit(F32 units) { return (F32)((U32)units & 0xFFFF0000u); }

  FT_INLINE F32 rounded(F32 values) { return roundToBfloat16(values); }
  FT_INLINE F32 across(const F32 (&rows)[kUnitDepth]) {
    return (F32)_mm512_permutexvar_epi16(_mm512_load_si512(kInterleaved), (__m512i)toBfloat16(rows[0], rows[1]));
  }
  // The same, from `count` lanes (at least one) of two rows in memory. The second row may be null.
  FT_INLINE F32 across(const Narrow* first, const Narrow* second, int64_t count) {
    const U32 low = (U32)Float32::along(first, count) >> 16;
    return (F32)(second == nullptr ? low : low | (U32)Float32::along(second, count));
  }
  // The same from two vectors of lanes.
  FT_INLINE void acrossTwo(const Narrow* first, const Narrow* second, float* to) {
    const __m512i a = _mm512_loadu_si512(first), b = _mm512_loadu_si512(second);
    const __m512i low = _mm512_load_si512(kInterleavedPair);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(kLanes));
    _mm512_storeu_si512(to, _mm512_permutex2var_epi16(a, low, b));
    _mm512_storeu_si512(to + kLanes, _mm512_permutex2var_epi16(a, high, b));
  }
  // For values that are bfloat16 already.
  FT_INLINE F32 acrossExact(const F32 (&rows)[kUnitDepth]) { return (F32)((U32)rows[0] >> 16 | (U32)rows[1]); }
  FT_INLINE F32 along(const float* from, int64_t count) {
    const F32 low = Float32::along(from, count);
    const F32 high = count > kLanes ? Float32::along(from + kLanes, count - kLanes) : F32{};
    return toBfloat16(low, high);
  }
  FT_INLINE F32 along(const Narrow* from, int64_t count) {
    if (count >= 2 * kLanes) return (F32)_mm512_loadu_si512(from);
    return (F32)_mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint32_t{1} << count) - 1), from);
  }
};

#endif

// For instruction sets that do not multiply pairs: values are rounded to bfloat16, and kept as float32.
struct RoundedBfloat16 {
  using Stored = Float32;
  static constexpr int kUnitDepth = 1;
  static constexpr bool kTakesNarrow = false;

  FT_INLINE F32 rounded(F32 values) { return roundToBfloat16(values); }
  FT_INLINE F32 across(const F32 (&rows)[kUnitDepth]) { return roundToBfloat16(rows[0]); }
  FT_INLINE F32 along(const float* from, int64_t count) { return roundToBfloat16(Float32::along(from, count)); }
};

// On CPUs with tiles, vdpbf16ps takes twice the time of two multiply-adds (measured on a Xeon), so only CPUs without
// tiles use it.
#if defined(__AVX512BF16__) && FT_VECTOR_BYTES == 64 && !defined(FT_TILES)
using Bfloat16 = PairedBfloat16;
#else
using Bfloat16 = RoundedBfloat16;
#endif

}  // namespace foretoken::FT_ISA
