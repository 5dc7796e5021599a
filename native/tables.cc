#include "tables.h"

#include <cstring>

#include "cpu.h"

namespace foretoken {

// FT_HAS_<set>: the set is in the binary.
#define FT_DECLARE(set)            \
  namespace set {                  \
  extern const KernelTable kTable; \
  }

#if defined(FT_HAS_BASELINE)
FT_DECLARE(baseline)
#endif
#if defined(FT_HAS_AVX2)
FT_DECLARE(avx2)
#endif
#if defined(FT_HAS_AVX512)
FT_DECLARE(avx512)
#endif
#if defined(FT_HAS_AVX512BF16)
FT_DECLARE(avx512bf16)
#endif
#if defined(FT_HAS_AMX)
FT_DECLARE(amx)
#endif
#if defined(FT_HAS_NEON)
FT_DECLARE(neon)
#endif

namespace {

static_assert(kMaxTables == kMaxSets);

const KernelTable* const kCompiled[] = {
#if defined(FT_HAS_AMX)
    &amx::kTable,
#endif
#if defined(FT_HAS_AVX512BF16)
    &avx512bf16::kTable,
#endif
#if defined(FT_HAS_AVX512)
    &avx512::kTable,
#endif
#if defined(FT_HAS_AVX2)
    &avx2::kTable,
#endif
#if defined(FT_HAS_BASELINE)
    &baseline::kTable,
#endif
#if defined(FT_HAS_NEON)
    &neon::kTable,
#endif
};

const KernelTable* compiled(const char* name) {
  for (const KernelTable* table : kCompiled)
    if (std::strcmp(table->instructionSet, name) == 0) return table;
  return nullptr;
}

}  // namespace

int usableTables(const KernelTable* tables[kMaxTables]) {
  int count = 0;
#if defined(FT_EMULATED_TILES)
  // The tile kernels with emulated tiles, for machines without tiles.
  if (!hasAmx() && hasAvx512Bf16() && compiled("amx") != nullptr) tables[count++] = compiled("amx");
#endif
  const char* names[kMaxSets];
  const int runnable = runnableSets(names);
  for (int i = 0; i < runnable; i++)
    if (const KernelTable* table = compiled(names[i])) tables[count++] = table;
  return count;
}

int missingTables(const char* missing[kMaxTables]) {
  const char* names[kMaxSets];
  const int runnable = runnableSets(names);
  int count = 0;
  for (int i = 0; i < runnable; i++)
    if (compiled(names[i]) == nullptr) missing[count++] = names[i];
  return count;
}

bool pairsAreFast() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return !__builtin_cpu_is("intel");
#else
  return false;
#endif
}

}  // namespace foretoken
