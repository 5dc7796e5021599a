// GEGLU (Shazeer 2020): y = gelu(gate)·up. A row contains gate and then up. gelu is one of the two functions of gelu.h.
// backward: dGate = dy·up·gelu′(gate), dUp = dy·gelu(gate).
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "gelu.h"
#include "swiglu.h"

namespace foretoken::FT_ISA {
namespace {

template <typename T, typename Function>
FT_INLINE void gegluForwardTo(const GegluForwardArgs& args, Pool& pool, T* y, Function function) {
  const float* x = args.x;
  const int64_t rows = args.rows, hidden = args.hidden;
  parallelRanges(pool, rows, swigluGrain(hidden), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const float* gates = x + 2 * r * hidden;
      const float* ups = gates + hidden;
      T* out = y + r * hidden;
      forVectors(0, hidden, [=](int64_t c, auto lanes) {
        store(out + c, function(load(gates + c, lanes)) * load(ups + c, lanes), lanes);
      });
    }
  });
}

void gegluForward(const GegluForwardArgs& args, Pool& pool) {
  withElements(args.y, [&](auto* y) {
    if (args.tanh != 0) gegluForwardTo(args, pool, y, [](F32 x) { return geluTanh(x); });
    else gegluForwardTo(args, pool, y, [](F32 x) { return gelu(x); });
  });
}

template <typename T, typename U, typename Function>
FT_INLINE void gegluBackwardOf(const GegluBackwardArgs& args, Pool& pool, const T* dy, U* dx, Function function) {
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
        const F32 gradient = load(gradients + c, lanes);
        const Activated at = function(load(gates + c, lanes));
        store(dGates + c, gradient * load(ups + c, lanes) * at.slope, lanes);
        store(dUps + c, gradient * at.value, lanes);
      });
    }
  });
}

void gegluBackward(const GegluBackwardArgs& args, Pool& pool) {
  withElements(args.dy, [&](const auto* dy) {
    withElements(args.dx, [&](auto* dx) {
      if (args.tanh != 0) gegluBackwardOf(args, pool, dy, dx, [](F32 x) { return geluTanhWithSlope(x); });
      else gegluBackwardOf(args, pool, dy, dx, [](F32 x) { return geluWithSlope(x); });
    });
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
