// Gated hidden layers (Shazeer 2020): y = f(gate)·up. A row contains gate and then up. f is silu(z) = z·σ(z) in SwiGLU,
// and one of the two functions of gelu.h in GEGLU.
// backward: dGate = dy·up·f′(gate), dUp = dy·f(gate), with silu′(z) = σ(z) + z·σ(z)·(1 − σ(z)).
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../math.h"
#include "../narrow.h"
#include "../parallel.h"
#include "gelu.h"

namespace foretoken::FT_ISA {
namespace {

// Rows of `hidden` elements for which one more thread is worth waking.
FT_INLINE int64_t gatedGrain(int64_t hidden) {
  return max(4096 / max(hidden, 1), 1);
}

// `function` returns f of a vector of gates.
template <typename Args, typename Function>
FT_INLINE void gatedForward(const Args& args, Pool& pool, Function function) {
  const int64_t rows = args.rows, hidden = args.hidden;
  withElements(args.x, [&](const auto* x) {
    withElements(args.y, [&](auto* y) {
      parallelRanges(pool, rows, gatedGrain(hidden), [=](int64_t begin, int64_t end, int) {
        for (int64_t r = begin; r < end; r++) {
          const auto* gates = x + 2 * r * hidden;
          const auto* ups = gates + hidden;
          auto* out = y + r * hidden;
          forVectors(0, hidden, [=](int64_t c, auto lanes) {
            store(out + c, function(load(gates + c, lanes)) * load(ups + c, lanes), lanes);
          });
        }
      });
    });
  });
}

// `function` returns f and f′ of a vector of gates.
template <typename Args, typename Function>
FT_INLINE void gatedBackward(const Args& args, Pool& pool, Function function) {
  const int64_t rows = args.rows, hidden = args.hidden;
  withElements(args.x, [&](const auto* x) {
    withElements(args.dy, [&](const auto* dy) {
      withElements(args.dx, [&](auto* dx) {
        parallelRanges(pool, rows, gatedGrain(hidden), [=](int64_t begin, int64_t end, int) {
          for (int64_t r = begin; r < end; r++) {
            const auto* gates = x + 2 * r * hidden;
            const auto* ups = gates + hidden;
            const auto* gradients = dy + r * hidden;
            auto* dGates = dx + 2 * r * hidden;
            auto* dUps = dGates + hidden;
            forVectors(0, hidden, [=](int64_t c, auto lanes) {
              const F32 gradient = load(gradients + c, lanes);
              const Activated at = function(load(gates + c, lanes));
              store(dGates + c, gradient * load(ups + c, lanes) * at.slope, lanes);
              store(dUps + c, gradient * at.value, lanes);
            });
          }
        });
      });
    });
  });
}

void swigluForward(const SwigluForwardArgs& args, Pool& pool) {
  gatedForward(args, pool, [](F32 gate) { return gate * sigmoid(gate); });
}

void swigluBackward(const SwigluBackwardArgs& args, Pool& pool) {
  gatedBackward(args, pool, [](F32 gate) {
    const Logistic at = logistic(gate);
    const F32 silu = gate * at.value;
    return Activated{silu, fma(silu, at.rest, at.value)};
  });
}

void gegluForward(const GegluForwardArgs& args, Pool& pool) {
  if (args.tanh != 0) gatedForward(args, pool, [](F32 gate) { return geluTanh(gate); });
  else gatedForward(args, pool, [](F32 gate) { return gelu(gate); });
}

void gegluBackward(const GegluBackwardArgs& args, Pool& pool) {
  if (args.tanh != 0) gatedBackward(args, pool, [](F32 gate) { return geluTanhWithSlope(gate); });
  else gatedBackward(args, pool, [](F32 gate) { return geluWithSlope(gate); });
}

}  // namespace
}  // namespace foretoken::FT_ISA
