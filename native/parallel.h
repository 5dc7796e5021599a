// The thread pool. A call executes one function on every thread, and returns when all threads have finished. Each
// thread gets a fixed share of the work, except in parallelShared(). Sums are split at places that depend only on sizes.
// So results do not depend on the number of threads.
#pragma once

#include <cstdint>

#include "integers.h"

namespace foretoken {

// Memory that a thread prefetches while it waits: `bytes` in rows of `rowBytes` > 0, some rows at a time.
struct Ahead {
  const char* at = nullptr;
  int64_t bytes = 0, rowBytes = 0;
  int64_t column = 0;  // the bytes of the first rows that are already prefetched
};

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

  // Only a task calls this, for its own thread. While the thread waits for others or for the next run(), it prefetches
  // this memory. The memory may be freed meanwhile, because a prefetch of any address is allowed.
  virtual void readAhead(int /*thread*/, const Ahead&) {}
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

// What is left of a thread's part. The thread takes items from the begin, and other threads take items from the end.
class alignas(64) RestOfPart {
 public:
  __attribute__((always_inline)) void set(Part part) { __atomic_store_n(&both_, packed(part), __ATOMIC_RELAXED); }
  __attribute__((always_inline)) int64_t length() const {
    const Part rest = unpacked(__atomic_load_n(&both_, __ATOMIC_RELAXED));
    return rest.end - rest.begin;
  }

  // Takes half of the items in multiples of `most`, but at least `most`. Returns an empty part if nothing is left. `rest`:
  // what is left after this.
  __attribute__((always_inline)) Part takeFirst(int64_t most, Part& rest) {
    return take(rest, [=](Part left, Part& after) __attribute__((always_inline)) {
      const int64_t half = (left.end - left.begin) / (2 * most) * most;
      const int64_t middle = min(left.begin + max(half, most), left.end);
      after = {middle, left.end};
      return Part{left.begin, middle};
    });
  }

  // Takes at most `most` items.
  __attribute__((always_inline)) Part takeLast(int64_t most, Part& rest) {
    return take(rest, [=](Part left, Part& after) __attribute__((always_inline)) {
      const int64_t middle = max(left.end - most, left.begin);
      after = {left.begin, middle};
      return Part{middle, left.end};
    });
  }

 private:
  // One word, so that a thread takes items in one operation.
  static __attribute__((always_inline)) uint64_t packed(Part part) {
    return static_cast<uint64_t>(part.begin) | static_cast<uint64_t>(part.end) << 32;
  }
  static __attribute__((always_inline)) Part unpacked(uint64_t both) {
    return {static_cast<int64_t>(both & 0xFFFFFFFFu), static_cast<int64_t>(both >> 32)};
  }

  template <typename Split>
  __attribute__((always_inline)) Part take(Part& rest, Split split) {
    uint64_t before = __atomic_load_n(&both_, __ATOMIC_RELAXED);
    for (;;) {
      const Part taken = split(unpacked(before), rest);
      if (taken.begin >= taken.end) return taken;
      if (__atomic_compare_exchange_n(&both_, &before, packed(rest), true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return taken;
    }
  }

  uint64_t both_ = 0;
};

// With more threads, each thread computes its own part only.
constexpr int kMostSharingThreads = 16;

// Like parallelParts(), but a thread that has finished its part also computes items of the longest rest. So any thread
// may compute an item: its result must not depend on the thread. Calls body(items, next, thread) for some items at a
// time. `next`: the items that the thread probably computes after these. A thread takes multiples of `most` items of its
// own part, and half of `most` of another part. After its last items, each thread calls ended(thread).
template <typename Body, typename Ended>
void parallelShared(Pool& pool, int64_t count, int64_t grain, int64_t most, Body body, Ended ended) {
  const int threads = pool.threads();
  grain = equalGrain(count, grain, threads);
  if (count <= grain || threads == 1 || threads > kMostSharingThreads || count > INT32_MAX) {
    parallelRanges(pool, count, grain, [&](int64_t begin, int64_t end, int thread) {
      body(Part{begin, end}, Part{end, end}, thread);
      ended(thread);
    });
    return;
  }
  struct Context {
    RestOfPart parts[kMostSharingThreads];
    int64_t most;
    Body body;
    Ended ended;
  } context{{}, most, body, ended};
  for (int thread = 0; thread < threads; thread++) context.parts[thread].set(partOf(count, grain, thread, threads));
  pool.run(
      [](void* opaque, int thread, int threads) {
        Context& c = *static_cast<Context*>(opaque);
        Part rest;
        for (;;) {
          const Part items = c.parts[thread].takeFirst(c.most, rest);
          if (items.begin >= items.end) break;
          c.body(items, rest, thread);
        }
        const int64_t few = divideUp(c.most, 2);
        for (;;) {
          int longest = thread;
          for (int other = 0; other < threads; other++)
            if (c.parts[other].length() > c.parts[longest].length()) longest = other;
          if (c.parts[longest].length() == 0) break;
          const Part items = c.parts[longest].takeLast(few, rest);
          if (items.begin < items.end) c.body(items, Part{max(rest.end - few, rest.begin), rest.end}, thread);
        }
        c.ended(thread);
      },
      &context);
}

}  // namespace foretoken
