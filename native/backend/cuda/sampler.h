#pragma once
#include <cuda_runtime.h>
#include <span>
#include <vector>
#include "model/model.h"
namespace jsg::cuda {
class DeviceSampler {
 public:
  static constexpr int kMaxTopLogprobs = 32, kSlots = 2;
  DeviceSampler(int, bool);
  void launch(cudaStream_t, float*, const uint64_t*, std::span<const RowSampling>, int);
  const int32_t* tokens() const { return tok; }
  std::span<const SampledToken> result(int);
  int vocab;
  bool dep;
  int32_t* tok;
  int32_t* host[2];
  int n[2];
  std::vector<SampledToken> out;
};
}  // namespace jsg::cuda
