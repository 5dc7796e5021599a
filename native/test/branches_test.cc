// Tests branches of packets in parallel. One pool computes each branch completely and in order. A refused packet is
// reported.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <time.h>
#include <vector>

#include "../branches.h"
#include "harness.h"

namespace foretoken::test {
namespace {

constexpr int kBranches = 7;
constexpr int kAdds = 20;
// Enough work for several threads.
constexpr int64_t kLength = 17000;

class Packets {
 public:
  // y = value
  void fill(int y, double value) {
    double* const packet = add(FillArgs::kIndex);
    setBuffer(packet, 0, y);
    packet[kPacketFloats] = value;
  }
  // y = a + b
  void sum(int a, int b, int y) {
    double* const packet = add(AddArgs::kIndex);
    const int buffers[] = {a, b, y};
    for (int i = 0; i < 3; i++) setBuffer(packet, i, buffers[i]);
  }
  // A kernel with one buffer, the only kernel of its table.
  void call(int y, int64_t length) {
    double* const packet = add(0);
    setBuffer(packet, 0, y);
    packet[kPacketBuffers + 2] = static_cast<double>(length);
  }
  void endBranch() { ends_.push_back(static_cast<int32_t>(numbers_.size() / kPacketLength)); }

  Branches branches() const { return {numbers_.data(), ends_.data(), static_cast<int>(ends_.size())}; }
  double* numbers() { return numbers_.data(); }

 private:
  double* add(int kernel) {
    numbers_.resize(numbers_.size() + kPacketLength);
    double* const packet = numbers_.data() + numbers_.size() - kPacketLength;
    packet[0] = kernel;
    for (int i = 0; i < kMaxBuffers; i++) packet[kPacketBuffers + 3 * i] = -1;
    packet[kPacketInts] = kLength;
    return packet;
  }
  static void setBuffer(double* packet, int index, int handle) {
    packet[kPacketBuffers + 3 * index] = handle;
    packet[kPacketBuffers + 3 * index + 2] = kLength;
  }

  std::vector<double> numbers_;
  std::vector<int32_t> ends_;
};

int expect(bool holds, const char* what, int threads, int ofEach) {
  if (holds) return 0;
  std::printf("branches on %d threads, %d each: %s\n", threads, ofEach, what);
  return 1;
}

int runBranches(const KernelTable& table, int threads, int ofEach) {
  ThreadPool pool(threads);
  if (!pool.start()) std::abort();
  Storages storages;
  BranchPools pools;
  Packets packets;
  std::vector<int> sums;
  for (int branch = 0; branch < kBranches; branch++) {
    const int64_t bytes = kLength * int64_t{sizeof(float)};
    const int one = storages.allocate(bytes), sum = storages.allocate(bytes);
    packets.fill(one, branch + 1);
    packets.fill(sum, 0);
    for (int i = 0; i < kAdds; i++) packets.sum(sum, one, sum);
    packets.endBranch();
    sums.push_back(sum);
  }
  int failures = 0;
  for (int call = 0; call < 10; call++) {
    const int outcome = dispatchBeside(table, storages, pool, pools, packets.branches(), ofEach);
    failures += expect(outcome == kDispatched, "a call must be done", threads, ofEach);
    bool right = true;
    for (int branch = 0; branch < kBranches; branch++) {
      const float* const sum = reinterpret_cast<const float*>(storages.at(sums[static_cast<size_t>(branch)], 0, 0));
      for (int64_t i = 0; i < kLength; i++) right = right && sum[i] == static_cast<float>(kAdds * (branch + 1));
    }
    failures += expect(right, "every packet must run once, in order", threads, ofEach);
  }
  packets.numbers()[kPacketBuffers] = 12345;  // the buffer of the first packet does not exist
  failures += expect(dispatchBeside(table, storages, pool, pools, packets.branches(), ofEach) == 1,
                     "a buffer that is not live must be refused", threads, ofEach);
  packets.numbers()[0] = -1;
  failures += expect(dispatchBeside(table, storages, pool, pools, packets.branches(), ofEach) == kNoSuchKernel,
                     "a kernel that is not there must be refused", threads, ofEach);
  const Branches none{packets.numbers(), nullptr, 0};
  failures += expect(dispatchBeside(table, storages, pool, pools, none, ofEach) == kDispatched, "none is done at once",
                     threads, ofEach);
  return failures;
}

// A test kernel in which each thread counts its parts. Every part of an earlier call must be done exactly once.
constexpr int kCountKernels = 4;
constexpr int64_t kCountStride = 16;  // a cache line for each thread

void countShares(const Call& call, Pool& pool) {
  struct Context {
    uint32_t* counts;
    uint32_t before;
    uint32_t wrong;
  } context{static_cast<uint32_t*>(call.buffers[0]), 0, 0};
  context.before = context.counts[0];
  pool.run(
      [](void* opaque, int thread, int) {
        Context& c = *static_cast<Context*>(opaque);
        if (c.counts[thread * kCountStride]++ != c.before) __atomic_store_n(&c.wrong, 1, __ATOMIC_SEQ_CST);
      },
      &context);
  if (context.wrong != 0) context.counts[kCountStride * kMaxThreads] = 1;
}

// Short calls directly after each other. Threads that work in other pools arrive early, late or never, awake or asleep.
// Every second call divides the threads in another way.
int runManyCalls(int threads, int calls) {
  const Kernel kernel{{.name = "countShares", .buffers = 1, .ints = 0, .floats = 0, .activations = 0}, countShares, {}};
  const KernelTable table{"test", &kernel, 1, false};
  ThreadPool pool(threads);
  if (!pool.start()) std::abort();
  BranchPools pools;
  Storages storages;
  const int64_t floats = kCountStride * (kMaxThreads + 1);
  std::vector<int> counts;
  Packets packets;
  for (int branch = 0; branch < kBranches; branch++) {
    counts.push_back(storages.allocate(floats * int64_t{sizeof(uint32_t)}));
    for (int i = 0; i < kCountKernels; i++) packets.call(counts.back(), floats);
    packets.endBranch();
  }
  bool done = true, right = true;
  for (int call = 0; call < calls; call++) {
    const int ofEach = 1 + call / 100 % threads;
    for (const int storage : counts) std::memset(storages.at(storage, 0, 0), 0, sizeof(uint32_t) * static_cast<size_t>(floats));
    done = done && dispatchBeside(table, storages, pool, pools, packets.branches(), ofEach) == kDispatched;
    for (const int storage : counts) {
      const uint32_t* const count = reinterpret_cast<const uint32_t*>(storages.at(storage, 0, 0));
      for (int thread = 0; thread < ofEach; thread++) right = right && count[thread * kCountStride] == kCountKernels;
      right = right && count[kCountStride * kMaxThreads] == 0;
    }
    // Between calls all threads belong to the main pool.
    std::vector<uint32_t> own(static_cast<size_t>(floats));
    Call whole{};
    whole.buffers[0] = own.data();
    countShares(whole, pool);
    for (int thread = 0; thread < threads; thread++) right = right && own[static_cast<size_t>(thread * kCountStride)] == 1;
    if (call % 100 == 50) {
      timespec pause = {0, 300000};
      nanosleep(&pause, nullptr);
    }
  }
  return expect(done, "many calls must be done", threads, 0) + expect(right, "each thread's share must run once", threads, 0);
}

// A pool without its own threads. The threads in the pool leave when it is dismissed. If it was dismissed before, they
// return at once.
int runLent() {
  ThreadPool main(4), lent(4);
  if (!main.start()) std::abort();
  uint32_t counts[4] = {};
  struct Context {
    ThreadPool& lent;
    uint32_t* counts;
  } context{lent, counts};
  const auto task = [](void* opaque, int thread, int) {
    Context& c = *static_cast<Context*>(opaque);
    if (thread > 0) return c.lent.lend(thread);
    for (int i = 0; i < 20; i++)
      c.lent.run([](void* to, int share, int) { static_cast<uint32_t*>(to)[share]++; }, c.counts);
    c.lent.dismiss();
  };
  for (int call = 0; call < 500; call++) {
    lent.admit();
    main.run(task, &context);
    lent.lend(1);
  }
  bool right = true;
  for (const uint32_t count : counts) right = right && count == 500 * 20;
  return expect(right, "lent threads do each share once", 4, 4);
}

}  // namespace

int testBranches(const KernelTable& table) {
  const int32_t ends[] = {2, 2, 5};
  int failures = expect(divides(ends, 3, 5) && !divides(ends, 3, 6) && !divides(ends, 2, 5), "ends divide all packets", 0, 0);
  const int32_t backwards[] = {3, 2};
  failures += expect(!divides(backwards, 2, 2) && divides(nullptr, 0, 0), "ends ascend", 0, 0);
  for (const int threads : {1, 2, 3, 8})
    for (const int ofEach : {1, 2, 3})
      if (ofEach <= threads) failures += runBranches(table, threads, ofEach);
  for (const int threads : {2, 3, 4, 5, 8}) failures += runManyCalls(threads, 1000);
  failures += runLent();
  return failures;
}

}  // namespace foretoken::test
