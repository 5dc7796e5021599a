// What this machine can do at most, with the instruction set and the number of threads that the kernels use: arithmetic
// with all operands in registers, and bytes from each level of memory. bench/lib/roofs.mjs compiles and runs it.
//
//   roofs THREADS L2_BYTES L3_BYTES      (caches: the sum of what the threads have)
//
// Prints one JSON object: GFLOP/s and GB/s of all threads together, the best of several repeats. A multiplication and an
// addition are two operations; a copy counts each byte that is read and each that is written. 0: there is no such thing.
#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "../native/simd.h"

#if defined(__AMX_BF16__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace foretoken::FT_ISA {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

// Keeps a value in a register, and what it depends on in the program.
FT_INLINE void opaque(F32& value) {
#if defined(__x86_64__)
  asm volatile("" : "+x"(value));
#else
  asm volatile("" : "+w"(value));
#endif
}

// More than latency × throughput of any CPU, and few enough for 16 registers.
constexpr int kChains = 12;
constexpr long kRounds = 1 << 20;

double multiplyAdd() {
  F32 sums[kChains];
  F32 a = splat(0.9999f), b = splat(0.0001f);
  FT_UNROLL for (int i = 0; i < kChains; i++) sums[i] = splat(static_cast<float>(i));
  for (long round = 0; round < kRounds; round++) {
    opaque(a);
    FT_UNROLL for (int i = 0; i < kChains; i++) {
      sums[i] = fma(sums[i], a, b);
      opaque(sums[i]);
    }
  }
  return 2.0 * kLanes * kChains * kRounds;
}

double dotBf16() {
#if defined(__AVX512BF16__) && FT_VECTOR_BYTES == 64
  __m512 sums[kChains] = {};
  __m512bh a = (__m512bh)_mm512_set1_epi16(0x3f00), b = (__m512bh)_mm512_set1_epi16(0x3f00);
  for (long round = 0; round < kRounds; round++) {
    FT_UNROLL for (int i = 0; i < kChains; i++) {
      sums[i] = _mm512_dpbf16_ps(sums[i], a, b);
      asm volatile("" : "+v"(sums[i]));
    }
  }
  return 4.0 * kLanes * kChains * kRounds;
#else
  return 0;
#endif
}

#if defined(__AMX_BF16__) && defined(__linux__)
constexpr int kRequestPermission = 0x1023;
constexpr int kTileData = 18;
constexpr long kTileRounds = 1 << 18;

// Before any thread is begun: permission is the process's.
bool tilesAllowed() { return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0; }

double tiles() {
  struct alignas(64) {
    uint8_t palette = 1, startRow = 0, reserved[14] = {};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (long round = 0; round < kTileRounds; round++) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
  return 2.0 * 16 * 16 * 32 * 4 * kTileRounds;
}
#else
bool tilesAllowed() { return false; }
double tiles() { return 0; }
#endif

// Elements of a thread's array; a whole number of unrolled steps.
constexpr size_t kUnrolled = 8 * kLanes;
size_t elementsFor(double bytes) { return (static_cast<size_t>(bytes) / sizeof(float) / kUnrolled + 1) * kUnrolled; }

// As the kernels' memory is: no vector lies across two cache lines.
template <typename T>
struct Aligned {
  using value_type = T;
  T* allocate(size_t count) {
    void* memory = std::aligned_alloc(64, count * sizeof(T));
    if (memory == nullptr) std::abort();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) { std::free(memory); }
  bool operator==(const Aligned&) const { return true; }
};
using Array = std::vector<float, Aligned<float>>;

// Goes over the array until this many bytes have passed.
constexpr double kPassedBytes = 1e9;

double readAll(const Array& x) {
  const long passes = static_cast<long>(kPassedBytes / static_cast<double>(x.size() * sizeof(float))) + 1;
  for (long pass = 0; pass < passes; pass++) {
    F32 sums[8] = {};
    for (size_t i = 0; i < x.size(); i += kUnrolled) {
      FT_UNROLL for (int j = 0; j < 8; j++) sums[j] += load(x.data() + i + static_cast<size_t>(j) * kLanes);
    }
    FT_UNROLL for (int j = 0; j < 8; j++) opaque(sums[j]);
  }
  return static_cast<double>(passes) * static_cast<double>(x.size() * sizeof(float));
}

double copyAll(Array& x) {
  const size_t half = x.size() / 2 / kUnrolled * kUnrolled;
  const long passes = static_cast<long>(kPassedBytes / static_cast<double>(2 * half * sizeof(float))) + 1;
  for (long pass = 0; pass < passes; pass++) {
    float* to = x.data() + half;
    for (size_t i = 0; i < half; i += kUnrolled) {
      FT_UNROLL for (int j = 0; j < 8; j++) {
        F32 value = load(x.data() + i + static_cast<size_t>(j) * kLanes);
        opaque(value);
        store(to + i + static_cast<size_t>(j) * kLanes, value);
      }
    }
  }
  return static_cast<double>(passes) * static_cast<double>(2 * half * sizeof(float));
}

constexpr int kRepeats = 5;

// The work of all threads, which begin together, over the time until the last has ended: the best of several repeats.
double rate(int threads, const std::function<double(int)>& work) {
  double best = 0;
  for (int repeat = 0; repeat < kRepeats; repeat++) {
    std::vector<double> done(static_cast<size_t>(threads)), seconds(static_cast<size_t>(threads));
    std::barrier together(threads);
    std::vector<std::thread> pool;
    for (int thread = 0; thread < threads; thread++) {
      pool.emplace_back([&, thread] {
        together.arrive_and_wait();
        const Clock::time_point began = Clock::now();
        done[static_cast<size_t>(thread)] = work(thread);
        seconds[static_cast<size_t>(thread)] = secondsSince(began);
      });
    }
    for (std::thread& one : pool) one.join();
    double total = 0, longest = 0;
    for (double one : done) total += one;
    for (double one : seconds) longest = one > longest ? one : longest;
    if (total / longest > best) best = total / longest;
  }
  return best / 1e9;
}

int run(int threads, double l2, double l3) {
  const bool hasTiles = tilesAllowed();
  std::printf("{\"float32\":%.1f", rate(threads, [](int) { return multiplyAdd(); }));
  std::printf(",\"dotBf16\":%.1f", rate(threads, [](int) { return dotBf16(); }));
  std::printf(",\"amxBf16\":%.1f", hasTiles ? rate(threads, [](int) { return tiles(); }) : 0.0);
  // Well within a level and well outside of the one above it.
  const struct {
    const char* name;
    double bytes;
  } levels[] = {{"l2", l2 / 2}, {"l3", l3 / 2}, {"memory", 8 * l3}};
  for (const auto& level : levels) {
    std::vector<Array> arrays;
    for (int i = 0; i < threads; i++) arrays.emplace_back(elementsFor(level.bytes / threads), 1.0f);
    const auto arrayOf = [&](int thread) -> Array& { return arrays[static_cast<size_t>(thread)]; };
    std::printf(",\"%s\":{\"bytes\":%.0f", level.name, level.bytes);
    std::printf(",\"read\":%.1f", rate(threads, [&](int thread) { return readAll(arrayOf(thread)); }));
    std::printf(",\"copy\":%.1f}", rate(threads, [&](int thread) { return copyAll(arrayOf(thread)); }));
  }
  std::printf("}\n");
  return 0;
}

}  // namespace
}  // namespace foretoken::FT_ISA

int main(int count, char** words) {
  if (count != 4) {
    std::fprintf(stderr, "usage: roofs THREADS L2_BYTES L3_BYTES\n");
    return 2;
  }
  return foretoken::FT_ISA::run(std::atoi(words[1]), std::atof(words[2]), std::atof(words[3]));
}
