#include "backend/cpu/attention_plan.h"

#include <algorithm>
#include <cmath>

namespace jsg::cpu {
namespace {
constexpr int kRowsPerPiece = 16;
constexpr int kShortestSpan = 128;   // tokens: below it, merging costs more than it gains
constexpr int kMostDecodeRows = 65;  // of a slice that goes on with an answer: its newest token and its drafts

// Of a row that goes on with an answer and sees so many tokens: between `splits` and twice as many spans. Where they
// are depends on nothing else, so that sums are rounded in the same way whatever is computed beside the row.
int decode_span(int n_tokens, int splits) {
  int span = kShortestSpan;
  while (span * 2 * splits < n_tokens) span *= 2;
  return span;
}
}  // namespace

void AttentionPlan::build(const Batch& batch, const DecoderShape& shape, const KvLayout& kv, int n_threads) {
  batch_ = &batch;
  shape_ = shape;
  group_ = shape.n_heads / shape.n_kv_heads;
  v_stride_ = kv.v_stride;
  pieces_.clear();

  int64_t natural = 0;
  for (const SequenceSlice& slice : batch.slices) {
    const int n_pieces = slice.n_rows > kMostDecodeRows ? (slice.n_rows + kRowsPerPiece - 1) / kRowsPerPiece : 1;
    natural += static_cast<int64_t>(n_pieces) * shape.n_kv_heads;
  }
  const int64_t wanted = n_threads > 1 ? 4 * n_threads : 1;
  const int splits = natural >= wanted ? 1 : static_cast<int>((wanted + natural - 1) / natural);

  size_t acc = 0, max_sum = 0;
  for (const SequenceSlice& slice : batch.slices) {
    const bool decodes = slice.n_rows <= kMostDecodeRows;
    for (int row = 0, n_rows = 0; row < slice.n_rows; row += n_rows) {
      n_rows = std::min(kRowsPerPiece, slice.n_rows - row);
      const int first_position = batch.positions[slice.first_row + row];
      const int begin = shape.sliding_window > 0 ? std::max(0, first_position - shape.sliding_window + 1) / 16 * 16 : 0;
      int span = decode_span(first_position + 1 - begin, splits), origin = 0;
      if (decodes && splits > 1) {
        const auto is_cut_alike = [&](int n) { return decode_span(first_position + n - begin, splits) == span; };
        while (!is_cut_alike(n_rows)) --n_rows;
      } else {
        const int n_tokens = first_position + n_rows - begin;
        span = std::max(kShortestSpan, ((n_tokens + splits - 1) / splits + 63) / 64 * 64);
        origin = begin;
      }
      const int end = first_position + n_rows;
      const int first_span = (begin - origin) / span, n_splits = (end - origin + span - 1) / span - first_span;
      for (int kv_head = 0; kv_head < shape.n_kv_heads; ++kv_head) {
        for (int s = 0; s < n_splits; ++s) {
          const int cut = origin + (first_span + s) * span;
          pieces_.push_back({&slice, kv_head, row, n_rows, std::max(begin, cut), std::min(end, cut + span),
                             s == 0 ? n_splits : 0, acc, max_sum});
          acc += static_cast<size_t>(n_rows) * group_ * v_stride_;
          max_sum += static_cast<size_t>(n_rows) * group_ * 2;
        }
      }
    }
  }
  if (acc_.size() < acc) acc_.resize(acc);
  if (max_sum_.size() < max_sum) max_sum_.resize(max_sum);
}

AttentionTask AttentionPlan::task(int64_t i, const float* qkv, const uint8_t* cache) {
  const Piece& piece = pieces_[i];
  const int64_t stride = shape_.qkv_dim();
  const int row = piece.slice->first_row + piece.row;
  return {qkv + row * stride + static_cast<int64_t>(piece.kv_head) * group_ * shape_.head_dim,
          static_cast<size_t>(stride),
          cache,
          piece.slice->block_table,
          piece.kv_head,
          group_,
          piece.n_rows,
          batch_->positions[row],
          shape_.sliding_window,
          piece.kv_begin,
          piece.kv_end,
          1.0f / std::sqrt(static_cast<float>(shape_.head_dim)),
          acc_.data() + piece.acc,
          max_sum_.data() + piece.max_sum};
}

void AttentionPlan::write(const Piece& piece, int query, const float* acc, float factor, float* out) const {
  const int row = piece.slice->first_row + piece.row + query / group_;
  const int head = piece.kv_head * group_ + query % group_;
  float* target = out + (static_cast<int64_t>(row) * shape_.n_heads + head) * shape_.head_dim;
  for (int d = 0; d < shape_.head_dim; ++d) target[d] = acc[d] * factor;
}

void AttentionPlan::finish(int64_t i, float* out) {
  const Piece& piece = pieces_[i];
  if (piece.n_splits != 1) return;
  for (int query = 0; query < piece.n_rows * group_; ++query) {
    write(piece, query, acc_.data() + piece.acc + static_cast<size_t>(query) * v_stride_,
          1.0f / max_sum_[piece.max_sum + 2 * query + 1], out);
  }
}

void AttentionPlan::merge(float* out) {
  for (size_t first = 0; first < pieces_.size(); ++first) {
    const Piece& piece = pieces_[first];
    if (piece.n_splits < 2) continue;
    for (int query = 0; query < piece.n_rows * group_; ++query) {
      float top = -INFINITY, sum = 0;
      for (int s = 0; s < piece.n_splits; ++s) top = std::max(top, max_sum_[pieces_[first + s].max_sum + 2 * query]);
      float* merged = acc_.data() + piece.acc + static_cast<size_t>(query) * v_stride_;
      for (int s = 0; s < piece.n_splits; ++s) {
        const Piece& part = pieces_[first + s];
        const float* max_sum = max_sum_.data() + part.max_sum + 2 * query;
        const float weight = std::exp(max_sum[0] - top);
        const float* acc = acc_.data() + part.acc + static_cast<size_t>(query) * v_stride_;
        sum += max_sum[1] * weight;
        for (int d = 0; d < shape_.head_dim; ++d) merged[d] = (s == 0 ? 0.0f : merged[d]) + acc[d] * weight;
      }
      write(piece, query, merged, 1.0f / sum, out);
    }
  }
}

}  // namespace jsg::cpu
