// RMS normalisation (Zhang & Sennrich 2019), as torch.nn.functional.rms_norm over the last axis.
// forward: x̂ = x·rstd, y = x̂·gamma, with rstd = 1/√(mean(x²) + eps).
// backward, with g = dy·gamma: dx = rstd·(g − x̂·mean(g·x̂)); dGamma += Σ dy·x̂.
#pragma once

#include "../call.h"
#include "../lanes.h"
#include "../parallel.h"
#include "rows.h"

namespace foretoken::FT_ISA {
namespace {

void rmsNormForward(const Call& call, Pool& pool) {
  const float* x = call.buffer(0);
  const float* gamma = call.buffer(1);
  float* y = call.buffer(2);
  float* rstds = call.buffer(3);
  const int64_t rows = call.ints[0], channels = call.ints[1];
  const float eps = static_cast<float>(call.floats[0]);
  const float inverseWidth = 1.0f / static_cast<float>(channels);
  parallelRanges(pool, rows, rowGrain(channels), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const float* row = x + r * channels;
      float* out = y + r * channels;
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

// dx of rows [begin, end); their Σ dy·x̂ is added to `partial` [channels].
FT_INLINE void rmsNormBackwardRows(const Call& call, int64_t begin, int64_t end, float* partial) {
  const float* gamma = call.buffer(2);
  const int64_t channels = call.ints[1];
  const float inverseWidth = 1.0f / static_cast<float>(channels);
  for (int64_t r = begin; r < end; r++) {
    const float* dy = call.buffer(0) + r * channels;
    const float* x = call.buffer(1) + r * channels;
    const float rstd = call.buffer(3)[r];
    float* dx = call.buffer(4) + r * channels;
    const float mean = sumRow(channels, [=](int64_t c, auto lanes) {
      return load(dy + c, lanes) * load(gamma + c, lanes) * (load(x + c, lanes) * rstd);
    }) * inverseWidth;
    forVectors(0, channels, [=](int64_t c, auto lanes) {
      const F32 gradient = load(dy + c, lanes);
      const F32 normal = load(x + c, lanes) * rstd;
      store(dx + c, fma(normal, splat(-mean), gradient * load(gamma + c, lanes)) * rstd, lanes);
      store(partial + c, fma(gradient, normal, load(partial + c, lanes)), lanes);
    });
  }
}

void rmsNormBackward(const Call& call, Pool& pool) {
  float* const sums[] = {call.buffer(5)};
  sumOverRows(pool, call.ints[0], call.ints[1], sums, [&call](int64_t begin, int64_t end, float* partial) {
    rmsNormBackwardRows(call, begin, end, partial);
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
