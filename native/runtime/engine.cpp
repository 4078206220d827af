#include "runtime/engine.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "error.h"
#include "runtime/batch_builder.h"
#include "runtime/row_sampling.h"

namespace jsg {
namespace {

constexpr SampledToken kNoToken{-1, std::numeric_limits<float>::quiet_NaN(), {}};

double elapsed_us(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - since).count();
}

}  // namespace

Engine::Engine(std::unique_ptr<Model> model, const EngineOptions& options, Sink sink)
    : model_(std::move(model)),
      options_(options),
      limits_{model_->vocab_size(), options.context_length, options.n_blocks * kBlockSize},
      sink_(std::move(sink)),
      scheduler_({options.n_blocks, options.max_running, options.chunked_prefill_size}),
      sampler_(model_->vocab_size()) {
  if (options.context_length < 1) throw Error("E_INVALID_REQUEST", "contextLength must be at least 1");
  if (options.max_queued < 0) throw Error("E_INVALID_REQUEST", "maxQueuedRequests is negative");
  stats_.total_tokens = scheduler_.total_tokens();
  thread_ = std::thread([this] { run(); });
}

Engine::~Engine() { stop(); }

// --- called from outside ---

void Engine::submit(Request request) {
  check_request(request, limits_);
  const uint32_t id = request.id;
  auto sequence = std::make_unique<Sequence>(std::move(request));
  {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) throw Error("E_RUNTIME_FAILED", failure_);
    if (stopping_) throw Error("E_RUNTIME_FAILED", "the runtime has been stopped");
    if (live_.contains(id)) {
      throw Error("E_INVALID_REQUEST", "the request id " + std::to_string(id) + " is already in use");
    }
    if (live_.size() >= static_cast<size_t>(options_.max_running) + static_cast<size_t>(options_.max_queued)) {
      throw Error("E_QUEUE_FULL", std::to_string(options_.max_running) + " requests run and " +
                                      std::to_string(options_.max_queued) + " wait: the queue is full");
    }
    live_.insert(id);
    inbox_.submitted.push_back(std::move(sequence));
  }
  wake_.notify_one();
}

void Engine::cancel(uint32_t id) {
  {
    const std::lock_guard lock(mutex_);
    if (!live_.contains(id)) return;
    inbox_.cancelled.push_back(id);
  }
  wake_.notify_one();
}

RuntimeStats Engine::stats() const {
  const std::lock_guard lock(mutex_);
  RuntimeStats stats = stats_;
  stats.n_queued += static_cast<int>(inbox_.submitted.size());
  return stats;
}

bool Engine::flush_cache() {
  const std::lock_guard lock(mutex_);
  return live_.empty();
}

void Engine::begin_stop(std::function<void()> on_stopped) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    on_stopped_ = std::move(on_stopped);
  }
  wake_.notify_one();
}

void Engine::stop() {
  begin_stop();
  if (thread_.joinable()) thread_.join();
}

// --- the engine thread ---

void Engine::run() {
  while (take_inbox()) {
    events_ = std::make_unique<StepEvents>();
    try {
      apply_inbox();
      if (scheduler_.has_work()) step();
      if (!scheduler_.has_work()) leaked_blocks_ = scheduler_.count_leaked_blocks();
    } catch (const std::exception& error) {
      fail(error.what());
    } catch (...) {
      fail("the model threw something that is not an exception");
    }
    emit();
  }
  events_ = std::make_unique<StepEvents>();
  end_all(FinishReason::kAbort);
  if (!events_->tokens.empty()) emit();
  model_.reset();
  if (on_stopped_) on_stopped_();
}

// Sleeps until there is something to do. False: stop.
bool Engine::take_inbox() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] {
    if (!failure_.empty()) return stopping_;
    return stopping_ || !inbox_.empty() || scheduler_.has_work();
  });
  taken_.clear();
  std::swap(taken_, inbox_);
  return !stopping_;
}

void Engine::apply_inbox() {
  for (auto& sequence : taken_.submitted) scheduler_.submit(std::move(sequence));
  for (const uint32_t id : taken_.cancelled) end(id, FinishReason::kAbort);
}

void Engine::step() {
  const auto start = std::chrono::steady_clock::now();
  const StepPlan& plan = scheduler_.schedule();
  build_batch(plan, batch_);
  const bool greedy = std::all_of(plan.items.begin(), plan.items.end(), [](const ScheduledSequence& item) {
    return !item.sequence->scores_prompt() && row_sampling(*item.sequence, 0).is_plain_greedy();
  });
  if (greedy && model_->max_top_logprobs() >= 0) batch_.sampling.resize(batch_.logit_rows.size());
  events_->tokens.reserve(events_->tokens.size() + plan.items.size());
  const StepOutput output = model_->run(batch_);
  const std::span<float> logits = output.logits;

  int row = 0;
  for (const ScheduledSequence& item : plan.items) {
    Sequence& sequence = *item.sequence;
    const bool picks = picks_token(item);
    score_prompt(item, logits, row);
    sequence.advance(item.n_tokens);
    if (picks) {
      const size_t vocab_size = limits_.vocab_size;
      pick_token(sequence, logits.empty() ? greedy_token(output, row)
                                          : sampler_.sample(logits.subspan(row * vocab_size, vocab_size),
                                                            row_sampling(sequence, 0)));
      ++row;
    } else if (sequence.n_pending() == 0) {
      end(sequence.id(), FinishReason::kLength);  // a prompt that was only to be scored
    }
  }

  ++steps_;
  StepStats& stats = events_->stats;
  stats.prefill_seqs = plan.n_prefill_seqs;
  stats.prefill_tokens = plan.n_prefill_tokens;
  stats.decode_seqs = plan.n_decode_seqs;
  stats.n_retracted = plan.n_retracted;
  stats.elapsed_us = elapsed_us(start);
}

// Takes its rows of `logits` from `row` on.
void Engine::score_prompt(const ScheduledSequence& item, std::span<float> logits, int& row) {
  Sequence& sequence = *item.sequence;
  if (!sequence.scores_prompt()) return;
  const auto tokens = sequence.tokens();
  if (sequence.n_scored() == 0) {
    add_event(sequence.id(), {tokens[0], kNoToken.logprob, {}}, FinishReason::kNone, true);
    sequence.mark_scored(1);
  }
  const ScoredRows rows = scored_rows(item);
  const size_t vocab_size = limits_.vocab_size;
  const int n_top = std::max(sequence.sampling().top_logprobs, 0);
  for (int position = rows.first; position < rows.last; ++position) {
    const auto scored = sampler_.score(logits.subspan(row++ * vocab_size, vocab_size), tokens[position + 1], n_top);
    add_event(sequence.id(), scored, FinishReason::kNone, true);
    sequence.mark_scored(position + 2);
  }
}

// What the model picked itself for logit row `row`.
SampledToken Engine::greedy_token(const StepOutput& output, int row) const {
  const int32_t token = output.sampled[row].token;
  if (token < 0 || token >= limits_.vocab_size) throw Error("E_RUNTIME_FAILED", "the model produced NaN");
  return {token, kNoToken.logprob, {}};
}

void Engine::pick_token(Sequence& sequence, const SampledToken& sampled) {
  sequence.append_token(sampled.token);
  const FinishReason reason = sequence.is_stop_id(sampled.token) ? FinishReason::kStop
                              : sequence.n_remaining() == 0      ? FinishReason::kLength
                                                                 : FinishReason::kNone;
  const uint32_t id = sequence.id();
  add_event(id, sampled, reason, false);
  if (reason != FinishReason::kNone) scheduler_.remove(id);
}

void Engine::add_event(uint32_t id, const SampledToken& sampled, FinishReason finish, bool is_prompt) {
  events_->top.insert(events_->top.end(), sampled.top.begin(), sampled.top.end());
  events_->tokens.push_back(
      {id, sampled.token, sampled.logprob, finish, is_prompt, static_cast<uint8_t>(sampled.top.size())});
}

// Ends a request without a further token; one that has ended already is left alone.
void Engine::end(uint32_t id, FinishReason reason) {
  if (scheduler_.remove(id)) add_event(id, kNoToken, reason, false);
}

void Engine::end_all(FinishReason reason) {
  for (auto& sequence : taken_.submitted) {
    if (sequence) add_event(sequence->id(), kNoToken, reason, false);
  }
  taken_.clear();
  for (const uint32_t id : scheduler_.live_ids()) end(id, reason);
}

void Engine::fail(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    failure_ = reason.empty() ? "unknown error" : reason;
    // submit() refuses from here on; what it let in before ends with the others.
    for (auto& sequence : inbox_.submitted) taken_.submitted.push_back(std::move(sequence));
    inbox_.clear();
  }
  events_->error = RuntimeFailure{"E_RUNTIME_FAILED", failure_};
  end_all(FinishReason::kError);
}

void Engine::emit() {
  StepStats& stats = events_->stats;
  stats.n_running = scheduler_.n_running();
  stats.used_tokens = scheduler_.used_tokens();
  stats.total_tokens = scheduler_.total_tokens();
  {
    const std::lock_guard lock(mutex_);
    for (const TokenEvent& event : events_->tokens) {
      if (event.finish == FinishReason::kNone) continue;
      live_.erase(event.id);
      // A cancellation that came too late must not meet a later request of the same id.
      std::erase(inbox_.cancelled, event.id);
    }
    stats.n_queued = scheduler_.n_waiting() + static_cast<int>(inbox_.submitted.size());
    stats_ = {stats.n_running, scheduler_.n_waiting(), stats.used_tokens, stats.total_tokens, leaked_blocks_, steps_};
  }
  sink_(std::move(events_));
}

}  // namespace jsg
