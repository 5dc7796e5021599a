// Tests which calls of a list of packets are computed together, and which calls a kernel may read ahead for.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "../dispatch.h"
#include "harness.h"

namespace foretoken::test {
namespace {

constexpr int kSingle = 0, kGrouped = 1;
constexpr int kRefusedHandle = 12345;

// What a kernel was called with: the number of the first call, how many calls, and the same of the calls that follow.
struct Noted {
  int64_t first;
  int count;
  int64_t after;
  int afterCount;

  bool operator==(const Noted&) const = default;
};

std::vector<Noted>& noted() {
  static std::vector<Noted> all;
  return all;
}

// Calls of the same ten join.
bool sameTen(Calls before, const Call& next) { return before.calls[0].ints[0] / 10 == next.ints[0] / 10; }

void noteGroup(Calls calls, Calls after, Pool&) {
  noted().push_back({calls.calls[0].ints[0], calls.count, after.count == 0 ? 0 : after.calls[0].ints[0], after.count});
}

class Packets {
 public:
  Packets& add(int kernel, int number, int handle = -1) {
    numbers_.resize(numbers_.size() + kPacketLength);
    double* const packet = numbers_.data() + numbers_.size() - kPacketLength;
    packet[0] = kernel;
    packet[kPacketBuffers] = handle;
    packet[kPacketInts] = number;
    return *this;
  }

  int dispatch(Pool& pool) const {
    constexpr Kernel kernels[] = {
        {{.name = "single", .buffers = 1, .ints = 1, .floats = 0, .activations = 0},
         [](const Call& call, Pool&) { noted().push_back({call.ints[0], 1, 0, 0}); },
         {}},
        {{.name = "grouped", .buffers = 1, .ints = 1, .floats = 0, .activations = 0}, nullptr, {sameTen, noteGroup}},
    };
    noted().clear();
    const KernelTable table{"test", kernels, 2, false};
    return dispatchAll(table, Storages(), pool, numbers_.data(), static_cast<int64_t>(numbers_.size()) / kPacketLength);
  }

 private:
  std::vector<double> numbers_;
};

int expect(const char* what, bool holds) {
  if (holds) return 0;
  std::printf("dispatch: %s\n", what);
  return 1;
}

}  // namespace

int testDispatch(Pool& pool) {
  int failures = 0;
  Packets packets;
  packets.add(kGrouped, 10).add(kGrouped, 11).add(kGrouped, 20).add(kSingle, 0);
  for (int number = 30; number < 35; number++) packets.add(kGrouped, number);
  failures += expect("every packet is accepted", packets.dispatch(pool) == kDispatched);
  const std::vector<Noted> groups = {{10, 2, 20, 1}, {20, 1, 30, 4}, {0, 1, 0, 0}, {30, 4, 34, 1}, {34, 1, 0, 0}};
  failures += expect("calls of the same ten are computed together, four at most", noted() == groups);

  for (const int between : {15, 16}) {
    Packets distant;
    distant.add(kGrouped, 10);
    for (int i = 0; i < between; i++) distant.add(kSingle, 0);
    distant.add(kGrouped, 20);
    failures += expect("distant packets are accepted", distant.dispatch(pool) == kDispatched);
    const Noted first = between == 15 ? Noted{10, 1, 20, 1} : Noted{10, 1, 0, 0};
    failures += expect("a kernel reads ahead for calls that are at most 16 packets away",
                       noted().front() == first && noted().back() == Noted{20, 1, 0, 0} &&
                           static_cast<int>(noted().size()) == between + 2);
  }

  Packets refused;
  refused.add(kGrouped, 10).add(kGrouped, 11, kRefusedHandle).add(kGrouped, 12);
  failures += expect("a packet without its buffer is refused", refused.dispatch(pool) == 1);
  failures += expect("calls before it are computed", noted() == std::vector<Noted>{{10, 1, 0, 0}});

  Packets later;
  later.add(kGrouped, 10).add(kSingle, 0).add(kGrouped, 20, kRefusedHandle).add(kGrouped, 30);
  failures += expect("a later packet without its buffer is refused", later.dispatch(pool) == 1);
  failures += expect("no kernel reads ahead for it", noted() == std::vector<Noted>{{10, 1, 0, 0}, {0, 1, 0, 0}});
  return failures;
}

}  // namespace foretoken::test
