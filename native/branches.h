// Calls beside each other: branches of packets, each run by some of the threads from its first packet to its last. Threads of
// different branches meet only when all branches have ended, so none waits for another after each kernel, and what a kernel
// leaves in a core's caches is there for the next one.
#pragma once

#include <cstdint>

#include "dispatch.h"
#include "thread_pool.h"

namespace foretoken {

// Pools of equally many threads, one for each branch that runs at a time. They have no threads of their own: those of the main
// pool enter them for a call. They stay for the next call.
class BranchPools {
 public:
  BranchPools() = default;
  ~BranchPools() { clear(); }
  BranchPools(const BranchPools&) = delete;
  BranchPools& operator=(const BranchPools&) = delete;

  // `count` pools (1..kMaxThreads) of `threads` threads each, the one that calls run() among them; `mayBlock` as in ThreadPool.
  // False if there is no memory.
  bool reserve(int count, int threads, bool mayBlock);

  ThreadPool& at(int index) { return *pools_[index]; }

  // WebAssembly: a thread has trapped. All leave, and run() waits for nobody from now on.
  void abandon();

  // Frees them and their scratch. No thread may be in one.
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

// Runs the branches on the threads of `pool`, `threads` of them for each branch. No branch may touch what another writes. Returns
// kDispatched, or what dispatchAll() did for a branch that was refused: others have run, then.
//
// Of the pool's threads, `threads` neighbours share a branch pool: the first one runs branches, the others are lent to the pool
// meanwhile. Where a thread is late, thread 0 takes its part: it runs what branches are left, or is lent itself.
int dispatchBeside(const KernelTable& table, const Storages& storages, ThreadPool& pool, BranchPools& branchPools,
                   const Branches& branches, int threads);

}  // namespace foretoken
