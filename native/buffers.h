// Buffers as kernels see them. The type says what the declaration in src/backend/kernels/kernels.ts says: what a buffer
// holds, whether it is written (const or not) and whether it may be absent. So C++ that does not fit the declaration does
// not compile.
#pragma once

#include <cstdint>
#include <type_traits>

namespace foretoken {

// A buffer as a call names it (call.h): memory of any type; null: absent. `narrow`: it holds bfloat16.
struct AnyBuffer {
  void* memory;
  bool narrow;
};

// A buffer of float, int32_t (`index`) or uint32_t (`bits`): a pointer that must be given.
template <typename T>
class Buffer {
 public:
  Buffer(T* data) : data_(data) {}
  explicit Buffer(AnyBuffer any) : data_(static_cast<T*>(any.memory)) {}

  operator T*() const { return data_; }
  AnyBuffer any() const { return {const_cast<std::remove_const_t<T>*>(data_), false}; }

 private:
  T* data_;
};

// The same, where it may be absent. `orNull` says so at the place where it is used.
template <typename T>
class OptionalBuffer {
 public:
  OptionalBuffer(T* data) : data_(data) {}
  explicit OptionalBuffer(AnyBuffer any) : data_(static_cast<T*>(any.memory)) {}

  T* orNull() const { return data_; }
  explicit operator bool() const { return data_ != nullptr; }
  AnyBuffer any() const { return {const_cast<std::remove_const_t<T>*>(data_), false}; }

 private:
  T* data_;
};

// Elements that are float or bfloat16, T being `float` or `const float`. withElements (narrow.h) tells which.
template <typename T>
class Activations {
 public:
  using Memory = std::conditional_t<std::is_const_v<T>, const void, void>;

  Activations(Memory* memory, bool narrow) : memory_(memory), narrow_(narrow) {}
  // What may be written may be read.
  template <typename U>
    requires std::is_same_v<const U, T>
  Activations(const Activations<U>& other) : memory_(other.memory()), narrow_(other.narrow()) {}

  Memory* memory() const { return memory_; }
  bool narrow() const { return narrow_; }

  // As elements of type U, which they must be.
  template <typename U>
  auto as() const {
    return static_cast<std::conditional_t<std::is_const_v<T>, const U, U>*>(memory_);
  }
  AnyBuffer any() const { return {const_cast<void*>(static_cast<const void*>(memory_)), narrow_}; }

 private:
  Memory* memory_;
  bool narrow_;
};

// A buffer of activations that must be given.
template <typename T>
class ActivationBuffer : public Activations<T> {
 public:
  ActivationBuffer(T* data) : Activations<T>(data, false) {}
  explicit ActivationBuffer(AnyBuffer any) : Activations<T>(any.memory, any.narrow) {}
};

// The same, where it may be absent.
template <typename T>
class OptionalActivationBuffer {
 public:
  OptionalActivationBuffer(T* data) : elements_(data, false) {}
  explicit OptionalActivationBuffer(AnyBuffer any) : elements_(any.memory, any.narrow) {}

  Activations<T> orNull() const { return elements_; }
  explicit operator bool() const { return elements_.memory() != nullptr; }
  AnyBuffer any() const { return elements_.any(); }

 private:
  Activations<T> elements_;
};

}  // namespace foretoken
