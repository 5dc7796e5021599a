// y = x·wᵀ + bias and its gradients; declared in src/backend/kernels.ts.
#pragma once

#include <cstdint>

#include "../call.h"
#include "../gemm/gemm.h"
#include "../lanes.h"
#include "../parallel.h"
#include "dropout.h"
#include "gelu.h"
#if defined(FT_TILES)
#include "linear_tiles.h"
#endif

namespace foretoken::FT_ISA {

// y[M, N] = x[M, K] · w[N, K]ᵀ + bias[N], of a call that begins with x, w and bias and with M, N and K.
FT_INLINE Product forwardProduct(const Call& call, float* y) {
  const int64_t m = call.ints[0], n = call.ints[1], k = call.ints[2];
  Product product{};
  product.m = m;
  product.n = n;
  product.k = k;
  product.a = call.buffer(0);
  product.lda = k;
  product.b = call.buffer(1);
  product.ldb = k;
  product.bias = call.buffer(2);
  product.c = y;
  return product;
}

// y[M, N] = x[M, K] · w[N, K]ᵀ + bias[N] + addend[M, N]
static void linearForward(const Call& call, Pool& pool) {
#if defined(FT_TILES)
  if (call.bfloat16) return linearForwardByTiles(call, pool);
#endif
  Product product = forwardProduct(call, call.buffer(4));
  product.addend = call.buffer(3);
  multiplyMatrices<Order::kRows, Order::kColumns>(product, call.bfloat16, pool);
}

// Calls body(index, lanes) for each vector of the finished tile of a matrix with `stride` columns.
template <typename Body>
FT_INLINE void forTile(int64_t i, int64_t j, int64_t rows, int64_t columns, int64_t stride, Body body) {
  for (int64_t r = i; r < i + rows; r++) forVectors(r * stride + j, r * stride + j + columns, body);
}

template <bool kSlope, typename Activation>
static void activatedForward(const Call& call, Pool& pool, Activation activation) {
  float* const y = call.buffer(3);
  float* const slope = call.buffer(4);
  Product product = forwardProduct(call, y);
  product.beside = slope;
  const auto activate = [=](int64_t i, int64_t j, int64_t rows, int64_t columns) {
    forTile(i, j, rows, columns, product.n, [=](int64_t at, auto lanes) __attribute__((always_inline)) {
      const Activated result = activation(load(y + at, lanes));
      store(y + at, result.value, lanes);
      if constexpr (kSlope) store(slope + at, result.slope, lanes);
    });
  };
  multiplyMatrices<Order::kRows, Order::kColumns>(product, call.bfloat16, pool, activate);
}

// y = gelu(h) and slope = gelu′(h) with h = x · wᵀ + bias, which lies in y until its tile is finished.
static void linearGeluForward(const Call& call, Pool& pool) {
#if defined(FT_TILES)
  if (call.bfloat16) return linearGeluForwardByTiles(call, pool);
#endif
  const auto exact = [](F32 h) __attribute__((always_inline)) { return geluWithSlope(h); };
  const auto tanhForm = [](F32 h) __attribute__((always_inline)) { return geluTanhWithSlope(h); };
  if (call.buffer(4) == nullptr) {
    if (call.ints[3] != 0) activatedForward<false>(call, pool, tanhForm);
    else activatedForward<false>(call, pool, exact);
  } else {
    if (call.ints[3] != 0) activatedForward<true>(call, pool, tanhForm);
    else activatedForward<true>(call, pool, exact);
  }
}

// y = addend + (x · wᵀ + bias) · kept / (1 − p), where x · wᵀ + bias lies in y until its tile is finished.
static void linearDropoutForward(const Call& call, Pool& pool) {
#if defined(FT_TILES)
  if (call.bfloat16) return linearDropoutForwardByTiles(call, pool);
#endif
  uint32_t* const kept = call.buffer<uint32_t>(4);
  drawKept(dropoutKeyOf(call.ints + 3, call.floats[0]), call.ints[0] * call.ints[1], kept, pool);
  const float* const addend = call.buffer(3);
  float* const y = call.buffer(5);
  const float scale = keptScale(call.floats[0]);
  Product product = forwardProduct(call, y);
  product.beside = addend;
  const auto drop = [=](int64_t i, int64_t j, int64_t rows, int64_t columns) {
    forTile(i, j, rows, columns, product.n, [=](int64_t at, auto lanes) __attribute__((always_inline)) {
      const F32 dropped = load(y + at, lanes) * scaleWhere(bitsAt(kept, at, countOf(lanes)), scale);
      store(y + at, load(addend + at, lanes) + dropped, lanes);
    });
  };
  multiplyMatrices<Order::kRows, Order::kColumns>(product, call.bfloat16, pool, drop);
}

// dx[M, K] = or += dy[M, N] · w[N, K], or dx = that times factor[M, K] where there is one
static void inputGradient(const Call& call, const float* dy, const float* w, const float* factor, float* dx, bool add,
                          Pool& pool) {
  const int64_t m = call.ints[0], n = call.ints[1], k = call.ints[2];
  Product product{};
  product.m = m;
  product.n = k;
  product.k = n;
  product.a = dy;
  product.lda = n;
  product.b = w;
  product.ldb = k;
  product.c = dx;
  product.accumulate = add;
  product.beside = factor;
  if (factor == nullptr) return multiplyMatrices<Order::kRows, Order::kRows>(product, call.bfloat16, pool);
  const auto scale = [c = product.c, factor, k](int64_t i, int64_t j, int64_t rows, int64_t columns) {
    forTile(i, j, rows, columns, k, [=](int64_t at, auto lanes) __attribute__((always_inline)) {
      store(c + at, load(c + at, lanes) * load(factor + at, lanes), lanes);
    });
  };
  multiplyMatrices<Order::kRows, Order::kRows>(product, call.bfloat16, pool, scale);
}

static void linearBackwardInput(const Call& call, Pool& pool) {
#if defined(FT_TILES)
  if (call.bfloat16) return linearBackwardInputByTiles(call, pool);
#endif
  inputGradient(call, call.buffer(0), call.buffer(1), call.buffer(2), call.buffer(3), call.ints[3] != 0, pool);
}

// dBranch = dy · kept / (1 − p); dx = dBranch · w, times factor where there is one
static void linearDropoutBackwardInput(const Call& call, Pool& pool) {
#if defined(FT_TILES)
  if (call.bfloat16) return linearDropoutBackwardInputByTiles(call, pool);
#endif
  const DropoutGradient dropping(call);
  parallelRanges(pool, call.ints[0] * call.ints[1], 64 * kDropoutBlock,
                 [&](int64_t begin, int64_t end, int) { dropping.make(begin, end); });
  inputGradient(call, call.buffer(4), call.buffer(2), call.buffer(3), call.buffer(5), false, pool);
}

// dw[N, K] = or += dy[M, N]ᵀ · x[M, K]; dBias[N] += Σ over M of dy
static void linearBackwardWeight(const Call& call, Pool& pool) {
#if defined(FT_TILES)
  if (call.bfloat16) return linearBackwardWeightByTiles(call, pool);
#endif
  const int64_t m = call.ints[0], n = call.ints[1], k = call.ints[2];
  Product product{};
  product.m = n;
  product.n = k;
  product.k = m;
  product.a = call.buffer(0);
  product.lda = n;
  product.b = call.buffer(1);
  product.ldb = k;
  product.c = call.buffer(2);
  product.accumulate = call.ints[3] != 0;
  product.aSums = call.buffer(3);
  multiplyMatrices<Order::kColumns, Order::kRows>(product, call.bfloat16, pool);
}

}  // namespace foretoken::FT_ISA
