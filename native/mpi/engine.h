// The engine of MPI: one native thread, next to JavaScript's thread, that makes all MPI calls (MPI_THREAD_FUNNELED).
// JavaScript sends commands to this thread, which begins them in order. Several commands can be active at the same
// time, while JavaScript computes.
// To wait, the engine calls MPI_Test and sleeps between two calls. MPI's own wait functions spin, and would take a core
// from the computation. A process can initialise MPI only once, so there is one engine, for one environment.
#pragma once

#include <mpi.h>
#include <node_api.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <climits>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "end.h"
#include "life.h"
#include "processes.h"
#include "sharing.h"

namespace foretoken {
namespace {

enum class Kind { kStart, kExchange, kBroadcast, kBarrier, kReduceScatter, kAllGather, kAllReduce, kFinalise };

struct Bytes {
  void* data = nullptr;
  int length = 0;
  // Keeps the memory alive while MPI uses it.
  napi_ref reference = nullptr;
};

struct Command {
  Command* next = nullptr;
  Kind kind = Kind::kBarrier;
  int peer = 0;
  Bytes send;
  Bytes receive;
  Sharing* sharing = nullptr;
  // Only for kFinalise, in seconds: this rank leaves a run early, and the other ranks must leave within this time. 0
  // means no limit.
  int patience = 0;
  Clock::time_point deadline = {};
  // Whether JavaScript waits for the command. Otherwise JavaScript computes during the command.
  bool urgent = true;
  MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
  Clock::time_point arrives = {};
  napi_deferred deferred = nullptr;
  bool failed = false;
  char message[MPI_MAX_ERROR_STRING + 64] = {};
};

constexpr int kMostCores = 1024;
constexpr auto kWatchInterval = std::chrono::milliseconds(200);
constexpr long kMostDelay = 1000000;
// Maximum number of sums at the same time, because each sum needs buffers. Sums begin in the same order on all ranks.
constexpr int kMostSharings = 4;
// Number of tags that every MPI supports. Different commands have different tags, so that a rank does not confuse their
// messages.
constexpr int kTags = 32767;

struct Engine {
  std::mutex mutex;
  std::condition_variable changed;
  Command* first = nullptr;
  Command* last = nullptr;
  // JavaScript's thread sets this when its environment ends: results are no longer needed, and buffers become invalid.
  bool abandoned = false;
  bool ended = false;
  int failureStatus = 1;
  napi_threadsafe_function settle = nullptr;
  int pending = 0;

  // Only the MPI thread uses the following fields, except for the values that `start` returns.
  // `begun` has the commands that have begun, in order.
  Command* begun = nullptr;
  int sharings = 0;
  int urgent = 0;
  int tag = 0;
  bool initialised = false;
  int rank = 0;
  int size = 1;
  int localSize = 1;
  double cores = 1;
  Neighbours neighbours;
  Clock::time_point watched = Clock::now();
  Life life;
  std::chrono::microseconds delay{0};

  // JavaScript has failed and frees the arrays of active sums, so these sums end immediately.
  std::atomic<bool> dropping{false};

  // The bytes and messages that this rank has sent. The MPI thread writes them, and JavaScript's thread reads them.
  std::atomic<int64_t> sentBytes{0};
  std::atomic<int64_t> sentMessages{0};
};

// Never freed, because the thread may outlive the environment.
Engine* engine = nullptr;
std::mutex engineMutex;

bool isAbandoned(Engine& e) {
  const std::lock_guard<std::mutex> lock(e.mutex);
  return e.abandoned;
}

// Ends all ranks if a rank has ended or sends no heartbeat.
void watchNeighbours(Engine& e) {
  if (Clock::now() - e.watched < kWatchInterval) return;
  e.watched = Clock::now();
  watchProcesses(e.neighbours, e.size);
  lookForLife(e.life);
}

// Short pauses are for data that will arrive soon. Long pauses are for the time in which this rank or another rank
// computes, because polling takes time from the core.
std::chrono::microseconds pauseAfter(Clock::duration waited, bool urgent) {
  return std::chrono::microseconds(urgent && waited < std::chrono::milliseconds(20) ? 20 : 300);
}

// Waits for the requests. Returns false if a request failed, or if the environment has ended.
bool wait(Engine& e, Command& command, MPI_Request* requests, int count) {
  const Clock::time_point began = Clock::now();
  for (;;) {
    int done = 0;
    const int code = MPI_Testall(count, requests, &done, MPI_STATUSES_IGNORE);
    if (code != MPI_SUCCESS) {
      int length = 0;
      command.failed = true;
      (void)MPI_Error_string(code, command.message, &length);
      return false;
    }
    if (done != 0) return true;
    if (isAbandoned(e)) return false;
    watchNeighbours(e);
    std::this_thread::sleep_for(pauseAfter(Clock::now() - began, true));
  }
}

bool check(Command& command, int code) {
  if (code == MPI_SUCCESS) return true;
  int length = 0;
  command.failed = true;
  (void)MPI_Error_string(code, command.message, &length);
  return false;
}

void fail(Command& command, const char* message) {
  command.failed = true;
  std::snprintf(command.message, sizeof command.message, "%s", message);
}

// This rank's share of the machine's cores. Ranks that may use the same core divide it equally.
bool shareCores(Engine& e, Command& command, MPI_Comm local) {
  static int mine[kMostCores];
  static int all[kMostCores];
#ifdef __linux__
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int i = 0; i < kMostCores && i < CPU_SETSIZE; i++) mine[i] = CPU_ISSET(i, &set) ? 1 : 0;
#else
  for (unsigned i = 0; i < std::thread::hardware_concurrency() && i < kMostCores; i++) mine[i] = 1;
#endif
  MPI_Request request;
  if (!check(command, MPI_Iallreduce(mine, all, kMostCores, MPI_INT, MPI_SUM, local, &request)) ||
      !wait(e, command, &request, 1))
    return false;
  double cores = 0;
  for (int i = 0; i < kMostCores; i++)
    if (mine[i] != 0 && all[i] > 0) cores += 1.0 / all[i];
  e.cores = cores;
  return true;
}

// While this object exists, the MPI thread sends no heartbeats, and JavaScript's thread watches instead.
struct WithoutHeartbeats {
  std::atomic<int32_t>& phase;
  WithoutHeartbeats(Engine& e, Phase now) : phase(e.life.signs.phase) { phase = now; }
  WithoutHeartbeats(const WithoutHeartbeats&) = delete;
  WithoutHeartbeats& operator=(const WithoutHeartbeats&) = delete;
  ~WithoutHeartbeats() { phase = kCarrying; }
};

void start(Engine& e, Command& command) {
  const WithoutHeartbeats until(e, kBeginning);
  int finalised = 0;
  (void)MPI_Finalized(&finalised);
  if (finalised != 0) return fail(command, "MPI has ended in this process");
  int provided = MPI_THREAD_SINGLE;
  if (!check(command, MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided))) return;
  e.initialised = true;
  if (provided < MPI_THREAD_FUNNELED) return fail(command, "MPI has no MPI_THREAD_FUNNELED");
  (void)MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm local;
  if (!check(command, MPI_Comm_rank(MPI_COMM_WORLD, &e.rank)) ||
      !check(command, MPI_Comm_size(MPI_COMM_WORLD, &e.size)) ||
      !check(command, MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, e.rank, MPI_INFO_NULL, &local)) ||
      !check(command, MPI_Comm_size(local, &e.localSize)))
    return;
  (void)MPI_Comm_set_errhandler(local, MPI_ERRORS_RETURN);
  if (e.localSize > kMostNeighbours) return fail(command, "too many ranks on one machine");
  if (!shareCores(e, command, local)) return;
  Neighbour& self = e.neighbours.self;
  self = {static_cast<long>(getpid()), ownSpace(), e.rank};
  MPI_Request request;
  if (!check(command, MPI_Iallgather(&self, 3, MPI_LONG, e.neighbours.all, 3, MPI_LONG, local, &request)) ||
      !wait(e, command, &request, 1))
    return;
  e.neighbours.count = e.localSize;
  (void)MPI_Comm_free(&local);
  (void)check(command, beginLife(e.life, e.rank, e.size));
}

// Simulates the latency of a slower network, for tests and benchmarks: FORETOKEN_MPI_DELAY in microseconds, at most one
// second.
std::chrono::microseconds readDelay() {
  const char* text = std::getenv("FORETOKEN_MPI_DELAY");
  const long delay = text == nullptr ? 0 : std::strtol(text, nullptr, 10);
  return std::chrono::microseconds(delay < 0 ? 0 : delay > kMostDelay ? kMostDelay : delay);
}

void countSent(Engine& e, int64_t bytes, int64_t messages) {
  e.sentBytes.fetch_add(bytes, std::memory_order_relaxed);
  e.sentMessages.fetch_add(messages, std::memory_order_relaxed);
}

// Begins a command without waiting for it.
void begin(Engine& e, Command& c) {
  if (!e.initialised) return fail(c, "MPI is not initialised, or finalised");
  switch (c.kind) {
    case Kind::kExchange:
      if (c.peer >= e.size || c.peer == e.rank) return fail(c, "no such other rank");
      e.tag = (e.tag + 1) % kTags;
      c.arrives = Clock::now() + e.delay;
      countSent(e, c.send.length, 1);
      if (check(c, MPI_Irecv(c.receive.data, c.receive.length, MPI_BYTE, c.peer, e.tag, MPI_COMM_WORLD, &c.requests[0])))
        (void)check(c, MPI_Isend(c.send.data, c.send.length, MPI_BYTE, c.peer, e.tag, MPI_COMM_WORLD, &c.requests[1]));
      return;
    case Kind::kBroadcast:
      if (c.peer >= e.size) return fail(c, "no such rank");
      c.arrives = Clock::now() + e.delay;
      if (c.peer == e.rank) countSent(e, c.send.length, 1);
      (void)check(c, MPI_Ibcast(c.send.data, c.send.length, MPI_BYTE, c.peer, MPI_COMM_WORLD, &c.requests[0]));
      return;
    case Kind::kReduceScatter:
    case Kind::kAllGather:
      e.tag = (e.tag + 1) % kTags;
      e.sharings++;
      if (e.dropping) return fail(c, "given up");
      c.sharing->delay(e.delay);
      (void)check(c, c.sharing->begin(e.rank, e.size, e.tag, MPI_COMM_WORLD));
      return;
    case Kind::kAllReduce:
      (void)check(c, MPI_Iallreduce(MPI_IN_PLACE, c.send.data, c.send.length / static_cast<int>(sizeof(float)), MPI_FLOAT,
                                    MPI_SUM, MPI_COMM_WORLD, &c.requests[0]));
      return;
    case Kind::kBarrier:
      (void)check(c, MPI_Ibarrier(MPI_COMM_WORLD, &c.requests[0]));
      return;
    case Kind::kFinalise:
      // All ranks must arrive here before MPI_Finalize, because a rank that waits inside MPI_Finalize would spin. The
      // ranks use the heartbeats' communicator, because another rank may be in the middle of its run.
      if (c.patience > 0) c.deadline = Clock::now() + std::chrono::seconds(c.patience);
      (void)check(c, MPI_Ibarrier(e.life.ring, &c.requests[0]));
      return;
    case Kind::kStart:
      return;
  }
}

// Returns whether a command has ended. Sets `moved` if data for the command has arrived.
bool hasEnded(Engine& e, Command& c, bool& moved) {
  if (c.failed) return true;
  if (c.sharing != nullptr && e.dropping) {
    fail(c, "given up");
    return true;
  }
  if (c.sharing != nullptr) return !check(c, c.sharing->advance(moved)) || c.sharing->isDone();
  int done = 0;
  if (!check(c, MPI_Testall(2, c.requests, &done, MPI_STATUSES_IGNORE))) return true;
  if (done == 0 && c.patience > 0 && Clock::now() > c.deadline) {
    sayOfRank(e.rank, e.size, "must take the run to its end, as the others do; got one that it left early");
    abortAll(1);
  }
  return done != 0 && Clock::now() >= c.arrives && (c.kind != Kind::kFinalise || endLife(e.life));
}

// Removes ended commands from the list of begun commands and reports them to JavaScript. Returns whether a command
// ended or data arrived.
bool progress(Engine& e) {
  bool moved = false;
  for (Command** at = &e.begun; *at != nullptr;) {
    Command* c = *at;
    const bool ended = hasEnded(e, *c, moved);
    if (c->sharing != nullptr) countSent(e, c->sharing->takeSentBytes(), c->sharing->takeSentMessages());
    if (!ended) {
      at = &c->next;
      continue;
    }
    moved = true;
    *at = c->next;
    c->next = nullptr;
    if (c->sharing != nullptr) e.sharings--;
    if (c->urgent) e.urgent--;
    if (c->kind == Kind::kFinalise && !c->failed) {
      e.initialised = false;
      const WithoutHeartbeats until(e, kEnding);
      (void)check(*c, MPI_Finalize());
    }
    const std::lock_guard<std::mutex> lock(e.mutex);
    if (!e.abandoned) (void)napi_call_threadsafe_function(e.settle, c, napi_tsfn_nonblocking);
  }
  return moved;
}

// Begins the commands that may begin. Returns whether a command began.
bool beginNext(Engine& e) {
  bool any = false;
  for (;;) {
    Command* c = nullptr;
    {
      const std::lock_guard<std::mutex> lock(e.mutex);
      c = e.first;
      if (c == nullptr || e.abandoned || (c->sharing != nullptr && e.sharings >= kMostSharings)) return any;
      e.first = c->next;
      if (e.first == nullptr) e.last = nullptr;
    }
    any = true;
    c->next = nullptr;
    if (c->urgent) e.urgent++;
    if (c->kind == Kind::kStart) {
      if (e.initialised)
        fail(*c, "MPI is initialised already");
      else
        start(e, *c);
    } else {
      begin(e, *c);
    }
    Command** end = &e.begun;
    while (*end != nullptr) end = &(*end)->next;
    *end = c;
  }
}

void* runThread(void* opaque) {
  Engine& e = *static_cast<Engine*>(opaque);
  Clock::time_point moved = Clock::now();
  while (!isAbandoned(e)) {
    const bool began = beginNext(e);
    if (progress(e) || began) {
      moved = Clock::now();
      continue;
    }
    if (e.initialised) watchNeighbours(e);
    std::unique_lock<std::mutex> lock(e.mutex);
    if (e.abandoned) break;
    // A new command ends the sleep, except a command that must wait for other commands.
    const bool blocked = e.first != nullptr;
    const auto pause = e.begun == nullptr ? std::chrono::duration_cast<std::chrono::microseconds>(kWatchInterval)
                                          : pauseAfter(Clock::now() - moved, e.urgent > 0);
    (void)e.changed.wait_for(lock, pause, [&e, blocked] { return e.abandoned || (!blocked && e.first != nullptr); });
  }
  if (e.initialised) abortAll(e.failureStatus);
  const std::lock_guard<std::mutex> lock(e.mutex);
  e.ended = true;
  e.changed.notify_all();
  return nullptr;
}

}  // namespace
}  // namespace foretoken
