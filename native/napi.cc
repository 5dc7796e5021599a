// The Node-API binding: opens instances (a kernel table, a pool, storages) and dispatches packets. It does no
// arithmetic. Several threads of one process may load the addon, so there is no global state. An instance belongs to
// the environment of its thread, and is closed with this environment.
#include <node_api.h>

#include <cstdint>
#include <cstring>
#include <new>

#include "branches.h"
#include "dispatch.h"
#include "tables.h"
#include "thread_pool.h"

namespace foretoken {
namespace {

struct Instance {
  Instance* next = nullptr;
  const KernelTable* table = nullptr;
  ThreadPool* pool = nullptr;
  BranchPools branchPools;
  Storages storages;
  const double* packet = nullptr;
  napi_ref packetReference = nullptr;

  bool open() const { return pool != nullptr; }

  // Stops the threads and returns the size of the storages in bytes.
  int64_t close() {
    branchPools.clear();
    delete pool;
    pool = nullptr;
    packet = nullptr;
    return storages.clear();
  }
};

// The instances of one environment. A closed instance is empty, but exists until the environment ends, because
// JavaScript functions point to it.
struct Environment {
  Instance* instances = nullptr;
};

void endEnvironment(void* opaque) {
  Environment* environment = static_cast<Environment*>(opaque);
  while (environment->instances != nullptr) {
    Instance* instance = environment->instances;
    environment->instances = instance->next;
    instance->close();
    delete instance;
  }
  delete environment;
}

constexpr int kMaxArguments = 3;

// The arguments of a call, and the data pointer of its function.
struct Arguments {
  napi_env env;
  napi_value values[kMaxArguments] = {};
  size_t count = kMaxArguments;
  void* data = nullptr;

  Arguments(napi_env callEnv, napi_callback_info info) : env(callEnv) {
    (void)napi_get_cb_info(env, info, &count, values, nullptr, &data);
  }

  Instance& instance() const { return *static_cast<Instance*>(data); }

  double number(int index) const {
    double value = -1;
    (void)napi_get_value_double(env, values[index], &value);
    return value;
  }

  // False if the argument is missing.
  bool flag(int index) const {
    bool value = false;
    (void)napi_get_value_bool(env, values[index], &value);
    return value;
  }
};

napi_value number(napi_env env, double value) {
  napi_value result = nullptr;
  (void)napi_create_double(env, value, &result);
  return result;
}

napi_value text(napi_env env, const char* value) {
  napi_value result = nullptr;
  (void)napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &result);
  return result;
}

void set(napi_env env, napi_value object, const char* name, napi_value value) {
  (void)napi_set_named_property(env, object, name, value);
}

void setFunction(napi_env env, napi_value object, const char* name, napi_callback function, void* data) {
  napi_value value = nullptr;
  (void)napi_create_function(env, name, NAPI_AUTO_LENGTH, function, data, &value);
  set(env, object, name, value);
}

void tellCollector(napi_env env, int64_t bytes) {
  int64_t total = 0;
  (void)napi_adjust_external_memory(env, bytes, &total);
}

// allocate(bytes, gradually): returns a handle, or -1 if there is no memory.
napi_value allocate(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const int64_t bytes = static_cast<int64_t>(arguments.number(0));
  Instance& instance = arguments.instance();
  const bool gradually = arguments.flag(1);
  const int handle = instance.open() ? instance.storages.allocate(bytes, gradually) : -1;
  if (handle >= 0) tellCollector(env, bytes);
  return number(env, handle);
}

// release(handle).
napi_value release(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const int64_t bytes = arguments.instance().storages.release(arguments.number(0));
  if (bytes > 0) tellCollector(env, -bytes);
  return nullptr;
}

// write(handle, byteOffset, typedArray) and read(handle, byteOffset, typedArray): return false if the array does not
// fit.
napi_value copy(napi_env env, napi_callback_info info, bool toStorage) {
  const Arguments arguments(env, info);
  napi_typedarray_type type = napi_uint8_array;
  size_t length = 0;
  void* data = nullptr;
  bool done = false;
  if (napi_get_typedarray_info(env, arguments.values[2], &type, &length, &data, nullptr, nullptr) == napi_ok &&
      (type == napi_float32_array || type == napi_int32_array || type == napi_uint16_array)) {
    const size_t bytes = length * (type == napi_uint16_array ? sizeof(uint16_t) : sizeof(float));
    char* place =
        arguments.instance().storages.at(arguments.number(0), arguments.number(1), static_cast<double>(bytes));
    done = place != nullptr;
    if (done && bytes > 0) std::memcpy(toStorage ? place : data, toStorage ? data : place, bytes);
  }
  napi_value result = nullptr;
  (void)napi_get_boolean(env, done, &result);
  return result;
}

napi_value write(napi_env env, napi_callback_info info) { return copy(env, info, true); }
napi_value read(napi_env env, napi_callback_info info) { return copy(env, info, false); }

// view(handle, bytes): returns the memory of the storage, valid until the storage is freed. Returns undefined if the
// storage is shorter than `bytes`.
napi_value show(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const double bytes = arguments.number(1);
  char* place = arguments.instance().storages.at(arguments.number(0), 0, bytes);
  napi_value memory = nullptr;
  if (place == nullptr || napi_create_external_arraybuffer(env, place, static_cast<size_t>(bytes), nullptr, nullptr,
                                                           &memory) != napi_ok)
    (void)napi_get_undefined(env, &memory);
  return memory;
}

// run(): runs the kernel of the packet. Returns the result of dispatch().
napi_value run(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  (void)napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  const Instance& instance = *static_cast<const Instance*>(data);
  const int outcome =
      instance.open() ? dispatch(*instance.table, instance.storages, *instance.pool, instance.packet) : kNoSuchKernel;
  napi_value result = nullptr;
  (void)napi_create_int32(env, outcome, &result);
  return result;
}

// runAll(packets): runs the kernels of contiguous packets, and stops at the first packet that fails. Returns the result
// of the last dispatch().
napi_value runAll(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Instance& instance = arguments.instance();
  napi_typedarray_type type = napi_uint8_array;
  size_t length = 0;
  void* data = nullptr;
  int outcome = kNoSuchKernel;
  if (instance.open() &&
      napi_get_typedarray_info(env, arguments.values[0], &type, &length, &data, nullptr, nullptr) == napi_ok &&
      type == napi_float64_array && length % kPacketLength == 0) {
    outcome = dispatchAll(*instance.table, instance.storages, *instance.pool, static_cast<const double*>(data),
                          static_cast<int64_t>(length) / kPacketLength);
  }
  napi_value result = nullptr;
  (void)napi_create_int32(env, outcome, &result);
  return result;
}

// runBeside(packets, ends, threads): runs branches of packets in parallel, each on `threads` threads. Returns the
// result of dispatchBeside().
napi_value runBeside(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Instance& instance = arguments.instance();
  napi_typedarray_type type = napi_uint8_array, typeOfEnds = napi_uint8_array;
  size_t length = 0, count = 0;
  void* packets = nullptr;
  void* ends = nullptr;
  const double threads = arguments.number(2);
  int outcome = kNoSuchKernel;
  if (instance.open() &&
      napi_get_typedarray_info(env, arguments.values[0], &type, &length, &packets, nullptr, nullptr) == napi_ok &&
      napi_get_typedarray_info(env, arguments.values[1], &typeOfEnds, &count, &ends, nullptr, nullptr) == napi_ok &&
      type == napi_float64_array && length % kPacketLength == 0 && typeOfEnds == napi_int32_array && count <= kMaxBranches &&
      divides(static_cast<const int32_t*>(ends), static_cast<int64_t>(count), static_cast<int64_t>(length) / kPacketLength) &&
      threads >= 1 && threads <= instance.pool->threads()) {
    const Branches branches{static_cast<const double*>(packets), static_cast<const int32_t*>(ends), static_cast<int>(count)};
    outcome = dispatchBeside(*instance.table, instance.storages, *instance.pool, instance.branchPools, branches,
                             static_cast<int>(threads));
  }
  napi_value result = nullptr;
  (void)napi_create_int32(env, outcome, &result);
  return result;
}

// close(): frees all memory. In later calls, no handle is live.
napi_value close(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Instance& instance = arguments.instance();
  if (!instance.open()) return nullptr;
  tellCollector(env, -instance.close());
  (void)napi_delete_reference(env, instance.packetReference);
  return nullptr;
}

// open(instructionSet, threads): returns an instance.
napi_value open(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  char name[32] = {};
  (void)napi_get_value_string_utf8(env, arguments.values[0], name, sizeof name, nullptr);
  const double threads = arguments.number(1);
  const KernelTable* tables[kMaxTables];
  const int count = usableTables(tables);
  const KernelTable* table = nullptr;
  for (int i = 0; i < count; i++)
    if (std::strcmp(tables[i]->instructionSet, name) == 0) table = tables[i];
  if (table == nullptr || !(threads >= 1 && threads <= kMaxThreads)) {
    (void)napi_throw_error(env, nullptr, "no such instruction set, or a bad number of threads");
    return nullptr;
  }

  ThreadPool* pool = new (std::nothrow) ThreadPool(static_cast<int>(threads));
  Instance* instance = new (std::nothrow) Instance;
  if (pool == nullptr || instance == nullptr || !pool->start()) {
    delete pool;
    delete instance;
    (void)napi_throw_error(env, nullptr, "the system refuses to start that many threads");
    return nullptr;
  }
  instance->table = table;
  instance->pool = pool;
  Environment* environment = static_cast<Environment*>(arguments.data);
  instance->next = environment->instances;
  environment->instances = instance;

  void* packet = nullptr;
  napi_value buffer = nullptr;
  napi_value view = nullptr;
  if (napi_create_arraybuffer(env, kPacketLength * sizeof(double), &packet, &buffer) != napi_ok ||
      napi_create_typedarray(env, napi_float64_array, kPacketLength, buffer, 0, &view) != napi_ok ||
      napi_create_reference(env, buffer, 1, &instance->packetReference) != napi_ok) {
    instance->close();
    (void)napi_throw_error(env, nullptr, "no memory for a packet");
    return nullptr;
  }
  instance->packet = static_cast<const double*>(packet);

  napi_value result = nullptr;
  (void)napi_create_object(env, &result);
  set(env, result, "packet", view);
  setFunction(env, result, "allocate", allocate, instance);
  setFunction(env, result, "release", release, instance);
  setFunction(env, result, "write", write, instance);
  setFunction(env, result, "read", read, instance);
  setFunction(env, result, "view", show, instance);
  setFunction(env, result, "run", run, instance);
  setFunction(env, result, "runAll", runAll, instance);
  setFunction(env, result, "runBeside", runBeside, instance);
  setFunction(env, result, "close", close, instance);
  return result;
}

// The kernels as [{ name, buffers, ints, floats }], for comparison with src/backend/kernels/kernels.ts.
napi_value describeKernels(napi_env env, const KernelTable& table) {
  napi_value list = nullptr;
  (void)napi_create_array_with_length(env, static_cast<size_t>(table.count), &list);
  for (int i = 0; i < table.count; i++) {
    const KernelDeclaration& kernel = table.kernels[i].declaration;
    napi_value entry = nullptr;
    (void)napi_create_object(env, &entry);
    set(env, entry, "name", text(env, kernel.name));
    set(env, entry, "buffers", number(env, kernel.buffers));
    set(env, entry, "ints", number(env, kernel.ints));
    set(env, entry, "floats", number(env, kernel.floats));
    (void)napi_set_element(env, list, static_cast<uint32_t>(i), entry);
  }
  return list;
}

napi_value initialise(napi_env env, napi_value exports) {
  Environment* environment = new (std::nothrow) Environment;
  if (environment == nullptr || napi_add_env_cleanup_hook(env, endEnvironment, environment) != napi_ok) {
    delete environment;
    (void)napi_throw_error(env, nullptr, "foretoken: the addon cannot be set up");
    return nullptr;
  }
  const KernelTable* tables[kMaxTables];
  const int count = usableTables(tables);
  napi_value sets = nullptr;
  (void)napi_create_array_with_length(env, static_cast<size_t>(count), &sets);
  for (int i = 0; i < count; i++)
    (void)napi_set_element(env, sets, static_cast<uint32_t>(i), text(env, tables[i]->instructionSet));
  set(env, exports, "instructionSets", sets);
  const char* names[kMaxTables];
  const int missing = missingTables(names);
  napi_value notCompiled = nullptr;
  (void)napi_create_array_with_length(env, static_cast<size_t>(missing), &notCompiled);
  for (int i = 0; i < missing; i++)
    (void)napi_set_element(env, notCompiled, static_cast<uint32_t>(i), text(env, names[i]));
  set(env, exports, "notCompiled", notCompiled);
  napi_value fast = nullptr;
  (void)napi_get_boolean(env, pairsAreFast(), &fast);
  set(env, exports, "pairsAreFast", fast);
  set(env, exports, "kernels", describeKernels(env, *tables[0]));

  napi_value limits = nullptr;
  (void)napi_create_object(env, &limits);
  set(env, limits, "buffers", number(env, kMaxBuffers));
  set(env, limits, "ints", number(env, kMaxInts));
  set(env, limits, "floats", number(env, kMaxFloats));
  set(env, exports, "limits", limits);
  setFunction(env, exports, "open", open, environment);
  return exports;
}

}  // namespace
}  // namespace foretoken

NAPI_MODULE_INIT() { return foretoken::initialise(env, exports); }
