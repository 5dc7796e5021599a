// Checks results for infinity and NaN while they are in registers. So the check needs no additional read.
#pragma once

#include "simd.h"

namespace foretoken::FT_ISA {

// 0 if `value` is finite; otherwise NaN.
FT_INLINE F32 unrealOf(F32 value) { return value - value; }

// Sets the flag if a lane of `watched` is NaN. `watched` is a sum of unrealOf(). Any thread may call this, because all
// threads write the same value.
FT_INLINE void tellUnreal(float* flag, F32 watched) {
  if (sumLanes(watched) == 0.0f) return;
  float yes = 1.0f;  // not const: clang accepts no pointer to const here
  __atomic_store(flag, &yes, __ATOMIC_RELAXED);
}

}  // namespace foretoken::FT_ISA
