// Measures the maximum speeds of this machine: arithmetic with all operands in registers, and bytes from each level of
// memory. The program uses the same instruction set and number of threads as the kernels. bench/lib/roofs.mjs compiles
// and starts this program.
//
//     roofs THREADS FIRST_BYTES LAST_BYTES      (of memory: the threads' together; doubled from the first to the last)
//
// Prints one JSON object: GFLOP/s and GB/s of all threads together. Each value is the best of several repeats and
// methods. A multiplication and an addition count as two operations. A copy counts each byte that is read and each byte
// that is written. 0 means that the value is not available. `amxBf16` is measured if the CPU and the system support
// AMX, even if the program is compiled for another instruction set.
#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <thread>
#include <vector>

#include "../native/simd.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#if defined(__x86_64__) && defined(__linux__) && (__has_include(<amxbf16intrin.h>) || __has_include(<amxintrin.h>))
#define ROOFS_HAVE_TILES
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace foretoken::FT_ISA {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

// Hides a value from the optimizer. The value stays in a register, and the code that computes it is not removed.
FT_INLINE void opaque(F32& value) {
#if defined(__x86_64__)
  asm volatile("" : "+x"(value));
#else
  asm volatile("" : "+w"(value));
#endif
}

// Number of independent sums: more than latency × throughput of any CPU, and few enough for 16 registers.
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

#if defined(ROOFS_HAVE_TILES)
constexpr unsigned kHasBf16Tiles = 1u << 22;
constexpr unsigned kHasTiles = 1u << 24;
constexpr int kRequestPermission = 0x1023;
constexpr int kTileData = 18;
constexpr long kTileRounds = 1 << 18;

// Whether the CPU has tiles and Linux lets this process use them. Call this before any thread starts, because the
// permission is for the whole process.
bool tilesAllowed() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned needed = kHasBf16Tiles | kHasTiles;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & needed) != needed) return false;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

// Two by two tiles of sums are computed from two tiles of each operand, as in a matrix product.
__attribute__((target("amx-tile,amx-bf16"))) double tiles() {
  struct alignas(64) {
    uint8_t palette = 1, startRow = 0, reserved[14] = {};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  // GCC assumes that the instruction reads only the first bytes.
  asm volatile("" : : "r"(&config) : "memory");
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

// The array of one thread, with the requested size or slightly more. Like the memory of kernels, it uses large pages if
// the system provides them. No vector crosses a cache line.
constexpr size_t kUnrolled = 8 * kLanes;
constexpr size_t kLargePage = 2 << 20;

struct Array {
  float* data;
  size_t size;
};

Array allocate(double bytes) {
  const size_t size = (static_cast<size_t>(bytes) / sizeof(float) / kUnrolled + 1) * kUnrolled;
  const size_t pages = (size * sizeof(float) + kLargePage - 1) / kLargePage * kLargePage;
  float* data = static_cast<float*>(std::aligned_alloc(kLargePage, pages));
  if (data == nullptr) std::abort();
#if defined(__linux__)
  (void)madvise(data, pages, MADV_HUGEPAGE);
#endif
  for (size_t i = 0; i < size; i++) data[i] = 1.0f;
  return {data, size};
}

// The first part of an array. The part has an even number of unrolled steps, so it can be halved.
Array beginning(const Array& x, double bytes) {
  const size_t size = static_cast<size_t>(bytes) / sizeof(float) / (2 * kUnrolled) * (2 * kUnrolled);
  return {x.data, size < x.size ? size : x.size / (2 * kUnrolled) * (2 * kUnrolled)};
}

// Distance of the prefetches. With `guessed` there are no prefetches, because the CPU guesses the addresses.
constexpr size_t kAhead = 512;
enum class Fetching { guessed, ahead };
// Whether stores go through the cache or bypass it.
enum class Storing { cached, past };

template <Fetching fetching>
FT_INLINE void fetchAhead(const float* x) {
  if constexpr (fetching == Fetching::ahead) {
    for (size_t j = 0; j < kUnrolled; j += 16) __builtin_prefetch(x + kAhead + j);
  }
}

template <Storing storing>
FT_INLINE void put(float* to, F32 value) {
#if FT_VECTOR_BYTES == 64 && defined(__AVX512F__)
  if constexpr (storing == Storing::past) return _mm512_stream_ps(to, value);
#elif FT_VECTOR_BYTES == 32 && defined(__AVX2__)
  if constexpr (storing == Storing::past) return _mm256_stream_ps(to, value);
#elif defined(__SSE2__)
  if constexpr (storing == Storing::past) return _mm_stream_ps(to, value);
#endif
  store(to, value);
}

// Reads an array repeatedly until this number of bytes has been read.
constexpr double kPassedBytes = 2e8;

long passesOf(size_t elements) {
  return static_cast<long>(kPassedBytes / static_cast<double>(elements * sizeof(float))) + 1;
}

template <Fetching fetching>
double readAll(const Array& x) {
  const long passes = passesOf(x.size);
  for (long pass = 0; pass < passes; pass++) {
    F32 sums[8] = {};
    for (size_t i = 0; i < x.size; i += kUnrolled) {
      fetchAhead<fetching>(x.data + i);
      FT_UNROLL for (int j = 0; j < 8; j++) sums[j] += load(x.data + i + static_cast<size_t>(j) * kLanes);
    }
    FT_UNROLL for (int j = 0; j < 8; j++) opaque(sums[j]);
  }
  return static_cast<double>(passes) * static_cast<double>(x.size * sizeof(float));
}

// Reads eight parts of the array in turn. The CPU prefetches in each part. This is the fastest way to read main memory.
double readInStreams(const Array& x) {
  constexpr size_t kStreams = 8;
  const size_t part = x.size / kStreams / kUnrolled * kUnrolled;
  const long passes = passesOf(x.size);
  for (long pass = 0; pass < passes; pass++) {
    F32 sums[8] = {};
    for (size_t i = 0; i < part; i += kUnrolled) {
      for (size_t stream = 0; stream < kStreams; stream++) {
        const float* const from = x.data + stream * part + i;
        FT_UNROLL for (int j = 0; j < 8; j++) sums[j] += load(from + static_cast<size_t>(j) * kLanes);
      }
    }
    FT_UNROLL for (int j = 0; j < 8; j++) opaque(sums[j]);
  }
  return static_cast<double>(passes) * static_cast<double>(kStreams * part * sizeof(float));
}

template <Storing storing>
double writeAll(const Array& x) {
  const long passes = passesOf(x.size);
  F32 value = splat(1.0f);
  for (long pass = 0; pass < passes; pass++) {
    opaque(value);
    for (size_t i = 0; i < x.size; i += kUnrolled) {
      FT_UNROLL for (int j = 0; j < 8; j++) put<storing>(x.data + i + static_cast<size_t>(j) * kLanes, value);
    }
  }
  return static_cast<double>(passes) * static_cast<double>(x.size * sizeof(float));
}

template <Fetching fetching, Storing storing>
double copyAll(const Array& x) {
  const size_t half = x.size / 2;
  const long passes = passesOf(2 * half);
  for (long pass = 0; pass < passes; pass++) {
    float* to = x.data + half;
    for (size_t i = 0; i < half; i += kUnrolled) {
      fetchAhead<fetching>(x.data + i);
      FT_UNROLL for (int j = 0; j < 8; j++) {
        F32 value = load(x.data + i + static_cast<size_t>(j) * kLanes);
        opaque(value);
        put<storing>(to + i + static_cast<size_t>(j) * kLanes, value);
      }
    }
  }
  return static_cast<double>(passes) * static_cast<double>(2 * half * sizeof(float));
}

constexpr int kRepeats = 3;

// The work of all threads divided by the time from their common start to the end of the last thread. The result is the
// best of several repeats.
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

using Way = double (*)(const Array&);

int run(int threads, double first, double last) {
  const bool hasTiles = tilesAllowed();
  std::printf("{\"float32\":%.1f", rate(threads, [](int) { return multiplyAdd(); }));
  std::printf(",\"dotBf16\":%.1f", rate(threads, [](int) { return dotBf16(); }));
  std::printf(",\"amxBf16\":%.1f", hasTiles ? rate(threads, [](int) { return tiles(); }) : 0.0);
  std::vector<Array> arrays;
  for (int i = 0; i < threads; i++) arrays.push_back(allocate(last / threads));
  std::printf(",\"levels\":[");
  for (double bytes = first; bytes <= last; bytes *= 2) {
    const auto best = [&](std::initializer_list<Way> ways) {
      double most = 0;
      for (const Way way : ways) {
        const double one = rate(threads, [&](int thread) {
          return way(beginning(arrays[static_cast<size_t>(thread)], bytes / threads));
        });
        if (one > most) most = one;
      }
      return most;
    };
    constexpr Fetching guessed = Fetching::guessed, ahead = Fetching::ahead;
    constexpr Storing cached = Storing::cached, past = Storing::past;
    std::printf("%s{\"bytes\":%.0f", bytes > first ? "," : "", bytes);
    std::printf(",\"read\":%.1f", best({readAll<guessed>, readAll<ahead>, readInStreams}));
    std::printf(",\"write\":%.1f", best({writeAll<cached>, writeAll<past>}));
    std::printf(",\"copy\":%.1f}", best({copyAll<guessed, cached>, copyAll<ahead, cached>, copyAll<guessed, past>}));
  }
  std::printf("]}\n");
  for (const Array& one : arrays) std::free(one.data);
  return 0;
}

}  // namespace
}  // namespace foretoken::FT_ISA

int main(int count, char** words) {
  if (count != 4) {
    std::fprintf(stderr, "usage: roofs THREADS FIRST_BYTES LAST_BYTES\n");
    return 2;
  }
  return foretoken::FT_ISA::run(std::atoi(words[1]), std::atof(words[2]), std::atof(words[3]));
}
