// Continuous batching with chunked prefill: which tokens of which sequences the next step feeds to the model.
//
// Every sequence that decodes gets its one token in every step; prompts fill up to `chunked_prefill_size` rows, and
// beside those that decode only as many as make the step cost `mixed_step_cost` of theirs (see StepPacer), so a long
// prompt never stalls a running stream. Drafts and tokens that grammars force take from those rows, but never all of
// them, and drafts only blocks that nobody needs.
// Sequences start by rank: first come, first served among those of one priority. A sequence gets the blocks of its
// whole prompt when it starts, and one more every kBlockSize tokens of answer; when none is left the last in rank that
// runs goes back to the queue and is recomputed later. The first is therefore never touched, and since no request is
// accepted that could not run alone, it always gets to its end. Who is kPreemptionMargin above the last one that runs
// starts at once: before its prompt goes on, without room for the growth of others, in its place where there is no other.
//
// Full blocks are shared: what a step computes can be found in the prefix cache as soon as the step is launched, since
// steps run in that order, and stays there when its sequence is gone, until the room is needed. A sequence starts
// behind the longest prefix that is cached; at least its last token is computed. Where one that runs is about to
// compute more of that prefix (the same prompt twice, n > 1), it waits, and so do those behind it: the step's rows go
// to the running one in any case.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "runtime/block_pool.h"
#include "runtime/prefix_cache.h"
#include "runtime/sequence.h"
#include "runtime/session.h"
#include "runtime/step_pacer.h"

namespace jsg {

struct SchedulerOptions {
  int n_blocks;
  int max_running;
  int chunked_prefill_size;     // most prompt rows of a step
  bool shares_prefixes = true;  // keep and find KV in the prefix cache
  double mixed_step_cost = 0;   // of a step with prompts and decodes, in steps that only decode; 0: no limit
};

// Most rows of a step that score a prompt or check a draft: each needs a row of logits (vocab_size floats) beside the
// one that each sequence may have.
inline constexpr int kMaxScoredRows = 64;

// How much higher a priority must be to take the place of a sequence that runs; SGLang's default.
inline constexpr int kPreemptionMargin = 10;

struct ScheduledSequence {
  Sequence* sequence;
  int n_tokens;      // the first so many of its pending tokens
  int n_drafts = 0;  // and behind them, of its drafts
  int n_rows() const { return n_tokens + n_drafts; }
};

struct StepPlan {
  std::vector<ScheduledSequence> items;  // those that decode first
  std::vector<const Sequence*> started;  // of these, for the first time
  int n_decode_seqs = 0;
  int n_prefill_seqs = 0;
  int n_prefill_tokens = 0;
  int n_drafts = 0;
  int n_paced_rows = 0;  // beside those that decode: of prompts, and of what is computed again
  int n_retracted = 0;
};

class Scheduler {
 public:
  explicit Scheduler(SchedulerOptions options);

  int n_running() const { return static_cast<int>(running_.size()); }
  int n_waiting() const { return static_cast<int>(waiting_.size()); }
  bool has_work() const { return !sequences_.empty(); }
  // Oldest first.
  std::span<Sequence* const> running() const { return running_; }
  int total_tokens() const { return pool_.n_blocks() * kBlockSize; }
  // Tokens of running sequences with KV in the pool once the steps in flight have run; shared ones count once.
  int used_tokens() const;
  // Tokens of the prefix cache that no sequence uses: room for others.
  int evictable_tokens() const { return pool_.n_kept_idle() * kBlockSize; }
  // Used blocks that no sequence holds.
  int n_leaked_blocks() const;
  // The same, having looked at every block, which in a large pool takes milliseconds. Throws E_INTERNAL when the pool or
  // the prefix cache contradicts itself.
  int count_leaked_blocks() const;

  // Throws E_INTERNAL when the id is that of another live sequence.
  void submit(std::unique_ptr<Sequence> sequence);
  // Whether schedule() has to send sequences back to the queue. That must not happen to one with a token in flight.
  bool must_retract();
  // Allocates what the step needs, retracts where it must, and starts who fits. The plan is valid until the next call;
  // the item of a sequence that is removed before then dangles.
  const StepPlan& schedule();
  // The step that computes the sequence's tokens up to n_computed() has been launched: others may use its full blocks.
  void share_blocks(Sequence& sequence);
  // What a step took in which so many sequences decoded beside so many prompt rows.
  void observe(int n_decodes, int n_prompt_rows, double elapsed_us) {
    pacer_.observe(n_decodes, n_prompt_rows, elapsed_us);
  }
  // Forgets all that no sequence holds.
  void clear_cache() { cache_.clear(); }
  // As those of session.h.
  int save_session(const std::string& path, std::span<const uint8_t> header, Model& model) const {
    return jsg::save_session(path, header, model, cache_);
  }
  int load_session(const std::string& path, uint64_t offset, Model& model) {
    return jsg::load_session(path, offset, model, pool_, cache_);
  }
  // Frees the blocks and forgets the sequence, in whatever state it is. Unknown ids are ignored: false.
  bool remove(uint32_t id);
  // Ids of all that run, then of all that wait, each by rank.
  std::vector<uint32_t> live_ids() const;

 private:
  void schedule_decodes();
  int take_drafts(Sequence& sequence);
  bool scores_any() const;
  void schedule_forced();
  void schedule_prefills();
  void start_urgent();
  void start_waiting();
  Sequence* start_next();
  void add_prefill(Sequence& sequence);
  void find_prefix(const Sequence& sequence);
  bool waits_for_prefix(const Sequence& sequence) const;
  bool can_start(const Sequence& sequence) const;
  int blocks_to_start(const Sequence& sequence) const;
  int blocks_missing(const Sequence& sequence) const;
  int blocks_to_grow(const Sequence& sequence) const;
  bool is_short_of_blocks() const;
  bool is_urgent(const Sequence& sequence) const;
  bool must_preempt();
  void retract_last();
  void release_blocks(Sequence& sequence);

  SchedulerOptions options_;
  BlockPool pool_;
  PrefixCache cache_;
  StepPacer pacer_;
  std::vector<int32_t> prefix_;  // cached blocks of the sequence that is to start next
  std::unordered_map<uint32_t, std::unique_ptr<Sequence>> sequences_;
  std::deque<Sequence*> waiting_;   // by rank
  std::vector<Sequence*> running_;  // by rank
  uint64_t n_arrived_ = 0;
  StepPlan plan_;
  int prefill_budget_ = 0;  // rows left in the step being planned
  int scored_budget_ = 0;   // of kMaxScoredRows
  int headroom_tokens_;     // see can_start()
};

}  // namespace jsg
