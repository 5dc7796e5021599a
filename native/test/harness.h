// Base of the test program for kernels. Buffers have exactly the length that a kernel may access. So the address
// sanitizer reports an access to even one element more. Kernels are called by name. Results are compared with results
// in double.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "../call.h"
#include "../parallel.h"

namespace foretoken::test {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}

  uint32_t bits() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<uint32_t>(state_ >> 32);
  }
  // In [-1, 1).
  float real() { return static_cast<float>(static_cast<int32_t>(bits())) * 0x1p-31f; }

 private:
  uint64_t state_;
};

// The length of every live buffer, by its address.
inline std::map<const void*, int64_t>& bufferLengths() {
  static std::map<const void*, int64_t> lengths;
  return lengths;
}

// To nearest, ties to even; NaN stays NaN.
inline uint16_t toNarrow(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}
inline float fromNarrow(uint16_t narrow) {
  const uint32_t bits = static_cast<uint32_t>(narrow) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// `length` elements that end at the end of their allocation. The elements begin at the beginning of the allocation or,
// if shifted, one element later. A shift breaks every alignment.
template <typename T>
class Exact {
 public:
  Exact(int64_t length, bool shifted) : length_(length), shift_(shifted ? 1 : 0) {
    base_ = static_cast<T*>(std::malloc(sizeof(T) * static_cast<size_t>(length + shift_) + (length + shift_ == 0)));
    if (base_ == nullptr) std::abort();
    for (int64_t i = 0; i < length + shift_; i++) base_[i] = T{};
    bufferLengths()[data()] = length;
  }
  Exact(Exact&& other) noexcept : length_(other.length_), shift_(other.shift_), base_(other.base_) { other.base_ = nullptr; }
  ~Exact() {
    if (base_ != nullptr) bufferLengths().erase(data());
    std::free(base_);
  }
  Exact(const Exact&) = delete;
  Exact& operator=(const Exact&) = delete;

  T* data() { return base_ + shift_; }
  const T* data() const { return base_ + shift_; }
  T& operator[](int64_t i) { return base_[shift_ + i]; }
  const T& operator[](int64_t i) const { return base_[shift_ + i]; }
  int64_t size() const { return length_; }

 private:
  int64_t length_;
  int64_t shift_;
  T* base_;
};

using Floats = Exact<float>;
using Ints = Exact<int32_t>;
using Words = Exact<uint32_t>;
using Narrows = Exact<uint16_t>;

// Settings of one pass over kernels: whether buffers are shifted, the rounding of operands, whether activations are
// bfloat16, and whether tiles multiply float32. If not `judged`, only memory accesses are tested, and results may have
// any value.
struct Way {
  bool shifted;
  bool bfloat16;
  bool narrow = false;
  bool wholeTiles = false;
  bool judged = true;

  const char* name() const {
    return narrow ? "bfloat16 activations" : bfloat16 ? "bfloat16" : wholeTiles ? "float32 by tiles" : "float32";
  }
};

using Doubles = std::vector<double>;

class Suite;

// Tests of some kernels.
using Test = void (*)(Suite&);

// One pass over kernels with one table and one number of threads.
class Suite {
 public:
  Suite(const KernelTable& table, Pool& pool, Way way) : table_(table), pool_(pool), way_(way) {}

  // Runs a test. Its inputs do not depend on the tests before it.
  void run(Test test) {
    test_ = test;
    onces_ = 0;
    random_ = Random(1);
    test(*this);
  }

  // `value` rounded as in a product: to nearest, ties to even.
  double operand(float value) const {
    if (!way_.bfloat16) return value;
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0x7FFFu + ((bits >> 16) & 1u)) & 0xFFFF0000u;
    std::memcpy(&value, &bits, sizeof bits);
    return value;
  }
  // Relative tolerance for results with rounded intermediate values, in the unit of expect().
  double operandError() const { return way_.bfloat16 ? 0x1p-8 / kEpsilon : 0; }
  int failures() const { return failures_; }
  // Digest of every bit of every result so far, in order.
  uint64_t digest() const { return digest_; }
  const std::vector<bool>& called() const { return called_; }

  Floats floats(int64_t length) const { return Floats(length, way_.shifted); }
  Floats randomFloats(int64_t length, float scale = 1) {
    Floats values(length, way_.shifted);
    for (int64_t i = 0; i < length; i++) values[i] = scale * random_.real();
    return values;
  }
  Ints randomInts(int64_t length, int bound) {
    Ints values(length, way_.shifted);
    for (int64_t i = 0; i < length; i++) values[i] = static_cast<int32_t>(random_.bits() % static_cast<uint32_t>(bound));
    return values;
  }
  Words randomWords(int64_t length) {
    Words values(length, way_.shifted);
    for (int64_t i = 0; i < length; i++) values[i] = random_.bits();
    return values;
  }

  // Runs the kernel with arguments of type Args.
  template <typename Args>
  void call(const Args& args) {
    called_.resize(static_cast<size_t>(table_.count));
    called_[Args::kIndex] = true;
    Call call = args.template toCall<Call>();
    call.bfloat16 = way_.bfloat16;
    call.wholeTiles = way_.wholeTiles;
    const Kernel& kernel = table_.kernels[Args::kIndex];
    if (way_.narrow) runNarrow(kernel, call);
    else kernel.run(call, pool_);
  }

  // Runs consecutive calls of one kernel together, with activations in float32. @returns false, and runs nothing, if the
  // kernel does not take them together.
  template <typename Args>
  bool callTogether(const std::vector<Args>& all) {
    const Together& together = table_.kernels[Args::kIndex].together;
    std::vector<Call> calls;
    for (const Args& args : all) {
      calls.push_back(args.template toCall<Call>());
      calls.back().bfloat16 = way_.bfloat16;
      const int before = static_cast<int>(calls.size()) - 1;
      if (before > 0 && !together.joins({calls.data(), before}, calls.back())) return false;
    }
    const Calls group = {calls.data(), static_cast<int>(calls.size())};
    // The same calls as if they followed, so that a kernel reads ahead for them.
    together.run(group, group, pool_);
    return true;
  }

  // Caches expected results: the n-th call in a test returns the same value as the n-th call in the first suite with
  // these settings. Use it only for values that depend only on the inputs. These are equal for every table and number of
  // threads. With a sanitizer, sums in double take longer than the kernels, so the cache saves time.
  template <typename Compute>
  const auto& once(Compute compute) {
    static std::map<std::tuple<Test, bool, bool, int>, decltype(compute())> results;
    const auto key = std::tuple(test_, way_.bfloat16, way_.narrow, onces_++);
    const auto found = results.find(key);
    return found == results.end() ? results.emplace(key, compute()).first->second : found->second;
  }

  // Checks that every got[i] is within epsilon · (|wanted(i)| + magnitude) of wanted(i). `magnitude` is the size of the
  // terms of the sum. `wanted` must depend only on the inputs.
  void expect(const char* what, const Floats& got, double magnitude, const std::function<double(int64_t)>& wanted) {
    if (way_.judged) hold(what, got, magnitude, once([&] { return evaluated(got.size(), wanted); }));
    else onces_++;
  }

  // Like expect(), but `wanted` may depend on results of a kernel.
  void expectNow(const char* what, const Floats& got, double magnitude, const std::function<double(int64_t)>& wanted) {
    if (way_.judged) hold(what, got, magnitude, evaluated(got.size(), wanted));
  }

  // Checks that `got` and `wanted` have equal bits.
  void expectSame(const char* what, const Floats& got, const Floats& wanted) {
    if (!way_.judged || std::memcmp(got.data(), wanted.data(), sizeof(float) * static_cast<size_t>(got.size())) == 0) return;
    failures_++;
    std::printf("%s, %d threads: %s has other bits\n", table_.instructionSet, pool_.threads(), what);
  }

  void expectTrue(const char* what, bool holds) {
    if (holds) return;
    failures_++;
    std::printf("%s, %d threads: %s does not hold\n", table_.instructionSet, pool_.threads(), what);
  }

  // Adds the bits of a result to the digest. Digests are compared between numbers of threads.
  template <typename T>
  void take(const Exact<T>& got) {
    static_assert(sizeof(T) == sizeof(uint32_t));
    for (int64_t i = 0; i < got.size(); i++) {
      uint32_t bits;
      std::memcpy(&bits, &got[i], sizeof bits);
      digest_ = (digest_ ^ bits) * 0x100000001B3u;
    }
  }

 private:
  static Doubles evaluated(int64_t length, const std::function<double(int64_t)>& wanted) {
    Doubles values(static_cast<size_t>(length));
    for (int64_t i = 0; i < length; i++) values[static_cast<size_t>(i)] = wanted(i);
    return values;
  }

  void hold(const char* what, const Floats& got, double magnitude, const Doubles& wanted) {
    if (static_cast<int64_t>(wanted.size()) != got.size()) {
      std::printf("%s: suites of the same way must expect the same, in the same order\n", what);
      std::abort();
    }
    int64_t wrong = -1;
    for (int64_t i = 0; i < got.size() && wrong < 0; i++) {
      const double value = wanted[static_cast<size_t>(i)];
      // The conformance tests check other effects of rounding to bfloat16 with smaller bounds.
      const double allowed = (way_.narrow ? 0x1p-7 : kEpsilon) * (std::fabs(value) + magnitude);
      // The comparison is written so that NaN counts as wrong.
      if (!(std::fabs(got[i] - value) <= allowed)) wrong = i;
    }
    take(got);
    if (wrong < 0) return;
    failures_++;
    std::printf("%s, %s, %d threads, %s: %s[%lld of %lld] must be %.9g, is %.9g\n", table_.instructionSet,
                way_.name(), pool_.threads(),
                way_.shifted ? "shifted" : "aligned", what, static_cast<long long>(wrong),
                static_cast<long long>(got.size()), wanted[static_cast<size_t>(wrong)], static_cast<double>(got[wrong]));
  }

  // Calls a kernel with activations as bfloat16, in buffers of exactly their length, and converts the results back.
  void runNarrow(const Kernel& kernel, Call call) {
    std::map<void*, Narrows> narrow;
    for (int i = 0; i < kernel.declaration.buffers; i++) {
      void* const buffer = call.buffers[i];
      if (buffer == nullptr || (kernel.declaration.activations >> i & 1u) == 0) continue;
      const auto [found, fresh] = narrow.try_emplace(buffer, bufferLengths().at(buffer), way_.shifted);
      Narrows& values = found->second;
      for (int64_t j = 0; fresh && j < values.size(); j++) values[j] = toNarrow(static_cast<float*>(buffer)[j]);
      call.setBuffer(i, {values.data(), true});
    }
    kernel.run(call, pool_);
    for (const auto& [buffer, values] : narrow)
      for (int64_t j = 0; j < values.size(); j++) static_cast<float*>(buffer)[j] = fromNarrow(values[j]);
  }

  static constexpr double kEpsilon = 4e-6;

  const KernelTable& table_;
  Pool& pool_;
  const Way way_;
  Random random_{1};
  Test test_ = nullptr;
  int onces_ = 0;
  int failures_ = 0;
  uint64_t digest_ = 0xCBF29CE484222325u;
  std::vector<bool> called_;
};

void testElementwise(Suite& suite);
void testLayers(Suite& suite);
void testRotary(Suite& suite);
void testProducts(Suite& suite);
void testAttention(Suite& suite);
void testBlocks(Suite& suite);
// Returns the number of failures.
int testBranches(const KernelTable& table);
int testDispatch(Pool& pool);

}  // namespace foretoken::test
