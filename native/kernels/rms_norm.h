// RMS normalisation (Zhang & Sennrich 2019), as torch.nn.functional.rms_norm over the last axis.
// forward: x̂ = x·rstd, y = x̂·gamma, with rstd = 1/√(mean(x²) + eps).
// backward, with g = dy·gamma: dx = or += rstd·(g − x̂·mean(g·x̂)); dGamma += Σ dy·x̂.
#pragma once

#include "../call.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "rows.h"

namespace foretoken::FT_ISA {
namespace {

template <typename T>
FT_INLINE void rmsNormForwardTo(const Call& call, Pool& pool, T* y) {
  const float* x = call.buffer(0);
  const float* gamma = call.buffer(1);
  float* rstds = call.buffer(3);
  const int64_t rows = call.ints[0], channels = call.ints[1];
  const float eps = static_cast<float>(call.floats[0]);
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

void rmsNormForward(const Call& call, Pool& pool) {
  withElements(call, 2, [&](auto* y) { rmsNormForwardTo(call, pool, y); });
}

// dx of rows [r, r + kRows); their Σ dy·x̂ is added to `partial` [channels], which is loaded and stored once for all of
// them.
template <int kRows, typename T>
FT_INLINE void rmsNormBackwardRows(const Call& call, const T* allDy, int64_t r, float* partial) {
  const float* gamma = call.buffer(2);
  const int64_t channels = call.ints[1];
  const bool add = call.ints[2] != 0;
  const float inverseWidth = 1.0f / static_cast<float>(channels);
  const T* dy = allDy + r * channels;
  const float* x = call.buffer(1) + r * channels;
  float* dx = call.buffer(4) == nullptr ? nullptr : call.buffer(4) + r * channels;
  float rstd[kRows], mean[kRows];
  FT_UNROLL
  for (int i = 0; i < kRows; i++) {
    rstd[i] = call.buffer(3)[r + i];
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

void rmsNormBackward(const Call& call, Pool& pool) {
  float* const sums[] = {call.buffer(5)};
  withElements(call, 0, [&](const auto* dy) {
    sumOverRows(pool, call.ints[0], call.ints[1], sums, [&call, dy](int64_t begin, int64_t end, float* partial) {
      int64_t r = begin;
      for (; r + 4 <= end; r += 4) rmsNormBackwardRows<4>(call, dy, r, partial);
      for (; r < end; r++) rmsNormBackwardRows<1>(call, dy, r, partial);
    });
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
