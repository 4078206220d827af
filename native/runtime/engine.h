// The engine thread: takes requests, steps the model over all of them together, hands out each step's tokens.
//
// A request's life: submit() checks it and puts it into the inbox -> the thread gives it to the pipeline -> the
// pipeline plans, launches and finishes steps of the model -> one StepEvents a step goes to the sink -> a finished
// sequence's blocks are free before the sink hears of it.
#pragma once
#include <condition_variable>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "error.h"
#include "model/model.h"
#include "runtime/pipeline.h"
#include "runtime/request.h"
#include "runtime/step_events.h"

namespace jsg {

struct EngineOptions {
  int n_blocks;              // of kBlockSize tokens: size of the KV pool
  int context_length;        // longest prompt + answer of one sequence
  int max_running;           // sequences in one step
  int max_queued;            // sequences that wait beyond those
  int chunked_prefill_size;  // most prompt rows of a step
  bool shares_prefixes = true;
  SpeculationOptions speculation = {};
  double mixed_step_cost = 2.5;  // see SchedulerOptions
  // Of the prompts of requests that wait; a single one may be longer.
  int64_t max_queued_tokens = std::numeric_limits<int64_t>::max();
};

class Engine {
 public:
  // Called on the engine thread, once a step (and once for endings between steps); must not block or throw.
  using Sink = std::function<void(std::unique_ptr<StepEvents>)>;

  Engine(std::unique_ptr<Model> model, const EngineOptions& options, Sink sink);
  ~Engine();

  // The members below may be called from any one other thread, never from the sink.

  // Throws E_INVALID_REQUEST, E_QUEUE_FULL (when max_running + max_queued requests are live, or max_queued_tokens wait)
  // or E_RUNTIME_FAILED.
  void submit(Request request);
  // The request ends with `abort` within one step; unknown ids are ignored.
  void cancel(uint32_t id);
  RuntimeStats stats() const;
  // What is done with the model at rest, and who is told when it is, or of the error.
  struct Task {
    std::function<void(Pipeline&)> act;
    std::function<void(const Error*)> done;
  };
  // Does it on the engine thread, before what is submitted later starts. False, and it is not done, while requests run
  // or wait. Of what `done` is told, E_RUNTIME_FAILED is a failure of the runtime, any other error one of the task.
  // Throws E_RUNTIME_FAILED where there is no runtime any more.
  bool at_rest(Task task);
  // Drops the prefix cache at rest. False: requests run or wait. Throws as at_rest().
  bool flush_cache();
  // Every live request ends with `abort`; then `on_stopped` is called as the last act of the engine thread, after the
  // model has been freed. Later calls do nothing.
  void begin_stop(std::function<void()> on_stopped = {});
  // begin_stop(), and waits for the thread. Idempotent.
  void stop();

 private:
  struct Inbox {
    std::vector<std::unique_ptr<Sequence>> submitted;
    std::vector<uint32_t> cancelled;
    std::vector<Task> tasks;  // before these are submitted
    bool empty() const { return submitted.empty() && cancelled.empty() && tasks.empty(); }
    void clear() {
      submitted.clear();
      cancelled.clear();
      tasks.clear();
    }
  };

  void require_alive() const;
  void run();
  bool take_inbox();
  void apply_inbox();
  void run_tasks();
  void run_task(const Task& task);
  void end_all(FinishReason reason);
  void fail(const std::string& reason);
  void emit();
  void leave_queue(std::unordered_map<uint32_t, int64_t>::iterator request);

  const EngineOptions options_;
  const RequestLimits limits_;
  const Sink sink_;

  // Of the engine thread alone.
  std::unique_ptr<Pipeline> pipeline_;
  Inbox taken_;
  std::unique_ptr<StepEvents> events_ = std::make_unique<StepEvents>();
  int leaked_blocks_ = 0;
  uint64_t steps_ = 0;
  // How long there has been nothing to do: one after the other. At the start there are no books to look through.
  enum class Rest { kNone, kQuiet, kIdle };
  Rest rest_ = Rest::kQuiet;

  // Shared, under mutex_.
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Inbox inbox_;
  RuntimeStats stats_;  // as of the last step
  // Submitted, and the sink has not heard of an end; with the tokens of its prompt until it starts, then 0.
  std::unordered_map<uint32_t, int64_t> live_;
  int64_t queued_tokens_ = 0;  // sum of those
  bool stopping_ = false;
  std::string failure_;
  std::function<void()> on_stopped_;

  std::thread thread_;
};

}  // namespace jsg
