// SwiGLU (Shazeer 2020): y = silu(gate)·up with silu(z) = z·σ(z). A row contains gate and then up.
// backward: dGate = dy·up·silu′(gate), dUp = dy·silu(gate), with silu′(z) = σ(z) + z·σ(z)·(1 − σ(z)).
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../math.h"
#include "../narrow.h"
#include "../parallel.h"

namespace foretoken::FT_ISA {
namespace {

// Rows of `hidden` elements for which one more thread is worth waking.
FT_INLINE int64_t swigluGrain(int64_t hidden) {
  return max(4096 / max(hidden, 1), 1);
}

template <typename T>
FT_INLINE void swigluForwardTo(const SwigluForwardArgs& args, Pool& pool, T* y) {
  const float* x = args.x;
  const int64_t rows = args.rows, hidden = args.hidden;
  parallelRanges(pool, rows, swigluGrain(hidden), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const float* gates = x + 2 * r * hidden;
      const float* ups = gates + hidden;
      T* out = y + r * hidden;
      forVectors(0, hidden, [=](int64_t c, auto lanes) {
        const F32 gate = load(gates + c, lanes);
        store(out + c, gate * sigmoid(gate) * load(ups + c, lanes), lanes);
      });
    }
  });
}

void swigluForward(const SwigluForwardArgs& args, Pool& pool) {
  withElements(args.y, [&](auto* y) { swigluForwardTo(args, pool, y); });
}

template <typename T, typename U>
FT_INLINE void swigluBackwardOf(const SwigluBackwardArgs& args, Pool& pool, const T* dy, U* dx) {
  const float* x = args.x;
  const int64_t rows = args.rows, hidden = args.hidden;
  parallelRanges(pool, rows, swigluGrain(hidden), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const float* gates = x + 2 * r * hidden;
      const float* ups = gates + hidden;
      const T* gradients = dy + r * hidden;
      U* dGates = dx + 2 * r * hidden;
      U* dUps = dGates + hidden;
      forVectors(0, hidden, [=](int64_t c, auto lanes) {
        const F32 gate = load(gates + c, lanes);
        const F32 gradient = load(gradients + c, lanes);
        const Logistic at = logistic(gate);
        const F32 silu = gate * at.value;
        store(dGates + c, gradient * load(ups + c, lanes) * fma(silu, at.rest, at.value), lanes);
        store(dUps + c, gradient * silu, lanes);
      });
    }
  });
}

void swigluBackward(const SwigluBackwardArgs& args, Pool& pool) {
  withElements(args.dy, [&](const auto* dy) {
    withElements(args.dx, [&](auto* dx) { swigluBackwardOf(args, pool, dy, dx); });
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
