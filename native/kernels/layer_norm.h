// Layer normalisation (Ba, Kiros, Hinton 2016), like torch.nn.functional.layer_norm over the last axis.
// forward: x̂ = (x − mean)·rstd, y = x̂·gamma + beta, with rstd = 1/√(var + eps) and the biased variance.
// backward, with g = dy·gamma: dx = or += rstd·(g − mean(g) − x̂·mean(g·x̂)); dGamma += Σ dy·x̂; dBeta += Σ dy.
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "rows.h"

namespace foretoken::FT_ISA {
namespace {

template <typename T>
FT_INLINE void layerNormForwardTo(const LayerNormForwardArgs& args, Pool& pool, T* y) {
  const float* x = args.x;
  const float* gamma = args.gamma;
  const float* beta = args.beta.orNull();
  float* means = args.mean;
  float* rstds = args.rstd;
  const int64_t rows = args.rows, channels = args.channels;
  const float eps = static_cast<float>(args.eps);
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

void layerNormForward(const LayerNormForwardArgs& args, Pool& pool) {
  withElements(args.y, [&](auto* y) { layerNormForwardTo(args, pool, y); });
}

// Computes dx of rows [r, r + kRows). Adds Σ dy·x̂ and Σ dy of these rows to `partial` [2, channels]. `partial` is
// loaded and stored once for all these rows.
template <int kRows, typename T>
FT_INLINE void layerNormBackwardRows(const LayerNormBackwardArgs& args, const T* allDy, int64_t r, float* partial) {
  const float* gamma = args.gamma;
  const int64_t channels = args.channels;
  const bool add = args.add != 0;
  const float width = static_cast<float>(channels);
  const T* dy = allDy + r * channels;
  const float* x = args.x + r * channels;
  float* dx = args.dx ? args.dx.orNull() + r * channels : nullptr;
  float mean[kRows], rstd[kRows], meanG[kRows], meanGX[kRows];
  FT_UNROLL
  for (int i = 0; i < kRows; i++) {
    mean[i] = args.mean[r + i];
    rstd[i] = args.rstd[r + i];
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

void layerNormBackward(const LayerNormBackwardArgs& args, Pool& pool) {
  float* const sums[] = {args.dGamma.orNull(), args.dBeta.orNull()};
  withElements(args.dy, [&](const auto* dy) {
    sumOverRows(pool, args.rows, args.channels, sums, [&args, dy](int64_t begin, int64_t end, float* partial) {
      int64_t r = begin;
      for (; r + 4 <= end; r += 4) layerNormBackwardRows<4>(args, dy, r, partial);
      for (; r < end; r++) layerNormBackwardRows<1>(args, dy, r, partial);
    });
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
