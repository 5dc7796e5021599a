#include "tables.h"

namespace foretoken {

#if defined(__x86_64__)

namespace baseline {
extern const KernelTable kTable;
}
namespace avx2 {
extern const KernelTable kTable;
}
namespace avx512 {
extern const KernelTable kTable;
}
namespace avx512bf16 {
extern const KernelTable kTable;
}

int usableTables(const KernelTable* tables[kMaxTables]) {
  // These look at what the operating system saves (XCR0) as well as at the CPU.
  __builtin_cpu_init();
  const bool hasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool hasAvx512 = hasAvx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512cd");
  int count = 0;
  if (hasAvx512 && __builtin_cpu_supports("avx512bf16")) tables[count++] = &avx512bf16::kTable;
  if (hasAvx512) tables[count++] = &avx512::kTable;
  if (hasAvx2) tables[count++] = &avx2::kTable;
  tables[count++] = &baseline::kTable;
  return count;
}

#elif defined(__aarch64__)

namespace neon {
extern const KernelTable kTable;
}

int usableTables(const KernelTable* tables[kMaxTables]) {
  tables[0] = &neon::kTable;
  return 1;
}

#else
#error "the native backend knows x86-64 and arm64; elsewhere WebAssembly serves"
#endif

}  // namespace foretoken
