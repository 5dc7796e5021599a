// Runs branches of packets in parallel. Some of the threads run each branch, from its first packet to its last. Threads
// of different branches synchronise only at the end of all branches. So no thread waits after each kernel, and a
// kernel's results are still in a core's caches for the next kernel.
#pragma once

#include <cstdint>

#include "dispatch.h"
#include "thread_pool.h"

namespace foretoken {

// Pools with equal numbers of threads, one pool for each branch that runs at a time. They have no threads of their own:
// threads of the main pool enter them for a call. The pools are kept for the next call.
class BranchPools {
 public:
  BranchPools() = default;
  ~BranchPools() { clear(); }
  BranchPools(const BranchPools&) = delete;
  BranchPools& operator=(const BranchPools&) = delete;

  // Makes `count` pools (1..kMaxThreads) of `threads` threads each, including the thread that calls run(). `mayBlock`:
  // see ThreadPool. Returns false if there is no memory.
  bool reserve(int count, int threads, bool mayBlock);

  ThreadPool& at(int index) { return *pools_[index]; }

  // WebAssembly: call when a thread has trapped. All threads leave, and run() no longer waits for any.
  void abandon();

  // Frees the pools and their scratch. No thread may be inside a pool.
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

// Whether the ends are ascending and the last one is `packets`.
bool divides(const int32_t* ends, int64_t count, int64_t packets);

// Runs the branches on the threads of `pool`, `threads` of them for each branch. No branch may access what another
// branch writes. Returns kDispatched; if a branch was refused, returns the result of its dispatchAll(), and the other
// branches have run.
//
// `threads` neighbouring threads of the pool share a branch pool. The first one runs branches; the others are lent to
// the branch pool meanwhile. If a thread is late, thread 0 does its part: it runs the remaining branches, or is lent
// itself.
int dispatchBeside(const KernelTable& table, const Storages& storages, ThreadPool& pool, BranchPools& branchPools,
                   const Branches& branches, int threads);

}  // namespace foretoken
