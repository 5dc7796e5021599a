// Watching results for infinity and NaN while they are in registers, so that nothing has to be read again for it.
#pragma once

#include "simd.h"

namespace foretoken::FT_ISA {

// 0 where `value` is finite, NaN where it is not.
FT_INLINE F32 unrealOf(F32 value) { return value - value; }

// Sets the flag where a lane of `watched`, a sum of unrealOf(), is NaN. Any thread may; all write the same value.
FT_INLINE void tellUnreal(float* flag, F32 watched) {
  if (sumLanes(watched) == 0.0f) return;
  float yes = 1.0f;  // not const: clang takes no pointer to const here
  __atomic_store(flag, &yes, __ATOMIC_RELAXED);
}

}  // namespace foretoken::FT_ISA
