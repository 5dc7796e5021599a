// The products that linear_tiles.h declares.
#pragma once

#include "../gemm/amx/multiply.h"
#include "../gemm/amx/weight_gradient.h"
#include "../generated/kernels.h"
#include "../narrow.h"
#include "dropout.h"
#include "gelu.h"
#include "linear_parts.h"
#include "linear_tiles.h"

namespace foretoken::FT_ISA {

// An operand. `stride` is the distance between its lines, and k runs along the lines or across them.
FT_INLINE TileOperand tileOperand(const Activations<const float>& buffer, int64_t stride, Order order) {
  return {buffer.memory(), buffer.narrow(), stride, order};
}

// Calls body with a typed pointer to the buffer: a pointer to float, or to Narrow if operands are rounded.
template <int kParts, typename T, typename Body>
FT_INLINE void withElementsOf(const Activations<T>& buffer, Body body) {
  if constexpr (kParts == kWhole) body(buffer.template as<float>());
  else withElements(buffer, body);
}

// Makes the product x[M, K] · w[N, K]ᵀ from the kernel's arguments.
template <int kParts, typename Args>
FT_INLINE TileProduct<kParts> forwardTileProduct(const Args& args) {
  return {args.m, args.n, args.k, tileOperand(args.x, args.k, Order::kRows), tileOperand(args.w, args.k, Order::kRows)};
}

template <int kParts>
void linearForwardByTiles(const LinearForwardArgs& args, Pool& pool) {
  const float* const bias = args.bias.orNull();
  const float* const addend = args.addend.orNull();
  withElementsOf<kParts>(args.y, [&](auto* y) {
    const auto prefetch = [=](int64_t at) __attribute__((always_inline)) {
      if (addend != nullptr) prefetchToRead(addend + at);
      prefetchToWrite(y + at);
    };
    const auto apply = [=](int64_t at, int64_t j, const auto& sums, auto lanes) __attribute__((always_inline)) {
      store(y + at, each(sums, [=](F32 sum, int64_t offset) __attribute__((always_inline)) {
        sum = withBias(sum, bias, j, offset, lanes);
        if (addend != nullptr) sum += load(addend + at + offset, lanes);
        return sum;
      }), lanes);
    };
    multiplyByTiles(forwardTileProduct<kParts>(args), pool, Epilogue{prefetch, apply});
  });
}

template <int kParts>
void linearGeluForwardByTiles(const LinearGeluForwardArgs& args, Pool& pool) {
  withElementsOf<kParts>(args.y, [&]<typename T>(T* y) {
    withGelu<T>(args.tanh != 0, bool(args.slope), [&]<bool kSlope>(auto activation) {
      T* const slope = args.slope.orNull().template as<T>();
      const auto epilogue = activateSums<kSlope>(args.bias.orNull(), activation, y, slope);
      multiplyByTiles(forwardTileProduct<kParts>(args), pool, epilogue);
    });
  });
}

template <int kParts>
void linearDropoutForwardByTiles(const LinearDropoutForwardArgs& args, Pool& pool) {
  uint32_t* const kept = args.kept;
  const DropoutKey key = dropoutKeyOf(args);
  const int64_t m = args.m, n = args.n;
  // The mask is applied row by row while tiles compute, if no two rows share a block of the mask.
  const bool byRows = n % kDropoutBlock == 0;
  if (!byRows) drawKept(key, m * n, kept, pool);
  const auto prepare = [=](int64_t i) __attribute__((always_inline)) { drawKept(key, i * n, (i + 1) * n, kept); };
  const auto drop = dropSums(args.bias.orNull(), args);
  multiplyByTiles(forwardTileProduct<kParts>(args), pool, Epilogue{drop.prefetch, drop.apply, prepare, byRows});
}

// `dropping`: whether dy must first be computed from the gradient after a dropout.
template <int kParts>
static void inputGradientByTiles(const InputGradient& g, const DropoutGradient* dropping, Pool& pool) {
  const int64_t n = g.n;
  const TileProduct<kParts> product{g.m, g.k, n, tileOperand(g.dy, n, Order::kRows), tileOperand(g.w, g.k, Order::kColumns)};
  const auto prepare = [=](int64_t i) { dropping->make(i * n, (i + 1) * n); };
  const bool prepares = dropping != nullptr;
  withElementsOf<kParts>(g.dx, [&](auto* dx) {
    if (g.add) return multiplyByTiles(product, pool, addSums(dx));
    const auto preparing = [&](const auto& epilogue) {
      multiplyByTiles(product, pool, Epilogue{epilogue.prefetch, epilogue.apply, prepare, prepares});
    };
    if (g.factor.memory() == nullptr) return preparing(storeSums(dx));
    withElementsOf<kParts>(g.factor, [&](const auto* factor) { preparing(multiplySums(factor, dx)); });
  });
}

template <int kParts>
void linearBackwardInputByTiles(const LinearBackwardInputArgs& args, Pool& pool) {
  inputGradientByTiles<kParts>(inputGradientOf(args, args.dy, args.add != 0), nullptr, pool);
}

template <int kParts>
void linearDropoutBackwardInputByTiles(const LinearDropoutBackwardInputArgs& args, Pool& pool) {
  const DropoutGradient dropping(args);
  inputGradientByTiles<kParts>(inputGradientOf(args, args.dBranch, false), &dropping, pool);
}

template <int kParts>
void linearBackwardWeightByTiles(const LinearBackwardWeightArgs& args, Pool& pool) {
  const int64_t m = args.m, n = args.n, k = args.k;
  const TileProduct<kParts> factors{n, k, m, tileOperand(args.dy, n, Order::kColumns), tileOperand(args.x, k, Order::kColumns)};
  float* const dw = args.dw;
  if constexpr (kParts == kWhole) {
    if (args.add != 0) multiplyWhole(factors, args.dBias.orNull(), pool, addSums(dw));
    else multiplyWhole(factors, args.dBias.orNull(), pool, storeSums(dw));
  } else {
    weightGradientByTiles({factors, dw, args.add != 0, args.dBias.orNull()}, pool);
  }
}

}  // namespace foretoken::FT_ISA
