// Computes branches of packets in parallel. A group of threads computes each branch, from its first packet to its last.
// Threads of different branches wait for each other only at the end of the call. So no thread waits after each kernel,
// and the next kernel finds the results of a kernel in the core's caches.
#pragma once

#include <cstdint>

#include "dispatch.h"
#include "thread_pool.h"

namespace foretoken {

// Pools with equal numbers of threads: one pool for each branch that is computed at the same time. The pools have no
// threads of their own. During a call, threads of the main pool work in them. The pools are kept for the next call.
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

  // For WebAssembly: call this when a thread has trapped. All threads leave, and run() stops waiting for threads.
  void abandon();

  // Frees the pools and their scratch. No thread may be inside a pool.
  void clear();

 private:
  ThreadPool* pools_[kMaxThreads] = {};
  int count_ = 0;
  int threads_ = 0;
};

// The branches of a call. Branch i ends before packet ends[i].
struct Branches {
  const double* packets;
  const int32_t* ends;
  int count;
};

constexpr int kMaxBranches = 1 << 20;

// Whether the ends are ascending and the last one is `packets`.
bool divides(const int32_t* ends, int64_t count, int64_t packets);

// Computes the branches on the threads of `pool`, with `threads` threads for each branch. A branch must not access
// memory that another branch writes. Returns kDispatched. If a branch was refused, returns the result of its
// dispatchAll(), after all other branches are done.
//
// `threads` neighbouring threads of the pool share a branch pool. The first of these threads computes branches, and the
// other threads work in the branch pool. If a thread is late, thread 0 takes its place.
int dispatchBeside(const KernelTable& table, const Storages& storages, ThreadPool& pool, BranchPools& branchPools,
                   const Branches& branches, int threads);

}  // namespace foretoken
