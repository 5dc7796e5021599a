// The products of linear.h by tiles, for activations and gradients in float32 or bfloat16.
#pragma once

#include "../gemm/amx/multiply.h"
#include "../gemm/amx/weight_gradient.h"
#include "../generated/kernels.h"
#include "../narrow.h"
#include "dropout.h"
#include "gelu.h"
#include "linear_parts.h"

namespace foretoken::FT_ISA {

// An operand: k along lines of `stride`, or across them.
FT_INLINE TileOperand tileOperand(const Activations<const float>& buffer, int64_t stride, Order order) {
  return {buffer.memory(), buffer.narrow(), stride, order};
}

// x[M, K] · w[N, K]ᵀ, of the arguments of a kernel that computes it.
template <typename Args>
FT_INLINE TileProduct forwardTileProduct(const Args& args) {
  return {args.m, args.n, args.k, tileOperand(args.x, args.k, Order::kRows), tileOperand(args.w, args.k, Order::kRows)};
}

static void linearForwardByTiles(const LinearForwardArgs& args, Pool& pool) {
  const float* const bias = args.bias.orNull();
  const float* const addend = args.addend.orNull();
  withElements(args.y, [&](auto* y) {
    const auto prefetch = [=](int64_t at) __attribute__((always_inline)) {
      if (addend != nullptr) prefetchToRead(addend + at);
      prefetchToWrite(y + at);
    };
    const auto apply = [=](int64_t at, int64_t j, const auto& sums, auto lanes) __attribute__((always_inline)) {
      store(y + at, each(sums, [=](F32 sum, int64_t offset) __attribute__((always_inline)) {
        if (bias != nullptr) sum += load(bias + j + offset, lanes);
        if (addend != nullptr) sum += load(addend + at + offset, lanes);
        return sum;
      }), lanes);
    };
    multiplyByTiles(forwardTileProduct(args), pool, Epilogue{prefetch, apply});
  });
}

template <bool kSlope, typename T, typename Activation>
static void activatedByTiles(const LinearGeluForwardArgs& args, Pool& pool, T* y, Activation activation) {
  const float* const bias = args.bias.orNull();
  T* const slope = args.slope.orNull().template as<T>();
  const auto prefetch = [=](int64_t at) __attribute__((always_inline)) {
    prefetchToWrite(y + at);
    if constexpr (kSlope) prefetchToWrite(slope + at);
  };
  const auto apply = [=](int64_t at, int64_t j, const auto& sums, auto lanes) __attribute__((always_inline)) {
    auto slopes = sums;
    int vector = 0;
    store(y + at, each(sums, [&](F32 sum, int64_t offset) __attribute__((always_inline)) {
      if (bias != nullptr) sum += load(bias + j + offset, lanes);
      const Activated result = activation(sum);
      slopes.vector[vector++] = result.slope;
      return result.value;
    }), lanes);
    if constexpr (kSlope) store(slope + at, slopes, lanes);
  };
  multiplyByTiles(forwardTileProduct(args), pool, Epilogue{prefetch, apply});
}

static void linearGeluForwardByTiles(const LinearGeluForwardArgs& args, Pool& pool) {
  withElements(args.y, [&]<typename T>(T* y) {
    withGelu<T>(args.tanh != 0, bool(args.slope), [&]<bool kSlope>(auto activation) {
      activatedByTiles<kSlope>(args, pool, y, activation);
    });
  });
}

static void linearDropoutForwardByTiles(const LinearDropoutForwardArgs& args, Pool& pool) {
  const float* const bias = args.bias.orNull();
  const float* const addend = args.addend;
  uint32_t* const kept = args.kept;
  float* const y = args.y;
  const float scale = keptScale(args.p);
  const DropoutKey key = dropoutKeyOf(args);
  const int64_t m = args.m, n = args.n;
  // Row by row while tiles compute, where rows share no block of the mask.
  const bool byRows = n % kDropoutBlock == 0;
  if (!byRows) drawKept(key, m * n, kept, pool);
  const auto prepare = [=](int64_t i) __attribute__((always_inline)) { drawKept(key, i * n, (i + 1) * n, kept); };
  const auto prefetch = [=](int64_t at) __attribute__((always_inline)) {
    prefetchToRead(addend + at);
    prefetchToWrite(y + at);
  };
  const auto apply = [=](int64_t at, int64_t j, const auto& sums, auto lanes) __attribute__((always_inline)) {
    constexpr int64_t kBefore = sizeof sums - sizeof(F32);
    const uint32_t bits = bitsAt(kept, at, kBefore / int64_t{sizeof(float)} + countOf(lanes));
    store(y + at, each(sums, [=](F32 sum, int64_t offset) __attribute__((always_inline)) {
      if (bias != nullptr) sum += load(bias + j + offset, lanes);
      return load(addend + at + offset, lanes) + sum * scaleWhere(bits >> offset, scale);
    }), lanes);
  };
  multiplyByTiles(forwardTileProduct(args), pool, Epilogue{prefetch, apply, prepare, byRows});
}

// `dropping`: dy is still to be made from the gradient behind a dropout.
static void inputGradientByTiles(const InputGradient& g, const DropoutGradient* dropping, Pool& pool) {
  const int64_t n = g.n;
  const TileProduct product{g.m, g.k, n, tileOperand(g.dy, n, Order::kRows), tileOperand(g.w, g.k, Order::kColumns)};
  const auto prepare = [=](int64_t i) { dropping->make(i * n, (i + 1) * n); };
  const bool prepares = dropping != nullptr;
  withElements(g.dx, [&](auto* dx) {
    if (g.add) {
      const auto prefetch = [=](int64_t at) __attribute__((always_inline)) { prefetchToWrite(dx + at); };
      const auto apply = [=](int64_t at, int64_t, const auto& sums, auto lanes) __attribute__((always_inline)) {
        store(dx + at, each(sums, [=](F32 sum, int64_t offset) __attribute__((always_inline)) {
          return sum + load(dx + at + offset, lanes);
        }), lanes);
      };
      return multiplyByTiles(product, pool, Epilogue{prefetch, apply});
    }
    if (g.factor.memory() == nullptr) {
      const auto store = storeSums(dx);
      return multiplyByTiles(product, pool, Epilogue{store.prefetch, store.apply, prepare, prepares});
    }
    withElements(g.factor, [&](auto* factor) {
      const auto prefetch = [=](int64_t at) __attribute__((always_inline)) {
        prefetchToRead(factor + at);
        prefetchToWrite(dx + at);
      };
      const auto apply = [=](int64_t at, int64_t, const auto& sums, auto lanes) __attribute__((always_inline)) {
        store(dx + at, each(sums, [=](F32 sum, int64_t offset) __attribute__((always_inline)) {
          return sum * load(factor + at + offset, lanes);
        }), lanes);
      };
      multiplyByTiles(product, pool, Epilogue{prefetch, apply, prepare, prepares});
    });
  });
}

static void linearBackwardInputByTiles(const LinearBackwardInputArgs& args, Pool& pool) {
  inputGradientByTiles(inputGradientOf(args, args.dy, args.add != 0), nullptr, pool);
}

static void linearDropoutBackwardInputByTiles(const LinearDropoutBackwardInputArgs& args, Pool& pool) {
  const DropoutGradient dropping(args);
  inputGradientByTiles(inputGradientOf(args, args.dBranch, false), &dropping, pool);
}

static void linearBackwardWeightByTiles(const LinearBackwardWeightArgs& args, Pool& pool) {
  const int64_t m = args.m, n = args.n, k = args.k;
  const TileProduct factors{n, k, m, tileOperand(args.dy, n, Order::kColumns), tileOperand(args.x, k, Order::kColumns)};
  weightGradientByTiles({factors, args.dw, args.add != 0, args.dBias.orNull()}, pool);
}

}  // namespace foretoken::FT_ISA
