// The heap of each platform: natively the C library's heap; in WebAssembly, which has no C library, one free list.
#include "heap.h"

#include "integers.h"

#if !defined(__wasm__)

#include <cstdlib>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace foretoken {

namespace {
constexpr int64_t kAlignment = 64;
constexpr int64_t kLargePage = 2 << 20;
constexpr int64_t kLargeFrom = 2 << 20;
}  // namespace

void* heapAllocate(int64_t bytes, bool gradually) {
  if (bytes < 0) return nullptr;
  const bool large = bytes >= kLargeFrom && !gradually;
  const size_t alignment = static_cast<size_t>(large ? kLargePage : kAlignment);
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, static_cast<size_t>(max(bytes, 1))) != 0) return nullptr;
#if defined(__linux__)
  // Large pages are optional. Without large pages there are more TLB misses.
  if (large) (void)madvise(memory, static_cast<size_t>(bytes), MADV_HUGEPAGE);
#endif
  return memory;
}

void heapFree(void* memory, int64_t) { free(memory); }

}  // namespace foretoken

#else

extern "C" unsigned char __heap_base;

namespace foretoken {

namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kPage = 65536;
constexpr int64_t kGrowAtLeast = 16 * kPage;
// The last page stays unused, so that the end of every block is a 32-bit address.
constexpr int64_t kAddressLimit = 65535 * kPage;

struct Hole {
  Hole* next;
  int64_t bytes;
};

// Free blocks in order of address. Neighbouring free blocks are merged. `top` is the end of the memory that the heap
// manages.
Hole* holes = nullptr;
int64_t top = 0;
uint32_t lock = 0;

int64_t address(const void* pointer) { return static_cast<int64_t>(reinterpret_cast<uintptr_t>(pointer)); }
void* pointer(int64_t at) { return reinterpret_cast<void*>(static_cast<uintptr_t>(at)); }
int64_t blockBytes(int64_t bytes) { return roundUp(max(bytes, 1), kAlignment); }

class Guard {
 public:
  Guard() {
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE) != 0) {
    }
  }
  ~Guard() { __atomic_store_n(&lock, 0, __ATOMIC_RELEASE); }
};

void addHole(int64_t at, int64_t bytes) {
  Hole* before = nullptr;
  Hole* after = holes;
  while (after != nullptr && address(after) < at) {
    before = after;
    after = after->next;
  }
  Hole* hole = static_cast<Hole*>(pointer(at));
  *hole = {after, bytes};
  if (after != nullptr && at + bytes == address(after)) *hole = {after->next, bytes + after->bytes};
  if (before == nullptr) {
    holes = hole;
  } else if (address(before) + before->bytes == at) {
    *before = {hole->next, before->bytes + hole->bytes};
  } else {
    before->next = hole;
  }
}

bool grow(int64_t bytes) {
  if (top == 0) top = roundUp(address(&__heap_base), kAlignment);
  int64_t end = min(static_cast<int64_t>(__builtin_wasm_memory_size(0)) * kPage, kAddressLimit);
  if (end < top + bytes) {
    const int64_t missing = top + bytes - end;
    const int64_t pages = divideUp(max(missing, kGrowAtLeast), kPage);
    if (end + pages * kPage > kAddressLimit) return false;
    if (__builtin_wasm_memory_grow(0, static_cast<uint32_t>(pages)) == static_cast<size_t>(-1)) return false;
    end += pages * kPage;
  }
  const int64_t start = top;
  top = end;
  addHole(start, end - start);
  return true;
}

void* takeFirstFit(int64_t bytes) {
  Hole** link = &holes;
  while (*link != nullptr && (*link)->bytes < bytes) link = &(*link)->next;
  Hole* hole = *link;
  if (hole == nullptr) return nullptr;
  if (hole->bytes == bytes) {
    *link = hole->next;
  } else {
    Hole* rest = static_cast<Hole*>(pointer(address(hole) + bytes));
    *rest = {hole->next, hole->bytes - bytes};
    *link = rest;
  }
  return hole;
}

}  // namespace

void* heapAllocate(int64_t bytes, bool) {
  if (bytes < 0 || bytes > kAddressLimit) return nullptr;
  const int64_t rounded = blockBytes(bytes);
  const Guard guard;
  void* memory = takeFirstFit(rounded);
  if (memory == nullptr && grow(rounded)) memory = takeFirstFit(rounded);
  return memory;
}

void heapFree(void* memory, int64_t bytes) {
  if (memory == nullptr) return;
  const Guard guard;
  addHole(address(memory), blockBytes(bytes));
}

}  // namespace foretoken

#endif
