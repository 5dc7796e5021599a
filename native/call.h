// The interface between the bindings (napi.cc, wasm.cc) and the kernels. A binding fills a Call with arguments in the
// order of src/backend/kernels/kernels.ts. A kernel gets its arguments by name, in its structure of
// generated/kernels.h. Every size was checked before the call.
#pragma once

#include <cstdint>

#include "buffers.h"
#include "generated/kernels.h"

namespace foretoken {

struct Call {
  void* buffers[kMaxBuffers];  // null if an optional buffer is absent
  int64_t ints[kMaxInts];
  double floats[kMaxFloats];
  bool bfloat16;        // whether matrix products round their operands to bfloat16
  bool wholeTiles;      // whether tiles compute products of float32
  uint32_t narrow = 0;  // bit i: whether buffer i holds bfloat16; otherwise it holds float32 or integers

  bool isNarrow(int index) const { return (narrow >> index & 1u) != 0; }

  // Only generated/kernels.h uses this. In all other files, arguments have names.
  AnyBuffer buffer(int index) const { return {buffers[index], isNarrow(index)}; }
  void setBuffer(int index, AnyBuffer buffer) {
    buffers[index] = buffer.memory;
    if (buffer.narrow) narrow |= 1u << index;
  }
};

class Pool;

// Maximum number of calls that are computed together.
constexpr int kMostTogether = 4;

// Calls of one kernel that are computed together.
struct Calls {
  const Call* calls;
  int count;
};

// For a kernel that computes consecutive calls at the same time, with the results of one call after the other. Both are
// null for any other kernel.
struct Together {
  // Whether `next` may be computed together with `calls`.
  bool (*joins)(Calls calls, const Call& next) = nullptr;
  // Computes `calls`, one or several. dispatch() calls this instead of Kernel::run. `after`: calls of this kernel that
  // soon follow, if any. Their inputs may still change, except for weights, which the kernel may prefetch.
  void (*run)(Calls calls, Calls after, Pool& pool) = nullptr;
};

struct Kernel {
  KernelDeclaration declaration;
  void (*run)(const Call& call, Pool& pool);
  Together together;
};

// The entry for the kernel kRun in the table of kernels. kRun takes its arguments as an Args.
template <typename Args, void (*kRun)(const Args& args, Pool& pool)>
constexpr Kernel kernelOf(Together together = {}) {
  return {kDeclarations[Args::kIndex], [](const Call& call, Pool& pool) { kRun(Args::of(call), pool); }, together};
}

struct KernelTable {
  const char* instructionSet;  // "amx", "avx512bf16", "avx512", "avx2", "baseline", "neon", "simd128"
  const Kernel* kernels;
  int count;
  bool narrow;  // whether activations may be stored as bfloat16: FT_NARROW of simd.h
};

}  // namespace foretoken
