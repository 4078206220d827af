// The paged KV cache and what the attention kernels are told of a step.
#pragma once
#include "backend/cuda/kernels/common.cuh"

namespace jsg::cuda {

inline constexpr int kPage = 16;  // tokens of a block, as kBlockSize of the runtime

// One layer's cache: for each block and KV head a page of K (kPage, head_dim) and one of V, transposed: (head_dim,
// kPage). Both are then operands of tensor-core products just as they lie in memory.
template <class T>
struct KvCache {
  T* data;
  int n_kv_heads;
  int head_dim;

  __device__ T* k(int block, int kv_head) const {
    return data + (static_cast<size_t>(block) * n_kv_heads + kv_head) * 2 * kPage * head_dim;
  }
  __device__ T* v(int block, int kv_head) const { return k(block, kv_head) + kPage * head_dim; }
};

// Device copies of a Batch: what the host writes before a step, at fixed addresses so that graphs can be replayed.
struct StepView {
  const int32_t* positions;    // (n_rows); -1: a row that only fills a bucket up
  const int32_t* sequences;    // (n_rows) slice of each row
  const int2* slices;          // (n_slices) first row and number of rows
  const int32_t* tables;       // block tables of all slices, one after the other
  const int32_t* table_begin;  // (n_slices) where each begins
  const float2* rotations;     // (n_rows, head_dim / 2): cos, sin of each row's angles

  __device__ const int32_t* block_table(int slice) const { return tables + table_begin[slice]; }
};

struct AttentionDims {
  int n_heads;
  int n_kv_heads;
  int head_dim;
  int sliding_window;  // tokens a query sees, itself included; 0: all
  bool interleaved;    // rotary pairs (2i, 2i + 1); otherwise (i, i + head_dim / 2)
  float eps;           // of the norms of q and k
};

}  // namespace jsg::cuda
