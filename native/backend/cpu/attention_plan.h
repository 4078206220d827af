// How the attention of one step is cut: by sequence, KV head and rows of queries, and long contexts into spans, whose
// partial results are merged. Where enough is computed at once to keep all threads busy a task is all spans of its
// queries, otherwise one of them. Where the cuts are depends on the position of a row and on nothing else, so that its
// sums are rounded in the same way alone and in a crowd, decoded and in a prompt.
#pragma once
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/kernels.h"

namespace jsg::cpu {

class AttentionPlan {
 public:
  void build(const Batch& batch, const DecoderShape& shape, const KvLayout& kv, int n_threads);
  // Tasks of the step, in any order on any thread.
  int64_t size() const { return static_cast<int64_t>(tasks_.size()); }
  // Does task `i` over `qkv` (n_rows, (n_heads + 2 n_kv_heads) * head_dim) and a layer's cache, and writes to `out`
  // (n_rows, n_heads * head_dim) what need not be merged. `thread` is that of nobody else meanwhile.
  void run(int64_t i, int thread, const Kernels& kernels, const float* qkv, const uint8_t* cache, float* out);
  // Writes the rest, after all tasks.
  void merge(float* out);

 private:
  // Queries that share a KV head and are cut alike.
  struct Piece {
    const SequenceSlice* slice;
    int kv_head;
    int row;  // within the slice
    int n_rows;
    int kv_begin, kv_end;
    int span;  // tokens; the cuts are its multiples
    int first_span, n_spans;
    size_t scratch;  // of its first span; where a task is all spans, within the scratch of the thread
  };
  struct Task {
    int piece;
    int first_span, n_spans;  // of the piece's
  };

  void add_rows(const SequenceSlice& slice, int row, int n_rows);
  void add_tasks();
  int span_at(int position) const;
  size_t span_floats(const Piece& piece) const;
  float* max_sum_of(const Piece& piece, float* scratch) const;
  AttentionTask kernel_task(const Piece& piece, int span, float* scratch, const float* qkv, const uint8_t* cache) const;
  void write(const Piece& piece, float* scratch, float* out) const;

  const Batch* batch_ = nullptr;
  DecoderShape shape_{};
  KvLayout kv_{};
  int n_threads_ = 1;
  int group_ = 1;   // query heads of a KV head
  int splits_ = 1;  // spans, at least, that a long context is cut into
  bool is_split_ = false;
  std::vector<Piece> pieces_;
  std::vector<Task> tasks_;
  size_t thread_scratch_ = 0;
  // Of each span of a piece: acc (n_rows, group, v_stride), then largest score and sum (n_rows, group, 2).
  std::vector<float> scratch_;
};

}  // namespace jsg::cpu
