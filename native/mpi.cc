// The Node-API binding of MPI, an addon of its own: it is built where MPI is installed, and loaded by ranks alone.
//
// All calls of MPI are made by one native thread (MPI_THREAD_FUNNELED) that lies beside JavaScript's. JavaScript hands it
// commands, which it works through in order, and gets promises. Waiting is MPI_Test with sleeps: MPI's own waiting spins, and
// would take the cores that compute. MPI can be initialised once in a process, so there is one engine, for one environment.
//
// If that environment ends before `finalise`, MPI is aborted: the other ranks would wait for ever.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <errno.h>
#include <mpi.h>
#include <node_api.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
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
#include <new>
#include <thread>

namespace foretoken {
namespace {

using Clock = std::chrono::steady_clock;

enum class Kind { kStart, kExchange, kBroadcast, kAllReduce, kBarrier, kFinalise };

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
  napi_deferred deferred = nullptr;
  bool failed = false;
  char message[MPI_MAX_ERROR_STRING + 64] = {};
};

// A process of this machine, as its neighbours know it.
struct Neighbour {
  long pid;
  // Process ids mean the same in one namespace alone.
  long space;
  long rank;
};

constexpr int kMostNeighbours = 4096;
constexpr int kMostCores = 1024;
constexpr auto kWatchInterval = std::chrono::milliseconds(200);
constexpr long kMostDelay = 1000000;

struct Engine {
  std::mutex mutex;
  std::condition_variable changed;
  Command* first = nullptr;
  Command* last = nullptr;
  // Set by JavaScript's thread: its environment ends, so nobody waits for results and buffers go.
  bool abandoned = false;
  bool ended = false;
  int failureStatus = 1;
  napi_threadsafe_function settle = nullptr;
  int pending = 0;

  // Of the thread alone, but for what `start` tells.
  bool initialised = false;
  int rank = 0;
  int size = 1;
  int localSize = 1;
  double cores = 1;
  Neighbour neighbours[kMostNeighbours];
  int neighbourCount = 0;
  Neighbour self = {};
  Clock::time_point watched = Clock::now();
  std::chrono::microseconds delay{0};

  // What this rank has sent: the thread writes, JavaScript's thread reads.
  std::atomic<uint64_t> sentBytes{0};
  std::atomic<uint64_t> sentMessages{0};
};

// Never freed: the thread may outlive the environment.
Engine* engine = nullptr;
std::mutex engineMutex;

bool isAbandoned(Engine& e) {
  const std::lock_guard<std::mutex> lock(e.mutex);
  return e.abandoned;
}

[[noreturn]] void abortAll(int status) {
  (void)MPI_Abort(MPI_COMM_WORLD, status);
  _exit(status);
}

bool isGone(const Neighbour& one) { return kill(static_cast<pid_t>(one.pid), 0) != 0 && errno == ESRCH; }

// Ends all ranks if a process of this machine is gone: the first one left says which, and the others give it time to.
void watchNeighbours(Engine& e) {
  if (Clock::now() - e.watched < kWatchInterval) return;
  e.watched = Clock::now();
  const Neighbour* gone = nullptr;
  bool isFirstLeft = true;
  for (int i = 0; i < e.neighbourCount; i++) {
    const Neighbour& one = e.neighbours[i];
    if (one.rank == e.self.rank || one.space != e.self.space) continue;
    if (isGone(one)) {
      if (gone == nullptr) gone = &one;
    } else if (one.rank < e.self.rank) {
      isFirstLeft = false;
    }
  }
  if (gone == nullptr) return;
  if (isFirstLeft) {
    char line[160];
    const int length = std::snprintf(
        line, sizeof line, "foretoken: rank %ld of %d: its process must live as long as the run; got process %ld gone\n",
        gone->rank, e.size, gone->pid);
    if (length > 0 && write(STDERR_FILENO, line, static_cast<size_t>(length)) < 0) {
      // Nobody reads it: ending is what matters.
    }
  } else {
    std::this_thread::sleep_for(std::chrono::seconds(3));
  }
  abortAll(1);
}

// Waits for the requests; false if that failed, or if nobody waits any more.
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
    // Short waits are for data that is on its way, long ones for a rank that still computes.
    const auto waited = Clock::now() - began;
    if (waited < std::chrono::microseconds(50)) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(waited < std::chrono::milliseconds(20) ? 20 : 300));
    }
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

long ownSpace() {
  struct stat found;
  return stat("/proc/self/ns/pid", &found) == 0 ? static_cast<long>(found.st_ino) : 0;
}

// This rank's share of the machine's cores: each core that it may use is divided among the ranks that may use it.
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

void start(Engine& e, Command& command) {
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
  e.self = {static_cast<long>(getpid()), ownSpace(), e.rank};
  MPI_Request request;
  if (!check(command, MPI_Iallgather(&e.self, 3, MPI_LONG, e.neighbours, 3, MPI_LONG, local, &request)) ||
      !wait(e, command, &request, 1))
    return;
  e.neighbourCount = e.localSize;
  (void)MPI_Comm_free(&local);
}

// The latency of a slower network, for tests and benchmarks: FORETOKEN_MPI_DELAY microseconds, of a second at most.
std::chrono::microseconds readDelay() {
  const char* text = std::getenv("FORETOKEN_MPI_DELAY");
  const long delay = text == nullptr ? 0 : std::strtol(text, nullptr, 10);
  return std::chrono::microseconds(delay < 0 ? 0 : delay > kMostDelay ? kMostDelay : delay);
}

// Called for each message before it is sent: the receiver gets it later by the delay. Sleeping leaves the core to others.
void delayAndCount(Engine& e, const Bytes& sent) {
  if (e.delay.count() > 0) std::this_thread::sleep_for(e.delay);
  e.sentBytes.fetch_add(static_cast<uint64_t>(sent.length), std::memory_order_relaxed);
  e.sentMessages.fetch_add(1, std::memory_order_relaxed);
}

void exchange(Engine& e, Command& c) {
  MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
  if (!check(c, MPI_Irecv(c.receive.data, c.receive.length, MPI_BYTE, c.peer, 0, MPI_COMM_WORLD, &requests[0]))) return;
  delayAndCount(e, c.send);
  if (check(c, MPI_Isend(c.send.data, c.send.length, MPI_BYTE, c.peer, 0, MPI_COMM_WORLD, &requests[1])))
    (void)wait(e, c, requests, 2);
}

// MPI's own sum of floats, in the order that it chooses: benchmarks compare ours with it.
void allReduce(Engine& e, Command& c) {
  MPI_Request request;
  const int count = c.send.length / static_cast<int>(sizeof(float));
  if (check(c, MPI_Iallreduce(MPI_IN_PLACE, c.send.data, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD, &request)))
    (void)wait(e, c, &request, 1);
}

void broadcast(Engine& e, Command& c) {
  if (e.rank == c.peer) delayAndCount(e, c.send);
  MPI_Request request;
  if (check(c, MPI_Ibcast(c.send.data, c.send.length, MPI_BYTE, c.peer, MPI_COMM_WORLD, &request)))
    (void)wait(e, c, &request, 1);
}

bool barrier(Engine& e, Command& c) {
  MPI_Request request;
  return check(c, MPI_Ibarrier(MPI_COMM_WORLD, &request)) && wait(e, c, &request, 1);
}

void perform(Engine& e, Command& command) {
  if (command.kind != Kind::kStart && !e.initialised) return fail(command, "MPI is not initialised, or finalised");
  switch (command.kind) {
    case Kind::kStart:
      if (e.initialised) return fail(command, "MPI is initialised already");
      return start(e, command);
    case Kind::kExchange:
      if (command.peer >= e.size || command.peer == e.rank) return fail(command, "no such other rank");
      return exchange(e, command);
    case Kind::kBroadcast:
      if (command.peer >= e.size) return fail(command, "no such rank");
      return broadcast(e, command);
    case Kind::kAllReduce:
      return allReduce(e, command);
    case Kind::kBarrier:
      (void)barrier(e, command);
      return;
    case Kind::kFinalise:
      // All are here: a rank that waited in MPI_Finalize would spin.
      if (!barrier(e, command)) return;
      e.initialised = false;
      (void)check(command, MPI_Finalize());
      return;
  }
}

void* runThread(void* opaque) {
  Engine& e = *static_cast<Engine*>(opaque);
  std::unique_lock<std::mutex> lock(e.mutex);
  while (!e.abandoned) {
    if (e.first == nullptr) {
      (void)e.changed.wait_for(lock, kWatchInterval);
      if (e.first == nullptr && !e.abandoned && e.initialised) {
        lock.unlock();
        watchNeighbours(e);
        lock.lock();
      }
      continue;
    }
    Command* command = e.first;
    e.first = command->next;
    if (e.first == nullptr) e.last = nullptr;
    lock.unlock();
    perform(e, *command);
    lock.lock();
    if (!e.abandoned) (void)napi_call_threadsafe_function(e.settle, command, napi_tsfn_nonblocking);
  }
  if (e.initialised) abortAll(e.failureStatus);
  e.ended = true;
  e.changed.notify_all();
  return nullptr;
}

// --- JavaScript's side

void setNumber(napi_env env, napi_value object, const char* name, double value) {
  napi_value number = nullptr;
  (void)napi_create_double(env, value, &number);
  (void)napi_set_named_property(env, object, name, number);
}

void release(napi_env env, Bytes& bytes) {
  if (bytes.reference != nullptr) (void)napi_delete_reference(env, bytes.reference);
}

// Settles a command's promise, in JavaScript's thread.
void settle(napi_env env, napi_value, void* context, void* data) {
  Command* command = static_cast<Command*>(data);
  Engine& e = *static_cast<Engine*>(context);
  if (env != nullptr) {
    release(env, command->send);
    release(env, command->receive);
    napi_value value = nullptr;
    if (command->failed) {
      napi_value text = nullptr;
      (void)napi_create_string_utf8(env, command->message, NAPI_AUTO_LENGTH, &text);
      (void)napi_create_error(env, nullptr, text, &value);
      (void)napi_reject_deferred(env, command->deferred, value);
    } else {
      if (command->kind == Kind::kStart) {
        (void)napi_create_object(env, &value);
        setNumber(env, value, "rank", e.rank);
        setNumber(env, value, "size", e.size);
        setNumber(env, value, "localSize", e.localSize);
        setNumber(env, value, "cores", e.cores);
      } else {
        (void)napi_get_undefined(env, &value);
      }
      (void)napi_resolve_deferred(env, command->deferred, value);
    }
    // Only a waiting caller keeps the process alive.
    if (--e.pending == 0) (void)napi_unref_threadsafe_function(env, e.settle);
  }
  delete command;
}

napi_value refuse(napi_env env, const char* message) {
  (void)napi_throw_error(env, nullptr, message);
  return nullptr;
}

// The bytes of a typed array; false if it is none, or too long for MPI.
bool takeBytes(napi_env env, napi_value value, Bytes& bytes) {
  napi_typedarray_type type = napi_uint8_array;
  size_t length = 0;
  napi_value buffer = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &length, &bytes.data, &buffer, nullptr) != napi_ok) return false;
  const size_t width = type == napi_uint8_array     ? 1
                       : type == napi_float32_array ? sizeof(float)
                       : type == napi_float64_array ? sizeof(double)
                                                    : 0;
  if (width == 0 || length > static_cast<size_t>(INT_MAX) / width) return false;
  bytes.length = static_cast<int>(length * width);
  return napi_create_reference(env, value, 1, &bytes.reference) == napi_ok;
}

bool takeFloats(napi_env env, napi_value value, Bytes& bytes) {
  napi_typedarray_type type = napi_uint8_array;
  size_t length = 0;
  return napi_get_typedarray_info(env, value, &type, &length, nullptr, nullptr, nullptr) == napi_ok &&
         type == napi_float32_array && takeBytes(env, value, bytes);
}

napi_value enqueue(napi_env env, napi_callback_info info, Kind kind, size_t arrays) {
  size_t count = 3;
  napi_value values[3] = {};
  (void)napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  Command* command = new (std::nothrow) Command;
  if (command == nullptr) return refuse(env, "no memory for a command");
  command->kind = kind;
  if (kind == Kind::kAllReduce) {
    if (!takeFloats(env, values[0], command->send)) {
      delete command;
      return refuse(env, "a Float32Array must be given, of less than 2 GiB");
    }
  } else if (arrays > 0) {
    double peer = -1;
    (void)napi_get_value_double(env, values[0], &peer);
    command->peer = peer >= 0 && peer < INT_MAX ? static_cast<int>(peer) : -1;
    const bool taken = command->peer == peer && takeBytes(env, values[1], command->send) &&
                       (arrays < 2 || takeBytes(env, values[2], command->receive));
    if (!taken) {
      release(env, command->send);
      delete command;
      return refuse(env, "a rank and arrays of bytes or floats must be given, of less than 2 GiB");
    }
  }
  napi_value promise = nullptr;
  if (napi_create_promise(env, &command->deferred, &promise) != napi_ok) return refuse(env, "no promise can be made");
  Engine& e = *engine;
  if (e.pending++ == 0) (void)napi_ref_threadsafe_function(env, e.settle);
  const std::lock_guard<std::mutex> lock(e.mutex);
  (e.last == nullptr ? e.first : e.last->next) = command;
  e.last = command;
  e.changed.notify_all();
  return promise;
}

// start(): { rank, size, localSize, cores }. exchange(rank, sent, received). broadcast(root, array). barrier(). finalise().
napi_value startFunction(napi_env env, napi_callback_info info) { return enqueue(env, info, Kind::kStart, 0); }
napi_value exchangeFunction(napi_env env, napi_callback_info info) { return enqueue(env, info, Kind::kExchange, 2); }
napi_value broadcastFunction(napi_env env, napi_callback_info info) { return enqueue(env, info, Kind::kBroadcast, 1); }
napi_value barrierFunction(napi_env env, napi_callback_info info) { return enqueue(env, info, Kind::kBarrier, 0); }
napi_value finaliseFunction(napi_env env, napi_callback_info info) { return enqueue(env, info, Kind::kFinalise, 0); }

// allReduce(array): the sum over all ranks, in place.
napi_value allReduceFunction(napi_env env, napi_callback_info info) { return enqueue(env, info, Kind::kAllReduce, 1); }

// sent(): { bytes, messages } that this rank has sent: those of exchanges, and of broadcasts that it is the root of.
napi_value sentFunction(napi_env env, napi_callback_info) {
  napi_value value = nullptr;
  (void)napi_create_object(env, &value);
  setNumber(env, value, "bytes", static_cast<double>(engine->sentBytes.load(std::memory_order_relaxed)));
  setNumber(env, value, "messages", static_cast<double>(engine->sentMessages.load(std::memory_order_relaxed)));
  return value;
}

// abortAtEnd(status): the status with which all ranks end if this environment ends before finalise().
napi_value abortAtEnd(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value = nullptr;
  int32_t status = 1;
  (void)napi_get_cb_info(env, info, &count, &value, nullptr, nullptr);
  (void)napi_get_value_int32(env, value, &status);
  const std::lock_guard<std::mutex> lock(engine->mutex);
  engine->failureStatus = status > 0 && status < 256 ? status : 1;
  return nullptr;
}

// The environment ends: the thread leaves JavaScript's memory, and aborts MPI if that was not finalised.
void endEnvironment(void*) {
  Engine& e = *engine;
  std::unique_lock<std::mutex> lock(e.mutex);
  e.abandoned = true;
  e.changed.notify_all();
  // Aborting ends the process meanwhile. In MPI_Init or MPI_Finalize the thread stays: these have no memory of JavaScript.
  (void)e.changed.wait_for(lock, std::chrono::seconds(2), [&e] { return e.ended; });
}

napi_value initialise(napi_env env, napi_value exports) {
  const std::lock_guard<std::mutex> lock(engineMutex);
  if (engine != nullptr) return refuse(env, "MPI serves one thread of a process, and another one has it");
  Engine* made = new (std::nothrow) Engine;
  if (made == nullptr) return refuse(env, "no memory for MPI");
  napi_value name = nullptr;
  pthread_t thread;
  if (napi_create_string_utf8(env, "foretoken-mpi", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, made, settle,
                                      &made->settle) != napi_ok ||
      napi_unref_threadsafe_function(env, made->settle) != napi_ok ||
      napi_add_env_cleanup_hook(env, endEnvironment, nullptr) != napi_ok) {
    delete made;
    return refuse(env, "the addon cannot be set up");
  }
  engine = made;
  made->delay = readDelay();
  if (pthread_create(&thread, nullptr, runThread, made) != 0) return refuse(env, "the system refuses a thread for MPI");
  (void)pthread_detach(thread);
  const napi_property_descriptor functions[] = {
      {"start", nullptr, startFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"exchange", nullptr, exchangeFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"broadcast", nullptr, broadcastFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"barrier", nullptr, barrierFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"finalise", nullptr, finaliseFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"allReduce", nullptr, allReduceFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"sent", nullptr, sentFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"abortAtEnd", nullptr, abortAtEnd, nullptr, nullptr, nullptr, napi_default, nullptr},
  };
  (void)napi_define_properties(env, exports, sizeof functions / sizeof functions[0], functions);
  return exports;
}

}  // namespace
}  // namespace foretoken

NAPI_MODULE_INIT() { return foretoken::initialise(env, exports); }
