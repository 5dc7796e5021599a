// Layer normalisation (Ba, Kiros, Hinton 2016), as torch.nn.functional.layer_norm over the last axis.
// forward: x̂ = (x − mean)·rstd, y = x̂·gamma + beta, with rstd = 1/√(var + eps) and the biased variance.
// backward, with g = dy·gamma: dx = or += rstd·(g − mean(g) − x̂·mean(g·x̂)); dGamma += Σ dy·x̂; dBeta += Σ dy.
#pragma once

#include "../call.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "rows.h"

namespace foretoken::FT_ISA {
namespace {

template <typename T>
FT_INLINE void layerNormForwardTo(const Call& call, Pool& pool, T* y) {
  const float* x = call.buffer(0);
  const float* gamma = call.buffer(1);
  const float* beta = call.buffer(2);
  float* means = call.buffer(4);
  float* rstds = call.buffer(5);
  const int64_t rows = call.ints[0], channels = call.ints[1];
  const float eps = static_cast<float>(call.floats[0]);
  const float width = static_cast<float>(channels);
  parallelRanges(pool, rows, rowGrain(channels), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const float* row = x + r * channels;
      T* out = y + r * channels;
      const float mean = sumRow(channels, [=](int64_t c, auto lanes) { return load(row + c, lanes); }) / width;
      const float squares = sumRow(channels, [=](int64_t c, auto lanes) {
        const F32 centred = within(lanes, load(row + c, lanes) - mean, F32{});
        return centred * centred;
      });
      const float rstd = 1.0f / __builtin_sqrtf(squares / width + eps);
      means[r] = mean;
      rstds[r] = rstd;
      forVectors(0, channels, [=](int64_t c, auto lanes) {
        const F32 normal = (load(row + c, lanes) - mean) * rstd;
        const F32 shift = beta == nullptr ? F32{} : load(beta + c, lanes);
        store(out + c, fma(normal, load(gamma + c, lanes), shift), lanes);
      });
    }
  });
}

void layerNormForward(const Call& call, Pool& pool) {
  withElements(call, 3, [&](auto* y) { layerNormForwardTo(call, pool, y); });
}

// dx of rows [r, r + kRows); their Σ dy·x̂ and Σ dy are added to `partial` [2, channels], which is loaded and stored once
// for all of them.
template <int kRows, typename T>
FT_INLINE void layerNormBackwardRows(const Call& call, const T* allDy, int64_t r, float* partial) {
  const float* gamma = call.buffer(2);
  const int64_t channels = call.ints[1];
  const bool add = call.ints[2] != 0;
  const float width = static_cast<float>(channels);
  const T* dy = allDy + r * channels;
  const float* x = call.buffer(1) + r * channels;
  float* dx = call.buffer(5) == nullptr ? nullptr : call.buffer(5) + r * channels;
  float mean[kRows], rstd[kRows], meanG[kRows], meanGX[kRows];
  FT_UNROLL
  for (int i = 0; i < kRows; i++) {
    mean[i] = call.buffer(3)[r + i];
    rstd[i] = call.buffer(4)[r + i];
    const T* gradients = dy + i * channels;
    const float* values = x + i * channels;
    const float shift = mean[i], scale = rstd[i];
    const RowSums sums = sumRowTwice(channels, [=](int64_t c, auto lanes) {
      const F32 g = load(gradients + c, lanes) * load(gamma + c, lanes);
      return Terms{g, g * ((load(values + c, lanes) - shift) * scale)};
    });
    meanG[i] = sums.first / width;
    meanGX[i] = sums.second / width;
  }
  forVectors(0, channels, [=](int64_t c, auto lanes) {
    F32 sumGamma = load(partial + c, lanes);
    F32 sumBeta = load(partial + channels + c, lanes);
    const F32 scale = load(gamma + c, lanes);
    FT_UNROLL
    for (int i = 0; i < kRows; i++) {
      const F32 gradient = load(dy + i * channels + c, lanes);
      const F32 normal = (load(x + i * channels + c, lanes) - mean[i]) * rstd[i];
      sumGamma = fma(gradient, normal, sumGamma);
      sumBeta += gradient;
      if (dx == nullptr) continue;
      float* to = dx + i * channels + c;
      const F32 own = (fma(gradient, scale, splat(-meanG[i])) - normal * meanGX[i]) * rstd[i];
      store(to, add ? load(to, lanes) + own : own, lanes);
    }
    store(partial + c, sumGamma, lanes);
    store(partial + channels + c, sumBeta, lanes);
  });
}

void layerNormBackward(const Call& call, Pool& pool) {
  float* const sums[] = {call.buffer(6), call.buffer(7)};
  withElements(call, 0, [&](const auto* dy) {
    sumOverRows(pool, call.ints[0], call.ints[1], sums, [&call, dy](int64_t begin, int64_t end, float* partial) {
      int64_t r = begin;
      for (; r + 4 <= end; r += 4) layerNormBackwardRows<4>(call, dy, r, partial);
      for (; r < end; r++) layerNormBackwardRows<1>(call, dy, r, partial);
    });
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
