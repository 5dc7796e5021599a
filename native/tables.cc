#include "tables.h"

#if defined(FT_HAS_AMX) && defined(__linux__) && !defined(FT_EMULATED_TILES)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace foretoken {

#if defined(__x86_64__)

namespace baseline {
extern const KernelTable kTable;
}
// FT_HAS_<set>: it is in the binary, as the compiler is new enough for it.
#if defined(FT_HAS_AVX2)
namespace avx2 {
extern const KernelTable kTable;
}
#endif
#if defined(FT_HAS_AVX512)
namespace avx512 {
extern const KernelTable kTable;
}
#endif
#if defined(FT_HAS_AVX512BF16)
namespace avx512bf16 {
extern const KernelTable kTable;
}
#endif
#if defined(FT_HAS_AMX)
namespace amx {
extern const KernelTable kTable;
}

namespace {

// Whether tiles may be used. Linux gives a process their memory when it asks, and to all its threads.
bool hasTiles() {
#if defined(FT_EMULATED_TILES)
  return true;
#elif defined(__linux__)
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24, kSystemSaves = 1u << 27;
  constexpr unsigned kTileState = 3u << 17;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kSystemSaves) == 0) return false;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kAmxBf16) == 0 || (d & kAmxTile) == 0) return false;
  unsigned saved = 0, high = 0;
  asm("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
  if ((saved & kTileState) != kTileState) return false;
  static const bool permitted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return permitted;
#else
  return false;
#endif
}

}  // namespace
#endif

int usableTables(const KernelTable* tables[kMaxTables]) {
  // These look at what the operating system saves (XCR0) as well as at the CPU.
  __builtin_cpu_init();
  [[maybe_unused]] const bool hasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  [[maybe_unused]] const bool hasAvx512 =
      hasAvx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
  int count = 0;
#if defined(FT_HAS_AVX512BF16) || defined(FT_HAS_AMX)
  const bool hasBfloat16 = hasAvx512 && __builtin_cpu_supports("avx512bf16");
#endif
#if defined(FT_HAS_AMX)
  if (hasBfloat16 && hasTiles()) tables[count++] = &amx::kTable;
#endif
#if defined(FT_HAS_AVX512BF16)
  if (hasBfloat16) tables[count++] = &avx512bf16::kTable;
#endif
#if defined(FT_HAS_AVX512)
  if (hasAvx512) tables[count++] = &avx512::kTable;
#endif
#if defined(FT_HAS_AVX2)
  if (hasAvx2) tables[count++] = &avx2::kTable;
#endif
  tables[count++] = &baseline::kTable;
  return count;
}

bool pairsAreFast() {
  __builtin_cpu_init();
  return !__builtin_cpu_is("intel");
}

#elif defined(__aarch64__)

namespace neon {
extern const KernelTable kTable;
}

int usableTables(const KernelTable* tables[kMaxTables]) {
  tables[0] = &neon::kTable;
  return 1;
}

bool pairsAreFast() { return false; }

#else
#error "the native backend knows x86-64 and arm64; elsewhere WebAssembly serves"
#endif

}  // namespace foretoken
