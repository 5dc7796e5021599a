// Conversions to bfloat16, and the layout of bfloat16 in memory. Activations and their gradients are stored as bfloat16
// if the instruction set multiplies bfloat16. All other arithmetic is float32: a load converts to float32, and a store
// rounds to bfloat16.
#pragma once

#include <cstdint>

#include "buffers.h"
#include "lanes.h"

namespace foretoken::FT_ISA {

struct Narrow {
  uint16_t bits;
};

// Rounds to bfloat16 without a special instruction: to nearest, ties to even. The result is a float32 with 0 in the
// lower half of each lane. Subnormals stay, and NaN stays NaN.
FT_INLINE F32 roundToBfloat16(F32 value) {
  const U32 bits = (U32)value;
  const U32 rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) & 0xFFFF0000u;
  return select(value == value, (F32)rounded, (F32)((bits | 0x00400000u) & 0xFFFF0000u));
}

#if defined(FT_NARROW)

// Rounds with a special instruction: to nearest, ties to even. Subnormals become zero.
FT_INLINE __m256i toBfloat16(F32 value) { return (__m256i)_mm512_cvtneps_pbh((__m512)value); }
// Rounds two vectors to 32 neighbouring bfloat16. With `kept`, elements whose bit is not set become zero.
FT_INLINE F32 toBfloat16(F32 first, F32 second) { return (F32)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first); }
FT_INLINE F32 toBfloat16(F32 first, F32 second, uint32_t kept) {
  return (F32)_mm512_maskz_cvtne2ps_pbh(kept, (__m512)second, (__m512)first);
}

FT_INLINE F32 widen(__m256i narrow) { return (F32)_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16); }

FT_INLINE F32 load(const Narrow* from) { return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))); }
FT_INLINE void store(Narrow* to, F32 value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), toBfloat16(value));
}

FT_INLINE F32 loadPartial(const Narrow* from, int count) {
  return widen(_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << count) - 1u), from));
}
FT_INLINE void storePartial(Narrow* to, F32 value, int count) {
  _mm256_mask_storeu_epi16(to, static_cast<__mmask16>((1u << count) - 1u), toBfloat16(value));
}

// Stores two vectors as 32 neighbouring bfloat16. With `kept`, elements whose bit is not set become zero.
FT_INLINE void storeUnits(void* to, F32 first, F32 second) { _mm512_storeu_si512(to, (__m512i)toBfloat16(first, second)); }
FT_INLINE void storeUnits(void* to, F32 first, F32 second, uint32_t kept) {
  _mm512_storeu_si512(to, (__m512i)toBfloat16(first, second, kept));
}

FT_INLINE F32 load(const Narrow* from, All) { return load(from); }
FT_INLINE F32 load(const Narrow* from, First lanes) { return loadPartial(from, lanes.count); }
FT_INLINE void store(Narrow* to, F32 value, All) { store(to, value); }
FT_INLINE void store(Narrow* to, F32 value, First lanes) { storePartial(to, value, lanes.count); }

// Stores a whole cache line directly to memory, at a multiple of 64 bytes. Use it for data that is not read again soon.
FT_INLINE void storeNonTemporal(float* to, F32 value) { _mm512_stream_ps(to, (__m512)value); }
FT_INLINE void storeNonTemporal(Narrow* to, F32 first, F32 second) {
  _mm512_stream_si512(reinterpret_cast<__m512i*>(to), (__m512i)toBfloat16(first, second));
}
// Call before other threads may read what storeNonTemporal has written.
FT_INLINE void fenceNonTemporal() { _mm_sfence(); }

#endif

template <typename T>
constexpr bool kIsNarrow = sizeof(T) == sizeof(Narrow);

// Calls body with a pointer to the buffer's element type: float or Narrow. Instruction sets without FT_NARROW have only
// float.
template <typename T, typename Body>
FT_INLINE void withElements(const Activations<T>& buffer, Body body) {
#if defined(FT_NARROW)
  if (buffer.narrow()) return body(buffer.template as<Narrow>());
#endif
  body(buffer.template as<float>());
}

}  // namespace foretoken::FT_ISA
