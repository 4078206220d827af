// CUDA calls that throw, and memory that frees itself.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <string>
#include <utility>

#include "error.h"

namespace jsg::cuda {

inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  const char* code = status == cudaErrorMemoryAllocation ? "E_OUT_OF_MEMORY" : "E_RUNTIME_FAILED";
  throw Error(code, std::string("CUDA: ") + what + ": " + cudaGetErrorString(status));
}

enum class Place { kDevice, kPinnedHost };

// Returns when the bytes have arrived. cudaMemcpy alone may return before, when they come from memory that is not
// pinned, and streams that do not block would not wait for them.
inline void copy_to_device(void* to, const void* from, size_t bytes, const char* what) {
  check(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), what);
  check(cudaStreamSynchronize(cudaStreamLegacy), what);
}

// Memory of T that grows and never shrinks; growing loses the content.
template <class T, Place kPlace = Place::kDevice>
class Memory {
 public:
  Memory() = default;
  explicit Memory(size_t count) { grow(count); }
  ~Memory() { release(); }
  Memory(Memory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }

  // True when the memory has moved.
  bool grow(size_t count) {
    if (count <= count_) return false;
    release();
    void* data = nullptr;
    if (kPlace == Place::kDevice) {
      check(cudaMalloc(&data, count * sizeof(T)), "allocating device memory");
    } else {
      check(cudaMallocHost(&data, count * sizeof(T)), "allocating pinned memory");
    }
    data_ = static_cast<T*>(data);
    count_ = count;
    return true;
  }
  T* get() const { return data_; }
  size_t bytes() const { return count_ * sizeof(T); }

 private:
  // Errors here have been reported by the call that caused them.
  void release() {
    if (kPlace == Place::kDevice) {
      (void)cudaFree(data_);
    } else {
      (void)cudaFreeHost(data_);
    }
    data_ = nullptr;
    count_ = 0;
  }
  T* data_ = nullptr;
  size_t count_ = 0;
};

}  // namespace jsg::cuda
