// The thread pool. A call executes one function on every thread, and returns when all threads have finished. Each
// thread gets a fixed share of the work. Sums are split at places that depend only on sizes. So results do not depend
// on the number of threads.
#pragma once

#include <cstdint>

#include "integers.h"

namespace foretoken {

class Pool {
 public:
  virtual ~Pool() = default;

  virtual int threads() const = 0;

  // Calls task(context, thread, threads) once for every thread, and waits for all calls. The caller is thread 0. If
  // another thread is late, the caller does the call of this thread, too.
  virtual void run(void (*task)(void* context, int thread, int threads), void* context) = 0;

  // Reserves at least `bytes` of scratch memory for every thread. A kernel must call this before run() and before it
  // writes. If it returns false, there is no memory, and the kernel must return without a change. dispatch() reports
  // this.
  virtual bool reserveScratch(int64_t bytes) = 0;

  // The scratch memory of `thread`, aligned to 64 bytes, with the last reserved size. The scratch memory is valid until
  // the kernel returns. The memory is kept for later calls, so after the first training step nothing more is allocated.
  virtual void* scratch(int thread) = 0;

  // One block of scratch memory for all threads, or null if there is no memory. The block is valid as long as the
  // memory of scratch().
  virtual void* sharedScratch(int64_t bytes) = 0;

  // Whether a request for scratch has failed since the last call.
  virtual bool takeOutOfMemory() = 0;
};

// Items [begin, end) of a thread.
struct Part {
  int64_t begin, end;
};

// The items of `thread` in parallelRanges().
FT_INLINE Part partOf(int64_t count, int64_t grain, int thread, int threads) {
  if (count <= grain) return {0, thread == 0 ? count : 0};
  const int64_t grains = divideUp(count, grain);
  return {grains * thread / threads * grain, min(grains * (thread + 1) / threads * grain, count)};
}

// The grain for parts of nearly equal lengths: see parallelParts().
FT_INLINE int64_t equalGrain(int64_t count, int64_t grain, int threads) {
  return divideUp(count, max(min(divideUp(count, grain), threads), 1));
}

// Calls body(begin, end, thread) on each thread with its part of [0, count). All parts except the last are multiples of
// `grain`. If count <= grain, only the calling thread works.
template <typename Body>
void parallelRanges(Pool& pool, int64_t count, int64_t grain, Body body) {
  if (count <= 0) return;
  if (count <= grain || pool.threads() == 1) {
    body(0, count, 0);
    return;
  }
  // These fields are in one structure, because other cores fetch whole cache lines.
  struct Context {
    int64_t count, grain;
    Body body;
  } context{count, grain, body};
  pool.run(
      [](void* opaque, int thread, int threads) {
        Context& c = *static_cast<Context*>(opaque);
        const Part part = partOf(c.count, c.grain, thread, threads);
        if (part.begin < part.end) c.body(part.begin, part.end, thread);
      },
      &context);
}

// Like parallelRanges(), but the parts have equal lengths as nearly as possible, and need not be multiples of `grain`.
// A thread waits for the slowest thread, so for a few long items this is faster.
template <typename Body>
void parallelParts(Pool& pool, int64_t count, int64_t grain, Body body) {
  parallelRanges(pool, count, equalGrain(count, grain, pool.threads()), body);
}

}  // namespace foretoken
