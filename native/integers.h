// Arithmetic of sizes and indices.
#pragma once

#include <cstdint>

// Static and always inlined, so that the linker cannot merge code of different instruction sets: see simd.h.
#if !defined(FT_INLINE)
#define FT_INLINE static inline __attribute__((always_inline))
#endif

namespace foretoken {

FT_INLINE constexpr int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
FT_INLINE constexpr int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

// value / by, rounded up, for value ≥ 0.
FT_INLINE constexpr int64_t divideUp(int64_t value, int64_t by) { return (value + by - 1) / by; }

// The smallest multiple of `of` that is at least `value`.
FT_INLINE constexpr int64_t roundUp(int64_t value, int64_t of) { return divideUp(value, of) * of; }

}  // namespace foretoken
