// The thread pool. One call runs one function on every thread and returns when all have finished. Work is divided
// statically. Where a sum is cut follows from sizes alone: so results do not depend on the number of threads.
#pragma once

#include <cstdint>

#include "integers.h"

namespace foretoken {

class Pool {
 public:
  virtual ~Pool() = default;

  virtual int threads() const = 0;

  // Calls task(context, thread, threads) once for every thread, the caller's being thread 0, and waits for all. Each call is
  // made by its thread, or by the caller where that thread is late.
  virtual void run(void (*task)(void* context, int thread, int threads), void* context) = 0;

  // Sees to it that every thread has `bytes` of scratch memory. To be called before run(), and before anything is written:
  // when it returns false there is no memory left, and the kernel returns with nothing touched. dispatch() tells the
  // caller.
  virtual bool reserveScratch(int64_t bytes) = 0;

  // The scratch memory of `thread`, aligned to 64 bytes, as large as was last reserved, valid until the kernel returns.
  // Grows once and is then reused: a training step allocates nothing after the first.
  virtual void* scratch(int thread) = 0;

  // The same, one block shared by all threads; null when there is no memory left.
  virtual void* sharedScratch(int64_t bytes) = 0;

  // Whether a request for scratch has failed since this was last asked.
  virtual bool takeOutOfMemory() = 0;
};

// Calls body(begin, end, thread) on each thread with its share of [0, count); shares are multiples of `grain` but the last.
// With little work (count <= grain) only the calling thread runs.
template <typename Body>
void parallelRanges(Pool& pool, int64_t count, int64_t grain, Body body) {
  if (count <= 0) return;
  if (count <= grain || pool.threads() == 1) {
    body(0, count, 0);
    return;
  }
  // In one place, since another core fetches it by cache lines.
  struct Context {
    int64_t count, grain;
    Body body;
  } context{count, grain, body};
  pool.run(
      [](void* opaque, int thread, int threads) {
        Context& c = *static_cast<Context*>(opaque);
        const int64_t grains = divideUp(c.count, c.grain);
        const int64_t first = grains * thread / threads * c.grain;
        const int64_t last = min(grains * (thread + 1) / threads * c.grain, c.count);
        if (first < last) c.body(first, last, thread);
      },
      &context);
}

}  // namespace foretoken
