// The WebAssembly binding. The exports of this file offer the same instance as napi.cc, with one instance for each
// module. WebAssembly has no C library, so this file also has the few functions that the kernels need.
#include <cstddef>
#include <cstdint>
#include <new>

#include "branches.h"
#include "dispatch.h"
#include "heap.h"
#include "thread_pool.h"

#define FT_EXPORT(name) extern "C" __attribute__((export_name(#name)))

namespace foretoken {

namespace FT_ISA {
extern const KernelTable kTable;
}

namespace {

constexpr int64_t kStackBytes = 1 << 20;

// The object is constructed in place, so that no destructor is registered: WebAssembly never exits.
alignas(ThreadPool) unsigned char poolMemory[sizeof(ThreadPool)];
alignas(Storages) unsigned char storagesMemory[sizeof(Storages)];
alignas(BranchPools) unsigned char branchPoolsMemory[sizeof(BranchPools)];
alignas(64) double packet[kPacketLength];

ThreadPool& pool() { return *reinterpret_cast<ThreadPool*>(poolMemory); }
Storages& storages() { return *reinterpret_cast<Storages*>(storagesMemory); }
BranchPools& branchPools() { return *reinterpret_cast<BranchPools*>(branchPoolsMemory); }
const KernelTable& table() { return FT_ISA::kTable; }

}  // namespace

// Call this once, before all other functions. If `mayBlock` is 0, the calling thread must spin and not sleep.
FT_EXPORT(open) void openInstance(int threads, int mayBlock) {
  new (poolMemory) ThreadPool(threads, mayBlock != 0);
  new (storagesMemory) Storages;
  new (branchPoolsMemory) BranchPools;
}

FT_EXPORT(close) void closeInstance() { pool().close(); }

// Allocates a stack for one worker and returns the top of the stack. The host stores the top in __stack_pointer of the
// worker's instance. Returns 0 if there is no memory.
FT_EXPORT(worker_stack) uintptr_t workerStack() {
  void* memory = heapAllocate(kStackBytes);
  return memory == nullptr ? 0 : reinterpret_cast<uintptr_t>(memory) + static_cast<uintptr_t>(kStackBytes);
}

FT_EXPORT(worker_main) void workerMain(int thread) { pool().workerLoop(thread); }
FT_EXPORT(worker_abandon) void workerAbandon() {
  pool().abandon();
  branchPools().abandon();
}
FT_EXPORT(failed) int hasFailed() { return pool().failed() ? 1 : 0; }

FT_EXPORT(allocate) int allocate(double bytes) { return storages().allocate(static_cast<int64_t>(bytes)); }
FT_EXPORT(release) void release(int handle) { (void)storages().release(handle); }

// Returns the address of `bytes` bytes at `offset` in a storage. Returns 0 if the storage is not live or does not
// contain them.
FT_EXPORT(at) void* at(int handle, double offset, double bytes) { return storages().at(handle, offset, bytes); }

FT_EXPORT(packet) double* packetAddress() { return packet; }
FT_EXPORT(run) int run() { return dispatch(table(), storages(), pool(), packet); }


// Computes the packets of storage `packets` in branches, with `threads` threads for each branch. Storage `ends` has the
// end of each of `count` branches.
FT_EXPORT(run_beside) int runBeside(int packets, int length, int ends, int count, int threads) {
  const void* const from = storages().at(packets, 0, static_cast<double>(length) * kPacketLength * sizeof(double));
  const void* const to = storages().at(ends, 0, static_cast<double>(count) * sizeof(int32_t));
  const bool fits = threads >= 1 && threads <= pool().threads();
  if (!fits || from == nullptr || to == nullptr || !divides(static_cast<const int32_t*>(to), count, length))
    return kNoSuchKernel;
  const Branches branches{static_cast<const double*>(from), static_cast<const int32_t*>(to), count};
  return dispatchBeside(table(), storages(), pool(), branchPools(), branches, threads);
}

FT_EXPORT(kernel_count) int kernelCount() { return table().count; }
FT_EXPORT(kernel_name) const char* kernelName(int index) { return table().kernels[index].declaration.name; }
FT_EXPORT(kernel_buffers) int kernelBuffers(int index) { return table().kernels[index].declaration.buffers; }
FT_EXPORT(kernel_ints) int kernelInts(int index) { return table().kernels[index].declaration.ints; }
FT_EXPORT(kernel_floats) int kernelFloats(int index) { return table().kernels[index].declaration.floats; }
FT_EXPORT(max_buffers) int maxBuffers() { return kMaxBuffers; }
FT_EXPORT(max_ints) int maxInts() { return kMaxInts; }
FT_EXPORT(max_floats) int maxFloats() { return kMaxFloats; }

}  // namespace foretoken

// The compiler itself calls these functions. With bulk memory, each body is one instruction, and not a call of itself.
extern "C" {
void* memcpy(void* to, const void* from, size_t bytes) { return __builtin_memcpy(to, from, bytes); }
void* memmove(void* to, const void* from, size_t bytes) { return __builtin_memmove(to, from, bytes); }
void* memset(void* to, int value, size_t bytes) { return __builtin_memset(to, value, bytes); }
[[noreturn]] void __cxa_pure_virtual() { __builtin_trap(); }
}

// Virtual destructors refer to this function, but no object is destroyed through a pointer to its base.
void operator delete(void*) noexcept { __builtin_trap(); }
void operator delete(void*, size_t) noexcept { __builtin_trap(); }
void operator delete(void*, size_t, std::align_val_t) noexcept { __builtin_trap(); }
