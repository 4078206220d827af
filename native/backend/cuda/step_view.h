// What the attention kernels are told of a step.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

namespace jsg::cuda {

inline constexpr int kPage = 16;  // tokens of a block, as kBlockSize of the runtime

// Device copies of a Batch: what the host writes before a step, at fixed addresses so that graphs can be replayed.
struct StepView {
  const int32_t* positions;     // (n_rows); -1: a row that only fills a bucket up
  const int32_t* sequences;     // (n_rows) slice of each row; rows that decode come first, and row i is slice i
  const int2* slices;           // (n_slices) first row and number of rows
  const int32_t* tables;        // block tables of all slices, one after the other
  const int32_t* table_begin;   // (n_slices) where each begins
  const float2* rotations;      // (n_rows, head_dim / 2): cos, sin of each row's angles
  const int2* tiles = nullptr;  // (n_tiles) as slices, of the tiles of extend attention; 0 rows: only fills up

  __host__ __device__ const int32_t* block_table(int slice) const { return tables + table_begin[slice]; }
};

}  // namespace jsg::cuda
