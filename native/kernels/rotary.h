// Rotary position embedding (Su et al. 2021) of packed q | k | v, the two halves of a head paired, after an optional
// RMS norm of each head of q and k (Henry et al. 2020); see src/backend/kernels/kernels.ts.
// forward, with h = D/2 and z = x·rstd·gamma: y[i] = z[i]·cos − z[i+h]·sin, y[i+h] = z[i+h]·cos + z[i]·sin.
// backward: dz is dy turned by the opposite angle; from there on as in rms_norm.h.
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "rows.h"

namespace foretoken::FT_ISA {
namespace {

// The two elements that an angle turns, for a vector of angles.
struct Pair {
  F32 first;
  F32 second;
};

FT_INLINE Pair turn(Pair z, F32 cosine, F32 sine) {
  return {fma(z.first, cosine, -(z.second * sine)), fma(z.second, cosine, z.first * sine)};
}

template <typename T, typename Lanes>
FT_INLINE Pair loadPair(const T* from, int64_t half, Lanes lanes) {
  return {load(from, lanes), load(from + half, lanes)};
}

template <typename T, typename Lanes>
FT_INLINE void storePair(T* to, int64_t half, Pair value, Lanes lanes) {
  store(to, value.first, lanes);
  store(to + half, value.second, lanes);
}

template <typename From, typename To>
FT_INLINE void copyElements(const From* from, To* to, int64_t count) {
  forVectors(0, count, [=](int64_t i, auto lanes) { store(to + i, load(from + i, lanes), lanes); });
}

template <typename T>
FT_INLINE void rotaryForwardTo(const RotaryForwardArgs& args, Pool& pool, T* y) {
  const float* x = args.x;
  const float* gammas[2] = {args.gammaQ.orNull(), args.gammaK.orNull()};
  const float* cosines = args.cos;
  const float* sines = args.sin;
  float* rstds = args.rstd;
  const int64_t rows = args.rows, time = args.time, heads = args.heads, headDim = args.headDim;
  const int64_t start = args.start;
  const float eps = static_cast<float>(args.eps);
  const float inverseSize = 1.0f / static_cast<float>(headDim);
  const int64_t half = headDim / 2, width = heads * headDim;
  parallelRanges(pool, rows, rowGrain(3 * width), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const float* cosine = cosines + (start + r % time) * half;
      const float* sine = sines + (start + r % time) * half;
      for (int part = 0; part < 2; part++) {
        const float* gamma = gammas[part];
        for (int64_t h = 0; h < heads; h++) {
          const float* from = x + (3 * r + part) * width + h * headDim;
          T* to = y + (3 * r + part) * width + h * headDim;
          float* kept = rstds + (2 * r + part) * heads + h;
          if (gamma == nullptr) {
            *kept = 1.0f;
            forVectors(0, half, [=](int64_t i, auto lanes) {
              const Pair z = loadPair(from + i, half, lanes);
              storePair(to + i, half, turn(z, load(cosine + i, lanes), load(sine + i, lanes)), lanes);
            });
            continue;
          }
          const float squares = sumRow(half, [=](int64_t i, auto lanes) {
            const Pair value = loadPair(from + i, half, lanes);
            return fma(value.first, value.first, value.second * value.second);
          });
          const float rstd = 1.0f / __builtin_sqrtf(squares * inverseSize + eps);
          *kept = rstd;
          forVectors(0, half, [=](int64_t i, auto lanes) {
            const Pair value = loadPair(from + i, half, lanes);
            const Pair scale = loadPair(gamma + i, half, lanes);
            const Pair z = {value.first * rstd * scale.first, value.second * rstd * scale.second};
            storePair(to + i, half, turn(z, load(cosine + i, lanes), load(sine + i, lanes)), lanes);
          });
        }
      }
      copyElements(x + (3 * r + 2) * width, y + (3 * r + 2) * width, width);
    }
  });
}

void rotaryForward(const RotaryForwardArgs& args, Pool& pool) {
  withElements(args.y, [&](auto* y) { rotaryForwardTo(args, pool, y); });
}

// dx of rows [begin, end). With norms, their Σ dz·x̂ over rows and heads is added to `partial` [2, headDim].
template <typename T>
FT_INLINE void rotaryBackwardRows(const RotaryBackwardArgs& args, const T* dy, int64_t begin, int64_t end,
                                  float* partial) {
  const float* x = args.x;
  const float* gammas[2] = {args.gammaQ.orNull(), args.gammaK.orNull()};
  const float* cosines = args.cos;
  const float* sines = args.sin;
  const float* rstds = args.rstd;
  float* dx = args.dx;
  const int64_t time = args.time, heads = args.heads, headDim = args.headDim, start = args.start;
  const float inverseSize = 1.0f / static_cast<float>(headDim);
  const int64_t half = headDim / 2, width = heads * headDim;
  for (int64_t r = begin; r < end; r++) {
    const float* cosine = cosines + (start + r % time) * half;
    const float* sine = sines + (start + r % time) * half;
    for (int part = 0; part < 2; part++) {
      const float* gamma = gammas[part];
      float* sums = partial + part * headDim;
      for (int64_t h = 0; h < heads; h++) {
        const int64_t at = (3 * r + part) * width + h * headDim;
        const float* given = x + at;
        const T* gradient = dy + at;
        float* to = dx + at;
        const auto turnedBack = [=](int64_t i, auto lanes) {
          return turn(loadPair(gradient + i, half, lanes), load(cosine + i, lanes), -load(sine + i, lanes));
        };
        if (gamma == nullptr) {
          forVectors(0, half, [=](int64_t i, auto lanes) { storePair(to + i, half, turnedBack(i, lanes), lanes); });
          continue;
        }
        const float rstd = rstds[(2 * r + part) * heads + h];
        const float mean = sumRow(half, [=](int64_t i, auto lanes) {
          const Pair dz = turnedBack(i, lanes);
          const Pair value = loadPair(given + i, half, lanes);
          const Pair scale = loadPair(gamma + i, half, lanes);
          return fma(dz.first * scale.first, value.first * rstd, dz.second * scale.second * (value.second * rstd));
        }) * inverseSize;
        forVectors(0, half, [=](int64_t i, auto lanes) {
          const Pair dz = turnedBack(i, lanes);
          const Pair value = loadPair(given + i, half, lanes);
          const Pair scale = loadPair(gamma + i, half, lanes);
          const Pair normal = {value.first * rstd, value.second * rstd};
          const Pair inner = {fma(normal.first, splat(-mean), dz.first * scale.first),
                              fma(normal.second, splat(-mean), dz.second * scale.second)};
          storePair(to + i, half, {inner.first * rstd, inner.second * rstd}, lanes);
          const Pair sum = loadPair(sums + i, half, lanes);
          storePair(sums + i, half, {fma(dz.first, normal.first, sum.first), fma(dz.second, normal.second, sum.second)},
                    lanes);
        });
      }
    }
    copyElements(dy + (3 * r + 2) * width, dx + (3 * r + 2) * width, width);
  }
}

template <typename T>
FT_INLINE void rotaryBackwardFrom(const RotaryBackwardArgs& args, Pool& pool, const T* dy) {
  if (!args.gammaQ) {
    const int64_t grain = rowGrain(3 * args.heads * args.headDim);
    parallelRanges(pool, args.rows, grain, [&args, dy](int64_t begin, int64_t end, int) {
      rotaryBackwardRows(args, dy, begin, end, nullptr);
    });
    return;
  }
  float* const sums[] = {args.dGammaQ.orNull(), args.dGammaK.orNull()};
  sumOverRows(pool, args.rows, args.headDim, sums, [&args, dy](int64_t begin, int64_t end, float* partial) {
    rotaryBackwardRows(args, dy, begin, end, partial);
  });
}

void rotaryBackward(const RotaryBackwardArgs& args, Pool& pool) {
  withElements(args.dy, [&](const auto* dy) { rotaryBackwardFrom(args, pool, dy); });
}

}  // namespace
}  // namespace foretoken::FT_ISA
