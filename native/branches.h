// Calls beside each other: branches of packets, each run by some of the threads from its first packet to its last. Threads of
// different branches meet only when all branches have ended, so none waits for another after each kernel, and what a kernel
// leaves in a core's caches is there for the next one.
#pragma once

#include <cstdint>

#include "dispatch.h"
#include "thread_pool.h"

namespace foretoken {

// Pools of equally many threads, one for each branch that runs at a time. They stay for the next call.
class BranchPools {
 public:
  BranchPools() = default;
  ~BranchPools() { clear(); }
  BranchPools(const BranchPools&) = delete;
  BranchPools& operator=(const BranchPools&) = delete;

  // `count` pools (1..kMaxThreads) of `threads` threads each, the one that calls run() among them. False if there is no memory,
  // or the system refuses a thread. In WebAssembly `threads` must be 1.
  bool reserve(int count, int threads);

  Pool& at(int index) { return *pools_[index]; }

  // Ends their threads and frees their scratch.
  void clear();

 private:
  ThreadPool* pools_[kMaxThreads] = {};
  int count_ = 0;
  int threads_ = 0;
};

// The branches of a call: branch i ends before packet ends[i].
struct Branches {
  const double* packets;
  const int32_t* ends;
  int count;
};

constexpr int kMaxBranches = 1 << 20;

// Whether the branches' ends divide `packets` packets.
bool divides(const int32_t* ends, int64_t count, int64_t packets);

// Runs the branches on the threads of `pool`, with those of `branchPools` to help: `threads` for each branch. No branch may touch
// what another writes. Returns kDispatched, or what dispatchAll() did for a branch that was refused: others have run, then.
int dispatchBeside(const KernelTable& table, const Storages& storages, Pool& pool, BranchPools& branchPools,
                   const Branches& branches, int threads);

}  // namespace foretoken
