// Finds out at run time which instruction sets this CPU and operating system can run.
#pragma once

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace foretoken {

#if defined(__x86_64__)

// These builtins check the CPU, and the registers that the operating system saves (XCR0).
inline bool hasAvx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

inline bool hasAvx512() {
  return hasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
}

// CPUID leaf 7, subleaf 1. Compilers that are older than this instruction set do not know its name. All CPUs that have
// the set also have VNNI.
inline bool hasAvx512Bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBf16 = 1u << 5;
  return hasAvx512() && __builtin_cpu_supports("avx512vnni") && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kBf16) != 0;
}

// Whether tiles may be used. Linux allows a process to use tiles only on request. The permission is valid for all
// threads of the process.
inline bool hasAmx() {
#if defined(__linux__)
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24, kAmxInt8 = 1u << 25, kSystemSaves = 1u << 27;
  constexpr unsigned kTileState = 3u << 17;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  if (!hasAvx512Bf16()) return false;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kSystemSaves) == 0) return false;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kAmxBf16) == 0 || (d & kAmxTile) == 0 || (d & kAmxInt8) == 0) return false;
  unsigned saved = 0, high = 0;
  asm("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
  if ((saved & kTileState) != kTileState) return false;
  static const bool permitted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return permitted;
#else
  return false;
#endif
}

#endif

constexpr int kMaxSets = 5;

// Fills `names` with the instruction sets of this machine, best first. The list also has sets that are not in the
// binary.
inline int runnableSets(const char* names[kMaxSets]) {
  int count = 0;
#if defined(__x86_64__)
  if (hasAmx()) names[count++] = "amx";
  if (hasAvx512Bf16()) names[count++] = "avx512bf16";
  if (hasAvx512()) names[count++] = "avx512";
  if (hasAvx2()) names[count++] = "avx2";
  names[count++] = "baseline";
#elif defined(__aarch64__)
  names[count++] = "neon";
#else
#error "the native backend knows x86-64 and arm64; elsewhere WebAssembly serves"
#endif
  return count;
}

}  // namespace foretoken
