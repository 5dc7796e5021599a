// Memory for storages and scratch, 64-byte aligned. Allocation is slow, so callers keep and reuse memory.
#pragma once

#include <cstdint>

namespace foretoken {

// Allocates `bytes` of memory with undefined contents. Returns null if there is no memory. Thread-safe.
// gradually: the memory is filled from its beginning, perhaps never to its end. So it gets no large pages, which would
// take memory up to their own ends.
void* heapAllocate(int64_t bytes, bool gradually = false);

// Frees the memory that heapAllocate(bytes) returned. `memory` may be null.
void heapFree(void* memory, int64_t bytes);

}  // namespace foretoken
