// The part of the scheduler that says who starts, behind which cached blocks, and whose place it may take.
#include <algorithm>

#include "runtime/scheduler.h"

namespace jsg {
namespace {

// Blocks of a prefix that are worth waiting a step for.
constexpr int kMinAwaitedBlocks = 2;

int n_common_tokens(std::span<const int32_t> a, std::span<const int32_t> b) {
  return static_cast<int>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

// Whole blocks in front of the sequence's last token, which is always computed.
int n_shareable_blocks(const Sequence& sequence) {
  return (static_cast<int>(sequence.tokens().size()) - 1) / kBlockSize;
}

}  // namespace

// Whether the sequence ranks so much higher than the last that runs that it may take its place.
bool Scheduler::is_urgent(const Sequence& sequence) const {
  if (running_.empty()) return false;
  return sequence.request().priority >= int64_t{running_.back()->request().priority} + kPreemptionMargin;
}

// Whether the first that waits may take the place of one that runs, and has no other.
bool Scheduler::must_preempt() {
  if (waiting_.empty() || !is_urgent(*waiting_.front())) return false;
  const Sequence& next = *waiting_.front();
  if (n_running() == options_.max_running) return true;
  if (pool_.can_allocate(blocks_for(next.n_tokens()))) return false;
  find_prefix(next);
  return !pool_.can_allocate(blocks_to_start(next));
}

// Who may take the place of one that runs need not wait for its prompt either: by rank, as far as the rows go.
void Scheduler::start_urgent() {
  while (!waiting_.empty() && is_urgent(*waiting_.front())) {
    int n_before = 0;
    for (const Sequence* sequence : running_) {
      if (sequence->ranks_before(*waiting_.front()) && !sequence->is_decoding()) n_before += sequence->n_pending();
    }
    if (n_before >= prefill_budget_ || start_next() == nullptr) break;
  }
}

void Scheduler::start_waiting() {
  while (!waiting_.empty() && prefill_budget_ > 0) {
    Sequence* const started = start_next();
    if (started == nullptr) break;
    add_prefill(*started);
  }
}

// Null: it has to wait.
Sequence* Scheduler::start_next() {
  Sequence& sequence = *waiting_.front();
  if (n_running() == options_.max_running || (sequence.scores_prompt() && scored_budget_ == 0)) return nullptr;
  find_prefix(sequence);
  if (waits_for_prefix(sequence) || !can_start(sequence)) return nullptr;
  waiting_.pop_front();
  for (const int32_t block : prefix_) pool_.retain(block);
  if (!sequence.has_started()) plan_.started.push_back(&sequence);
  sequence.start(prefix_);
  const int n_blocks = blocks_for(sequence.n_tokens()) - static_cast<int>(prefix_.size());
  for (int n = 0; n < n_blocks; ++n) sequence.append_block(cache_.allocate());
  insert_by_rank(running_, &sequence);
  return &sequence;
}

// Into prefix_. A prompt that is scored has to be computed.
void Scheduler::find_prefix(const Sequence& sequence) {
  prefix_.clear();
  if (!options_.shares_prefixes || sequence.scores_prompt()) return;
  const size_t n = static_cast<size_t>(n_shareable_blocks(sequence)) * kBlockSize;
  cache_.find(sequence.request().cache_salt, sequence.tokens().first(n), prefix_);
}

// Whether one that runs is about to compute what lies behind prefix_.
bool Scheduler::waits_for_prefix(const Sequence& sequence) const {
  if (!options_.shares_prefixes || sequence.scores_prompt()) return false;
  const int n_worthwhile = static_cast<int>(prefix_.size()) + kMinAwaitedBlocks;
  const int n_most = n_shareable_blocks(sequence);
  if (n_most < n_worthwhile) return false;
  return std::any_of(running_.begin(), running_.end(), [&](const Sequence* other) {
    if (other->is_decoding() || other->scores_prompt()) return false;
    if (other->request().cache_salt != sequence.request().cache_salt) return false;
    const int n_common = n_common_tokens(sequence.tokens(), other->tokens()) / kBlockSize;
    return n_common > other->n_shared_blocks() && std::min(n_common, n_most) >= n_worthwhile;
  });
}

// Its prompt fits, and so does what it and the running ones are soon to add, unless those may be retracted for it.
// Alone, anything that was accepted fits.
bool Scheduler::can_start(const Sequence& sequence) const {
  if (running_.empty()) return true;
  if (is_urgent(sequence)) return pool_.can_allocate(blocks_to_start(sequence));
  int n_blocks = blocks_to_start(sequence) + blocks_to_grow(sequence);
  for (const Sequence* other : running_) n_blocks += blocks_to_grow(*other);
  return pool_.can_allocate(n_blocks);
}

// Of those that are free now, behind prefix_: what is found in the cache needs no block, but is not free any more where
// nobody held it.
int Scheduler::blocks_to_start(const Sequence& sequence) const {
  const auto is_held = [&](int32_t block) { return pool_.ref_count(block) > 0; };
  return blocks_for(sequence.n_tokens()) - static_cast<int>(std::count_if(prefix_.begin(), prefix_.end(), is_held));
}

// Beyond the blocks of the tokens it has (which it holds once it runs).
int Scheduler::blocks_to_grow(const Sequence& sequence) const {
  const int n_soon = sequence.n_tokens() + std::min(sequence.n_remaining(), headroom_tokens_);
  return blocks_for(n_soon) - blocks_for(sequence.n_tokens());
}

}  // namespace jsg
