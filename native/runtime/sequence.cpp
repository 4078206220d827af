#include "runtime/sequence.h"

#include <algorithm>
#include <utility>

namespace jsg {

Sequence::Sequence(Request request)
    : request_(std::move(request)),
      n_prompt_(static_cast<int>(request_.prompt_ids.size())),
      tokens_(std::exchange(request_.prompt_ids, {})),
      matcher_(request_.grammar ? request_.grammar->start() : nullptr) {}

bool Sequence::is_stop_id(int32_t token) const {
  return std::find(request_.stop_ids.begin(), request_.stop_ids.end(), token) != request_.stop_ids.end();
}

void Sequence::start(std::span<const int32_t> cached) {
  state_ = SequenceState::kRunning;
  // Room for the whole answer now, and not at submission: a queue of thousands stays small, a decode step never
  // allocates.
  const size_t n_max = static_cast<size_t>(n_prompt_) + request_.max_new_tokens;
  tokens_.reserve(n_max);
  block_table_.reserve(blocks_for(static_cast<int>(n_max)));
  block_table_.assign(cached.begin(), cached.end());
  n_shared_blocks_ = static_cast<int>(cached.size());
  n_computed_ = n_shared_blocks_ * kBlockSize;
  if (n_cached_prompt_ < 0) n_cached_prompt_ = std::min(n_computed_, n_prompt_);
  if (sampling().has_penalties() && counts_.entries().empty()) counts_ = TokenCounts(tokens_, n_max);
}

void Sequence::retract() {
  state_ = SequenceState::kWaiting;
  block_table_.clear();
  drafts_.clear();
  n_computed_ = n_shared_blocks_ = 0;
}

void Sequence::finish() {
  state_ = SequenceState::kFinished;
  block_table_.clear();
}

void Sequence::append_token(int32_t token) {
  tokens_.push_back(token);
  if (n_in_flight_ > 0) --n_in_flight_;
  if (sampling().has_penalties()) counts_.add_generated(token);
}

}  // namespace jsg
