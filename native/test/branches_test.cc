// Branches of packets beside each other: each runs whole, in order, on one pool; what is refused is told.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "../branches.h"
#include "harness.h"

namespace foretoken::test {
namespace {

constexpr int kBranches = 7;
constexpr int kAdds = 20;
constexpr int64_t kLength = 1000;

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
  for (int call = 0; call < 50; call++) {
    const int outcome = dispatchBeside(table, storages, pool, pools, packets.branches(), ofEach);
    failures += expect(outcome == kDispatched, "a call must be done", threads, ofEach);
    bool right = true;
    for (int branch = 0; branch < kBranches; branch++) {
      const float* const sum = reinterpret_cast<const float*>(storages.at(sums[static_cast<size_t>(branch)], 0, 0));
      for (int64_t i = 0; i < kLength; i++) right = right && sum[i] == static_cast<float>(kAdds * (branch + 1));
    }
    failures += expect(right, "every packet must run once, in order", threads, ofEach);
  }
  packets.numbers()[kPacketBuffers] = 12345;  // of the first packet: no such buffer
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

}  // namespace

int testBranches(const KernelTable& table) {
  const int32_t ends[] = {2, 2, 5};
  int failures = expect(divides(ends, 3, 5) && !divides(ends, 3, 6) && !divides(ends, 2, 5), "ends divide all packets", 0, 0);
  const int32_t backwards[] = {3, 2};
  failures += expect(!divides(backwards, 2, 2) && divides(nullptr, 0, 0), "ends ascend", 0, 0);
  for (const int threads : {1, 2, 3, 8})
    for (const int ofEach : {1, 2})
      if (ofEach <= threads) failures += runBranches(table, threads, ofEach);
  return failures;
}

}  // namespace foretoken::test
