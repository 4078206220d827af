// Attention and the paged KV cache it owns: which kernels run, and with what scratch.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <memory>

#include "backend/backend.h"
#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/step_view.h"

namespace jsg::cuda {

// What attention is told of a step on the host. Rows that decode (one a sequence) come first, then prompts; or all are
// in tiles.
struct AttentionStep {
  int n_rows;          // rows that fill a bucket up included
  int n_decode;        // rows that decode, those included
  int n_slices;        // a decoding row is one
  int max_slice_rows;  // of the prompts
  int max_context;     // tokens of the longest sequence, after the step
  int n_tiles = 0;     // 0: none
};

// T: type of activations, __half or __nv_bfloat16.
template <class T>
class Attention {
 public:
  Attention(const DecoderShape& shape, const CudaOptions& options, int n_sms, const Launcher& launch);

  void make_cache(int n_blocks);
  uint64_t kv_bytes_per_token() const;
  // As those of Backend.
  void read_block(int32_t block, uint8_t* to) const;
  void write_block(int32_t block, const uint8_t* from);

  // Chooses the launches of the steps to come. True when scratch has moved, so that recorded graphs are void.
  bool plan(const AttentionStep& step);
  // Blocks that share one sequence's context in decode: part of what a recorded graph depends on.
  int spans() const { return spans_; }
  // Whether steps of decoding rows, or of tiles, run without anything that depends on the context's length.
  bool is_fast() const { return fast_; }
  // Rows of a sequence that a tile holds at most.
  int tile_rows() const;

  // Normalises each head of q and k where weights (head_dim) are given, rotates them, appends k and v to `layer`'s
  // cache; out (n_rows, n_heads * head_dim) = causal attention of q over that cache.
  // qkv (n_rows, (n_heads + 2 n_kv_heads) * head_dim); its q and k may be changed in place.
  void run(int layer, T* qkv, T* out, const StepView& view, const float* q_norm, const float* k_norm) const;

 private:
  // Bytes of 16 tokens of one KV head, and how many of them come before V.
  int page_bytes() const;
  // Of a block of one layer.
  size_t block_bytes() const { return static_cast<size_t>(shape_.n_kv_heads) * page_bytes(); }
  int value_offset() const;

  const DecoderShape shape_;
  const KvFormat format_;
  const Launcher& launch_;
  const int n_sms_;
  bool fast_;
  AttentionStep step_{};
  int spans_ = 1, least_pages_ = 1;  // of decode; pages of a span
  Memory<uint8_t> cache_;
  size_t layer_bytes_ = 0;
  Memory<float2> partial_;
  Memory<float> scores_;
  Memory<uint32_t> finished_;
};

extern template class Attention<__half>;
extern template class Attention<__nv_bfloat16>;

}  // namespace jsg::cuda
