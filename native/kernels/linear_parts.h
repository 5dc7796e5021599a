// What the kernels of linear.h share with those of linear_amx.h.
#pragma once

#include <cstdint>

#include "../generated/kernels.h"
#include "../simd.h"

namespace foretoken::FT_ISA {

// dx[M, K] = or, with `add`, += dy[M, N] · w[N, K]; or dx = that times factor[M, K] where there is one (not null).
struct InputGradient {
  Activations<const float> dy, w, factor;
  Activations<float> dx;
  bool add;
  int64_t m, n, k;
  bool bfloat16;
};

// That of a kernel's arguments, from `dy`. One type for all kernels, so that the product is compiled once.
template <typename Args>
FT_INLINE InputGradient inputGradientOf(const Args& args, const Activations<const float>& dy, bool add) {
  return {.dy = dy,
          .w = args.w,
          .factor = args.factor.orNull(),
          .dx = args.dx,
          .add = add,
          .m = args.m,
          .n = args.n,
          .k = args.k,
          .bfloat16 = args.bfloat16};
}

}  // namespace foretoken::FT_ISA
