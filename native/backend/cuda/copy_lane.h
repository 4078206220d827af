// Copies of weights to the current device through pinned memory, on a stream of their own.
#pragma once
#include <cuda_runtime.h>

#include "backend/cuda/device_memory.h"
#include "backend/weight_loader.h"

namespace jsg::cuda {

class PinnedLane final : public CopyLane {
 public:
  PinnedLane();
  ~PinnedLane() override;
  uint8_t* buffer() override;
  void send(void* target, size_t bytes) override;
  void flush() override;

 private:
  struct Slot {
    Memory<uint8_t, Place::kPinnedHost> memory;
    cudaEvent_t sent = nullptr;
  };
  cudaStream_t stream_ = nullptr;
  Slot slots_[2];
  int current_ = 0;
};

// A loader with as many threads as pay off. `integrated`: what is staged takes memory from the weights.
std::unique_ptr<WeightLoader> make_weight_loader(bool integrated);

}  // namespace jsg::cuda
