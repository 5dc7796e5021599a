// Code that both bindings share: the storages of a backend, and kernel calls encoded as packets of numbers.
#pragma once

#include <cstdint>

#include "call.h"

namespace foretoken {

// Storages, each with a handle. Callers pass a handle, never an address.
class Storages {
 public:
  Storages() = default;
  ~Storages() { clear(); }
  Storages(const Storages&) = delete;
  Storages& operator=(const Storages&) = delete;

  // Allocates `bytes` of memory, aligned to 64 bytes, with undefined contents. Returns the handle (0 or more), or -1 if
  // there is no memory.
  int allocate(int64_t bytes, bool gradually = false);

  // Frees a storage and returns its size in bytes. Returns -1 if the handle is not live.
  int64_t release(double handle);

  // Returns the address of `bytes` bytes at `offset`. Returns null if the handle is not live or the bytes are not
  // inside its memory.
  char* at(double handle, double offset, double bytes) const;

  // Frees all storages and returns their total size in bytes.
  int64_t clear();

 private:
  struct Block {
    void* memory;   // null: the handle is free
    int64_t bytes;  // size; for a free handle: the next free handle
  };
  bool reserve();

  Block* blocks_ = nullptr;
  int count_ = 0;
  int capacity_ = 0;
  int free_ = -1;
};

// A packet is an array of doubles:
// - the kernel's index;
// - for each of kMaxBuffers buffers: its handle (-1: absent), its offset, and the number of elements that the kernel
//   accesses; the offset is in elements, too;
// - kMaxInts integers;
// - kMaxFloats reals;
// - the number format of matrix products: float32 (0), bfloat16 (1), or float32 by tiles where the CPU has tiles (2);
// - a number with one bit for each buffer: 1 for bfloat16 (2 bytes per element), 0 for other types (4 bytes).
constexpr int kPacketBuffers = 1;
constexpr int kPacketInts = kPacketBuffers + 3 * kMaxBuffers;
constexpr int kPacketFloats = kPacketInts + kMaxInts;
constexpr int kPacketOperands = kPacketFloats + kMaxFloats;
constexpr int kPacketNarrow = kPacketOperands + 1;
constexpr int kPacketLength = kPacketNarrow + 1;

constexpr int kDispatched = 0;
constexpr int kNoSuchKernel = -1;
constexpr int kOutOfMemory = -2;

// Runs the kernel of `packet`. Returns kDispatched, kNoSuchKernel, or kOutOfMemory if there is no memory for the
// kernel's scratch. If a buffer is not live or too short, returns 1 + the index of the first such buffer. After any
// result except kDispatched, no memory has changed.
int dispatch(const KernelTable& table, const Storages& storages, Pool& pool, const double* packet);

// Runs the kernels of `count` contiguous packets. Stops at the first packet that is refused. Returns the result of the
// last packet. Consecutive calls of a kernel may be computed together (Together of call.h), with the same results.
int dispatchAll(const KernelTable& table, const Storages& storages, Pool& pool, const double* packets, int64_t count);

}  // namespace foretoken
