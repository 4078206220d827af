// A stand-in for a model whose next token depends on every token before it, read through the block table: a token fed
// twice, at a wrong position, or into a block that someone else writes shows up as a wrong answer. As a device does, it
// may keep two steps in flight and sample where its logits are; it computes a step as late as it can, in wait().
#pragma once
#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "model/model.h"
#include "runtime/request.h"
#include "runtime/rng.h"
#include "runtime/sampler.h"

namespace jsg::test {

inline Request make_request(uint32_t id, std::vector<int32_t> prompt, int max_new_tokens) {
  Request request;
  request.id = id;
  request.prompt_ids = std::move(prompt);
  request.max_new_tokens = max_new_tokens;
  return request;
}

// A token history: hash of all of it in the upper 48 bits, the last two tokens in the lower 16.
inline uint64_t extend_history(uint64_t history, int32_t token) {
  return mix64(history >> 16 ^ static_cast<uint32_t>(token)) << 16 | (history & 0xff) << 8 | (token & 0xff);
}

// Depends on every token, but most on the last two: so that answers repeat themselves now and then.
inline void fill_logits(uint64_t history, std::span<float> logits) {
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>(6 * uniform(history & 0xffff, i) + 2 * uniform(history, i));
  }
}

// What a model says of itself.
struct Abilities {
  int max_in_flight = 1;
  int max_top_logprobs = -1;
};

class HistoryModel : public Model {
 public:
  HistoryModel(int n_blocks, int vocab_size, Abilities abilities = {})
      : vocab_size_(vocab_size),
        abilities_(abilities),
        sampler_(vocab_size),
        tokens_(static_cast<size_t>(n_blocks) * kBlockSize, -1) {}

  int vocab_size() const override { return vocab_size_; }
  int max_in_flight() const override { return abilities_.max_in_flight; }
  int max_top_logprobs() const override { return abilities_.max_top_logprobs; }

  void launch(const Batch& batch) override {
    if (on_step) on_step(batch);
    if (static_cast<int>(in_flight_.size()) == abilities_.max_in_flight) throw std::runtime_error("too many in flight");
    in_flight_.emplace_back(batch);
    check_sampling(in_flight_.back().batch);
  }

  void sample(std::span<const RowSampling> rows) override {
    if (in_flight_.empty() || !in_flight_.back().batch.samples_later)
      throw std::runtime_error("nothing waits for that");
    Launched& step = in_flight_.back();
    step.batch.samples_later = false;
    step.batch.sampling.assign(rows.begin(), rows.end());
    step.keep_spans();
    check_sampling(step.batch);
  }

  StepOutput wait() override {
    if (on_wait) on_wait();
    if (in_flight_.empty()) throw std::runtime_error("nothing is in flight");
    Launched step = std::move(in_flight_.front());
    in_flight_.pop_front();
    if (step.batch.samples_later) throw std::runtime_error("nobody said how to sample");
    resolve(step);
    compute(step.batch);
    sampled_.clear();
    top_.clear();
    for (size_t row = 0; row < step.batch.sampling.size(); ++row) sampled_.push_back(sample(row, step));
    if (step.batch.sampling.empty()) return {logits_, {}};
    for (size_t row = 0; row < sampled_.size(); ++row) sampled_[row].top = top_[row];
    return {{}, sampled_};
  }

  size_t block_bytes() const override { return kBlockSize * sizeof(int32_t); }
  void read_block(int32_t block, uint8_t* to) override {
    std::memcpy(to, &tokens_.at(static_cast<size_t>(block) * kBlockSize), block_bytes());
  }
  void write_block(int32_t block, const uint8_t* from) override {
    std::memcpy(&tokens_.at(static_cast<size_t>(block) * kBlockSize), from, block_bytes());
  }

  std::function<void(const Batch&)> on_step;  // with each launch
  std::function<void()> on_wait;

 private:
  // A batch with copies of all that its spans and pointers name.
  struct Launched {
    explicit Launched(const Batch& from) : batch(from) {
      tables.reserve(batch.slices.size());
      for (SequenceSlice& slice : batch.slices) {
        const int n_blocks = (slice.context_len + kBlockSize - 1) / kBlockSize;
        tables.emplace_back(slice.block_table, slice.block_table + n_blocks);
        slice.block_table = tables.back().data();
      }
      keep_spans();
    }
    void keep_spans() {
      for (RowSampling& row : batch.sampling) {
        seen.emplace_back(row.seen.begin(), row.seen.end());
        biases.emplace_back(row.logit_bias.begin(), row.logit_bias.end());
        masks.emplace_back(row.masked.begin(), row.masked.end());
        row.logit_bias = biases.back();
        row.masked = masks.back();
        allowed.emplace_back(row.allowed.begin(), row.allowed.end());
        row.allowed = allowed.back();
      }
    }
    Batch batch;
    std::vector<std::vector<int32_t>> tables;
    std::deque<std::vector<SeenToken>> seen;
    std::deque<std::vector<LogitBias>> biases;
    std::deque<std::vector<int32_t>> masks;
    std::deque<std::vector<uint32_t>> allowed;
  };

  void check_sampling(const Batch& batch) const {
    if (batch.sampling.empty()) return;
    if (batch.sampling.size() != batch.logit_rows.size()) throw std::runtime_error("a row has no sampling");
    for (const RowSampling& row : batch.sampling) {
      if (row.top_logprobs > abilities_.max_top_logprobs) throw std::runtime_error("too many top_logprobs");
    }
  }

  int32_t sampled_for(int row) const {
    if (row >= static_cast<int>(sampled_.size())) throw std::runtime_error("nobody sampled row " + std::to_string(row));
    return sampled_[row].token;
  }

  // Puts in the tokens of the step before.
  void resolve(Launched& step) const {
    for (int32_t& id : step.batch.token_ids) {
      if (id < 0) id = sampled_for(sampled_before(id));  // its own inverse
    }
    for (size_t i = 0; i < step.batch.sampling.size(); ++i) {
      RowSampling& row = step.batch.sampling[i];
      std::vector<SeenToken>& seen = step.seen[i];
      if (row.unseen_row >= 0) {
        const int32_t token = sampled_for(row.unseen_row);
        const auto at = std::lower_bound(seen.begin(), seen.end(), token,
                                         [](const SeenToken& entry, int32_t value) { return entry.token < value; });
        if (at != seen.end() && at->token == token) {
          ++at->n_generated;
        } else {
          seen.insert(at, {token, 1});
        }
      }
      row.seen = seen;
    }
  }

  void compute(const Batch& batch) {
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
  }

  SampledToken sample(size_t row, const Launched& step) {
    const auto logits = std::span(logits_).subspan(row * vocab_size_, vocab_size_);
    const SampledToken sampled = sampler_.sample(logits, step.batch.sampling[row]);
    top_.emplace_back(sampled.top.begin(), sampled.top.end());
    return {sampled.token, sampled.logprob, {}};
  }

  int32_t& slot(const SequenceSlice& slice, int position) {
    const int64_t block = slice.block_table[position / kBlockSize];
    return tokens_.at(block * kBlockSize + position % kBlockSize);
  }

  int vocab_size_;
  Abilities abilities_;
  Sampler sampler_;
  std::vector<int32_t> tokens_;  // (n_blocks * kBlockSize): what a KV cache would hold
  std::deque<Launched> in_flight_;
  std::vector<float> logits_;  // of the step waited for last
  std::vector<SampledToken> sampled_;
  std::vector<std::vector<TopLogprob>> top_;
};

}  // namespace jsg::test
