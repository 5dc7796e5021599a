// Rotary position embedding (Su et al. 2021) of packed q | k | v, the two halves of a head paired, after an optional
// RMS norm of each head of q and k (Henry et al. 2020); see src/backend/kernels/kernels.ts.
// forward, with h = D/2 and z = x·rstd·gamma: y[i] = z[i]·cos − z[i+h]·sin, y[i+h] = z[i+h]·cos + z[i]·sin.
// backward: dz is dy turned by the opposite angle; from there on as in rms_norm.h.
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "embedding.h"
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

// How a row of q | k | v lies, and where it stands.
struct RotaryRows {
  const float* cosines;
  const float* sines;
  const int32_t* places;
  int64_t time, start, tableRows;
  int64_t heads;    // of q
  int64_t rotated;  // of q and k
  int64_t headDim;
  int64_t half;     // of what is rotated
  int64_t width;    // of a row

  // `args` of either direction.
  template <typename Args>
  explicit RotaryRows(const Args& args)
      : cosines(args.cos),
        sines(args.sin),
        places(args.places.orNull()),
        time(args.time),
        start(args.start),
        tableRows(args.tableRows),
        heads(args.heads),
        rotated(args.heads + args.keyHeads),
        headDim(args.headDim),
        half(args.rotaryDim / 2),
        width((args.heads + 2 * args.keyHeads) * args.headDim) {}

  // Where the angles of row `row` begin, in either table.
  int64_t angles(int64_t row) const {
    return (places == nullptr ? start + row % time : clampIndex(places[row], tableRows)) * half;
  }
  int64_t values() const { return rotated * headDim; }
};

template <typename T>
FT_INLINE void rotaryForwardTo(const RotaryForwardArgs& args, Pool& pool, T* y) {
  const RotaryRows a(args);
  const float* x = args.x;
  const float* gammas[2] = {args.gammaQ.orNull(), args.gammaK.orNull()};
  float* rstds = args.rstd;
  const float eps = static_cast<float>(args.eps);
  const float inverseSize = 1.0f / static_cast<float>(a.headDim);
  parallelRanges(pool, args.rows, rowGrain(a.width), [=](int64_t begin, int64_t end, int) {
    const int64_t half = a.half, headHalf = a.headDim / 2;
    for (int64_t r = begin; r < end; r++) {
      const float* cosine = a.cosines + a.angles(r);
      const float* sine = a.sines + a.angles(r);
      for (int64_t h = 0; h < a.rotated; h++) {
        const float* gamma = gammas[h < a.heads ? 0 : 1];
        const float* from = x + r * a.width + h * a.headDim;
        T* to = y + r * a.width + h * a.headDim;
        float* kept = rstds + r * a.rotated + h;
        if (gamma == nullptr) {
          *kept = 1.0f;
          forVectors(0, half, [=](int64_t i, auto lanes) {
            const Pair z = loadPair(from + i, half, lanes);
            storePair(to + i, half, turn(z, load(cosine + i, lanes), load(sine + i, lanes)), lanes);
          });
          copyElements(from + 2 * half, to + 2 * half, a.headDim - 2 * half);
          continue;
        }
        const float squares = sumRow(headHalf, [=](int64_t i, auto lanes) {
          const Pair value = loadPair(from + i, headHalf, lanes);
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
        forVectors(2 * half, a.headDim, [=](int64_t i, auto lanes) {
          store(to + i, load(from + i, lanes) * rstd * load(gamma + i, lanes), lanes);
        });
      }
      copyElements(x + r * a.width + a.values(), y + r * a.width + a.values(), a.width - a.values());
    }
  });
}

void rotaryForward(const RotaryForwardArgs& args, Pool& pool) {
  withElements(args.y, [&](auto* y) { rotaryForwardTo(args, pool, y); });
}

// dx of rows [begin, end). With norms, their Σ dz·x̂ over rows and heads is added to `partial` [2, headDim].
template <typename T, typename U>
FT_INLINE void rotaryBackwardRows(const RotaryBackwardArgs& args, const T* dy, U* dx, int64_t begin, int64_t end,
                                  float* partial) {
  const RotaryRows a(args);
  const float* x = args.x;
  const float* gammas[2] = {args.gammaQ.orNull(), args.gammaK.orNull()};
  const float* rstds = args.rstd;
  const float inverseSize = 1.0f / static_cast<float>(a.headDim);
  const int64_t half = a.half;
  for (int64_t r = begin; r < end; r++) {
    const float* cosine = a.cosines + a.angles(r);
    const float* sine = a.sines + a.angles(r);
    for (int64_t h = 0; h < a.rotated; h++) {
      const int part = h < a.heads ? 0 : 1;
      const float* gamma = gammas[part];
      float* sums = partial + part * a.headDim;
      const int64_t at = r * a.width + h * a.headDim;
      const float* given = x + at;
      const T* gradient = dy + at;
      U* to = dx + at;
      const auto turnedBack = [=](int64_t i, auto lanes) {
        return turn(loadPair(gradient + i, half, lanes), load(cosine + i, lanes), -load(sine + i, lanes));
      };
      if (gamma == nullptr) {
        forVectors(0, half, [=](int64_t i, auto lanes) { storePair(to + i, half, turnedBack(i, lanes), lanes); });
        copyElements(gradient + 2 * half, to + 2 * half, a.headDim - 2 * half);
        continue;
      }
      const float rstd = rstds[r * a.rotated + h];
      float along = sumRow(half, [=](int64_t i, auto lanes) {
        const Pair dz = turnedBack(i, lanes);
        const Pair value = loadPair(given + i, half, lanes);
        const Pair scale = loadPair(gamma + i, half, lanes);
        return fma(dz.first * scale.first, value.first * rstd, dz.second * scale.second * (value.second * rstd));
      });
      if (2 * half < a.headDim)
        along += sumRow(a.headDim - 2 * half, [=](int64_t i, auto lanes) {
          const int64_t d = 2 * half + i;
          return load(gradient + d, lanes) * load(gamma + d, lanes) * (load(given + d, lanes) * rstd);
        });
      const float mean = along * inverseSize;
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
      forVectors(2 * half, a.headDim, [=](int64_t i, auto lanes) {
        const F32 dz = load(gradient + i, lanes);
        const F32 normal = load(given + i, lanes) * rstd;
        store(to + i, fma(normal, splat(-mean), dz * load(gamma + i, lanes)) * rstd, lanes);
        store(sums + i, fma(dz, normal, load(sums + i, lanes)), lanes);
      });
    }
    copyElements(dy + r * a.width + a.values(), dx + r * a.width + a.values(), a.width - a.values());
  }
}

template <typename T, typename U>
FT_INLINE void rotaryBackwardOf(const RotaryBackwardArgs& args, Pool& pool, const T* dy, U* dx) {
  if (!args.gammaQ) {
    const int64_t grain = rowGrain(RotaryRows(args).width);
    parallelRanges(pool, args.rows, grain, [&args, dy, dx](int64_t begin, int64_t end, int) {
      rotaryBackwardRows(args, dy, dx, begin, end, nullptr);
    });
    return;
  }
  float* const sums[] = {args.dGammaQ.orNull(), args.dGammaK.orNull()};
  sumOverRows(pool, args.rows, args.headDim, sums, [&args, dy, dx](int64_t begin, int64_t end, float* partial) {
    rotaryBackwardRows(args, dy, dx, begin, end, partial);
  });
}

void rotaryBackward(const RotaryBackwardArgs& args, Pool& pool) {
  withElements(args.dy, [&](const auto* dy) {
    withElements(args.dx, [&](auto* dx) { rotaryBackwardOf(args, pool, dy, dx); });
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
