// One request on its way: its tokens, which of them have KV, and where that KV lies.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/model.h"
#include "runtime/drafter.h"
#include "runtime/request.h"
#include "runtime/token_counts.h"

namespace jsg {

// Blocks that hold n tokens.
constexpr int blocks_for(int n_tokens) { return (n_tokens + kBlockSize - 1) / kBlockSize; }

enum class SequenceState : uint8_t { kWaiting, kRunning, kFinished };

class Sequence {
 public:
  explicit Sequence(Request request);

  uint32_t id() const { return request_.id; }
  const Request& request() const { return request_; }
  const SamplingParams& sampling() const { return request_.sampling; }
  SequenceState state() const { return state_; }
  // Whether it goes first: by priority, then by arrival.
  bool ranks_before(const Sequence& other) const {
    if (request_.priority != other.request_.priority) return request_.priority > other.request_.priority;
    return arrival_ < other.arrival_;
  }

  // Prompt, then what was generated, as far as the host knows it.
  std::span<const int32_t> tokens() const { return tokens_; }
  // Tokens behind those that the model has been asked for: they count in all that follows as if they were known.
  int n_in_flight() const { return n_in_flight_; }
  // Logit row of the newest of them, in the step launched last.
  int in_flight_row() const { return in_flight_row_; }
  int n_tokens() const { return static_cast<int>(tokens_.size()) + n_in_flight_; }
  int n_prompt() const { return n_prompt_; }
  int n_generated() const { return n_tokens() - n_prompt_; }
  int n_remaining() const { return request_.max_new_tokens - n_generated(); }
  // Tokens whose KV is in the pool once the steps in flight have run; the others are fed to the model in the next
  // steps.
  int n_computed() const { return n_computed_; }
  // The last token of the longest possible answer is never fed.
  int n_pending() const { return n_tokens() - n_computed_ - (n_generated() > 0 && n_remaining() == 0 ? 1 : 0); }
  // All but the newest generated token have KV: a step takes just that one.
  bool is_decoding() const { return n_generated() > 0 && n_pending() == 1; }
  // Past its prompt; more than one token is pending where a grammar has forced some.
  bool extends_answer() const { return n_generated() > 0 && n_computed_ >= n_prompt_; }
  // Blocks of all that is fed to the model until the pending tokens are computed.
  int n_blocks_needed() const { return blocks_for(n_computed_ + n_pending()); }
  // As long as it may get, every token known.
  bool is_complete() const { return static_cast<int>(tokens_.size()) == n_prompt_ + request_.max_new_tokens; }
  bool wants_token() const { return request_.max_new_tokens > 0; }
  // Prompt tokens still to be scored (`promptLogprobs`). A retraction does not score a token twice.
  bool scores_prompt() const { return request_.prompt_logprobs && n_scored_ < n_prompt_; }
  int n_scored() const { return n_scored_; }
  bool is_stop_id(int32_t token) const;
  // Tokens known so far; empty unless a penalty is asked for.
  const TokenCounts& counts() const { return counts_; }

  std::span<const int32_t> block_table() const { return block_table_; }
  // Blocks at the beginning of its table that the prefix cache knows.
  int n_shared_blocks() const { return n_shared_blocks_; }
  bool has_started() const { return n_cached_prompt_ >= 0; }
  // Prompt tokens that were found there when it first started.
  int n_cached_prompt() const { return std::max(n_cached_prompt_, 0); }
  // What its answer must follow, as far as it is known; null: nothing.
  TokenMatcher* matcher() const { return matcher_.get(); }

  // Guesses at the tokens after the newest one, which the step that computes that one checks. They count in nothing
  // above: their KV is the sequence's once they have turned out to be its tokens.
  std::vector<int32_t>& drafts() { return drafts_; }
  std::span<const int32_t> drafts() const { return drafts_; }
  // Where they come from; null until the sequence is first guessed at.
  std::unique_ptr<Drafter>& drafter() { return drafter_; }

  void append_block(int32_t block) { block_table_.push_back(block); }
  // The next block of its table is `block` of the prefix cache, which holds the same tokens.
  void share_block(int32_t block) { block_table_[n_shared_blocks_++] = block; }

  // It is the n-th to arrive.
  void arrive(uint64_t n) { arrival_ = n; }
  // Waiting -> running, with the KV of its first tokens in `cached` blocks.
  void start(std::span<const int32_t> cached = {});
  // Running -> waiting. Its tokens, counts and place in the answer stay, so that recomputing prompt + answer goes on
  // just where it stopped. None is in flight, and the caller has released its blocks.
  void retract();
  // Any state -> finished. The caller has released its blocks.
  void finish();

  void advance(int n_computed) { n_computed_ += n_computed; }
  // The step being launched picks the next token, in its logit row `row`.
  void expect_token(int row) {
    ++n_in_flight_;
    in_flight_row_ = row;
  }
  // The next token, expected or not.
  void append_token(int32_t token);
  void mark_scored(int n_scored) { n_scored_ = n_scored; }

 private:
  Request request_;
  int n_prompt_;
  std::vector<int32_t> tokens_;
  std::vector<int32_t> block_table_;
  TokenCounts counts_;
  std::unique_ptr<TokenMatcher> matcher_;
  std::unique_ptr<Drafter> drafter_;
  std::vector<int32_t> drafts_;
  SequenceState state_ = SequenceState::kWaiting;
  uint64_t arrival_ = 0;
  int n_in_flight_ = 0;
  int in_flight_row_ = -1;
  int n_computed_ = 0;
  int n_scored_ = 0;
  int n_shared_blocks_ = 0;
  int n_cached_prompt_ = -1;  // -1: it has never started
};

// `queue`, of Sequence*, is in order of rank and stays so.
template <typename Queue>
void insert_by_rank(Queue& queue, Sequence* sequence) {
  const auto before = [](const Sequence* a, const Sequence* b) { return a->ranks_before(*b); };
  queue.insert(std::upper_bound(queue.begin(), queue.end(), sequence, before), sequence);
}

}  // namespace jsg
