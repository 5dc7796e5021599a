// Buffers as kernels see them. The C++ type follows from the declaration in src/backend/kernels/kernels.ts. It contains
// the element type, whether the kernel writes the buffer (const or not), and whether the buffer may be absent. C++ that
// does not match the declaration does not compile.
#pragma once

#include <cstdint>
#include <type_traits>

namespace foretoken {

// An untyped buffer, as a call passes it (call.h). null: absent. `narrow`: it holds bfloat16.
struct AnyBuffer {
  void* memory;
  bool narrow;
};

// A required buffer of float, int32_t (`index`) or uint32_t (`bits`): a pointer that is never null.
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

// An optional buffer. Where it is used, the name `orNull` shows that it may be null.
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

// Elements of float32 or bfloat16. T is `float` or `const float`. withElements (narrow.h) finds out which type the
// buffer holds.
template <typename T>
class Activations {
 public:
  using Memory = std::conditional_t<std::is_const_v<T>, const void, void>;

  Activations(Memory* memory, bool narrow) : memory_(memory), narrow_(narrow) {}
  // A writable buffer converts to a readable one.
  template <typename U>
    requires std::is_same_v<const U, T>
  Activations(const Activations<U>& other) : memory_(other.memory()), narrow_(other.narrow()) {}

  Memory* memory() const { return memory_; }
  bool narrow() const { return narrow_; }

  // The elements as type U. The buffer must hold U.
  template <typename U>
  auto as() const {
    return static_cast<std::conditional_t<std::is_const_v<T>, const U, U>*>(memory_);
  }
  AnyBuffer any() const { return {const_cast<void*>(static_cast<const void*>(memory_)), narrow_}; }

 private:
  Memory* memory_;
  bool narrow_;
};

// A required buffer of activations.
template <typename T>
class ActivationBuffer : public Activations<T> {
 public:
  ActivationBuffer(T* data) : Activations<T>(data, false) {}
  explicit ActivationBuffer(AnyBuffer any) : Activations<T>(any.memory, any.narrow) {}
};

// An optional buffer of activations.
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
