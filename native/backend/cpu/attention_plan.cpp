#include "backend/cpu/attention_plan.h"

#include <algorithm>
#include <climits>
#include <cmath>

namespace jsg::cpu {
namespace {

constexpr int kRowsPerPiece = 16;
constexpr int kShortestSpan = 128;  // tokens: below it, merging costs more than it gains
constexpr int kTasksPerThread = 4;  // that keep them all busy to the end
constexpr int kKernelTokens = 64;   // that the kernels take at once

}  // namespace

// Of what a row sees: whole where a sequence alone keeps the threads busy by its heads, otherwise between splits_ and
// twice as many spans.
int AttentionPlan::span_at(int position) const {
  if (splits_ == 1) return INT_MAX;
  const int n_tokens = shape_.sliding_window > 0 ? std::min(position + 1, shape_.sliding_window) : position + 1;
  int span = kShortestSpan;
  while (span * 2 * splits_ < n_tokens) span *= 2;
  return span;
}

void AttentionPlan::build(const Batch& batch, const DecoderShape& shape, const KvLayout& kv, int n_threads) {
  batch_ = &batch;
  shape_ = shape;
  kv_ = kv;
  n_threads_ = n_threads;
  group_ = shape.n_heads / shape.n_kv_heads;
  splits_ = n_threads > 1 ? (kTasksPerThread * n_threads + shape.n_kv_heads - 1) / shape.n_kv_heads : 1;
  pieces_.clear();
  for (const SequenceSlice& slice : batch.slices) {
    for (int row = 0, n_rows = 0; row < slice.n_rows; row += n_rows) {
      const int position = batch.positions[slice.first_row + row], span = span_at(position);
      n_rows = std::min(kRowsPerPiece, slice.n_rows - row);
      while (span_at(position + n_rows - 1) != span) --n_rows;
      add_rows(slice, row, n_rows);
    }
  }
  add_tasks();
}

// One piece for each KV head.
void AttentionPlan::add_rows(const SequenceSlice& slice, int row, int n_rows) {
  const int position = batch_->positions[slice.first_row + row], end = position + n_rows, span = span_at(position);
  const int first_seen = shape_.sliding_window > 0 ? std::max(0, position - shape_.sliding_window + 1) : 0;
  const int begin = first_seen / kKernelTokens * kKernelTokens, first_span = begin / span;
  const int n_spans = (end - 1) / span + 1 - first_span;
  for (int kv_head = 0; kv_head < shape_.n_kv_heads; ++kv_head) {
    pieces_.push_back({&slice, kv_head, row, n_rows, begin, end, span, first_span, n_spans, 0});
  }
}

void AttentionPlan::add_tasks() {
  is_split_ = static_cast<int>(pieces_.size()) < kTasksPerThread * n_threads_;
  tasks_.clear();
  size_t total = 0;
  thread_scratch_ = 0;
  for (Piece& piece : pieces_) {
    const int index = static_cast<int>(&piece - pieces_.data()), n_tasks = is_split_ ? piece.n_spans : 1;
    for (int i = 0; i < n_tasks; ++i) tasks_.push_back({index, i, piece.n_spans / n_tasks});
    piece.scratch = is_split_ ? total : 0;
    const size_t n_floats = span_floats(piece) * static_cast<size_t>(piece.n_spans);
    total += n_floats;
    thread_scratch_ = std::max(thread_scratch_, n_floats);
  }
  if (is_split_) {
    thread_scratch_ = 0;
  } else {
    total = thread_scratch_ * static_cast<size_t>(n_threads_);
  }
  if (scratch_.size() < total) scratch_.resize(total);
}

size_t AttentionPlan::span_floats(const Piece& piece) const {
  return static_cast<size_t>(piece.n_rows) * group_ * (kv_.v_stride + 2);
}

float* AttentionPlan::max_sum_of(const Piece& piece, float* scratch) const {
  return scratch + static_cast<size_t>(piece.n_rows) * group_ * kv_.v_stride;
}

AttentionTask AttentionPlan::kernel_task(const Piece& piece, int span, float* scratch, const float* qkv,
                                         const uint8_t* cache) const {
  const int64_t stride = shape_.qkv_dim();
  const int row = piece.slice->first_row + piece.row;
  const int64_t cut = static_cast<int64_t>(piece.first_span + span) * piece.span;
  return {qkv + row * stride + static_cast<int64_t>(piece.kv_head) * group_ * shape_.head_dim,
          static_cast<size_t>(stride),
          cache,
          piece.slice->block_table,
          piece.kv_head,
          group_,
          piece.n_rows,
          batch_->positions[row],
          shape_.sliding_window,
          static_cast<int>(std::max<int64_t>(piece.kv_begin, cut)),
          static_cast<int>(std::min<int64_t>(piece.kv_end, cut + piece.span)),
          1.0f / std::sqrt(static_cast<float>(shape_.head_dim)),
          scratch,
          max_sum_of(piece, scratch)};
}

void AttentionPlan::run(int64_t i, int thread, const Kernels& kernels, const float* qkv, const uint8_t* cache,
                        float* out) {
  const Task& task = tasks_[i];
  const Piece& piece = pieces_[task.piece];
  float* const first = scratch_.data() + piece.scratch + static_cast<size_t>(thread) * thread_scratch_;
  for (int span = task.first_span; span < task.first_span + task.n_spans; ++span) {
    float* const scratch = first + static_cast<size_t>(span) * span_floats(piece);
    kernels.attention(kv_, kernel_task(piece, span, scratch, qkv, cache));
  }
  if (task.n_spans == piece.n_spans) write(piece, first, out);
}

void AttentionPlan::merge(float* out) {
  if (!is_split_) return;
  for (const Piece& piece : pieces_) {
    if (piece.n_spans > 1) write(piece, scratch_.data() + piece.scratch, out);
  }
}

// Merges the spans of a piece, whose results begin at `scratch`.
void AttentionPlan::write(const Piece& piece, float* scratch, float* out) const {
  const size_t stride = span_floats(piece);
  for (int query = 0; query < piece.n_rows * group_; ++query) {
    const float* const max_sum = max_sum_of(piece, scratch) + 2 * static_cast<size_t>(query);
    float* const merged = scratch + static_cast<size_t>(query) * kv_.v_stride;
    float top = max_sum[0], sum = max_sum[1];
    for (int span = 1; span < piece.n_spans; ++span) top = std::max(top, max_sum[span * stride]);
    if (piece.n_spans > 1) {
      const float weight = std::exp(max_sum[0] - top);
      sum *= weight;
      for (int d = 0; d < shape_.head_dim; ++d) merged[d] *= weight;
    }
    for (int span = 1; span < piece.n_spans; ++span) {
      const float weight = std::exp(max_sum[span * stride] - top);
      sum += max_sum[span * stride + 1] * weight;
      for (int d = 0; d < shape_.head_dim; ++d) merged[d] += merged[span * stride + d] * weight;
    }
    const int row = piece.slice->first_row + piece.row + query / group_;
    const int head = piece.kv_head * group_ + query % group_;
    float* const target = out + (static_cast<int64_t>(row) * shape_.n_heads + head) * shape_.head_dim;
    const float factor = 1.0f / sum;
    for (int d = 0; d < shape_.head_dim; ++d) target[d] = merged[d] * factor;
  }
}

}  // namespace jsg::cpu
