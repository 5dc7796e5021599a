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

// An operand or result that a call names by its buffer, rows `stride` elements apart.
FT_INLINE Matrix matrixOf(const Call& call, int buffer, int64_t stride) {
  return {call.buffers[buffer], call.isNarrow(buffer), stride};
}

// Lets a product write buffer `index`, in rows of n: float32 takes the sums themselves, what is bfloat16 is the Finish's to
// write.
FT_INLINE void setResult(Product& product, const Call& call, int index) {
  if (call.isNarrow(index)) product.result = matrixOf(call, index, product.n);
  else product.c = call.buffer(index);
}

// y[M, N] = x[M, K] · w[N, K]ᵀ + bias[N], of a call that begins with x, w and bias and with M, N and K, and has y as buffer
// `yAt`.
FT_INLINE Product forwardProduct(const Call& call, int yAt) {
  const int64_t k = call.ints[2];
  Product product{};
  product.m = call.ints[0];
  product.n = call.ints[1];
  product.k = k;
  product.a = matrixOf(call, 0, k);
  product.b = matrixOf(call, 1, k);
  product.bias = call.buffer(2);
  setResult(product, call, yAt);
  return product;
}

// A Finish that calls body(index, sum, lanes) for each vector of sums of a C with `columns` columns, where `index` is that of
// the first of them in C.
template <typename Body>
FT_INLINE auto forSums(int64_t columns, Body body) {
  return [=](int64_t i, int64_t j, int64_t rows, int64_t count, const float* sums, int64_t stride) {
    for (int64_t r = 0; r < rows; r++) {
      const float* const row = sums + r * stride;
      const int64_t at = (i + r) * columns + j;
      forVectors(0, count, [&](int64_t offset, auto lanes) __attribute__((always_inline)) {
        body(at + offset, load(row + offset, lanes), lanes);
      });
    }
  };
}

// y[M, N] = x[M, K] · w[N, K]ᵀ + bias[N] + addend[M, N]
static void linearForward(const Call& call, Pool& pool) {
#if defined(FT_TILES)
  if (call.bfloat16) return linearForwardByTiles(call, pool);
#endif
  Product product = forwardProduct(call, 4);
  product.addend = call.buffer(3);
  constexpr Order kX = Order::kRows, kW = Order::kColumns;
  withElements(call, 4, [&]<typename T>(T* y) {
    if constexpr (kIsNarrow<T>) {
      const auto put = [=](int64_t at, F32 sum, auto lanes) __attribute__((always_inline)) { store(y + at, sum, lanes); };
      multiplyMatrices<kX, kW>(product, call.bfloat16, pool, forSums(product.n, put));
    } else {
      multiplyMatrices<kX, kW>(product, call.bfloat16, pool);
    }
  });
}

template <bool kSlope, typename T, typename Activation>
static void activatedForward(const Call& call, Pool& pool, T* y, Activation activation) {
  T* const slope = call.buffer<T>(4);
  Product product = forwardProduct(call, 3);
  product.beside = matrixOf(call, 4, product.n);
  const auto activate = [=](int64_t at, F32 sum, auto lanes) __attribute__((always_inline)) {
    const Activated result = activation(sum);
    store(y + at, result.value, lanes);
    if constexpr (kSlope) store(slope + at, result.slope, lanes);
  };
  multiplyMatrices<Order::kRows, Order::kColumns>(product, call.bfloat16, pool, forSums(product.n, activate));
}

// y = gelu(h) and slope = gelu′(h) with h = x · wᵀ + bias.
static void linearGeluForward(const Call& call, Pool& pool) {
#if defined(FT_TILES)
  if (call.bfloat16) return linearGeluForwardByTiles(call, pool);
#endif
  withElements(call, 3, [&]<typename T>(T* y) {
    withGelu<T>(call.ints[3] != 0, call.buffers[4] != nullptr, [&]<bool kSlope>(auto activation) {
      activatedForward<kSlope>(call, pool, y, activation);
    });
  });
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
  Product product = forwardProduct(call, 5);
  product.beside = matrixOf(call, 3, product.n);
  const auto drop = [=](int64_t at, F32 sum, auto lanes) __attribute__((always_inline)) {
    const F32 dropped = sum * scaleWhere(bitsAt(kept, at, countOf(lanes)), scale);
    store(y + at, load(addend + at, lanes) + dropped, lanes);
  };
  multiplyMatrices<Order::kRows, Order::kColumns>(product, call.bfloat16, pool, forSums(product.n, drop));
}

// dx[M, K] = or += dy[M, N] · w[N, K], or dx = that times what is at buffer `factorAt` where there is something.
static void inputGradient(const Call& call, int dyAt, int wAt, int factorAt, int dxAt, bool add, Pool& pool) {
  const int64_t n = call.ints[1], k = call.ints[2];
  Product product{};
  product.m = call.ints[0];
  product.n = k;
  product.k = n;
  product.a = matrixOf(call, dyAt, n);
  product.b = matrixOf(call, wAt, k);
  product.beside = matrixOf(call, factorAt, k);
  setResult(product, call, dxAt);
  const auto multiply = [&](auto... finish) {
    multiplyMatrices<Order::kRows, Order::kRows>(product, call.bfloat16, pool, forSums(k, finish)...);
  };
  withElements(call, dxAt, [&]<typename T>(T* dx) {
    if (call.buffers[factorAt] != nullptr) {
      withElements(call, factorAt, [&](const auto* factor) {
        multiply([=](int64_t at, F32 sum, auto lanes) __attribute__((always_inline)) {
          store(dx + at, sum * load(factor + at, lanes), lanes);
        });
      });
    } else if constexpr (!kIsNarrow<T>) {
      product.accumulate = add;
      multiply();
    } else if (add) {
      multiply([=](int64_t at, F32 sum, auto lanes) __attribute__((always_inline)) {
        store(dx + at, sum + load(dx + at, lanes), lanes);
      });
    } else {
      multiply([=](int64_t at, F32 sum, auto lanes) __attribute__((always_inline)) { store(dx + at, sum, lanes); });
    }
  });
}

static void linearBackwardInput(const Call& call, Pool& pool) {
#if defined(FT_TILES)
  if (call.bfloat16) return linearBackwardInputByTiles(call, pool);
#endif
  inputGradient(call, 0, 1, 2, 3, call.ints[3] != 0, pool);
}

// dBranch = dy · kept / (1 − p); dx = dBranch · w, times factor where there is one
static void linearDropoutBackwardInput(const Call& call, Pool& pool) {
#if defined(FT_TILES)
  if (call.bfloat16) return linearDropoutBackwardInputByTiles(call, pool);
#endif
  const DropoutGradient dropping(call);
  parallelRanges(pool, call.ints[0] * call.ints[1], 64 * kDropoutBlock,
                 [&](int64_t begin, int64_t end, int) { dropping.make(begin, end); });
  inputGradient(call, 4, 2, 3, 5, false, pool);
}

// dw[N, K] = or += dy[M, N]ᵀ · x[M, K]; dBias[N] += Σ over M of dy
static void linearBackwardWeight(const Call& call, Pool& pool) {
#if defined(FT_TILES)
  if (call.bfloat16) return linearBackwardWeightByTiles(call, pool);
#endif
  const int64_t n = call.ints[1], k = call.ints[2];
  Product product{};
  product.m = n;
  product.n = k;
  product.k = call.ints[0];
  product.a = matrixOf(call, 0, n);
  product.b = matrixOf(call, 1, k);
  product.c = call.buffer(2);
  product.accumulate = call.ints[3] != 0;
  product.aSums = call.buffer(3);
  multiplyMatrices<Order::kColumns, Order::kRows>(product, call.bfloat16, pool);
}

}  // namespace foretoken::FT_ISA
