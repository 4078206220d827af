// Sampling where the logits are: the bus carries parameters one way, and ids and asked-for log-probabilities the other.
// The semantics are those of runtime/sampler.h, to the token, except where `u` falls within rounding of the boundary
// between two. (Of logits so close that their weights round to the same, top_p keeps the greater here, and the lower id
// there.) Kernels and passes: kernels/sampling.cuh.
#pragma once
#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "model/model.h"

namespace jsg::cuda {

class DeviceSampler {
 public:
  static constexpr int kMaxRows = 512;
  static constexpr int kMaxTopLogprobs = 32;
  static constexpr int kMaxVocab = 262144;
  static constexpr int kSlots = 2;  // steps in flight

  // dependent_launch: kernels start while the one before ends (sm >= 90). Throws E_OUT_OF_MEMORY, and
  // E_DEVICE_UNSUITABLE above kMaxVocab.
  DeviceSampler(int vocab_size, bool dependent_launch);
  ~DeviceSampler();

  // Enqueues the sampling of rows.size() (1..kMaxRows) rows of `logits` (n, vocab_size) fp32 on the device, which it
  // may change in place. `best` (n) or null: of each row the greatest logit in order-preserving bits << 32 |
  // (0xffffffff - id), all bits set when a logit is NaN; plain greedy rows then are not read. unseen_row refers to
  // tokens() of the launch before. The spans in `rows` are not kept. What used `slot` before must have completed.
  // Does not wait for the device, except when it needs more memory than ever before.
  void launch(cudaStream_t stream, float* logits, const uint64_t* best, std::span<const RowSampling> rows, int slot);

  // (kMaxRows) on the device: the sampled ids, in stream order, -1 where logits were NaN. Never moves.
  const int32_t* tokens() const;

  // After the launch of `slot` has completed on the device; valid until the slot is launched again.
  std::span<const SampledToken> result(int slot);

 private:
  struct Slot;
  struct Scratch;

  void reserve(cudaStream_t stream, int n_rows, size_t n_entries);

  int vocab_size_;
  bool dependent_launch_;
  std::unique_ptr<Scratch> scratch_;
  std::array<std::unique_ptr<Slot>, kSlots> slots_;
};

}  // namespace jsg::cuda
