#include "runtime/scheduler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "error.h"

namespace jsg {
namespace {

// How much a running answer is assumed to grow before another one ends. Starting too many sequences costs whole
// prefills when they are retracted, starting too few only a wait: so each retraction doubles the assumption, and each
// step without one lets it shrink a little.
constexpr int kMinHeadroomTokens = 4 * kBlockSize;
constexpr int kMaxHeadroomTokens = 64 * kBlockSize;
constexpr int kMaxForcedRows = 64;

// A stream to which a grammar has added tokens; more of them are an answer that is computed again.
bool is_forced(const Sequence& sequence) {
  return sequence.extends_answer() && sequence.n_pending() > 1 && sequence.n_pending() <= kMaxForcedRows;
}

}  // namespace

Scheduler::Scheduler(SchedulerOptions options)
    : options_(options),
      pool_(options.n_blocks),
      cache_(pool_),
      pacer_(std::max(options.max_running, 1), options.chunked_prefill_size, options.mixed_step_cost),
      headroom_tokens_(kMinHeadroomTokens) {
  if (options.max_running < 1) throw Error("E_INVALID_REQUEST", "maxRunningRequests must be at least 1");
  if (options.chunked_prefill_size < 1) throw Error("E_INVALID_REQUEST", "chunkedPrefillSize must be at least 1");
  running_.reserve(options.max_running);
  plan_.items.reserve(options.max_running);
}

int Scheduler::used_tokens() const {
  int n = 0;
  for (const Sequence* sequence : running_) n += sequence->n_computed();
  return n - pool_.n_extra_owners() * kBlockSize;
}

int Scheduler::count_leaked_blocks() const {
  pool_.check_integrity();
  cache_.check_integrity();
  return n_leaked_blocks();
}

int Scheduler::n_leaked_blocks() const {
  int n_held = 0;
  for (const Sequence* sequence : running_) n_held += static_cast<int>(sequence->block_table().size());
  return pool_.n_used() + pool_.n_extra_owners() - n_held;
}

void Scheduler::submit(std::unique_ptr<Sequence> sequence) {
  Sequence* added = sequence.get();
  if (!sequences_.emplace(added->id(), std::move(sequence)).second) {
    throw Error("E_INTERNAL", "the request id " + std::to_string(added->id()) + " is already live");
  }
  added->arrive(n_arrived_++);
  insert_by_rank(waiting_, added);
}

const StepPlan& Scheduler::schedule() {
  plan_.items.clear();
  plan_.started.clear();
  plan_.n_decode_seqs = plan_.n_prefill_seqs = plan_.n_prefill_tokens = plan_.n_drafts = plan_.n_retracted = 0;
  prefill_budget_ = options_.chunked_prefill_size;
  scored_budget_ = kMaxScoredRows;

  while (must_preempt()) retract_last();
  const int n_preempted = plan_.n_retracted;
  schedule_decodes();
  schedule_forced();
  const int n_paced = std::min(prefill_budget_, pacer_.prompt_rows(plan_.n_decode_seqs));
  prefill_budget_ = n_paced;
  // Who was retracted for want of blocks a moment ago would only push someone else out again.
  const bool may_start = plan_.n_retracted == n_preempted;
  if (may_start) start_urgent();
  schedule_prefills();
  if (may_start) start_waiting();
  if (plan_.n_retracted == 0) headroom_tokens_ = std::max(kMinHeadroomTokens, headroom_tokens_ - 1);
  plan_.n_paced_rows = n_paced - prefill_budget_;
  return plan_;
}

bool Scheduler::must_retract() { return is_short_of_blocks() || must_preempt(); }

bool Scheduler::is_short_of_blocks() const {
  int n_missing = 0;
  for (const Sequence* sequence : running_) n_missing += blocks_missing(*sequence);
  return !pool_.can_allocate(n_missing);
}

void Scheduler::schedule_decodes() {
  while (is_short_of_blocks()) {
    // Never the first: no request is accepted that does not fit alone.
    if (n_running() == 1) throw Error("E_INTERNAL", "a sequence does not fit alone");
    retract_last();
    headroom_tokens_ = std::min(kMaxHeadroomTokens, 2 * headroom_tokens_);
  }
  for (Sequence* sequence : running_) {
    for (int n = blocks_missing(*sequence); n > 0; --n) sequence->append_block(cache_.allocate());
  }
  for (Sequence* sequence : running_) {
    if (!sequence->is_decoding()) continue;
    plan_.items.push_back({sequence, 1, take_drafts(*sequence)});
    plan_.n_drafts += plan_.items.back().n_drafts;
    ++plan_.n_decode_seqs;
  }
  // Single rows in front: a device takes those for what they are.
  if (plan_.n_drafts > 0) {
    std::stable_partition(plan_.items.begin(), plan_.items.end(), [](const auto& item) { return item.n_drafts == 0; });
  }
}

// How many of its drafts the step has room for. Half of the rows are left to prompts, of those with logits too where
// one is scored, and a block to every sequence.
int Scheduler::take_drafts(Sequence& sequence) {
  if (sequence.drafts().empty()) return 0;
  const int n_scored = scores_any() ? kMaxScoredRows / 2 : 0;
  const int n_rows =
      std::min({options_.chunked_prefill_size / 2 - plan_.n_drafts, scored_budget_ - n_scored, prefill_budget_});
  int n = std::clamp(static_cast<int>(sequence.drafts().size()), 0, std::max(n_rows, 0));
  auto n_blocks = [&] { return static_cast<int>(sequence.block_table().size()); };
  while (n > 0 && blocks_for(sequence.n_tokens() + n) > n_blocks()) {
    if (pool_.can_allocate(n_running() + 1)) {
      sequence.append_block(cache_.allocate());
    } else {
      n = std::max(n_blocks() * kBlockSize - sequence.n_tokens(), 0);
    }
  }
  sequence.drafts().resize(n);
  prefill_budget_ -= n;
  scored_budget_ -= n;
  return n;
}

// Whether a prompt that runs, or is the next to, is scored.
bool Scheduler::scores_any() const {
  if (!waiting_.empty() && waiting_.front()->scores_prompt()) return true;
  return std::any_of(running_.begin(), running_.end(),
                     [](const Sequence* sequence) { return sequence->scores_prompt(); });
}

// But for a few rows where there are prompts: enough streams that follow grammars would keep those out while they go
// on.
void Scheduler::schedule_forced() {
  const auto is_prompt = [](const Sequence* sequence) { return !sequence->is_decoding() && !is_forced(*sequence); };
  const bool has_prompts = !waiting_.empty() || std::any_of(running_.begin(), running_.end(), is_prompt);
  const int n_left = has_prompts ? std::min(StepPacer::kMinRows, prefill_budget_ / 2) : 0;
  prefill_budget_ -= n_left;
  for (Sequence* sequence : running_) {
    if (is_forced(*sequence)) add_prefill(*sequence);
  }
  prefill_budget_ += n_left;
}

void Scheduler::schedule_prefills() {
  for (Sequence* sequence : running_) {
    if (!sequence->is_decoding() && !is_forced(*sequence)) add_prefill(*sequence);
  }
}

void Scheduler::share_blocks(Sequence& sequence) {
  if (!options_.shares_prefixes) return;
  const auto tokens = sequence.tokens();
  const int n_full = std::min(sequence.n_computed(), static_cast<int>(tokens.size())) / kBlockSize;
  while (sequence.n_shared_blocks() < n_full) {
    const int at = sequence.n_shared_blocks();
    const int32_t own = sequence.block_table()[at], parent = at > 0 ? sequence.block_table()[at - 1] : -1;
    const int32_t block =
        cache_.add(sequence.request().cache_salt, parent, tokens.subspan(at * kBlockSize, kBlockSize), own);
    // Somebody else was first: one block is enough for both.
    if (block != own) {
      pool_.retain(block);
      pool_.release(own);
    }
    sequence.share_block(block);
  }
}

void Scheduler::add_prefill(Sequence& sequence) {
  int n = std::min(sequence.n_pending(), prefill_budget_);
  if (sequence.scores_prompt()) {
    n = std::min(n, scored_budget_);
    scored_budget_ -= n;
  }
  if (n == 0) return;
  prefill_budget_ -= n;
  plan_.items.push_back({&sequence, n});
  if (sequence.extends_answer()) {
    ++plan_.n_decode_seqs;
    return;
  }
  ++plan_.n_prefill_seqs;
  plan_.n_prefill_tokens += n;
}

// For the newest tokens of an answer; the blocks of a prompt are there from its start.
int Scheduler::blocks_missing(const Sequence& sequence) const {
  return std::max(sequence.n_blocks_needed() - static_cast<int>(sequence.block_table().size()), 0);
}

void Scheduler::retract_last() {
  Sequence* sequence = running_.back();
  if (sequence->n_in_flight() > 0) {
    throw Error("E_INTERNAL", "request " + std::to_string(sequence->id()) + " cannot go back to the queue");
  }
  running_.pop_back();
  release_blocks(*sequence);
  sequence->retract();
  insert_by_rank(waiting_, sequence);
  ++plan_.n_retracted;
}

// Backwards, so that the pool hands a sequence's blocks out again in their old order, and forgets a prefix from its
// end.
void Scheduler::release_blocks(Sequence& sequence) {
  share_blocks(sequence);
  const auto table = sequence.block_table();
  for (size_t i = table.size(); i > 0; --i) pool_.release(table[i - 1]);
}

bool Scheduler::remove(uint32_t id) {
  const auto found = sequences_.find(id);
  if (found == sequences_.end()) return false;
  Sequence* sequence = found->second.get();
  if (sequence->state() == SequenceState::kRunning) {
    running_.erase(std::find(running_.begin(), running_.end(), sequence));
    release_blocks(*sequence);
  } else {
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), sequence));
  }
  sequence->finish();
  sequences_.erase(found);
  return true;
}

std::vector<uint32_t> Scheduler::live_ids() const {
  std::vector<uint32_t> ids;
  for (const Sequence* sequence : running_) ids.push_back(sequence->id());
  for (const Sequence* sequence : waiting_) ids.push_back(sequence->id());
  return ids;
}

}  // namespace jsg
