// The products of linear.h by tiles, for activations and gradients in float32 or bfloat16.
#pragma once

#include "../call.h"
#include "../gemm/amx.h"
#include "../gemm/amx_across.h"
#include "../narrow.h"
#include "dropout.h"
#include "gelu.h"

namespace foretoken::FT_ISA {

// An operand that a call names by its buffer: k along lines of `stride`, or across them.
FT_INLINE TileOperand tileOperand(const Call& call, int buffer, int64_t stride, Order order) {
  return {call.buffers[buffer], call.isNarrow(buffer), stride, order};
}

// x[M, K] · w[N, K]ᵀ, of a call that begins with x, w and bias and with M, N and K.
FT_INLINE TileProduct forwardTileProduct(const Call& call) {
  const int64_t m = call.ints[0], n = call.ints[1], k = call.ints[2];
  return {m, n, k, tileOperand(call, 0, k, Order::kRows), tileOperand(call, 1, k, Order::kRows)};
}

static void linearForwardByTiles(const Call& call, Pool& pool) {
  const float* const bias = call.buffer(2);
  const float* const addend = call.buffer(3);
  withElements(call, 4, [&](auto* y) {
    const auto ask = [=](int64_t at) __attribute__((always_inline)) {
      if (addend != nullptr) askToRead(addend + at);
      askToWrite(y + at);
    };
    const auto apply = [=](int64_t at, int64_t j, const auto& sums, auto lanes) __attribute__((always_inline)) {
      store(y + at, each(sums, [=](F32 sum, int64_t offset) __attribute__((always_inline)) {
        if (bias != nullptr) sum += load(bias + j + offset, lanes);
        if (addend != nullptr) sum += load(addend + at + offset, lanes);
        return sum;
      }), lanes);
    };
    multiplyByTiles(forwardTileProduct(call), pool, Finish{ask, apply});
  });
}

template <bool kSlope, typename T, typename Activation>
static void activatedByTiles(const Call& call, Pool& pool, T* y, Activation activation) {
  const float* const bias = call.buffer(2);
  T* const slope = call.buffer<T>(4);
  const auto ask = [=](int64_t at) __attribute__((always_inline)) {
    askToWrite(y + at);
    if constexpr (kSlope) askToWrite(slope + at);
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
  multiplyByTiles(forwardTileProduct(call), pool, Finish{ask, apply});
}

static void linearGeluForwardByTiles(const Call& call, Pool& pool) {
  withElements(call, 3, [&]<typename T>(T* y) {
    withGelu<T>(call.ints[3] != 0, call.buffers[4] != nullptr, [&]<bool kSlope>(auto activation) {
      activatedByTiles<kSlope>(call, pool, y, activation);
    });
  });
}

static void linearDropoutForwardByTiles(const Call& call, Pool& pool) {
  const float* const bias = call.buffer(2);
  const float* const addend = call.buffer(3);
  uint32_t* const kept = call.buffer<uint32_t>(4);
  float* const y = call.buffer(5);
  const float scale = keptScale(call.floats[0]);
  const DropoutKey key = dropoutKeyOf(call.ints + 3, call.floats[0]);
  const int64_t m = call.ints[0], n = call.ints[1];
  // Row by row while tiles compute, where rows share no block of the mask.
  const bool byRows = n % kDropoutBlock == 0;
  if (!byRows) drawKept(key, m * n, kept, pool);
  const auto prepare = [=](int64_t i) __attribute__((always_inline)) { drawKept(key, i * n, (i + 1) * n, kept); };
  const auto ask = [=](int64_t at) __attribute__((always_inline)) {
    askToRead(addend + at);
    askToWrite(y + at);
  };
  const auto apply = [=](int64_t at, int64_t j, const auto& sums, auto lanes) __attribute__((always_inline)) {
    constexpr int64_t kBefore = sizeof sums - sizeof(F32);
    const uint32_t bits = bitsAt(kept, at, kBefore / int64_t{sizeof(float)} + countOf(lanes));
    store(y + at, each(sums, [=](F32 sum, int64_t offset) __attribute__((always_inline)) {
      if (bias != nullptr) sum += load(bias + j + offset, lanes);
      return load(addend + at + offset, lanes) + sum * scaleWhere(bits >> offset, scale);
    }), lanes);
  };
  multiplyByTiles(forwardTileProduct(call), pool, Finish{ask, apply, prepare, byRows});
}

// dx[M, K] = or += dy[M, N] · w[N, K], or dx = that times what is at buffer `factorAt` where there is something. `dropping`:
// dy is still to be made from the gradient behind a dropout.
static void inputGradientByTiles(const Call& call, const TileOperand& dy, int wAt, int factorAt, int dxAt, bool add,
                                 const DropoutGradient* dropping, Pool& pool) {
  const int64_t m = call.ints[0], n = call.ints[1], k = call.ints[2];
  const TileProduct product{m, k, n, dy, tileOperand(call, wAt, k, Order::kColumns)};
  const auto prepare = [=](int64_t i) { dropping->make(i * n, (i + 1) * n); };
  const bool prepares = dropping != nullptr;
  withElements(call, dxAt, [&](auto* dx) {
    if (add) {
      const auto ask = [=](int64_t at) __attribute__((always_inline)) { askToWrite(dx + at); };
      const auto apply = [=](int64_t at, int64_t, const auto& sums, auto lanes) __attribute__((always_inline)) {
        store(dx + at, each(sums, [=](F32 sum, int64_t offset) __attribute__((always_inline)) {
          return sum + load(dx + at + offset, lanes);
        }), lanes);
      };
      return multiplyByTiles(product, pool, Finish{ask, apply});
    }
    if (call.buffers[factorAt] == nullptr) {
      const auto store = storeSums(dx);
      return multiplyByTiles(product, pool, Finish{store.ask, store.apply, prepare, prepares});
    }
    withElements(call, factorAt, [&](auto* factor) {
      const auto ask = [=](int64_t at) __attribute__((always_inline)) {
        askToRead(factor + at);
        askToWrite(dx + at);
      };
      const auto apply = [=](int64_t at, int64_t, const auto& sums, auto lanes) __attribute__((always_inline)) {
        store(dx + at, each(sums, [=](F32 sum, int64_t offset) __attribute__((always_inline)) {
          return sum * load(factor + at + offset, lanes);
        }), lanes);
      };
      multiplyByTiles(product, pool, Finish{ask, apply, prepare, prepares});
    });
  });
}

static void linearBackwardInputByTiles(const Call& call, Pool& pool) {
  inputGradientByTiles(call, tileOperand(call, 0, call.ints[1], Order::kRows), 1, 2, 3, call.ints[3] != 0, nullptr, pool);
}

static void linearDropoutBackwardInputByTiles(const Call& call, Pool& pool) {
  const DropoutGradient dropping(call);
  inputGradientByTiles(call, tileOperand(call, 4, call.ints[1], Order::kRows), 2, 3, 5, false, &dropping, pool);
}

static void linearBackwardWeightByTiles(const Call& call, Pool& pool) {
  const int64_t m = call.ints[0], n = call.ints[1], k = call.ints[2];
  float* const dw = call.buffer(2);
  const TileProduct factors{n, k, m, tileOperand(call, 0, n, Order::kColumns), tileOperand(call, 1, k, Order::kColumns)};
  multiplyAcrossByTiles({factors, dw, call.ints[3] != 0, call.buffer(3)}, pool);
}

}  // namespace foretoken::FT_ISA
