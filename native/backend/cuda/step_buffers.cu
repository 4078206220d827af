#include "backend/cuda/step_buffers.h"

#include <algorithm>
#include <cstring>

namespace jsg::cuda {
namespace {

constexpr size_t kLeastInts = size_t{1} << 18;  // room for 64 rows with 4k blocks each: seldom outgrown

}  // namespace

StepBuffers::StepBuffers(int half_head_dim) : half_(half_head_dim) {
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
  for (Slot& slot : slots_) check(cudaEventCreateWithFlags(&slot.copied, cudaEventDisableTiming), "creating an event");
}

StepBuffers::~StepBuffers() {
  for (Slot& slot : slots_) (void)cudaEventDestroy(slot.copied);
  (void)cudaStreamDestroy(stream_);
}

bool StepBuffers::upload(const Batch& batch, const AttentionStep& step, int tile_rows, std::span<const float> cos,
                         std::span<const float> sin, int slot, cudaStream_t consumer) {
  const size_t n_batch = batch.token_ids.size(), rows = static_cast<size_t>(step.n_rows);
  const size_t n_padding = rows - n_batch, n_slices = static_cast<size_t>(step.n_slices);
  const size_t n_tiles = static_cast<size_t>(step.n_tiles);
  auto even = [](size_t n) { return (n + 3) / 4 * 4; };  // parts begin at 16 bytes
  layout_.ids = 0;
  layout_.positions = even(layout_.ids + rows);
  layout_.sequences = even(layout_.positions + rows);
  layout_.logit_rows = even(layout_.sequences + rows);
  layout_.slices = even(layout_.logit_rows + rows);
  layout_.tiles = even(layout_.slices + 2 * n_slices);
  layout_.table_begin = even(layout_.tiles + 2 * n_tiles);
  layout_.rotations = even(layout_.table_begin + n_slices);
  layout_.tables = even(layout_.rotations + 2 * rows * half_);
  layout_.end = layout_.tables;
  for (const SequenceSlice& slice : batch.slices) layout_.end += (slice.context_len + kPage - 1) / kPage;

  bool moved = false;
  for (Slot& each : slots_) {
    moved |= each.device.grow(std::max(layout_.end, kLeastInts));
    each.host.grow(std::max(layout_.end, kLeastInts));
  }
  slot_ = slot;
  int32_t* host = slots_[slot].host.get();
  auto put = [&](size_t offset, std::span<const int32_t> values, int32_t padding) {
    std::copy(values.begin(), values.end(), host + offset);
    std::fill_n(host + offset + values.size(), n_padding, padding);
  };
  put(layout_.ids, batch.token_ids, 0);
  put(layout_.positions, batch.positions, -1);
  int32_t* logit_rows = std::copy(batch.logit_rows.begin(), batch.logit_rows.end(), host + layout_.logit_rows);
  std::fill(logit_rows, host + layout_.logit_rows + rows, 0);
  int32_t* sequences = host + layout_.sequences;
  int32_t* slices = host + layout_.slices;
  int32_t* table_begin = host + layout_.table_begin;
  int32_t* table = host + layout_.tables;
  int32_t index = 0;
  for (const SequenceSlice& slice : batch.slices) {
    std::fill_n(sequences + slice.first_row, slice.n_rows, index);
    slices[2 * index] = slice.first_row;
    slices[2 * index + 1] = slice.n_rows;
    table_begin[index++] = static_cast<int32_t>(table - (host + layout_.tables));
    table = std::copy_n(slice.block_table, (slice.context_len + kPage - 1) / kPage, table);
  }
  for (size_t row = n_batch; row < rows; ++row, ++index) {
    sequences[row] = index;
    slices[2 * index] = static_cast<int32_t>(row);
    slices[2 * index + 1] = 1;
    table_begin[index] = 0;
  }
  int32_t* tiles = host + layout_.tiles;
  if (n_tiles > 0) {
    for (const SequenceSlice& slice : batch.slices) {
      for (int row = 0; row < slice.n_rows; row += tile_rows) {
        *tiles++ = slice.first_row + row;
        *tiles++ = std::min(tile_rows, slice.n_rows - row);
      }
    }
  }
  std::fill(tiles, host + layout_.tiles + 2 * n_tiles, 0);
  auto* rotations = reinterpret_cast<float2*>(host + layout_.rotations);
  for (size_t i = 0; i < cos.size(); ++i) rotations[i] = {cos[i], sin[i]};

  check(
      cudaMemcpyAsync(slots_[slot].device.get(), host, layout_.end * sizeof(int32_t), cudaMemcpyHostToDevice, stream_),
      "copying the step");
  check(cudaEventRecord(slots_[slot].copied, stream_), "copying the step");
  check(cudaStreamWaitEvent(consumer, slots_[slot].copied), "copying the step");
  return moved;
}

StepView StepBuffers::view() const {
  return {device(layout_.positions),
          device(layout_.sequences),
          reinterpret_cast<const int2*>(device(layout_.slices)),
          device(layout_.tables),
          device(layout_.table_begin),
          reinterpret_cast<const float2*>(device(layout_.rotations)),
          reinterpret_cast<const int2*>(device(layout_.tiles))};
}

}  // namespace jsg::cuda
