// The pool behind parallel.h. This file creates native threads. In WebAssembly, the host creates workers. Each worker
// calls workerLoop() through an export of wasm.cc.
#pragma once

#include <cstdint>

#include "parallel.h"

namespace foretoken {

constexpr int kMaxThreads = 256;

class ThreadPool final : public Pool {
 public:
  // `threads` in [1, kMaxThreads], including the caller's thread. If `mayBlock` is false, the caller's thread spins and
  // does not sleep, because a browser's main thread must not wait.
  explicit ThreadPool(int threads, bool mayBlock = true) : threads_(threads), mayBlock_(mayBlock) {}
  ~ThreadPool() override {
    close();
    freeScratch();
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Starts the native threads. Returns false if the system refuses a thread. In this case, the threads that have
  // started are ended.
  bool start();

  // Ends the threads. Native code also waits until they have ended. May be called twice.
  void close();

  // Loop of thread `thread` (1..threads-1) until close().
  void workerLoop(int thread);

  // For a pool without threads of its own.
  // lend(): until dismiss(), the calling thread works as thread `thread`, and does its part of each new run(). Without
  // mayBlock, it spins.
  // dismiss(): makes lend() return. Until admit(), later calls of lend() return at once. Call admit() only when no
  // thread is in lend().
  void lend(int thread);
  void dismiss() { endWorkers(); }
  void admit() { __atomic_store_n(&closing_, 0, __ATOMIC_SEQ_CST); }

  // For WebAssembly: call this when a worker has trapped. run() stops waiting, and the pool cannot be used any more.
  void abandon();
  bool failed() const { return __atomic_load_n(&failed_, __ATOMIC_SEQ_CST) != 0; }

  int threads() const override { return threads_; }
  bool mayBlock() const { return mayBlock_; }
  void run(void (*task)(void* context, int thread, int threads), void* context) override;
  bool reserveScratch(int64_t bytes) override;
  void* scratch(int thread) override { return scratch_[thread].memory; }
  void* sharedScratch(int64_t bytes) override;
  bool takeOutOfMemory() override {
    const bool taken = outOfMemory_;
    outOfMemory_ = false;
    return taken;
  }
  void readAhead(int thread, const Ahead& ahead) override { shares_[thread].ahead = ahead; }

 private:
  struct alignas(64) Scratch {
    void* memory = nullptr;
    int64_t bytes = 0;
  };

  // For each thread, the number of the last run() for which its part was begun, and what the part has asked to prefetch.
  // Each thread has its own cache line.
  struct alignas(64) Share {
    uint32_t begun = 0;
    Ahead ahead;
  };

  // Claims `thread`'s part of call number `generation`. True for the first caller, which must then do the part.
  bool begins(int thread, uint32_t generation);

  // Does the parts of `thread` in calls after number `seen`, until the pool is closed or dismisses the thread.
  void work(int thread, uint32_t seen, bool mayBlock);
  void* grown(Scratch& scratch, int64_t bytes);
  void freeScratch();
  void finish();
  void endWorkers();

  const int threads_;
  const bool mayBlock_;
  int started_ = 0;
  bool outOfMemory_ = false;
  uint32_t closing_ = 0;
  uint32_t failed_ = 0;
  // Counts calls of run(). A worker that sees a new number may have work. The task is on the same cache line as this
  // counter. Each other counter has its own cache line.
  alignas(64) uint32_t generation_ = 0;
  void (*task_)(void*, int, int) = nullptr;
  void* context_ = nullptr;
  alignas(64) uint32_t unfinished_ = 0;
  alignas(64) uint32_t sleepers_ = 0;
  uint32_t callerSleeps_ = 0;
  Share shares_[kMaxThreads];
  Scratch scratch_[kMaxThreads + 1];
#if !defined(__wasm__)
  struct Start {
    ThreadPool* pool;
    int thread;
  };
  Start starts_[kMaxThreads] = {};
  uintptr_t handles_[kMaxThreads] = {};
#endif
};

}  // namespace foretoken
