// Vectors of the instruction set that this translation unit is compiled for. The build compiles native/isa.cc once for
// each instruction set, with FT_ISA (the namespace) and FT_VECTOR_BYTES. All code below is in this namespace, so the
// linker cannot merge code of different instruction sets.
//
// Arithmetic uses the compiler's vector extensions. Operations without a vector extension (fused multiply-add, partial
// loads, min/max) are intrinsics. The compiler must not fuse operations (-ffp-contract=off): a fused operation is
// always an explicit fma().
#pragma once

#include <cstdint>
#include <cstring>

#include "integers.h"

#if defined(__AVX2__)
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 warns about intentionally undefined values in its own header (bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif
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

// Whether tiles compute products of bfloat16: gemm/amx/tiles.h.
#if defined(__AMX_BF16__) || defined(FT_EMULATED_TILES)
#define FT_TILES 1
#endif

// Whether activations may be stored as bfloat16: narrow.h.
#if defined(FT_TILES) || (defined(__AVX512BF16__) && FT_VECTOR_BYTES == 64)
#define FT_NARROW 1
#endif

// Put this before a loop with a small constant number of iterations that indexes an array of vectors. In an unrolled
// loop, the array stays in registers.
#if defined(__clang__)
#define FT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FT_UNROLL _Pragma("GCC unroll 32")
#endif

// Put this before the loop of a register tile. WebAssembly does not use it: V8 would move all loads of an unrolled body
// before the arithmetic, and would spill registers to memory.
#if defined(__wasm__)
#define FT_UNROLL_TILE _Pragma("clang loop unroll(disable)")
#elif defined(__clang__)
#define FT_UNROLL_TILE _Pragma("clang loop unroll_count(4)")
#else
#define FT_UNROLL_TILE _Pragma("GCC unroll 4")
#endif

namespace foretoken::FT_ISA {

// For integers; the versions for vectors are below.
using foretoken::max;
using foretoken::min;

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

// a·b + c. Rounded once if the instruction set has a fused multiply-add, otherwise twice (baseline x86, WebAssembly).
// With relaxed SIMD, this depends on the CPU.
FT_INLINE F32 fma(F32 a, F32 b, F32 c) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  return (F32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__) && FT_VECTOR_BYTES == 32
  return (F32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__ARM_NEON) && FT_VECTOR_BYTES == 16
  return (F32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#elif defined(__wasm_relaxed_simd__)
  return (F32)wasm_f32x4_relaxed_madd((v128_t)a, (v128_t)b, (v128_t)c);
#else
  return a * b + c;
#endif
}

FT_INLINE F32 select(I32 mask, F32 whenTrue, F32 whenFalse) {
  return (F32)((mask & (I32)whenTrue) | (~mask & (I32)whenFalse));
}

// a > b ? a : b. The result is b if a or b is NaN, like in the x86 instruction.
FT_INLINE F32 max(F32 a, F32 b) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  return (F32)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__) && FT_VECTOR_BYTES == 32
  return (F32)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__wasm_simd128__)
  return (F32)wasm_f32x4_pmax((v128_t)b, (v128_t)a);
#elif defined(__SSE2__)
  return (F32)_mm_max_ps((__m128)a, (__m128)b);
#else
  return select(a > b, a, b);
#endif
}

// a < b ? a : b.
FT_INLINE F32 min(F32 a, F32 b) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  return (F32)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__) && FT_VECTOR_BYTES == 32
  return (F32)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__wasm_simd128__)
  return (F32)wasm_f32x4_pmin((v128_t)b, (v128_t)a);
#elif defined(__SSE2__)
  return (F32)_mm_min_ps((__m128)a, (__m128)b);
#else
  return select(a < b, a, b);
#endif
}

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

#if defined(__AVX2__) && FT_VECTOR_BYTES == 32
FT_INLINE __m256i firstLanesMask(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

// Loads or stores only the first `count` lanes (1..kLanes). A load sets all other lanes to zero. A store does not
// change the memory of other lanes. Never accesses other memory.
FT_INLINE F32 loadPartial(const float* from, int count) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  return (F32)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), from);
#elif defined(__AVX2__) && FT_VECTOR_BYTES == 32
  return (F32)_mm256_maskload_ps(from, firstLanesMask(count));
#else
  F32 value{};
  std::memcpy(&value, from, sizeof(float) * static_cast<size_t>(count));
  return value;
#endif
}

FT_INLINE void storePartial(float* to, F32 value, int count) {
#if defined(__AVX512F__) && FT_VECTOR_BYTES == 64
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1u), (__m512)value);
#elif defined(__AVX2__) && FT_VECTOR_BYTES == 32
  _mm256_maskstore_ps(to, firstLanesMask(count), (__m256)value);
#else
  std::memcpy(to, &value, sizeof(float) * static_cast<size_t>(count));
#endif
}

#if FT_VECTOR_BYTES == 64
#define FT_EACH_LANE(f) \
  f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)
#elif FT_VECTOR_BYTES == 32
#define FT_EACH_LANE(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#else
#define FT_EACH_LANE(f) f(0), f(1), f(2), f(3)
#endif

// Swaps lane i with lane i ^ Distance (a power of two).
template <int Distance>
FT_INLINE F32 swapLanes(F32 value) {
#define FT_INDEX(i) ((i) ^ Distance)
  return __builtin_shufflevector(value, value, FT_EACH_LANE(FT_INDEX));
#undef FT_INDEX
}

template <int Distance>
FT_INLINE I32 swapLanes(I32 value) {
  return (I32)swapLanes<Distance>((F32)value);
}

FT_INLINE I32 max(I32 a, I32 b) { return a > b ? a : b; }

// Horizontal sum by halves: ((0+8)+(4+12))… The order depends only on the vector width.
template <class Vector>
FT_INLINE auto sumLanes(Vector value) {
#if FT_VECTOR_BYTES >= 64
  value += swapLanes<8>(value);
#endif
#if FT_VECTOR_BYTES >= 32
  value += swapLanes<4>(value);
#endif
  value += swapLanes<2>(value);
  value += swapLanes<1>(value);
  return value[0];
}

template <class Vector>
FT_INLINE auto maxLanes(Vector value) {
#if FT_VECTOR_BYTES >= 64
  value = max(value, swapLanes<8>(value));
#endif
#if FT_VECTOR_BYTES >= 32
  value = max(value, swapLanes<4>(value));
#endif
  value = max(value, swapLanes<2>(value));
  value = max(value, swapLanes<1>(value));
  return value[0];
}

// One step of a transposition: swaps the off-diagonal blocks of Size × Size lanes of rows `a` and `b`.
template <int Size>
FT_INLINE void swapBlocks(F32& a, F32& b) {
#define FT_LOW(i) (((i) & Size) ? kLanes + (i) - Size : (i))
#define FT_HIGH(i) (((i) & Size) ? kLanes + (i) : (i) + Size)
  const F32 low = __builtin_shufflevector(a, b, FT_EACH_LANE(FT_LOW));
  b = __builtin_shufflevector(a, b, FT_EACH_LANE(FT_HIGH));
  a = low;
#undef FT_LOW
#undef FT_HIGH
}

template <int Size>
FT_INLINE void transposeBlocks(F32 (&rows)[kLanes]) {
  FT_UNROLL
  for (int i = 0; i < kLanes; i++) {
    if ((i & Size) == 0) swapBlocks<Size>(rows[i], rows[i + Size]);
  }
  if constexpr (Size > 1) transposeBlocks<Size / 2>(rows);
}

// Moves rows[i][j] to rows[j][i].
FT_INLINE void transpose(F32 (&rows)[kLanes]) { transposeBlocks<kLanes / 2>(rows); }

}  // namespace foretoken::FT_ISA
