// Checks results for infinity and NaN while they are in registers, so that nothing is read again for the check.
#pragma once

#include "simd.h"

namespace foretoken::FT_ISA {

// 0 if `value` is finite, NaN if not.
FT_INLINE F32 unrealOf(F32 value) { return value - value; }

// Sets the flag if a lane of `watched`, a sum of unrealOf(), is NaN. Any thread may call it; all write the same value.
FT_INLINE void tellUnreal(float* flag, F32 watched) {
  if (sumLanes(watched) == 0.0f) return;
  float yes = 1.0f;  // not const: clang accepts no pointer to const here
  __atomic_store(flag, &yes, __ATOMIC_RELAXED);
}

}  // namespace foretoken::FT_ISA
