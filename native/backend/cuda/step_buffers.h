// What the host tells the device of each step: one block of memory a slot, so that the next step's can be copied while
// the last one's is still read. Where a part lies in the block depends only on the numbers of rows, slices and tiles:
// recorded graphs find it again.
#pragma once
#include <span>

#include "backend/cuda/attention.h"
#include "backend/cuda/device_memory.h"
#include "backend/cuda/kernels/kv.cuh"
#include "model/model.h"

namespace jsg::cuda {

class StepBuffers {
 public:
  static constexpr int kSlots = 2;

  explicit StepBuffers(int half_head_dim);
  ~StepBuffers();
  StepBuffers(const StepBuffers&) = delete;
  StepBuffers& operator=(const StepBuffers&) = delete;

  // Copies the batch into `slot`, filled up to the rows, slices and tiles of `step` where those are more than it has (a
  // row is a slice of its own then); `consumer` waits for the copy. True when the memory has moved. `tile_rows`: of a
  // tile. `cos`, `sin`: (rows of the batch, half_head_dim). The step that used the slot before must be over.
  bool upload(const Batch& batch, const AttentionStep& step, int tile_rows, std::span<const float> cos,
              std::span<const float> sin, int slot, cudaStream_t consumer);

  // Of the last upload, on the device.
  StepView view() const;
  const int32_t* ids() const { return device(layout_.ids); }                // (n_rows), as in Batch
  const int32_t* logit_rows() const { return device(layout_.logit_rows); }  // (logit rows); filled up

 private:
  // Offsets in int32_t.
  struct Layout {
    size_t ids, positions, sequences, logit_rows, slices, tiles, table_begin, rotations, tables, end;
  };
  const int32_t* device(size_t offset) const { return slots_[slot_].device.get() + offset; }

  struct Slot {
    Memory<int32_t> device;
    Memory<int32_t, Place::kPinnedHost> host;
    cudaEvent_t copied = nullptr;
  };
  const int half_;
  cudaStream_t stream_ = nullptr;
  Slot slots_[kSlots];
  int slot_ = 0;
  Layout layout_{};
};

}  // namespace jsg::cuda
