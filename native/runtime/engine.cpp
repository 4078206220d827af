#include "runtime/engine.h"

#include <chrono>
#include <utility>

#include "error.h"
#include "runtime/heap.h"

namespace jsg {
namespace {

// After so long without work it is unlikely that a request comes just now, and has to wait while the books are looked
// through.
constexpr std::chrono::milliseconds kQuiet(100);
// After so long more, what the allocator keeps for the next requests is of more use elsewhere: on a Jetson to the GPU.
constexpr std::chrono::milliseconds kIdle(2000);

}  // namespace

Engine::Engine(std::unique_ptr<Model> model, const EngineOptions& options, Sink sink)
    : options_(options),
      limits_{model->vocab_size(), options.context_length, options.n_blocks * kBlockSize},
      sink_(std::move(sink)),
      pipeline_(std::make_unique<Pipeline>(
          std::move(model),
          SchedulerOptions{options.n_blocks, options.max_running, options.chunked_prefill_size, options.shares_prefixes,
                           options.mixed_step_cost},
          options.speculation)) {
  if (options.context_length < 1) throw Error("E_INVALID_REQUEST", "contextLength must be at least 1");
  if (options.max_queued < 0) throw Error("E_INVALID_REQUEST", "maxQueuedRequests is negative");
  stats_.total_tokens = pipeline_->scheduler().total_tokens();
  keep_little_free_memory();
  thread_ = std::thread([this] { run(); });
}

Engine::~Engine() { stop(); }

// --- called from outside ---

void Engine::submit(Request request) {
  check_request(request, limits_);
  const uint32_t id = request.id;
  const auto n_prompt = static_cast<int64_t>(request.prompt_ids.size());
  auto sequence = std::make_unique<Sequence>(std::move(request));
  {
    const std::lock_guard lock(mutex_);
    require_alive();
    if (live_.contains(id)) {
      throw Error("E_INVALID_REQUEST", "the request id " + std::to_string(id) + " is already in use");
    }
    if (live_.size() >= static_cast<size_t>(options_.max_running) + static_cast<size_t>(options_.max_queued)) {
      throw Error("E_QUEUE_FULL", std::to_string(options_.max_running) + " requests run and " +
                                      std::to_string(options_.max_queued) + " wait: the queue is full");
    }
    if (queued_tokens_ > 0 && queued_tokens_ + n_prompt > options_.max_queued_tokens) {
      throw Error("E_QUEUE_FULL", std::to_string(queued_tokens_) + " prompt tokens wait: the queue has no room for " +
                                      std::to_string(n_prompt) + " more");
    }
    live_.emplace(id, n_prompt);
    queued_tokens_ += n_prompt;
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
  stats.queued_tokens = queued_tokens_;
  return stats;
}

bool Engine::at_rest(Task task) {
  {
    const std::lock_guard lock(mutex_);
    require_alive();
    if (!live_.empty()) return false;
    inbox_.tasks.push_back(std::move(task));
  }
  wake_.notify_one();
  return true;
}

bool Engine::flush_cache() {
  const bool is_done = at_rest({[](Pipeline& pipeline) { pipeline.clear_cache(); }, [](const Error*) {}});
  if (!is_done) return false;
  const std::lock_guard lock(mutex_);
  stats_.evictable_tokens = 0;  // as everybody sees who asks from now on
  return true;
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

// Under mutex_.
void Engine::require_alive() const {
  if (!failure_.empty()) throw Error("E_RUNTIME_FAILED", failure_);
  if (stopping_) throw Error("E_RUNTIME_FAILED", "the runtime has been stopped");
}

// --- the engine thread ---

void Engine::run() {
  while (take_inbox()) {
    bool has_stepped = false;
    try {
      if (rest_ == Rest::kQuiet) (void)pipeline_->scheduler().count_leaked_blocks();
      if (rest_ == Rest::kIdle) give_back_free_memory();
      apply_inbox();
      has_stepped = pipeline_->advance(*events_);
      steps_ += has_stepped;
      if (!pipeline_->has_work()) leaked_blocks_ = pipeline_->scheduler().n_leaked_blocks();
    } catch (const std::exception& error) {
      fail(error.what());
    } catch (...) {
      fail("the model threw something that is not an exception");
    }
    if (has_stepped || !events_->tokens.empty() || events_->error) emit();
  }
  end_all(FinishReason::kAbort);
  if (!events_->tokens.empty()) emit();
  pipeline_.reset();
  if (on_stopped_) on_stopped_();
}

// Sleeps until there is something to do, or nothing has been for as long as the next rest takes. False: stop.
bool Engine::take_inbox() {
  std::unique_lock lock(mutex_);
  const auto has_cause = [&] {
    if (!failure_.empty()) return stopping_;
    return stopping_ || !inbox_.empty() || pipeline_->has_work();
  };
  if (rest_ == Rest::kIdle || !failure_.empty()) {
    wake_.wait(lock, has_cause);
    rest_ = Rest::kNone;
  } else {
    const auto [next, after] = rest_ == Rest::kNone ? std::pair(Rest::kQuiet, kQuiet) : std::pair(Rest::kIdle, kIdle);
    rest_ = wake_.wait_for(lock, after, has_cause) ? Rest::kNone : next;
  }
  taken_.clear();
  std::swap(taken_, inbox_);
  return !stopping_;
}

void Engine::apply_inbox() {
  if (!taken_.tasks.empty()) run_tasks();
  for (auto& sequence : taken_.submitted) pipeline_->submit(std::move(sequence));
  for (const uint32_t id : taken_.cancelled) pipeline_->end(id, FinishReason::kAbort, *events_);
}

void Engine::run_tasks() {
  pipeline_->drain(*events_);
  while (!taken_.tasks.empty()) {
    const Task task = std::move(taken_.tasks.front());
    taken_.tasks.erase(taken_.tasks.begin());
    run_task(task);
  }
}

void Engine::run_task(const Task& task) {
  std::optional<Error> fault;
  try {
    task.act(*pipeline_);
  } catch (const Error& error) {
    fault = error;
  } catch (const std::exception& error) {
    fault = Error("E_INTERNAL", error.what());
  }
  {
    const std::lock_guard lock(mutex_);
    stats_.evictable_tokens = pipeline_->scheduler().evictable_tokens();
  }
  task.done(fault ? &*fault : nullptr);
  if (fault && fault->code() == "E_RUNTIME_FAILED") throw *fault;
}

void Engine::end_all(FinishReason reason) {
  const Error ended("E_RUNTIME_FAILED", "the runtime has ended");
  for (const Task& task : taken_.tasks) task.done(&ended);
  for (auto& sequence : taken_.submitted) {
    if (sequence) events_->add_end(sequence->id(), reason);
  }
  taken_.clear();
  pipeline_->end_all(reason, *events_);
}

void Engine::fail(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    failure_ = reason.empty() ? "unknown error" : reason;
    // submit() refuses from here on; what it let in before ends with the others.
    for (auto& sequence : inbox_.submitted) taken_.submitted.push_back(std::move(sequence));
    for (Task& task : inbox_.tasks) taken_.tasks.push_back(std::move(task));
    inbox_.clear();
  }
  events_->error = RuntimeFailure{"E_RUNTIME_FAILED", failure_};
  end_all(FinishReason::kError);
}

void Engine::emit() {
  const Scheduler& scheduler = pipeline_->scheduler();
  StepStats& stats = events_->stats;
  stats.n_running = scheduler.n_running();
  stats.used_tokens = scheduler.used_tokens();
  stats.total_tokens = scheduler.total_tokens();
  {
    const std::lock_guard lock(mutex_);
    for (const Start& start : events_->starts) leave_queue(live_.find(start.id));
    for (const TokenEvent& event : events_->tokens) {
      if (event.finish == FinishReason::kNone) continue;
      const auto request = live_.find(event.id);
      leave_queue(request);
      if (request != live_.end()) live_.erase(request);
      // A cancellation that came too late must not meet a later request of the same id.
      std::erase(inbox_.cancelled, event.id);
    }
    stats.n_queued = scheduler.n_waiting() + static_cast<int>(inbox_.submitted.size());
    stats_.n_running = stats.n_running;
    stats_.n_queued = scheduler.n_waiting();
    stats_.used_tokens = stats.used_tokens;
    stats_.total_tokens = stats.total_tokens;
    stats_.evictable_tokens = scheduler.evictable_tokens();
    stats_.leaked_blocks = leaked_blocks_;
    stats_.steps = steps_;
  }
  sink_(std::exchange(events_, std::make_unique<StepEvents>()));
}

// Its prompt does not wait any more.
void Engine::leave_queue(std::unordered_map<uint32_t, int64_t>::iterator request) {
  if (request != live_.end()) queued_tokens_ -= std::exchange(request->second, 0);
}

}  // namespace jsg
