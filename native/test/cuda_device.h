// What the tests of the CUDA backend share: whether there is a device, and vectors on it.
#pragma once
#include <cstdlib>
#include <vector>

#include "check.h"
#ifdef JSG_CUDA
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/device_memory.h"
#endif

namespace jsg::test {

// False, with a line, where tests are to be skipped; $JSG_REQUIRE_CUDA makes a failure of a skip.
inline bool has_device() {
#ifdef JSG_CUDA
  if (cuda::cuda_device_count() > 0) return true;
#endif
  CHECK(std::getenv("JSG_REQUIRE_CUDA") == nullptr);
  std::printf("     skipped: no CUDA device\n");
  return false;
}

#ifdef JSG_CUDA
// A copy of `values` that has arrived when the constructor returns.
template <class V>
class OnDevice {
 public:
  explicit OnDevice(const std::vector<V>& values) : memory_(values.size()), count_(values.size()) {
    cuda::copy_to_device(memory_.get(), values.data(), count_ * sizeof(V), "copying to the device");
  }
  V* get() const { return memory_.get(); }
  std::vector<V> read() const {
    std::vector<V> values(count_);
    cuda::check(cudaMemcpy(values.data(), memory_.get(), count_ * sizeof(V), cudaMemcpyDeviceToHost),
                "copying to the host");
    return values;
  }

 private:
  cuda::Memory<V> memory_;
  size_t count_;
};
#endif

}  // namespace jsg::test
