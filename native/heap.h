// Memory for storages and scratch, 64-byte aligned. Allocation is slow, so callers keep and reuse memory.
#pragma once

#include <cstdint>

namespace foretoken {

// Allocates `bytes` of memory with undefined contents. Returns null if there is no memory. Thread-safe.
void* heapAllocate(int64_t bytes);

// Frees the memory that heapAllocate(bytes) returned. `memory` may be null.
void heapFree(void* memory, int64_t bytes);

}  // namespace foretoken
