#include "branches.h"

#include <new>

#include "heap.h"
#include "integers.h"

namespace foretoken {

bool BranchPools::reserve(int count, int threads, bool mayBlock) {
  if (threads != threads_) clear();
  threads_ = threads;
  for (; count_ < count; count_++) {
    void* memory = heapAllocate(sizeof(ThreadPool));
    if (memory == nullptr) return false;
    pools_[count_] = new (memory) ThreadPool(threads, mayBlock);
  }
  return true;
}

void BranchPools::clear() {
  for (; count_ > 0; count_--) {
    ThreadPool* const pool = pools_[count_ - 1];
    pool->~ThreadPool();
    heapFree(pool, sizeof(ThreadPool));
  }
}

void BranchPools::abandon() {
  for (int i = 0; i < count_; i++) {
    pools_[i]->abandon();
    pools_[i]->dismiss();
  }
}

bool divides(const int32_t* ends, int64_t count, int64_t packets) {
  int32_t before = 0;
  for (int64_t i = 0; i < count; i++) {
    if (ends[i] < before) return false;
    before = ends[i];
  }
  return before == packets;
}

int dispatchBeside(const KernelTable& table, const Storages& storages, ThreadPool& pool, BranchPools& branchPools,
                   const Branches& branches, int threads) {
  const int atATime = static_cast<int>(min(max(pool.threads() / threads, 1), branches.count));
  if (atATime == 0) return kDispatched;
  if (!branchPools.reserve(atATime, threads, pool.mayBlock())) return kOutOfMemory;
  struct Context {
    const KernelTable& table;
    const Storages& storages;
    BranchPools& pools;
    const Branches& branches;
    int atATime, threads;
    // The first branch that no thread has begun yet; the result of the last branch that was refused.
    alignas(64) int next = 0;
    int outcome = kDispatched;
  } context{table, storages, branchPools, branches, atATime, threads};
  for (int i = 0; i < atATime; i++) branchPools.at(i).admit();
  pool.run(
      [](void* opaque, int thread, int) {
        Context& c = *static_cast<Context*>(opaque);
        const int slot = thread / c.threads, helper = thread % c.threads;
        if (slot >= c.atATime) return;
        ThreadPool& own = c.pools.at(slot);
        if (helper > 0) return own.lend(helper);
        while (!own.failed()) {
          const int branch = __atomic_fetch_add(&c.next, 1, __ATOMIC_SEQ_CST);
          if (branch >= c.branches.count) break;
          const int32_t begin = branch == 0 ? 0 : c.branches.ends[branch - 1];
          const int outcome = dispatchAll(c.table, c.storages, own, c.branches.packets + int64_t{begin} * kPacketLength,
                                          c.branches.ends[branch] - begin);
          if (outcome != kDispatched) __atomic_store_n(&c.outcome, outcome, __ATOMIC_SEQ_CST);
        }
        own.dismiss();
      },
      &context);
  return context.outcome;
}

}  // namespace foretoken
