#include "dispatch.h"

#include <cstring>

#include "heap.h"
#include "integers.h"
#include "parallel.h"

namespace foretoken {

namespace {
constexpr double kElementBytes = 4;
constexpr double kNarrowBytes = 2;
constexpr int kFirstCapacity = 256;
// A call that follows within this number of packets follows soon (Together of call.h).
constexpr int64_t kSoon = 16;
}  // namespace

bool Storages::reserve() {
  if (count_ < capacity_) return true;
  const int capacity = capacity_ == 0 ? kFirstCapacity : 2 * capacity_;
  void* memory = heapAllocate(static_cast<int64_t>(sizeof(Block)) * capacity);
  if (memory == nullptr) return false;
  if (count_ > 0) std::memcpy(memory, blocks_, sizeof(Block) * static_cast<size_t>(count_));
  heapFree(blocks_, static_cast<int64_t>(sizeof(Block)) * capacity_);
  blocks_ = static_cast<Block*>(memory);
  capacity_ = capacity;
  return true;
}

int Storages::allocate(int64_t bytes, bool gradually) {
  if (bytes < 0 || (free_ < 0 && !reserve())) return -1;
  void* memory = heapAllocate(bytes, gradually);
  if (memory == nullptr) return -1;
  int handle = free_;
  if (handle < 0) {
    handle = count_++;
  } else {
    free_ = static_cast<int>(blocks_[handle].bytes);
  }
  blocks_[handle] = {memory, bytes};
  return handle;
}

int64_t Storages::release(double handle) {
  if (at(handle, 0, 0) == nullptr) return -1;
  const int index = static_cast<int>(handle);
  const int64_t bytes = blocks_[index].bytes;
  heapFree(blocks_[index].memory, bytes);
  blocks_[index] = {nullptr, free_};
  free_ = index;
  return bytes;
}

char* Storages::at(double handle, double offset, double bytes) const {
  // If a number is NaN, every comparison here must fail.
  if (!(handle >= 0 && handle < count_)) return nullptr;
  const Block& block = blocks_[static_cast<int>(handle)];
  if (block.memory == nullptr) return nullptr;
  if (!(offset >= 0 && bytes >= 0 && offset + bytes <= static_cast<double>(block.bytes))) return nullptr;
  return static_cast<char*>(block.memory) + static_cast<int64_t>(offset);
}

int64_t Storages::clear() {
  int64_t bytes = 0;
  for (int handle = 0; handle < count_; handle++) {
    if (blocks_[handle].memory == nullptr) continue;
    bytes += blocks_[handle].bytes;
    heapFree(blocks_[handle].memory, blocks_[handle].bytes);
  }
  heapFree(blocks_, static_cast<int64_t>(sizeof(Block)) * capacity_);
  blocks_ = nullptr;
  count_ = capacity_ = 0;
  free_ = -1;
  return bytes;
}

// Reads the call of a packet. Returns kDispatched, or the reason for which the packet is refused.
static int readCall(const KernelTable& table, const Storages& storages, const double* packet, Call& call) {
  if (!(packet[0] >= 0 && packet[0] < table.count)) return kNoSuchKernel;
  const KernelDeclaration& declaration = table.kernels[static_cast<int>(packet[0])].declaration;
  call.narrow = table.narrow ? static_cast<uint32_t>(packet[kPacketNarrow]) & declaration.activations : 0;
  for (int i = 0; i < declaration.buffers; i++) {
    const double* buffer = packet + kPacketBuffers + 3 * i;
    if (buffer[0] == -1) {
      call.buffers[i] = nullptr;
      continue;
    }
    const double bytes = call.isNarrow(i) ? kNarrowBytes : kElementBytes;
    call.buffers[i] = storages.at(buffer[0], buffer[1] * bytes, buffer[2] * bytes);
    if (call.buffers[i] == nullptr) return 1 + i;
  }
  for (int i = 0; i < declaration.ints; i++) call.ints[i] = static_cast<int64_t>(packet[kPacketInts + i]);
  for (int i = 0; i < declaration.floats; i++) call.floats[i] = packet[kPacketFloats + i];
  call.bfloat16 = packet[kPacketOperands] == 1;
  call.wholeTiles = packet[kPacketOperands] == 2;
  return kDispatched;
}

int dispatch(const KernelTable& table, const Storages& storages, Pool& pool, const double* packet) {
  return dispatchAll(table, storages, pool, packet, 1);
}

// Consecutive calls of a list of packets that are computed together.
struct Group {
  int64_t first = -1;  // the packet of the first call
  int count = 0;
  Call calls[kMostTogether];
};

// Reads the calls from packet `first` on that are computed together. Returns kDispatched, or the reason for which the
// first packet is refused. A later packet that is refused is not in the group: it is read again, and then reported, after
// the calls before it.
static int readGroup(const KernelTable& table, const Storages& storages, const double* packets, int64_t first,
                     int64_t count, Group& group) {
  const double* const packet = packets + first * kPacketLength;
  const int outcome = readCall(table, storages, packet, group.calls[0]);
  if (outcome != kDispatched) return outcome;
  group.first = first;
  group.count = 1;
  const auto joins = table.kernels[static_cast<int>(packet[0])].together.joins;
  for (; joins != nullptr && group.count < min(count - first, kMostTogether); group.count++) {
    const double* const next = packet + group.count * kPacketLength;
    if (next[0] != packet[0] || readCall(table, storages, next, group.calls[group.count]) != kDispatched) break;
    if (!joins({group.calls, group.count}, group.calls[group.count])) break;
  }
  return kDispatched;
}

// The first of packets [from, to) with this kernel, or -1.
static int64_t findKernel(double kernel, const double* packets, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; i++)
    if (packets[i * kPacketLength] == kernel) return i;
  return -1;
}

int dispatchAll(const KernelTable& table, const Storages& storages, Pool& pool, const double* packets, int64_t count) {
  Group groups[2];
  Group *now = &groups[0], *after = &groups[1];
  for (int64_t i = 0; i < count; i += now->count) {
    if (after->first == i) {
      Group* const read = after;
      after = now;
      now = read;
    } else {
      const int outcome = readGroup(table, storages, packets, i, count, *now);
      if (outcome != kDispatched) return outcome;
    }
    const double* const packet = packets + i * kPacketLength;
    const Kernel& kernel = table.kernels[static_cast<int>(packet[0])];
    if (kernel.together.run == nullptr) {
      kernel.run(now->calls[0], pool);
    } else {
      after->first = -1;
      after->count = 0;
      const int64_t from = i + now->count, next = findKernel(packet[0], packets, from, min(count, from + kSoon));
      // A group that is refused is reported when its turn comes.
      if (next >= 0) (void)readGroup(table, storages, packets, next, count, *after);
      kernel.together.run({now->calls, now->count}, {after->calls, after->count}, pool);
    }
    if (pool.takeOutOfMemory()) return kOutOfMemory;
  }
  return kDispatched;
}

}  // namespace foretoken
