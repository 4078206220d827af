#include "runtime/pipeline.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace jsg {

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
