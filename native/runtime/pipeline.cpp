#include "runtime/pipeline.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "error.h"
#include "runtime/row_sampling.h"

namespace jsg {
namespace {

// Forced tokens that are worth a step with more than one row, and most of one step.
constexpr size_t kLeastForced = 2;
constexpr int kMaxForced = 64;

// Whether `mask` has a token that is not among `tokens`.
bool allows_others(std::span<const uint32_t> mask, std::span<const int32_t> tokens) {
  int64_t n_allowed = 0;
  for (const uint32_t word : mask) n_allowed += std::popcount(word);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int32_t token = tokens[i];
    const auto before = tokens.first(i);
    const bool is_new = std::find(before.begin(), before.end(), token) == before.end();
    if (token < 0 || static_cast<size_t>(token) / 32 >= mask.size() || !is_new) continue;
    n_allowed -= mask[token / 32] >> (token % 32) & 1;
  }
  return n_allowed > 0;
}

}  // namespace

Pipeline::Pipeline(std::unique_ptr<Model> model, const SchedulerOptions& options, const SpeculationOptions& speculation)
    : model_(std::move(model)),
      max_in_flight_(std::clamp(model_->max_in_flight(), 1, kMaxInFlight)),
      scheduler_(options),
      speculation_(speculation, model_->max_top_logprobs() >= 0),
      sampler_(model_->vocab_size()) {}

Pipeline::~Pipeline() {
  try {
    for (; n_in_flight_ > 0; --n_in_flight_) (void)model_->wait();
  } catch (...) {
    // Nobody is left who waits for these steps.
  }
}

void Pipeline::end(uint32_t id, FinishReason reason, StepEvents& events) {
  if (remove(id)) events.add_end(id, reason);
}

void Pipeline::end_all(FinishReason reason, StepEvents& events) {
  for (const uint32_t id : scheduler_.live_ids()) end(id, reason, events);
}

bool Pipeline::advance(StepEvents& events) {
  try {
    if (n_in_flight_ < max_in_flight_ && launch_next(events)) {
      // Alone, it knows all tokens before its own.
      if (n_in_flight_ == 1) sample_newest(events);
      if (n_in_flight_ < max_in_flight_) return false;
    }
    if (n_in_flight_ == 0) return false;
    finish_oldest(events);
    if (n_in_flight_ > 0) sample_newest(events);
    return true;
  } catch (...) {
    n_in_flight_ = 0;  // not to be waited for: a model that threw is not to be used again
    throw;
  }
}

void Pipeline::drain(StepEvents& events) {
  try {
    while (n_in_flight_ > 0) {
      finish_oldest(events);
      if (n_in_flight_ > 0) sample_newest(events);
    }
  } catch (...) {
    n_in_flight_ = 0;
    throw;
  }
}

bool Pipeline::launch_next(StepEvents& events) {
  if (n_in_flight_ > 0) {
    const Step& newest = step(n_in_flight_ - 1);
    if (newest.samples_on_host || newest.stats.n_drafts > 0 || scheduler_.must_retract()) return false;
    if (speculation_.is_worth_waiting(scheduler_.running())) return false;
  } else {
    speculation_.draft(scheduler_.running());
  }
  const auto started = Clock::now();
  const StepPlan& plan = scheduler_.schedule();
  if (plan.items.empty()) return false;  // what is left to do is in flight
  Step& next = step(n_in_flight_);
  build_batch(plan, model_->max_top_logprobs(), batch_, next.items);
  next.samples_later = batch_.samples_later;
  next.samples_on_host = batch_.sampling.empty() && !batch_.samples_later && !batch_.logit_rows.empty();
  next.stats = {};
  next.stats.prefill_seqs = plan.n_prefill_seqs;
  next.stats.prefill_tokens = plan.n_prefill_tokens;
  next.stats.n_drafts = plan.n_drafts;
  next.stats.n_retracted = plan.n_retracted;
  next.n_paced_rows = plan.n_paced_rows;
  for (const Sequence* sequence : plan.started) {
    next.stats.cached_tokens += sequence->n_cached_prompt();
    events.starts.push_back({sequence->id(), sequence->n_cached_prompt()});
  }
  next.only_decodes = static_cast<int>(batch_.token_ids.size()) == plan.n_decode_seqs + plan.n_drafts;
  next.started = started;
  model_->launch(batch_);
  ++n_in_flight_;

  int row = 0;
  for (size_t i = 0; i < plan.items.size(); ++i) {
    const StepItem& item = next.items[i];
    row += item.n_logit_rows;
    item.sequence->advance(plan.items[i].n_tokens);
    scheduler_.share_blocks(*item.sequence);
    if (item.picks) item.sequence->expect_token(row - 1 - item.n_drafts);
  }
  return true;
}

void Pipeline::finish_oldest(StepEvents& events) {
  Step& step = this->step(0);
  const StepOutput output = model_->wait();
  oldest_ = (oldest_ + 1) % kMaxInFlight;
  --n_in_flight_;
  events.tokens.reserve(events.tokens.size() + step.items.size());
  int row = 0, n_decodes = 0;
  for (const StepItem& item : step.items) {
    const int first_row = row;
    row += item.n_logit_rows;
    n_decodes += item.decodes;
    if (item.sequence == nullptr) continue;
    Sequence& sequence = *item.sequence;
    step.stats.decode_seqs += item.decodes;
    if (sequence.scores_prompt()) score_prompt(item, output.logits, first_row, events);
    if (item.picks) pick_tokens(item, step, output, row - 1 - item.n_drafts, events);
    if (item.ends) end(sequence.id(), FinishReason::kLength, events);
  }
  // Behind another step this one began when that one ended.
  const auto now = Clock::now();
  const auto elapsed = now - std::max(step.started, last_result_);
  if (speculation_.is_on() && step.only_decodes) {
    const std::chrono::duration<double, std::micro> since_last = now - last_result_;
    speculation_.observe(static_cast<int>(step.items.size()), step.stats.n_drafts, since_last.count());
  }
  last_result_ = now;
  step.stats.elapsed_us = std::chrono::duration<double, std::micro>(elapsed).count();
  step.stats.graph = output.graph;
  if (step.stats.n_drafts == 0) scheduler_.observe(n_decodes, step.n_paced_rows, step.stats.elapsed_us);
  events.stats = step.stats;
}

// Its rows of logits begin with row `row`.
void Pipeline::score_prompt(const StepItem& item, std::span<float> logits, int row, StepEvents& events) {
  Sequence& sequence = *item.sequence;
  const auto tokens = sequence.tokens();
  if (sequence.n_scored() == 0) {
    events.add(sequence.id(), {tokens[0], std::numeric_limits<float>::quiet_NaN(), {}}, FinishReason::kNone, true);
    sequence.mark_scored(1);
  }
  const int n_top = std::max(sequence.sampling().top_logprobs, 0);
  for (int position = item.scored.first; position < item.scored.last; ++position) {
    const auto scored = sampler_.score(logits_of(logits, row++), tokens[position + 1], n_top);
    events.add(sequence.id(), scored, FinishReason::kNone, true);
    sequence.mark_scored(position + 2);
  }
}

// Tells the step launched last how to sample, where it waits for that: every token before is known by now.
void Pipeline::sample_newest(StepEvents& events) {
  Step& step = this->step(n_in_flight_ - 1);
  if (!step.samples_later) return;
  step.samples_later = false;
  const size_t n_words = mask_words(model_->vocab_size());
  masks_.resize(step.items.size() * n_words);
  rows_.clear();
  size_t n_masks = 0;
  for (StepItem& item : step.items) {
    const size_t first = rows_.size();
    rows_.resize(first + item.n_logit_rows);
    // Of one that has ended, or whose token is known already, any token will do.
    if (item.n_logit_rows == 0 || item.sequence == nullptr || !item.picks) continue;
    for (int i = 0; i <= item.n_drafts; ++i) rows_[first + i] = row_sampling(*item.sequence, i);
    // Drafts are of sequences without a grammar.
    const std::span mask = std::span(masks_).subspan(n_masks++ * n_words, n_words);
    if (!constrain(*item.sequence, mask, rows_[first], events)) rows_[first] = {};
  }
  model_->sample(rows_);
}

// The tokens that logit rows from `row` on pick: the next one, and as long as those before it are as guessed, one more
// for each draft. The KV of a draft that was right is there already.
void Pipeline::pick_tokens(const StepItem& item, Step& step, const StepOutput& output, int row, StepEvents& events) {
  Sequence& sequence = *item.sequence;
  int n_right = 0, n_checked = item.decodes ? 1 + item.n_drafts : 0;
  while (pick_token(sequence, step, output, row + n_right, n_checked, events)) {
    if (n_right == item.n_drafts || sequence.tokens().back() != sequence.drafts()[n_right]) {
      sequence.drafts().clear();
      break;
    }
    sequence.advance(1);
    ++n_right;
    n_checked = 0;
  }
  step.stats.n_accepted += n_right;
}

// The token that logit row `row` of the step picks. False where the sequence has come to its end.
bool Pipeline::pick_token(Sequence& sequence, const Step& step, const StepOutput& output, int row, int n_checked,
                          StepEvents& events) {
  if (!step.samples_on_host) {
    const SampledToken sampled = output.sampled[row];
    if (sampled.token < 0 || sampled.token >= model_->vocab_size()) {
      throw Error("E_RUNTIME_FAILED", "the model produced NaN");
    }
    return append_token(sequence, sampled, n_checked, events);
  }
  // All tokens before this one are known by now.
  RowSampling sampling = row_sampling(sequence, 0);
  masks_.resize(mask_words(model_->vocab_size()));
  if (!constrain(sequence, masks_, sampling, events)) return false;
  return append_token(sequence, sampler_.sample(logits_of(output.logits, row), sampling), n_checked, events);
}

// Lets `row` pick what the sequence's grammar allows. False, and the sequence has ended, where that is nothing.
bool Pipeline::constrain(Sequence& sequence, std::span<uint32_t> mask, RowSampling& row, StepEvents& events) {
  TokenMatcher* const matcher = sequence.matcher();
  if (matcher == nullptr) return true;
  try {
    const Allowed allowed = matcher->fill(mask);
    if (allowed == Allowed::kAll) return true;
    if (allowed == Allowed::kSome) {
      row.allowed = mask;
      // An answer that is too short to stop, and whose grammar allows nothing else, stops.
      if (!row.masked.empty() && !allows_others(mask, row.masked)) row.masked = {};
      return true;
    }
  } catch (const Error& error) {
    if (error.code() != "E_GRAMMAR_LIMIT") throw;
  }
  end(sequence.id(), FinishReason::kGrammar, events);
  return false;
}

// The next token of the answer, and those that its grammar says follow. False where the sequence has come to its end.
bool Pipeline::append_token(Sequence& sequence, const SampledToken& sampled, int n_checked, StepEvents& events) {
  if (add_token(sequence, sampled, n_checked, events) != FinishReason::kNone) return false;
  return sequence.matcher() == nullptr || follow_grammar(sequence, events);
}

// The next token of the answer; the sequence is gone where it is the last.
FinishReason Pipeline::add_token(Sequence& sequence, const SampledToken& sampled, int n_checked, StepEvents& events) {
  sequence.append_token(sampled.token);
  TokenMatcher* const matcher = sequence.matcher();
  FinishReason reason = FinishReason::kNone;
  try {
    const bool follows = matcher == nullptr || matcher->accept(sampled.token);
    const bool stops = sequence.is_stop_id(sampled.token) || (matcher != nullptr && matcher->is_done());
    if (stops) {
      reason = FinishReason::kStop;
    } else if (!follows) {
      reason = FinishReason::kGrammar;
    } else if (sequence.is_complete()) {
      reason = FinishReason::kLength;
    }
  } catch (const Error& error) {
    if (error.code() != "E_GRAMMAR_LIMIT") throw;
    reason = FinishReason::kGrammar;
  }
  events.add(sequence.id(), sampled, reason, false, n_checked);
  if (reason != FinishReason::kNone) remove(sequence.id());
  return reason;
}

// Adds the tokens that the grammar says are next, and those that complete an answer which would be cut short. Nobody
// computes their log-probabilities, so not where those are wanted. False where the sequence has come to its end.
bool Pipeline::follow_grammar(Sequence& sequence, StepEvents& events) {
  if (sequence.sampling().top_logprobs >= 0) return true;
  const int n_known = static_cast<int>(sequence.tokens().size()) - sequence.n_prompt();
  const int n_left = sequence.request().max_new_tokens - n_known;
  bool ends = false;
  try {
    ends = sequence.matcher()->must_end(n_left, forced_);
    if (!ends) sequence.matcher()->find_forced(std::min(n_left, kMaxForced), forced_);
  } catch (const Error& error) {
    if (error.code() != "E_GRAMMAR_LIMIT") throw;
    end(sequence.id(), FinishReason::kGrammar, events);
    return false;
  }
  if (!ends && forced_.size() < kLeastForced) return true;
  // The step in flight picks what is known now, or is not wanted.
  if (StepItem* const item = item_in_flight(sequence)) item->picks = false;
  const uint32_t id = sequence.id();
  for (const int32_t token : forced_) {
    const SampledToken known{token, std::numeric_limits<float>::quiet_NaN(), {}};
    if (add_token(sequence, known, 0, events) != FinishReason::kNone) return false;
  }
  if (ends) end(id, FinishReason::kLength, events);
  return !ends;
}

// Its item in a step that has been launched and not yet read, if that step picks a token for it.
StepItem* Pipeline::item_in_flight(const Sequence& sequence) {
  for (int i = 0; i < n_in_flight_; ++i) {
    for (StepItem& item : step(i).items) {
      if (item.sequence == &sequence && item.picks) return &item;
    }
  }
  return nullptr;
}

// Frees the sequence and its blocks; what steps in flight still compute of it is nobody's.
bool Pipeline::remove(uint32_t id) {
  for (int i = 0; i < n_in_flight_; ++i) {
    for (StepItem& item : step(i).items) {
      if (item.sequence != nullptr && item.sequence->id() == id) item.sequence = nullptr;
    }
  }
  return scheduler_.remove(id);
}

std::span<float> Pipeline::logits_of(std::span<float> logits, int row) const {
  const size_t vocab_size = model_->vocab_size();
  return logits.subspan(row * vocab_size, vocab_size);
}

}  // namespace jsg
