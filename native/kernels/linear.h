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
#include "linear_tiles.h"
#endif

namespace foretoken::FT_ISA {

// An operand or a result. The distance between rows is `stride` elements.
template <typename T>
FT_INLINE Matrix matrixOf(const Activations<T>& buffer, int64_t stride) {
  return {buffer.memory(), buffer.narrow(), stride};
}

// Destination of a product, with rows of n elements. Sums are written directly to a float32 buffer. Into a bfloat16
// buffer, the epilogue writes them.
FT_INLINE void setResult(Product& product, float* buffer) { product.c = buffer; }
FT_INLINE void setResult(Product& product, const Activations<float>& buffer) {
  if (buffer.narrow()) product.result = matrixOf(buffer, product.n);
  else product.c = buffer.as<float>();
}

// Makes the product y[M, N] = x[M, K] · w[N, K]ᵀ + bias[N] from the kernel's arguments.
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

// y[M, N] = x[M, K] · w[N, K]ᵀ + bias[N] + addend[M, N]
static void linearForward(const LinearForwardArgs& args, Pool& pool) {
#if defined(FT_TILES)
  if (args.bfloat16) return linearForwardByTiles<kRounded>(args, pool);
  if (args.wholeTiles) return linearForwardByTiles<kWhole>(args, pool);
#endif
  Product product = forwardProduct(args);
  product.addend = args.addend.orNull();
  constexpr Order kX = Order::kRows, kW = Order::kColumns;
  withElements(args.y, [&]<typename T>(T* y) {
    if constexpr (kIsNarrow<T>) {
      multiplyMatrices<kX, kW>(product, args.bfloat16, pool, storeSums(y));
    } else {
      multiplyMatrices<kX, kW>(product, args.bfloat16, pool);
    }
  });
}

// y = gelu(h) and slope = gelu′(h) with h = x · wᵀ + bias.
static void linearGeluForward(const LinearGeluForwardArgs& args, Pool& pool) {
#if defined(FT_TILES)
  if (args.bfloat16) return linearGeluForwardByTiles<kRounded>(args, pool);
  if (args.wholeTiles) return linearGeluForwardByTiles<kWhole>(args, pool);
#endif
  withElements(args.y, [&]<typename T>(T* y) {
    withGelu<T>(args.tanh != 0, bool(args.slope), [&]<bool kSlope>(auto activation) {
      T* const slope = args.slope.orNull().template as<T>();
      Product product = forwardProduct(args);
      product.beside = matrixOf(args.slope.orNull(), product.n);
      const auto epilogue = activateSums<kSlope>(InSums{}, activation, y, slope);
      multiplyMatrices<Order::kRows, Order::kColumns>(product, args.bfloat16, pool, epilogue);
    });
  });
}

// y = addend + (x · wᵀ + bias) · kept / (1 − p). Before a tile is finished, its part of y contains x · wᵀ + bias.
static void linearDropoutForward(const LinearDropoutForwardArgs& args, Pool& pool) {
#if defined(FT_TILES)
  if (args.bfloat16) return linearDropoutForwardByTiles<kRounded>(args, pool);
  if (args.wholeTiles) return linearDropoutForwardByTiles<kWhole>(args, pool);
#endif
  drawKept(dropoutKeyOf(args), args.m * args.n, args.kept, pool);
  Product product = forwardProduct(args);
  product.beside = {args.addend, false, product.n};
  multiplyMatrices<Order::kRows, Order::kColumns>(product, args.bfloat16, pool, dropSums(InSums{}, args));
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
  const auto multiply = [&](const auto&... epilogue) {
    multiplyMatrices<Order::kRows, Order::kRows>(product, g.bfloat16, pool, epilogue...);
  };
  withElements(g.dx, [&]<typename T>(T* dx) {
    if (g.factor.memory() != nullptr) {
      withElements(g.factor, [&](const auto* factor) { multiply(multiplySums(factor, dx)); });
    } else if constexpr (!kIsNarrow<T>) {
      product.accumulate = g.add;
      multiply();
    } else if (g.add) {
      multiply(addSums(dx));
    } else {
      multiply(storeSums(dx));
    }
  });
}

static void linearBackwardInput(const LinearBackwardInputArgs& args, Pool& pool) {
#if defined(FT_TILES)
  if (args.bfloat16) return linearBackwardInputByTiles<kRounded>(args, pool);
  if (args.wholeTiles) return linearBackwardInputByTiles<kWhole>(args, pool);
#endif
  computeInputGradient(inputGradientOf(args, args.dy, args.add != 0), pool);
}

// dBranch = dy · kept / (1 − p); dx = dBranch · w, times `factor` if it is given
static void linearDropoutBackwardInput(const LinearDropoutBackwardInputArgs& args, Pool& pool) {
#if defined(FT_TILES)
  if (args.bfloat16) return linearDropoutBackwardInputByTiles<kRounded>(args, pool);
  if (args.wholeTiles) return linearDropoutBackwardInputByTiles<kWhole>(args, pool);
#endif
  const DropoutGradient dropping(args);
  parallelRanges(pool, args.m * args.n, 64 * kDropoutBlock,
                 [&](int64_t begin, int64_t end, int) { dropping.make(begin, end); });
  computeInputGradient(inputGradientOf(args, args.dBranch, false), pool);
}

// dw[N, K] = or += dy[M, N]ᵀ · x[M, K]; dBias[N] += Σ over M of dy
static void linearBackwardWeight(const LinearBackwardWeightArgs& args, Pool& pool) {
#if defined(FT_TILES)
  if (args.bfloat16) return linearBackwardWeightByTiles<kRounded>(args, pool);
  if (args.wholeTiles) return linearBackwardWeightByTiles<kWhole>(args, pool);
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
