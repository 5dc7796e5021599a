// Layer normalisation (Ba, Kiros, Hinton 2016), as torch.nn.functional.layer_norm over the last axis.
// forward: x̂ = (x − mean)·rstd, y = x̂·gamma + beta, with rstd = 1/√(var + eps) and the biased variance.
// backward, with g = dy·gamma: dx = rstd·(g − mean(g) − x̂·mean(g·x̂)); dGamma += Σ dy·x̂; dBeta += Σ dy.
#pragma once

#include "../call.h"
#include "../lanes.h"
#include "../parallel.h"
#include "elementwise.h"

namespace foretoken::FT_ISA {
namespace {

// Σ term(offset, lanes) over one row; `term` gives 0 in lanes outside the row. One fixed order for a given row length.
template <typename Term>
FT_INLINE float sumRow(int64_t channels, Term term) {
  F32 totals[4] = {};
  int64_t c = 0;
  for (; c + 4 * kLanes <= channels; c += 4 * kLanes)
    for (int j = 0; j < 4; j++) totals[j] += term(c + j * kLanes, All{});
  forVectors(c, channels, [&](int64_t i, auto lanes) { totals[0] += term(i, lanes); });
  return sumLanes((totals[0] + totals[1]) + (totals[2] + totals[3]));
}

void layerNormForward(const Call& call, Pool& pool) {
  const float* x = call.buffer(0);
  const float* gamma = call.buffer(1);
  const float* beta = call.buffer(2);
  float* y = call.buffer(3);
  float* means = call.buffer(4);
  float* rstds = call.buffer(5);
  const int64_t rows = call.ints[0], channels = call.ints[1];
  const float eps = static_cast<float>(call.floats[0]);
  const float width = static_cast<float>(channels);
  parallelRanges(pool, rows, rowGrain(channels), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const float* row = x + r * channels;
      float* out = y + r * channels;
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

// dx of rows [begin, end); their Σ dy·x̂ and Σ dy go to `partial` [2, channels].
FT_INLINE void layerNormBackwardRows(const Call& call, int64_t begin, int64_t end, float* partial) {
  const float* gamma = call.buffer(2);
  const int64_t channels = call.ints[1];
  const float width = static_cast<float>(channels);
  float* partialGamma = partial;
  float* partialBeta = partial + channels;
  std::memset(partial, 0, sizeof(float) * 2 * static_cast<size_t>(channels));
  for (int64_t r = begin; r < end; r++) {
    const float* dy = call.buffer(0) + r * channels;
    const float* x = call.buffer(1) + r * channels;
    const float mean = call.buffer(3)[r];
    const float rstd = call.buffer(4)[r];
    float* dx = call.buffer(5) + r * channels;
    const float meanG = sumRow(channels, [=](int64_t c, auto lanes) {
      return load(dy + c, lanes) * load(gamma + c, lanes);
    }) / width;
    const float meanGX = sumRow(channels, [=](int64_t c, auto lanes) {
      return load(dy + c, lanes) * load(gamma + c, lanes) * ((load(x + c, lanes) - mean) * rstd);
    }) / width;
    forVectors(0, channels, [=](int64_t c, auto lanes) {
      const F32 gradient = load(dy + c, lanes);
      const F32 normal = (load(x + c, lanes) - mean) * rstd;
      const F32 centred = fma(gradient, load(gamma + c, lanes), splat(-meanG));
      store(dx + c, (centred - normal * meanGX) * rstd, lanes);
      store(partialGamma + c, fma(gradient, normal, load(partialGamma + c, lanes)), lanes);
      store(partialBeta + c, load(partialBeta + c, lanes) + gradient, lanes);
    });
  }
}

// Rows are summed in chunks whose length depends on `rows` alone, then chunk by chunk in order.
void layerNormBackward(const Call& call, Pool& pool) {
  float* dGamma = call.buffer(6);
  float* dBeta = call.buffer(7);
  const int64_t rows = call.ints[0], channels = call.ints[1];
  const int64_t chunkRows = rows > 64 * 256 ? (rows + 255) / 256 : 64;
  const int64_t chunks = (rows + chunkRows - 1) / chunkRows;
  if (chunks == 0 || channels == 0) return;
  const int64_t bytes = chunks * 2 * channels * static_cast<int64_t>(sizeof(float));
  float* partials = static_cast<float*>(pool.sharedScratch(bytes));
  if (partials == nullptr) return;
  parallelRanges(pool, chunks, 1, [=, &call](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t last = (i + 1) * chunkRows;
      layerNormBackwardRows(call, i * chunkRows, last < rows ? last : rows, partials + i * 2 * channels);
    }
  });
  const int64_t grain = (rowGrain(chunks) + 15) / 16 * 16;
  parallelRanges(pool, channels, grain, [=](int64_t begin, int64_t end, int) {
    const auto addPartials = [=](float* to, const float* from) {
      forVectors(begin, end, [=](int64_t c, auto lanes) {
        F32 total{};
        for (int64_t i = 0; i < chunks; i++) total += load(from + i * 2 * channels + c, lanes);
        store(to + c, load(to + c, lanes) + total, lanes);
      });
    };
    addPartials(dGamma, partials);
    if (dBeta != nullptr) addPartials(dBeta, partials + channels);
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
