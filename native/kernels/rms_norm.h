// RMS normalisation (Zhang & Sennrich 2019), like torch.nn.functional.rms_norm over the last axis.
// forward: x̂ = x·rstd, y = x̂·gamma, with rstd = 1/√(mean(x²) + eps).
// backward, with g = dy·gamma: dx = or += rstd·(g − x̂·mean(g·x̂)); dGamma += Σ dy·x̂.
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "rows.h"

namespace foretoken::FT_ISA {
namespace {

template <typename T>
FT_INLINE void rmsNormForwardTo(const RmsNormForwardArgs& args, Pool& pool, T* y) {
  const float* x = args.x;
  const float* gamma = args.gamma;
  float* rstds = args.rstd;
  const int64_t rows = args.rows, channels = args.channels;
  const float eps = static_cast<float>(args.eps);
  const float inverseWidth = 1.0f / static_cast<float>(channels);
  parallelRanges(pool, rows, rowGrain(channels), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const float* row = x + r * channels;
      T* out = y + r * channels;
      const float squares = sumRow(channels, [=](int64_t c, auto lanes) {
        const F32 value = load(row + c, lanes);
        return value * value;
      });
      const float rstd = 1.0f / __builtin_sqrtf(squares * inverseWidth + eps);
      rstds[r] = rstd;
      forVectors(0, channels, [=](int64_t c, auto lanes) {
        store(out + c, load(row + c, lanes) * rstd * load(gamma + c, lanes), lanes);
      });
    }
  });
}

void rmsNormForward(const RmsNormForwardArgs& args, Pool& pool) {
  withElements(args.y, [&](auto* y) { rmsNormForwardTo(args, pool, y); });
}

// Computes dx of rows [r, r + kRows). Adds Σ dy·x̂ of these rows to `partial` [channels]. `partial` is loaded and
// stored once for all these rows.
template <int kRows, typename T>
FT_INLINE void rmsNormBackwardRows(const RmsNormBackwardArgs& args, const T* allDy, int64_t r, float* partial) {
  const float* gamma = args.gamma;
  const int64_t channels = args.channels;
  const bool add = args.add != 0;
  const float inverseWidth = 1.0f / static_cast<float>(channels);
  const T* dy = allDy + r * channels;
  const float* x = args.x + r * channels;
  float* dx = args.dx ? args.dx.orNull() + r * channels : nullptr;
  float rstd[kRows], mean[kRows];
  FT_UNROLL
  for (int i = 0; i < kRows; i++) {
    rstd[i] = args.rstd[r + i];
    const T* gradients = dy + i * channels;
    const float* values = x + i * channels;
    const float scale = rstd[i];
    mean[i] = sumRow(channels, [=](int64_t c, auto lanes) {
      return load(gradients + c, lanes) * load(gamma + c, lanes) * (load(values + c, lanes) * scale);
    }) * inverseWidth;
  }
  forVectors(0, channels, [=](int64_t c, auto lanes) {
    F32 sumGamma = load(partial + c, lanes);
    const F32 scale = load(gamma + c, lanes);
    FT_UNROLL
    for (int i = 0; i < kRows; i++) {
      const F32 gradient = load(dy + i * channels + c, lanes);
      const F32 normal = load(x + i * channels + c, lanes) * rstd[i];
      sumGamma = fma(gradient, normal, sumGamma);
      if (dx == nullptr) continue;
      float* to = dx + i * channels + c;
      const F32 own = fma(normal, splat(-mean[i]), gradient * scale) * rstd[i];
      store(to, add ? load(to, lanes) + own : own, lanes);
    }
    store(partial + c, sumGamma, lanes);
  });
}

void rmsNormBackward(const RmsNormBackwardArgs& args, Pool& pool) {
  float* const sums[] = {args.dGamma.orNull()};
  withElements(args.dy, [&](const auto* dy) {
    sumOverRows(pool, args.rows, args.channels, sums, [&args, dy](int64_t begin, int64_t end, float* partial) {
      int64_t r = begin;
      for (; r + 4 <= end; r += 4) rmsNormBackwardRows<4>(args, dy, r, partial);
      for (; r < end; r++) rmsNormBackwardRows<1>(args, dy, r, partial);
    });
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
