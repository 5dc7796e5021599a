// The thread pool. One call runs one function on every thread and returns when all threads have finished. Work is
// divided statically. Sums are split by sizes alone, so results do not depend on the number of threads.
#pragma once

#include <cstdint>

#include "integers.h"

namespace foretoken {

class Pool {
 public:
  virtual ~Pool() = default;

  virtual int threads() const = 0;

  // Calls task(context, thread, threads) once for every thread and waits for all. The caller is thread 0. If another
  // thread is late, the caller makes that thread's call, too.
  virtual void run(void (*task)(void* context, int thread, int threads), void* context) = 0;

  // Gives every thread at least `bytes` of scratch memory. A kernel calls it before run() and before it writes
  // anything. False: no memory is left, and the kernel must return with nothing touched; dispatch() reports it.
  virtual bool reserveScratch(int64_t bytes) = 0;

  // The scratch memory of `thread`, aligned to 64 bytes, of the size last reserved, valid until the kernel returns. It
  // grows once and is then reused: after the first training step, nothing is allocated.
  virtual void* scratch(int thread) = 0;

  // One block of scratch memory shared by all threads; null if no memory is left. Lifetime as of scratch().
  virtual void* sharedScratch(int64_t bytes) = 0;

  // Whether a request for scratch has failed since the last call.
  virtual bool takeOutOfMemory() = 0;
};

// Calls body(begin, end, thread) on each thread with its part of [0, count). All parts but the last are multiples of
// `grain`. With little work (count <= grain) only the calling thread runs.
template <typename Body>
void parallelRanges(Pool& pool, int64_t count, int64_t grain, Body body) {
  if (count <= 0) return;
  if (count <= grain || pool.threads() == 1) {
    body(0, count, 0);
    return;
  }
  // Kept in one structure, because other cores fetch it by cache lines.
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
