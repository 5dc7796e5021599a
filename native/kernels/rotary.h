// Rotary position embeddings (Su et al. 2021) of packed q | k | v. A pair has one channel from each half of a head. An
// optional RMS norm is applied before the rotation: to each head of q and k (Henry et al. 2020), or to all heads of q
// together and all heads of k together. See src/backend/kernels/kernels.ts.
// forward, with h = D/2 and z = x·rstd·gamma: y[i] = z[i]·cos − z[i+h]·sin, y[i+h] = z[i+h]·cos + z[i]·sin.
// backward: dz is dy rotated by the opposite angle. The gradients of the norm are as in rms_norm.h.
#pragma once

#include "../generated/kernels.h"
#include "../lanes.h"
#include "../narrow.h"
#include "../parallel.h"
#include "embedding.h"
#include "rows.h"

namespace foretoken::FT_ISA {
namespace {

// The two elements that one angle rotates, for a vector of angles.
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

// Layout of a row of q | k | v, and its position.
struct RotaryRows {
  const float* cosines;
  const float* sines;
  const int32_t* places;
  int64_t time, start, tableRows;
  int64_t heads;    // heads of q
  int64_t rotated;  // heads of q and k
  int64_t headDim;
  int64_t half;     // half the number of rotated channels of a head
  int64_t width;    // elements of a row
  bool together;    // whether all heads of q share one norm, and all heads of k share one norm

  // `args`: arguments of the forward or the backward pass.
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
        width((args.heads + 2 * args.keyHeads) * args.headDim),
        together(args.together != 0) {}

  // Index of the first angle of row `row`, in the table of cosines or sines.
  int64_t angles(int64_t row) const {
    return (places == nullptr ? start + row % time : clampIndex(places[row], tableRows)) * half;
  }
  int64_t values() const { return rotated * headDim; }

  // The part that contains head h: 0 for q, 1 for k.
  int part(int64_t h) const { return h < heads ? 0 : 1; }
  // Index of the first gamma of head h.
  int64_t scales(int64_t h) const { return together ? (h < heads ? h : h - heads) * headDim : 0; }
  // Number of gammas of q (0) or k (1).
  int64_t scaleCount(int of) const { return !together ? headDim : (of == 0 ? heads : rotated - heads) * headDim; }
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
      float rstd = 1.0f;
      for (int64_t h = 0; h < a.rotated; h++) {
        const float* allScales = gammas[a.part(h)];
        const float* from = x + r * a.width + h * a.headDim;
        T* to = y + r * a.width + h * a.headDim;
        float* kept = rstds + r * a.rotated + h;
        if (allScales == nullptr) {
          *kept = 1.0f;
          forVectors(0, half, [=](int64_t i, auto lanes) {
            const Pair z = loadPair(from + i, half, lanes);
            storePair(to + i, half, turn(z, load(cosine + i, lanes), load(sine + i, lanes)), lanes);
          });
          copyElements(from + 2 * half, to + 2 * half, a.headDim - 2 * half);
          continue;
        }
        const float* gamma = allScales + a.scales(h);
        if (!a.together) {
          const float squares = sumRow(headHalf, [=](int64_t i, auto lanes) {
            const Pair value = loadPair(from + i, headHalf, lanes);
            return fma(value.first, value.first, value.second * value.second);
          });
          rstd = 1.0f / __builtin_sqrtf(squares * inverseSize + eps);
        } else if (a.scales(h) == 0) {
          const int64_t count = a.scaleCount(a.part(h));
          const float squares = sumRow(count, [=](int64_t i, auto lanes) {
            const F32 value = load(from + i, lanes);
            return value * value;
          });
          rstd = 1.0f / __builtin_sqrtf(squares / static_cast<float>(count) + eps);
        }
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

// Backward pass of one head of q or k.
template <typename T>
struct HeadBack {
  const T* gradient;
  const float* given;
  const float* gamma;
  const float* cosine;
  const float* sine;
  float rstd;
  int64_t half, headDim;
};

// dz of the two elements that one angle rotates.
template <typename T, typename Lanes>
FT_INLINE Pair turnedBack(const HeadBack<T>& head, int64_t i, Lanes lanes) {
  return turn(loadPair(head.gradient + i, head.half, lanes), load(head.cosine + i, lanes), -load(head.sine + i, lanes));
}

// Σ dz·gamma·x̂
template <typename T>
FT_INLINE float alongNorm(const HeadBack<T>& of) {
  const HeadBack<T> head = of;
  float sum = sumRow(head.half, [=](int64_t i, auto lanes) {
    const Pair dz = turnedBack(head, i, lanes);
    const Pair value = loadPair(head.given + i, head.half, lanes);
    const Pair scale = loadPair(head.gamma + i, head.half, lanes);
    return fma(dz.first * scale.first, value.first * head.rstd, dz.second * scale.second * (value.second * head.rstd));
  });
  if (2 * head.half < head.headDim)
    sum += sumRow(head.headDim - 2 * head.half, [=](int64_t i, auto lanes) {
      const int64_t d = 2 * head.half + i;
      return load(head.gradient + d, lanes) * load(head.gamma + d, lanes) * (load(head.given + d, lanes) * head.rstd);
    });
  return sum;
}

// Computes dx of rows [begin, end). With norms, adds Σ dz·x̂ over the rows (and over heads that share scales) to
// `partial` [2, scaleWidth].
template <typename T, typename U>
FT_INLINE void rotaryBackwardRows(const RotaryBackwardArgs& args, const T* dy, U* dx, int64_t begin, int64_t end,
                                  float* partial, int64_t scaleWidth) {
  const RotaryRows a(args);
  const float* x = args.x.orNull();
  const bool normed = x != nullptr;
  const float* gammas[2] = {normed ? args.gammaQ.orNull() : nullptr, normed ? args.gammaK.orNull() : nullptr};
  const float* rstds = args.rstd;
  const float inverseSize = 1.0f / static_cast<float>(a.headDim);
  const int64_t half = a.half;
  for (int64_t r = begin; r < end; r++) {
    const float* cosine = a.cosines + a.angles(r);
    const float* sine = a.sines + a.angles(r);
    const auto headOf = [=](int64_t h) {
      const int64_t at = r * a.width + h * a.headDim;
      const float* gamma = gammas[a.part(h)];
      return HeadBack<T>{dy + at, normed ? x + at : nullptr, gamma == nullptr ? nullptr : gamma + a.scales(h), cosine, sine,
                         rstds[r * a.rotated + h], half, a.headDim};
    };
    float mean = 0.0f;
    for (int64_t h = 0; h < a.rotated; h++) {
      const HeadBack<T> head = headOf(h);
      U* to = dx + r * a.width + h * a.headDim;
      if (head.gamma == nullptr) {
        forVectors(0, half, [=](int64_t i, auto lanes) { storePair(to + i, half, turnedBack(head, i, lanes), lanes); });
        copyElements(head.gradient + 2 * half, to + 2 * half, a.headDim - 2 * half);
        continue;
      }
      if (!a.together) {
        mean = alongNorm(head) * inverseSize;
      } else if (a.scales(h) == 0) {
        const int64_t count = a.scaleCount(a.part(h));
        float along = 0.0f;
        for (int64_t i = 0; i < count / a.headDim; i++) along += alongNorm(headOf(h + i));
        mean = along / static_cast<float>(count);
      }
      float* sums = partial + a.part(h) * scaleWidth + a.scales(h);
      const float rstd = head.rstd;
      forVectors(0, half, [=](int64_t i, auto lanes) {
        const Pair dz = turnedBack(head, i, lanes);
        const Pair value = loadPair(head.given + i, half, lanes);
        const Pair scale = loadPair(head.gamma + i, half, lanes);
        const Pair normal = {value.first * rstd, value.second * rstd};
        const Pair inner = {fma(normal.first, splat(-mean), dz.first * scale.first),
                            fma(normal.second, splat(-mean), dz.second * scale.second)};
        storePair(to + i, half, {inner.first * rstd, inner.second * rstd}, lanes);
        const Pair sum = loadPair(sums + i, half, lanes);
        storePair(sums + i, half, {fma(dz.first, normal.first, sum.first), fma(dz.second, normal.second, sum.second)},
                  lanes);
      });
      forVectors(2 * half, a.headDim, [=](int64_t i, auto lanes) {
        const F32 dz = load(head.gradient + i, lanes);
        const F32 normal = load(head.given + i, lanes) * rstd;
        store(to + i, fma(normal, splat(-mean), dz * load(head.gamma + i, lanes)) * rstd, lanes);
        store(sums + i, fma(dz, normal, load(sums + i, lanes)), lanes);
      });
    }
    copyElements(dy + r * a.width + a.values(), dx + r * a.width + a.values(), a.width - a.values());
  }
}

template <typename T, typename U>
FT_INLINE void rotaryBackwardOf(const RotaryBackwardArgs& args, Pool& pool, const T* dy, U* dx) {
  const RotaryRows a(args);
  if (!args.gammaQ || !args.x) {
    parallelRanges(pool, args.rows, rowGrain(a.width), [&args, dy, dx](int64_t begin, int64_t end, int) {
      rotaryBackwardRows(args, dy, dx, begin, end, nullptr, 0);
    });
    return;
  }
  float* const sums[] = {args.dGammaQ.orNull(), args.dGammaK.orNull()};
  const int64_t widths[] = {a.scaleCount(0), a.scaleCount(1)};
  const int64_t width = max(widths[0], widths[1]);
  sumOverRows(pool, args.rows, width, sums, widths, [&args, dy, dx, width](int64_t begin, int64_t end, float* partial) {
    rotaryBackwardRows(args, dy, dx, begin, end, partial, width);
  });
}

void rotaryBackward(const RotaryBackwardArgs& args, Pool& pool) {
  withElements(args.dy, [&](const auto* dy) {
    withElements(args.dx, [&](auto* dx) { rotaryBackwardOf(args, pool, dy, dx); });
  });
}

}  // namespace
}  // namespace foretoken::FT_ISA
