// How the attention of one step is cut into tasks: by sequence, KV head, rows of queries, and, where that leaves
// threads idle (few sequences, long contexts), by spans of the context whose partial results are merged.
#pragma once
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"

namespace jsg::cpu {

class AttentionPlan {
 public:
  void build(const Batch& batch, const DecoderShape& shape, const KvLayout& kv, int n_threads);
  int64_t size() const { return static_cast<int64_t>(pieces_.size()); }
  // Piece `i` over `qkv` (n_rows, (n_heads + 2 n_kv_heads) * head_dim) and a layer's cache.
  AttentionTask task(int64_t i, const float* qkv, const uint8_t* cache);
  // Writes piece `i` to out (n_rows, n_heads * head_dim), unless it has to be merged.
  void finish(int64_t i, float* out);
  // Merges the pieces whose context was split.
  void merge(float* out);

 private:
  struct Piece {
    const SequenceSlice* slice;
    int kv_head;
    int row;  // within the slice
    int n_rows;
    int kv_begin, kv_end;
    int n_splits;         // pieces of the same queries, this one the first; 0: a later one
    size_t acc, max_sum;  // offsets into the scratch
  };
  void write(const Piece& piece, int query, const float* acc, float factor, float* out) const;

  const Batch* batch_ = nullptr;
  DecoderShape shape_{};
  int group_ = 1;
  int v_stride_ = 0;
  std::vector<Piece> pieces_;
  std::vector<float> acc_, max_sum_;
};

}  // namespace jsg::cpu
