// y = x·wᵀ + bias and its gradients; declared in src/backend/kernels.ts.
#pragma once

#include <cstdint>

#include "../call.h"
#include "../gemm/gemm.h"
#include "../parallel.h"

namespace foretoken::FT_ISA {

// y[M, N] = x[M, K] · w[N, K]ᵀ + bias[N]
static void linearForward(const Call& call, Pool& pool) {
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
  product.c = call.buffer(3);
  multiplyMatrices<Order::kRows, Order::kColumns>(product, call.bfloat16, pool);
}

// dx[M, K] = dy[M, N] · w[N, K]
static void linearBackwardInput(const Call& call, Pool& pool) {
  const int64_t m = call.ints[0], n = call.ints[1], k = call.ints[2];
  Product product{};
  product.m = m;
  product.n = k;
  product.k = n;
  product.a = call.buffer(0);
  product.lda = n;
  product.b = call.buffer(1);
  product.ldb = k;
  product.c = call.buffer(2);
  multiplyMatrices<Order::kRows, Order::kRows>(product, call.bfloat16, pool);
}

// dw[N, K] = or += dy[M, N]ᵀ · x[M, K]; dBias[N] += Σ over M of dy
static void linearBackwardWeight(const Call& call, Pool& pool) {
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
