// What both bindings share: the storages of a backend, and a kernel call that comes as a packet of numbers.
#pragma once

#include <cstdint>

#include "call.h"

namespace foretoken {

// Storages by handle, so that no address ever comes from outside.
class Storages {
 public:
  Storages() = default;
  ~Storages() { clear(); }
  Storages(const Storages&) = delete;
  Storages& operator=(const Storages&) = delete;

  // A handle (0 or more) to `bytes` of memory aligned to 64 bytes, contents undefined; -1 when there is none left.
  int allocate(int64_t bytes);

  // Frees it and returns its bytes; -1 for a handle that is not live.
  int64_t release(double handle);

  // The address of `bytes` bytes at `offset`; null unless the handle is live and they lie within its memory.
  char* at(double handle, double offset, double bytes) const;

  // Frees all and returns how many bytes that were.
  int64_t clear();

 private:
  struct Block {
    void* memory;   // null: this handle is free
    int64_t bytes;  // of a free one: the next free handle
  };
  bool reserve();

  Block* blocks_ = nullptr;
  int count_ = 0;
  int capacity_ = 0;
  int free_ = -1;
};

// A packet is an array of doubles: the kernel's index; for each of kMaxBuffers buffers its handle (-1 = absent), its
// offset and the length that the kernel will touch, both in elements; kMaxInts integers; kMaxFloats reals; what operands
// of products are taken as: float32 (0), bfloat16 (1), or float32 by tiles where there are any (2); and as bits of a number those
// buffers whose elements are bfloat16, of 2 bytes and not of 4.
constexpr int kPacketBuffers = 1;
constexpr int kPacketInts = kPacketBuffers + 3 * kMaxBuffers;
constexpr int kPacketFloats = kPacketInts + kMaxInts;
constexpr int kPacketOperands = kPacketFloats + kMaxFloats;
constexpr int kPacketNarrow = kPacketOperands + 1;
constexpr int kPacketLength = kPacketNarrow + 1;

constexpr int kDispatched = 0;
constexpr int kNoSuchKernel = -1;
constexpr int kOutOfMemory = -2;

// Runs the kernel that `packet` names. Returns kDispatched, kNoSuchKernel, kOutOfMemory when there is no memory for the
// kernel's scratch, or 1 + the index of the first buffer that is not live or too short; unless kDispatched, nothing has
// been touched.
int dispatch(const KernelTable& table, const Storages& storages, Pool& pool, const double* packet);

// Runs the kernels of `count` packets that lie end to end, up to the first that is refused. Returns what dispatch() did for the
// last one.
int dispatchAll(const KernelTable& table, const Storages& storages, Pool& pool, const double* packets, int64_t count);

}  // namespace foretoken
