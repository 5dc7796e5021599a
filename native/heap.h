// Memory for storages and scratch: 64-byte aligned, slow to get, kept for long. Callers reuse what they have.
#pragma once

#include <cstdint>

namespace foretoken {

// `bytes` of memory, contents undefined, or null when there is none left. Any thread may call.
void* heapAllocate(int64_t bytes);

// Gives back what heapAllocate(bytes) returned; null is allowed.
void heapFree(void* memory, int64_t bytes);

}  // namespace foretoken
