// y = x·wᵀ + bias and its gradients; declared in src/backend/kernels/kernels.ts.
#pragma once

#include <cstdint>

#include "../gemm/vector_product.h"
#include "../generated/kernels.h"
#include "../lanes.h"
#include "../parallel.h"
#include "dropout.h"
#include "gelu.h"
#include "linear_parts.h"
#if defined(FT_TILES)
#include "linear_amx.h"
#endif

namespace foretoken::FT_ISA {

// An operand or result, rows `stride` elements apart.
template <typename T>
FT_INLINE Matrix matrixOf(const Activations<T>& buffer, int64_t stride) {
  return {buffer.memory(), buffer.narrow(), stride};
}

// Lets a product write a buffer, in rows of n: float32 takes the sums themselves, what is bfloat16 is the Epilogue's to write.
FT_INLINE void setResult(Product& product, float* buffer) { product.c = buffer; }
FT_INLINE void setResult(Product& product, const Activations<float>& buffer) {
  if (buffer.narrow()) product.result = matrixOf(buffer, product.n);
  else product.c = buffer.as<float>();
}

// y[M, N] = x[M, K] · w[N, K]ᵀ + bias[N], of the arguments of a kernel that computes it.
template <typename Args>
FT_INLINE Product forwardProduct(const Args& args) {
  Product product{};
  product.m = args.m;
  product.n = args.n;
  product.k = args.k;
  product.a = matrixOf(args.x, args.k);
  product.b = matrixOf(args.w, args.k);
  product.bias = args.bias.orNull();
  setResult(product, args.y);
  return product;
}

// A Epilogue that calls body(index, sum, lanes) for each vector of sums of a C with `columns` columns, where `index` is that of
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
static void linearForward(const LinearForwardArgs& args, Pool& pool) {
#if defined(FT_TILES)
  if (args.bfloat16) return linearForwardByTiles(args, pool);
#endif
  Product product = forwardProduct(args);
  product.addend = args.addend.orNull();
  constexpr Order kX = Order::kRows, kW = Order::kColumns;
  withElements(args.y, [&]<typename T>(T* y) {
    if constexpr (kIsNarrow<T>) {
      const auto put = [=](int64_t at, F32 sum, auto lanes) __attribute__((always_inline)) { store(y + at, sum, lanes); };
      multiplyMatrices<kX, kW>(product, args.bfloat16, pool, forSums(product.n, put));
    } else {
      multiplyMatrices<kX, kW>(product, args.bfloat16, pool);
    }
  });
}

template <bool kSlope, typename T, typename Activation>
static void activatedForward(const LinearGeluForwardArgs& args, Pool& pool, T* y, Activation activation) {
  T* const slope = args.slope.orNull().template as<T>();
  Product product = forwardProduct(args);
  product.beside = matrixOf(args.slope.orNull(), product.n);
  const auto activate = [=](int64_t at, F32 sum, auto lanes) __attribute__((always_inline)) {
    const Activated result = activation(sum);
    store(y + at, result.value, lanes);
    if constexpr (kSlope) store(slope + at, result.slope, lanes);
  };
  multiplyMatrices<Order::kRows, Order::kColumns>(product, args.bfloat16, pool, forSums(product.n, activate));
}

// y = gelu(h) and slope = gelu′(h) with h = x · wᵀ + bias.
static void linearGeluForward(const LinearGeluForwardArgs& args, Pool& pool) {
#if defined(FT_TILES)
  if (args.bfloat16) return linearGeluForwardByTiles(args, pool);
#endif
  withElements(args.y, [&]<typename T>(T* y) {
    withGelu<T>(args.tanh != 0, bool(args.slope), [&]<bool kSlope>(auto activation) {
      activatedForward<kSlope>(args, pool, y, activation);
    });
  });
}

// y = addend + (x · wᵀ + bias) · kept / (1 − p), where x · wᵀ + bias lies in y until its tile is finished.
static void linearDropoutForward(const LinearDropoutForwardArgs& args, Pool& pool) {
#if defined(FT_TILES)
  if (args.bfloat16) return linearDropoutForwardByTiles(args, pool);
#endif
  uint32_t* const kept = args.kept;
  drawKept(dropoutKeyOf(args), args.m * args.n, kept, pool);
  const float* const addend = args.addend;
  float* const y = args.y;
  const float scale = keptScale(args.p);
  Product product = forwardProduct(args);
  product.beside = {addend, false, product.n};
  const auto drop = [=](int64_t at, F32 sum, auto lanes) __attribute__((always_inline)) {
    const F32 dropped = sum * scaleWhere(bitsAt(kept, at, countOf(lanes)), scale);
    store(y + at, load(addend + at, lanes) + dropped, lanes);
  };
  multiplyMatrices<Order::kRows, Order::kColumns>(product, args.bfloat16, pool, forSums(product.n, drop));
}

static void computeInputGradient(const InputGradient& g, Pool& pool) {
  const int64_t k = g.k;
  Product product{};
  product.m = g.m;
  product.n = k;
  product.k = g.n;
  product.a = matrixOf(g.dy, g.n);
  product.b = matrixOf(g.w, k);
  product.beside = matrixOf(g.factor, k);
  setResult(product, g.dx);
  const auto multiply = [&](auto... epilogue) {
    multiplyMatrices<Order::kRows, Order::kRows>(product, g.bfloat16, pool, forSums(k, epilogue)...);
  };
  withElements(g.dx, [&]<typename T>(T* dx) {
    if (g.factor.memory() != nullptr) {
      withElements(g.factor, [&](const auto* factor) {
        multiply([=](int64_t at, F32 sum, auto lanes) __attribute__((always_inline)) {
          store(dx + at, sum * load(factor + at, lanes), lanes);
        });
      });
    } else if constexpr (!kIsNarrow<T>) {
      product.accumulate = g.add;
      multiply();
    } else if (g.add) {
      multiply([=](int64_t at, F32 sum, auto lanes) __attribute__((always_inline)) {
        store(dx + at, sum + load(dx + at, lanes), lanes);
      });
    } else {
      multiply([=](int64_t at, F32 sum, auto lanes) __attribute__((always_inline)) { store(dx + at, sum, lanes); });
    }
  });
}

static void linearBackwardInput(const LinearBackwardInputArgs& args, Pool& pool) {
#if defined(FT_TILES)
  if (args.bfloat16) return linearBackwardInputByTiles(args, pool);
#endif
  computeInputGradient(inputGradientOf(args, args.dy, args.add != 0), pool);
}

// dBranch = dy · kept / (1 − p); dx = dBranch · w, times factor where there is one
static void linearDropoutBackwardInput(const LinearDropoutBackwardInputArgs& args, Pool& pool) {
#if defined(FT_TILES)
  if (args.bfloat16) return linearDropoutBackwardInputByTiles(args, pool);
#endif
  const DropoutGradient dropping(args);
  parallelRanges(pool, args.m * args.n, 64 * kDropoutBlock,
                 [&](int64_t begin, int64_t end, int) { dropping.make(begin, end); });
  computeInputGradient(inputGradientOf(args, args.dBranch, false), pool);
}

// dw[N, K] = or += dy[M, N]ᵀ · x[M, K]; dBias[N] += Σ over M of dy
static void linearBackwardWeight(const LinearBackwardWeightArgs& args, Pool& pool) {
#if defined(FT_TILES)
  if (args.bfloat16) return linearBackwardWeightByTiles(args, pool);
#endif
  Product product{};
  product.m = args.n;
  product.n = args.k;
  product.k = args.m;
  product.a = matrixOf(args.dy, args.n);
  product.b = matrixOf(args.x, args.k);
  product.c = args.dw;
  product.accumulate = args.add != 0;
  product.aSums = args.dBias.orNull();
  multiplyMatrices<Order::kColumns, Order::kRows>(product, args.bfloat16, pool);
}

}  // namespace foretoken::FT_ISA
