// A stand-in for a model whose next token depends on every token before it, read through the block table: a token fed
// twice, at a wrong position, or into a block that someone else writes shows up as a wrong answer.
#pragma once
#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <vector>

#include "model/model.h"
#include "runtime/rng.h"

namespace jsg::test {

// Hash of a token history.
inline uint64_t extend_history(uint64_t hash, int32_t token) { return mix64(hash ^ static_cast<uint32_t>(token)); }

inline void fill_logits(uint64_t history, std::span<float> logits) {
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(8 * uniform(history, i));
}

class HistoryModel : public Model {
 public:
  HistoryModel(int n_blocks, int vocab_size)
      : vocab_size_(vocab_size), tokens_(static_cast<size_t>(n_blocks) * kBlockSize, -1) {}

  int vocab_size() const override { return vocab_size_; }

  int max_top_logprobs() const override { return picks_tokens ? 0 : -1; }

  void launch(const Batch& batch) override {
    if (on_step) on_step(batch);
    logits_.assign(batch.logit_rows.size() * vocab_size_, 0);
    size_t n_logits = 0;
    int next_row = 0;
    for (const SequenceSlice& slice : batch.slices) {
      if (slice.first_row != next_row) throw std::runtime_error("the slices leave a gap");
      next_row += slice.n_rows;
      for (int row = slice.first_row; row < next_row; ++row) {
        const int position = batch.positions[row];
        if (position != slice.context_len - next_row + row) throw std::runtime_error("a position is wrong");
        slot(slice, position) = batch.token_ids[row];
      }
      uint64_t history = 0;
      for (int position = 0; position < slice.context_len; ++position) {
        history = extend_history(history, slot(slice, position));
        const int row = next_row - slice.context_len + position;
        if (n_logits == batch.logit_rows.size() || batch.logit_rows[n_logits] != row) continue;
        fill_logits(history, std::span(logits_).subspan(n_logits++ * vocab_size_, vocab_size_));
      }
    }
    if (n_logits != batch.logit_rows.size()) throw std::runtime_error("a row of logits lies in no slice");
    sampled_.clear();
    if (batch.sampling.empty()) return;
    for (auto row = logits_.begin(); row != logits_.end(); row += vocab_size_) {
      sampled_.push_back({static_cast<int32_t>(std::max_element(row, row + vocab_size_) - row), 0, {}});
    }
  }
  StepOutput wait() override {
    if (sampled_.empty()) return {logits_, {}};
    return {{}, sampled_};
  }

  bool picks_tokens = false;  // as a backend does that samples where the logits are
  std::function<void(const Batch&)> on_step;

 private:
  int32_t& slot(const SequenceSlice& slice, int position) {
    const int64_t block = slice.block_table[position / kBlockSize];
    return tokens_.at(block * kBlockSize + position % kBlockSize);
  }

  int vocab_size_;
  std::vector<SampledToken> sampled_;
  std::vector<int32_t> tokens_;  // (n_blocks * kBlockSize): what a KV cache would hold
  std::vector<float> logits_;
};

}  // namespace jsg::test
