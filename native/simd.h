// Vectors of the instruction set that this translation unit is compiled for. The build compiles native/isa.cc once
// per set with FT_ISA (the namespace) and FT_VECTOR_BYTES; all that follows lives in that namespace, so the linker
// can never put one set's code into another's.
//
// Arithmetic is written with compiler vector extensions; only what they cannot say (fused multiply-add, partial loads,
// min/max) is an intrinsic here. Contraction is off (-ffp-contract=off): a fused operation is always an explicit fma().
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#if !defined(FT_ISA) || !defined(FT_VECTOR_BYTES)
#error "compile native/isa.cc with -DFT_ISA=<name> -DFT_VECTOR_BYTES=<16|32|64>"
#endif

#define FT_INLINE static inline __attribute__((always_inline))

namespace foretoken::FT_ISA {

constexpr int kLanes = FT_VECTOR_BYTES / 4;

typedef float F32 __attribute__((vector_size(FT_VECTOR_BYTES)));
typedef int32_t I32 __attribute__((vector_size(FT_VECTOR_BYTES)));
typedef uint32_t U32 __attribute__((vector_size(FT_VECTOR_BYTES)));

FT_INLINE F32 load(const float* from) {
  F32 value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

FT_INLINE void store(float* to, F32 value) { std::memcpy(to, &value, sizeof value); }

FT_INLINE F32 splat(float value) { return value - F32{}; }

FT_INLINE F32 bitsToFloat(I32 bits) { return (F32)bits; }
FT_INLINE I32 floatToBits(F32 value) { return (I32)value; }

// a·b + c, rounded once where the set has it; where it has not (baseline x86, WebAssembly) rounded twice.
FT_INLINE F32 fma(F32 a, F32 b, F32 c) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  return (F32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__) && FT_VECTOR_BYTES == 32
  return (F32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__ARM_NEON) && FT_VECTOR_BYTES == 16
  return (F32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

FT_INLINE F32 select(I32 mask, F32 whenTrue, F32 whenFalse) {
  return (F32)((mask & (I32)whenTrue) | (~mask & (I32)whenFalse));
}

FT_INLINE F32 max(F32 a, F32 b) { return select(a > b, a, b); }
FT_INLINE F32 min(F32 a, F32 b) { return select(a < b, a, b); }

FT_INLINE F32 sqrt(F32 a) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  return (F32)_mm512_sqrt_ps((__m512)a);
#elif defined(__AVX2__) && FT_VECTOR_BYTES == 32
  return (F32)_mm256_sqrt_ps((__m256)a);
#elif defined(__ARM_NEON)
  return (F32)vsqrtq_f32((float32x4_t)a);
#elif defined(__wasm_simd128__)
  return (F32)wasm_f32x4_sqrt((v128_t)a);
#else
  return (F32)_mm_sqrt_ps((__m128)a);
#endif
}

// The first `count` lanes (1..kLanes); the others are zero / left alone. Never touches memory past them.
FT_INLINE F32 loadPartial(const float* from, int count) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  return (F32)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), from);
#else
  F32 value{};
  std::memcpy(&value, from, sizeof(float) * static_cast<size_t>(count));
  return value;
#endif
}

FT_INLINE void storePartial(float* to, F32 value, int count) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1u), (__m512)value);
#else
  std::memcpy(to, &value, sizeof(float) * static_cast<size_t>(count));
#endif
}

// Horizontal sum by halves: ((0+8)+(4+12))… — one fixed tree for a given vector width.
FT_INLINE float sumLanes(F32 value) {
  float lanes[kLanes];
  store(lanes, value);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] += lanes[i + width];
  return lanes[0];
}

FT_INLINE float maxLanes(F32 value) {
  float lanes[kLanes];
  store(lanes, value);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] = lanes[i] > lanes[i + width] ? lanes[i] : lanes[i + width];
  return lanes[0];
}

}  // namespace foretoken::FT_ISA
