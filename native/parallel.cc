// How threads wait for each other. A thread first spins, because the next kernel usually starts within microseconds.
// Then it sleeps, because other programs may need the core.
#include "parallel.h"

#include <cstdint>

#include "heap.h"
#include "thread_pool.h"

#if !defined(__wasm__)
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <cstring>
#endif
#if defined(__linux__) && !defined(FT_NO_FUTEX)
#define FT_FUTEX 1
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace foretoken {

namespace {

uint32_t load(const uint32_t* from) { return __atomic_load_n(from, __ATOMIC_SEQ_CST); }

// Sleeps while *word == expected, but may return early. wakeAll(word) wakes every thread that sleeps on this word.
#if defined(__wasm__)
void sleepWhile(uint32_t* word, uint32_t expected) {
  (void)__builtin_wasm_memory_atomic_wait32(reinterpret_cast<int*>(word), static_cast<int>(expected), -1);
}
void wakeAll(uint32_t* word) { (void)__builtin_wasm_memory_atomic_notify(reinterpret_cast<int*>(word), ~0u); }
#elif defined(FT_FUTEX)
void sleepWhile(uint32_t* word, uint32_t expected) {
  (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}
void wakeAll(uint32_t* word) { (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0); }
#else
// One lock for all pools. A thread holds it only to fall asleep or to wake other threads.
pthread_mutex_t sleepLock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t sleepers = PTHREAD_COND_INITIALIZER;

void sleepWhile(uint32_t* word, uint32_t expected) {
  pthread_mutex_lock(&sleepLock);
  while (load(word) == expected) pthread_cond_wait(&sleepers, &sleepLock);
  pthread_mutex_unlock(&sleepLock);
}

void wakeAll(uint32_t*) {
  pthread_mutex_lock(&sleepLock);
  pthread_cond_broadcast(&sleepers);
  pthread_mutex_unlock(&sleepLock);
}
#endif

// Spins until ready() is true, for at most about 200 µs. The choice of a token takes less time. Returns whether ready()
// was true.
#if defined(__wasm__)
constexpr int kSpinRounds = 20000;
constexpr int kBriefRounds = 200;

void relax() {}

template <typename Ready>
bool spin(Ready ready, Ahead&) {
  for (int round = 0; round < kSpinRounds; round++)
    if (ready()) return true;
  return false;
}
#else
constexpr int64_t kSpinNanoseconds = 200000;
constexpr int kRoundsPerClock = 16;
constexpr int kBriefRounds = 16;  // about a microsecond

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int64_t nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

// Prefetches one cache line of each of the next rows. Memory is faster with several streams: see stream_prefetch.h.
void prefetchSome(Ahead& ahead) {
  constexpr int64_t kCacheLine = 64, kRows = 8;
  for (int64_t row = 0; row < kRows; row++) {
    const int64_t place = row * ahead.rowBytes + ahead.column;
    if (place < ahead.bytes) __builtin_prefetch(ahead.at + place, 0, 2);
  }
  ahead.column += kCacheLine;
  if (ahead.column < ahead.rowBytes) return;
  ahead.column = 0;
  ahead.at += kRows * ahead.rowBytes;
  ahead.bytes -= kRows * ahead.rowBytes;
}

template <typename Ready>
bool spin(Ready ready, Ahead& ahead) {
  while (ahead.bytes > 0) {
    if (ready()) return true;
    prefetchSome(ahead);
  }
  const int64_t until = nanoseconds() + kSpinNanoseconds;
  do {
    for (int round = 0; round < kRoundsPerClock; round++) {
      if (ready()) return true;
      relax();
    }
  } while (nanoseconds() < until);
  return false;
}
#endif

template <typename Ready>
bool spinBriefly(Ready ready) {
  for (int round = 0; round < kBriefRounds; round++) {
    if (ready()) return true;
    relax();
  }
  return false;
}

}  // namespace

void ThreadPool::run(void (*task)(void*, int, int), void* context) {
  if (threads_ == 1) {
    task(context, 0, 1);
    return;
  }
  task_ = task;
  context_ = context;
  __atomic_store_n(&unfinished_, static_cast<uint32_t>(threads_ - 1), __ATOMIC_SEQ_CST);
  const uint32_t generation = __atomic_add_fetch(&generation_, 1, __ATOMIC_SEQ_CST);
  // A worker counts itself as a sleeper before its last check of the generation. So this check misses no sleeper.
  if (load(&sleepers_) != 0) wakeAll(&generation_);
  task(context, 0, threads_);

  const auto finished = [this] { return load(&unfinished_) == 0 || failed(); };
  if (spinBriefly(finished)) return;
  // The caller does the part of each thread that has not begun its part. Such a thread sleeps, or the system runs
  // another program on its core.
  for (int thread = 1; thread < threads_; thread++) {
    if (!begins(thread, generation)) continue;
    task(context, thread, threads_);
    finish();
  }
  if (!mayBlock_) {
    while (!finished()) {
    }
    return;
  }
  if (spin(finished, shares_[0].ahead)) return;
  __atomic_store_n(&callerSleeps_, 1, __ATOMIC_SEQ_CST);
  for (uint32_t left = load(&unfinished_); left != 0 && !failed(); left = load(&unfinished_))
    sleepWhile(&unfinished_, left);
  __atomic_store_n(&callerSleeps_, 0, __ATOMIC_SEQ_CST);
}

bool ThreadPool::begins(int thread, uint32_t generation) {
  // The numbers may differ by more than one, because dismiss() and close() also increase the generation.
  uint32_t before = load(&shares_[thread].begun);
  if (static_cast<int32_t>(generation - before) <= 0) return false;
  return __atomic_compare_exchange_n(&shares_[thread].begun, &before, generation, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST);
}

void ThreadPool::finish() {
  if (__atomic_sub_fetch(&unfinished_, 1, __ATOMIC_SEQ_CST) == 0 && load(&callerSleeps_) != 0) wakeAll(&unfinished_);
}

void ThreadPool::abandon() {
  __atomic_store_n(&failed_, 1, __ATOMIC_SEQ_CST);
  __atomic_store_n(&unfinished_, 0, __ATOMIC_SEQ_CST);
  wakeAll(&unfinished_);
}

void ThreadPool::workerLoop(int thread) { work(thread, 0, true); }

void ThreadPool::lend(int thread) { work(thread, load(&generation_), mayBlock_); }

void ThreadPool::work(int thread, uint32_t seen, bool mayBlock) {
  Ahead ahead;
  for (;;) {
    // endWorkers() sets closing_ before it increases the generation, so no thread waits for a call after that.
    if (load(&closing_) != 0) return;
    if (!spin([&] { return load(&generation_) != seen; }, ahead)) {
      if (!mayBlock) continue;
      __atomic_add_fetch(&sleepers_, 1, __ATOMIC_SEQ_CST);
      while (load(&generation_) == seen) sleepWhile(&generation_, seen);
      __atomic_sub_fetch(&sleepers_, 1, __ATOMIC_SEQ_CST);
    }
    seen = load(&generation_);
    if (load(&closing_) != 0) return;
    if (!begins(thread, seen)) continue;
    shares_[thread].ahead = ahead;
    task_(context_, thread, threads_);
    // After finish(), the caller may do the next part of this thread.
    ahead = shares_[thread].ahead;
    finish();
  }
}

void ThreadPool::endWorkers() {
  __atomic_store_n(&closing_, 1, __ATOMIC_SEQ_CST);
  __atomic_add_fetch(&generation_, 1, __ATOMIC_SEQ_CST);
  wakeAll(&generation_);
}

void* ThreadPool::grown(Scratch& scratch, int64_t bytes) {
  if (scratch.memory == nullptr || bytes > scratch.bytes) {
    heapFree(scratch.memory, scratch.bytes);
    scratch = {heapAllocate(bytes), bytes};
    if (scratch.memory == nullptr) {
      scratch = {};
      outOfMemory_ = true;
    }
  }
  return scratch.memory;
}

bool ThreadPool::reserveScratch(int64_t bytes) {
  for (int thread = 0; thread < threads_; thread++)
    if (grown(scratch_[thread], bytes) == nullptr) return false;
  return true;
}

void ThreadPool::freeScratch() {
  for (Scratch& scratch : scratch_) {
    heapFree(scratch.memory, scratch.bytes);
    scratch = {};
  }
}

void* ThreadPool::sharedScratch(int64_t bytes) { return grown(scratch_[kMaxThreads], bytes); }

#if defined(__wasm__)

// The host waits for its workers, and then frees the whole memory.
void ThreadPool::close() { endWorkers(); }

#else

namespace {
constexpr size_t kStackBytes = 2 << 20;
}

bool ThreadPool::start() {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  (void)pthread_attr_setstacksize(&attributes, kStackBytes);
  // The host handles signals: no signal is delivered to a worker.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  bool ok = true;
  for (int thread = 1; ok && thread < threads_; thread++) {
    starts_[thread] = {this, thread};
    pthread_t handle;
    const auto entry = [](void* opaque) -> void* {
      const Start* start = static_cast<const Start*>(opaque);
      start->pool->workerLoop(start->thread);
      return nullptr;
    };
    ok = pthread_create(&handle, &attributes, entry, &starts_[thread]) == 0;
    if (!ok) break;
    static_assert(sizeof handle <= sizeof handles_[0]);
    std::memcpy(&handles_[thread], &handle, sizeof handle);
    started_ = thread;
  }
  (void)pthread_sigmask(SIG_SETMASK, &before, nullptr);
  (void)pthread_attr_destroy(&attributes);
  if (!ok) close();
  return ok;
}

void ThreadPool::close() {
  if (started_ > 0) endWorkers();
  for (; started_ > 0; started_--) {
    pthread_t handle;
    std::memcpy(&handle, &handles_[started_], sizeof handle);
    (void)pthread_join(handle, nullptr);
  }
}

#endif

}  // namespace foretoken
