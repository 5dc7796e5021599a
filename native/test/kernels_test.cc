// Every kernel of every instruction set that this machine has, under the sanitizers. This is a program without Node,
// because sanitizers do not work in a standard Node. scripts/checks/native-sanitized.mjs builds and runs it.
#include <time.h>

#include <utility>

#include "../tables.h"
#include "../thread_pool.h"
#include "harness.h"

namespace foretoken::test {
namespace {

const std::vector<Test> kAllTests = {testElementwise, testLayers, testRotary, testProducts, testAttention, testBlocks};

// Returns the digest of all results.
uint64_t run(const KernelTable& table, const std::vector<Test>& tests, int threads, Way way, int& failures) {
  ThreadPool pool(threads);
  if (!pool.start()) {
    std::printf("the system refuses to start %d threads\n", threads);
    std::abort();
  }
  Suite suite(table, pool, way);
  for (const Test test : tests) suite.run(test);
  for (size_t i = 0; tests == kAllTests && i < suite.called().size(); i++) {
    if (suite.called()[i]) continue;
    std::printf("%s: no test calls it\n", table.kernels[i].declaration.name);
    failures++;
  }
  failures += suite.failures();
  return suite.digest();
}

// A pool without any memory for scratch.
class StarvedPool final : public Pool {
 public:
  int threads() const override { return 2; }
  void run(void (*task)(void*, int, int), void* context) override {
    for (int thread = 0; thread < threads(); thread++) task(context, thread, threads());
  }
  bool reserveScratch(int64_t) override {
    refused_ = true;
    return false;
  }
  void* scratch(int) override { std::abort(); }
  void* sharedScratch(int64_t) override {
    refused_ = true;
    return nullptr;
  }
  bool takeOutOfMemory() override { return refused_; }

 private:
  bool refused_ = false;
};

// A kernel that gets no scratch must return, and must access only its own memory.
int runStarved(const KernelTable& table, const std::vector<Test>& tests, Way way) {
  StarvedPool pool;
  way.judged = false;
  Suite suite(table, pool, way);
  for (const Test test : tests) suite.run(test);
  if (pool.takeOutOfMemory()) return 0;
  std::printf("%s: no kernel asks for scratch\n", table.instructionSet);
  return 1;
}

void countUp(void* context, int thread, int) { static_cast<int64_t*>(context)[8 * thread]++; }

// Short calls directly after each other, so that some threads are awake and some asleep.
int runPool(int threads) {
  constexpr int kCalls = 2000;
  ThreadPool pool(threads);
  if (!pool.start()) std::abort();
  std::vector<int64_t> counts(static_cast<size_t>(8 * threads));
  for (int call = 0; call < kCalls; call++) {
    pool.run(countUp, counts.data());
    if (call % 100 == 0) {
      timespec pause = {0, 200000};
      nanosleep(&pause, nullptr);
    }
  }
  int failures = 0;
  for (int thread = 0; thread < threads; thread++)
    if (counts[static_cast<size_t>(8 * thread)] != kCalls) failures++;
  if (failures > 0) std::printf("pool: %d of %d threads did not run every call\n", failures, threads);
  return failures;
}

// In each call another thread is late, so that other threads compute its items. All of them prefetch memory that does not
// exist.
int runShared(int threads) {
  ThreadPool pool(threads);
  if (!pool.start()) std::abort();
  int wrong = 0;
  int64_t ofOthers = 0;
  for (int call = 0; call < 200; call++) {
    for (const int64_t count : {0, 1, 3, 37, 192}) {
      std::vector<int> computed(static_cast<size_t>(count)), ended(static_cast<size_t>(threads));
      parallelShared(
          pool, count, 1, 4,
          [&](Part items, Part next, int thread) {
            const Part own = partOf(count, equalGrain(count, 1, threads), thread, threads);
            if (items.begin < own.begin || items.end > own.end) __atomic_add_fetch(&ofOthers, 1, __ATOMIC_RELAXED);
            if (next.begin < 0 || next.end > count) __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
            for (int64_t i = items.begin; i < items.end; i++)
              __atomic_add_fetch(&computed[static_cast<size_t>(i)], 1, __ATOMIC_RELAXED);
            const timespec pause = {0, 50000};
            if (thread == call % threads) nanosleep(&pause, nullptr);
          },
          [&](int thread) {
            __atomic_add_fetch(&ended[static_cast<size_t>(thread)], 1, __ATOMIC_RELAXED);
            pool.readAhead(thread, {nullptr, 5000, 300});
          });
      for (const int times : computed) wrong += times != 1;
      for (int thread = 0; thread < threads; thread++)
        wrong += ended[static_cast<size_t>(thread)] != (count > 1 || (count == 1 && thread == 0));
    }
  }
  if (wrong > 0) std::printf("shared: %d items or threads of %d threads are wrong\n", wrong, threads);
  if (threads > 1 && ofOthers == 0) std::printf("shared: none of %d threads computes items of others\n", threads);
  return (wrong > 0) + (threads > 1 && ofOthers == 0);
}

// The tests of a table, by their settings. Only the products have other code for tiles if activations are float32.
std::vector<std::pair<Way, std::vector<Test>>> passesOf(const KernelTable& table) {
  constexpr Way kFloat32 = {.shifted = false, .bfloat16 = false}, kBfloat16 = {.shifted = false, .bfloat16 = true};
  constexpr Way kNarrow = {.shifted = false, .bfloat16 = true, .narrow = true};
  if (std::strcmp(table.instructionSet, "amx") == 0) {
    constexpr Way kWhole = {.shifted = false, .bfloat16 = false, .wholeTiles = true};
    return {{kWhole, {testProducts}}, {kBfloat16, {testProducts}}, {kNarrow, kAllTests}};
  }
  if (table.narrow) return {{kFloat32, kAllTests}, {kBfloat16, kAllTests}, {kNarrow, kAllTests}};
  return {{kFloat32, kAllTests}, {kBfloat16, kAllTests}};
}

// `onlyRaces` skips passes with a single thread, because a race needs two threads. Five threads divide work unevenly,
// and some threads get no work.
int main(bool onlyRaces) {
  int failures = 0;
  for (const int threads : {1, 2, 3, 8}) failures += runPool(threads) + runShared(threads);
  const KernelTable* tables[kMaxTables];
  const int count = usableTables(tables);
  failures += testBranches(*tables[0]);
  StarvedPool starved;
  failures += testDispatch(starved);
  for (int i = 0; i < count; i++) {
    for (auto& [way, tests] : passesOf(*tables[i])) {
      std::vector<uint64_t> digests;
      for (const int threads : {1, 5}) {
        if (threads == 1 && onlyRaces) continue;
        way.shifted = threads == 5;
        digests.push_back(run(*tables[i], tests, threads, way, failures));
        if (digests.back() == digests[0]) continue;
        std::printf("%s: %d threads give other bits than one\n", tables[i]->instructionSet, threads);
        failures++;
      }
      way.shifted = false;
      if (!onlyRaces) failures += runStarved(*tables[i], tests, way);
      std::printf("%s %s: done\n", tables[i]->instructionSet, way.name());
      std::fflush(stdout);
    }
  }
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace foretoken::test

// With the argument "races", the program tests only data that threads share. The thread sanitizer needs only these
// tests.
int main(int count, char** arguments) {
  return foretoken::test::main(count == 2 && std::strcmp(arguments[1], "races") == 0);
}
