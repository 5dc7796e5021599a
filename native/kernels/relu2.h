// Squared ReLU (So et al. 2021): y = max(0, x)², y′ = 2·max(0, x).
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"

namespace foretoken::FT_ISA {
namespace {

constexpr int64_t kRelu2Grain = 4096;

// With this order of arguments, NaN stays NaN.
FT_INLINE F32 positivePart(F32 x) { return max(F32{}, x); }

void relu2Forward(const Relu2ForwardArgs& args, Pool& pool) {
  const float* x = args.x;
  withElements(args.y, [&](auto* y) {
    parallelRanges(pool, args.n, kRelu2Grain, [=](int64_t begin, int64_t end, int) {
      forVectors(begin, end, [=](int64_t i, auto lanes) {
        const F32 part = positivePart(load(x + i, lanes));
        store(y + i, part * part, lanes);
      });
    });
  });
}

void relu2Backward(const Relu2BackwardArgs& args, Pool& pool) {
  const float* x = args.x;
  withElements(args.dy, [&](const auto* dy) {
    withElements(args.dx, [&](auto* dx) {
      parallelRanges(pool, args.n, kRelu2Grain, [=](int64_t begin, int64_t end, int) {
        forVectors(begin, end, [=](int64_t i, auto lanes) {
          const F32 part = positivePart(load(x + i, lanes));
          store(dx + i, load(dy + i, lanes) * (part + part), lanes);
        });
      });
    });
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
