// The Node-API binding of MPI. It is a separate addon. The addon is built if MPI is installed, and only ranks load it.
// JavaScript passes commands to the engine (mpi/engine.h) and gets promises.
//
// If JavaScript's environment ends before `finalise`, MPI is aborted, because the other ranks would wait forever.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#include <node_api.h>
#include <pthread.h>

#include <chrono>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

#include "mpi/engine.h"

namespace foretoken {
namespace {

void setNumber(napi_env env, napi_value object, const char* name, double value) {
  napi_value number = nullptr;
  (void)napi_create_double(env, value, &number);
  (void)napi_set_named_property(env, object, name, number);
}

void release(napi_env env, Bytes& bytes) {
  if (bytes.reference != nullptr) (void)napi_delete_reference(env, bytes.reference);
}

// Resolves or rejects a command's promise, on JavaScript's thread.
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
    // A caller that waits keeps the process alive. Nothing else here does.
    if (--e.pending == 0) (void)napi_unref_threadsafe_function(env, e.settle);
  }
  // MPI may still use the buffers of a failed command.
  if (!command->failed) delete command->sharing;
  delete command;
}

napi_value refuse(napi_env env, const char* message) {
  (void)napi_throw_error(env, nullptr, message);
  return nullptr;
}

// The bytes of a typed array. Returns false if the value is not a typed array, or is too long for MPI.
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

// Queues a command for the MPI thread and returns its promise.
napi_value promiseFor(napi_env env, Command* command) {
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

napi_value enqueue(napi_env env, napi_callback_info info, Kind kind, size_t arrays) {
  size_t count = 3;
  napi_value values[3] = {};
  (void)napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  Command* command = new (std::nothrow) Command;
  if (command == nullptr) return refuse(env, "no memory for a command");
  command->kind = kind;
  if (arrays > 0) {
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
  return promiseFor(env, command);
}

// Reads ranges of an array of `length` elements from [from, to, owner, from, to, owner, …]. Returns null if a range is
// outside of the array, or if its owner is not a rank.
OwnedRange* takeRanges(napi_env env, napi_value value, double length, int size, int& count) {
  napi_typedarray_type type = napi_uint8_array;
  size_t numbers = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &numbers, &data, nullptr, nullptr) != napi_ok ||
      type != napi_float64_array || numbers % 3 != 0 || numbers / 3 > INT_MAX)
    return nullptr;
  const double* given = static_cast<const double*>(data);
  OwnedRange* ranges = static_cast<OwnedRange*>(std::malloc((numbers / 3 + 1) * sizeof(OwnedRange)));
  if (ranges == nullptr) return nullptr;
  count = static_cast<int>(numbers / 3);
  for (int i = 0; i < count; i++) {
    const double from = given[3 * i];
    const double to = given[3 * i + 1];
    const double owner = given[3 * i + 2];
    if (!(from >= 0 && from <= to && to <= length && owner >= 0 && owner < size)) {
      std::free(ranges);
      return nullptr;
    }
    ranges[i] = {static_cast<int64_t>(from), static_cast<int64_t>(to), static_cast<int>(owner)};
  }
  return ranges;
}

// allReduce(array): replaces the floats with their sums over all ranks, in an order that MPI chooses. Benchmarks
// compare it with reduceScatter and allGather.
napi_value allReduceFunction(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value = nullptr;
  (void)napi_get_cb_info(env, info, &count, &value, nullptr, nullptr);
  napi_typedarray_type type = napi_uint8_array;
  Command* command = new (std::nothrow) Command;
  if (command == nullptr) return refuse(env, "no memory for a command");
  command->kind = Kind::kAllReduce;
  if (napi_get_typedarray_info(env, value, &type, nullptr, nullptr, nullptr, nullptr) != napi_ok ||
      type != napi_float32_array || !takeBytes(env, value, command->send)) {
    delete command;
    return refuse(env, "float32 numbers must be given, of less than 2 GiB");
  }
  return promiseFor(env, command);
}

// sent(): { bytes, messages } that this rank has sent in sums, in exchanges, and in broadcasts from this rank.
napi_value sentFunction(napi_env env, napi_callback_info) {
  napi_value value = nullptr;
  (void)napi_create_object(env, &value);
  setNumber(env, value, "bytes", static_cast<double>(engine->sentBytes.load(std::memory_order_relaxed)));
  setNumber(env, value, "messages", static_cast<double>(engine->sentMessages.load(std::memory_order_relaxed)));
  return value;
}

// Queues a reduce-scatter or an all-gather of an array's ranges.
napi_value enqueueSharing(napi_env env, napi_callback_info info, Kind kind) {
  size_t count = 3;
  napi_value values[3] = {};
  (void)napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  bool urgent = true;
  (void)napi_get_value_bool(env, values[2], &urgent);
  napi_typedarray_type type = napi_uint8_array;
  size_t length = 0;
  void* data = nullptr;
  int ranges = 0;
  OwnedRange* taken = nullptr;
  if (napi_get_typedarray_info(env, values[0], &type, &length, &data, nullptr, nullptr) == napi_ok &&
      type == napi_float32_array && engine->size > 0)
    taken = takeRanges(env, values[1], static_cast<double>(length), engine->size, ranges);
  Command* command = taken == nullptr ? nullptr : new (std::nothrow) Command;
  if (command != nullptr) {
    command->kind = kind;
    command->urgent = urgent;
    const Way way = kind == Kind::kReduceScatter ? Way::kSum : Way::kSpread;
    command->sharing = new (std::nothrow) Sharing(way, static_cast<float*>(data), taken, ranges);
  }
  if (command == nullptr || command->sharing == nullptr ||
      napi_create_reference(env, values[0], 1, &command->send.reference) != napi_ok) {
    if (command == nullptr || command->sharing == nullptr) std::free(taken);
    if (command != nullptr) delete command->sharing;
    delete command;
    return refuse(env, "float32 numbers and ranges within them must be given, with an owner for each");
  }
  return promiseFor(env, command);
}

// start(): { rank, size, localSize, cores }. exchange(rank, sent, received). broadcast(root, array). barrier().
// finalise(patience). reduceScatter(array, ranges, urgent). allGather(array, ranges, urgent).
napi_value startFunction(napi_env env, napi_callback_info info) { return enqueue(env, info, Kind::kStart, 0); }
napi_value exchangeFunction(napi_env env, napi_callback_info info) { return enqueue(env, info, Kind::kExchange, 2); }
napi_value broadcastFunction(napi_env env, napi_callback_info info) { return enqueue(env, info, Kind::kBroadcast, 1); }
napi_value barrierFunction(napi_env env, napi_callback_info info) { return enqueue(env, info, Kind::kBarrier, 0); }
napi_value reduceScatterFunction(napi_env env, napi_callback_info info) {
  return enqueueSharing(env, info, Kind::kReduceScatter);
}
napi_value allGatherFunction(napi_env env, napi_callback_info info) {
  return enqueueSharing(env, info, Kind::kAllGather);
}
napi_value finaliseFunction(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value = nullptr;
  double patience = 0;
  (void)napi_get_cb_info(env, info, &count, &value, nullptr, nullptr);
  (void)napi_get_value_double(env, value, &patience);
  Command* command = new (std::nothrow) Command;
  if (command == nullptr) return refuse(env, "no memory for a command");
  command->kind = Kind::kFinalise;
  command->patience = patience > 0 && patience < 3600 ? static_cast<int>(patience) : 0;
  return promiseFor(env, command);
}

// abortAtEnd(status): sets the exit status of all ranks, if this environment ends before finalise().
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

// signs(): an Int32Array shared by this thread and the MPI thread: the number of ticks, whether ticks are watched, the
// longest silence, the phase.
napi_value signsFunction(napi_env env, napi_callback_info) {
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  // The engine is never freed.
  Signs& signs = engine->life.signs;
  if (napi_create_external_arraybuffer(env, &signs, sizeof signs, nullptr, nullptr, &buffer) != napi_ok ||
      napi_create_typedarray(env, napi_int32_array, kSigns, buffer, 0, &array) != napi_ok)
    return refuse(env, "no memory can be shared");
  return array;
}

// endProcess(line): writes "foretoken: …" and ends this process. MPI_Abort must not be called inside MPI_Init or
// MPI_Finalize, but the launcher ends all ranks if one rank ends without MPI_Finalize.
napi_value endProcess(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value = nullptr;
  (void)napi_get_cb_info(env, info, &count, &value, nullptr, nullptr);
  char line[320] = "foretoken: ";
  const size_t begins = std::strlen(line);
  size_t length = 0;
  (void)napi_get_value_string_utf8(env, value, line + begins, sizeof line - begins, &length);
  say(line, begins + length);
  _exit(1);
}

// library(): version text of the MPI library. May be called before MPI is initialised.
napi_value libraryFunction(napi_env env, napi_callback_info) {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  napi_value value = nullptr;
  (void)MPI_Get_library_version(text, &length);
  (void)napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  return value;
}

// dropSharings(): ends all current and future sums with an error, so that their arrays can be freed.
napi_value dropSharings(napi_env, napi_callback_info) {
  engine->dropping = true;
  const std::lock_guard<std::mutex> lock(engine->mutex);
  engine->changed.notify_all();
  return nullptr;
}

// Called when the environment ends. The MPI thread stops using JavaScript's memory. The MPI thread also aborts MPI if
// MPI was not finalised.
void endEnvironment(void*) {
  Engine& e = *engine;
  std::unique_lock<std::mutex> lock(e.mutex);
  e.abandoned = true;
  e.changed.notify_all();
  // An abort ends the process during this wait. Inside MPI_Init or MPI_Finalize the thread continues, because these
  // calls use no memory of JavaScript.
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
      {"library", nullptr, libraryFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"start", nullptr, startFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"exchange", nullptr, exchangeFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"broadcast", nullptr, broadcastFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"barrier", nullptr, barrierFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"reduceScatter", nullptr, reduceScatterFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"allGather", nullptr, allGatherFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"allReduce", nullptr, allReduceFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"sent", nullptr, sentFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"finalise", nullptr, finaliseFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"dropSharings", nullptr, dropSharings, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"abortAtEnd", nullptr, abortAtEnd, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"endProcess", nullptr, endProcess, nullptr, nullptr, nullptr, napi_default, nullptr},
      {"signs", nullptr, signsFunction, nullptr, nullptr, nullptr, napi_default, nullptr},
  };
  (void)napi_define_properties(env, exports, sizeof functions / sizeof functions[0], functions);
  return exports;
}

}  // namespace
}  // namespace foretoken

NAPI_MODULE_INIT() { return foretoken::initialise(env, exports); }
