// The one interface between the bindings (napi.cc, wasm.cc) and the kernels. A kernel receives the arguments of
// src/backend/kernels.ts in the order declared there; every size has been checked before it gets here.
#pragma once

#include <cstdint>

namespace foretoken {

constexpr int kMaxBuffers = 10;
constexpr int kMaxInts = 16;
constexpr int kMaxFloats = 8;

struct Call {
  void* buffers[kMaxBuffers];  // null where an optional buffer is absent
  int64_t ints[kMaxInts];
  double floats[kMaxFloats];
  // Operands of matrix products and of attention's products are rounded to bfloat16, to nearest, ties to even; sums
  // stay in float32. As the backend was opened: `dtype` in src/backend/backend.ts.
  bool bfloat16;
  // Bit i: buffer i holds bfloat16 (kernels.ts says where that may be), else float32 or int32.
  uint32_t narrow = 0;

  bool isNarrow(int index) const { return (narrow >> index & 1u) != 0; }

  template <typename T = float>
  T* buffer(int index) const {
    return static_cast<T*>(buffers[index]);
  }
};

class Pool;

struct Kernel {
  const char* name;  // as in src/backend/kernels.ts
  void (*run)(const Call& call, Pool& pool);
  int buffers;
  int ints;
  int floats;
};

struct KernelTable {
  const char* instructionSet;  // "amx", "avx512bf16", "avx512", "avx2", "baseline", "neon", "simd128"
  const Kernel* kernels;
  int count;
};

}  // namespace foretoken
