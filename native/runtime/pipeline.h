// The steps of one model, each from its plan to its tokens, with the next in flight while the last one's are read.
//
// A step that is launched before the one in front of it has been waited for feeds the tokens that the host does not
// know yet by the logit row they come from. That needs a step whose tokens the model samples itself: behind one that
// hands out logits (a prompt is scored, or more log-probabilities are asked for than the model gives) nothing is
// launched until the host has sampled from them, and behind one that checks drafts until it is known how many were
// right. Nor is anything while a sequence must go back to the queue, since what
// is to be recomputed must be known. A step with an answer that follows a grammar is launched like any other, and told
// how to sample when the step in front of it has been read, while the model computes; tokens that the grammar forces
// are not sampled, but computed together in the next step, and so are those that complete an answer before it is cut
// short. Ends that are known beforehand (max_new_tokens) cost no row; an end that is found (a stop id, a cancellation)
// may leave a row in the step behind, whose result is nobody's. The blocks of that row are free at once: steps run in
// the order of their launch, so whoever gets them next writes later.
#pragma once
#include <array>
#include <chrono>
#include <memory>
#include <vector>

#include "model/model.h"
#include "runtime/batch_builder.h"
#include "runtime/sampler.h"
#include "runtime/scheduler.h"
#include "runtime/speculation.h"
#include "runtime/step_events.h"

namespace jsg {

class Pipeline {
 public:
  Pipeline(std::unique_ptr<Model> model, const SchedulerOptions& options, const SpeculationOptions& speculation = {});
  // Waits for what is in flight, unless a step has failed.
  ~Pipeline();

  const Scheduler& scheduler() const { return scheduler_; }
  // Takes the results of all steps in flight.
  void drain(StepEvents& events);
  // Forgets the KV that no sequence holds.
  void clear_cache() { scheduler_.clear_cache(); }
  // As those of session.h. No step is in flight.
  int save_session(const std::string& path, std::span<const uint8_t> header) {
    return scheduler_.save_session(path, header, *model_);
  }
  int load_session(const std::string& path, uint64_t offset) { return scheduler_.load_session(path, offset, *model_); }
  bool has_work() const { return scheduler_.has_work() || n_in_flight_ > 0; }

  void submit(std::unique_ptr<Sequence> sequence) { scheduler_.submit(std::move(sequence)); }
  // Ends a request without a further token; one that has ended already is left alone.
  void end(uint32_t id, FinishReason reason, StepEvents& events);
  void end_all(FinishReason reason, StepEvents& events);

  // Launches the next step where that is possible. When the model then has all the steps it can hold, or nothing could
  // be launched, also takes the result of the oldest: true, and `events` has its tokens and figures. What the model
  // throws passes through; after that only end_all() is of use.
  bool advance(StepEvents& events);

 private:
  using Clock = std::chrono::steady_clock;

  struct Step {
    std::vector<StepItem> items;
    bool samples_on_host = false;  // from its logits: they decide what is fed next
    bool samples_later = false;    // the model waits to be told how to sample
    bool only_decodes = false;
    StepStats stats;
    int n_paced_rows = 0;
    Clock::time_point started;
  };
  // Deeper than this nothing is gained: the host is done with a step long before the model is with the next.
  static constexpr int kMaxInFlight = 2;

  Step& step(int behind_oldest) { return steps_[(oldest_ + behind_oldest) % kMaxInFlight]; }
  bool launch_next(StepEvents& events);
  void finish_oldest(StepEvents& events);
  void sample_newest(StepEvents& events);
  void score_prompt(const StepItem& item, std::span<float> logits, int row, StepEvents& events);
  void pick_tokens(const StepItem& item, Step& step, const StepOutput& output, int row, StepEvents& events);
  bool pick_token(Sequence& sequence, const Step& step, const StepOutput& output, int row, int n_checked,
                  StepEvents& events);
  bool constrain(Sequence& sequence, std::span<uint32_t> mask, RowSampling& row, StepEvents& events);
  bool append_token(Sequence& sequence, const SampledToken& sampled, int n_checked, StepEvents& events);
  FinishReason add_token(Sequence& sequence, const SampledToken& sampled, int n_checked, StepEvents& events);
  bool follow_grammar(Sequence& sequence, StepEvents& events);
  StepItem* item_in_flight(const Sequence& sequence);
  bool remove(uint32_t id);
  std::span<float> logits_of(std::span<float> logits, int row) const;

  std::unique_ptr<Model> model_;
  const int max_in_flight_;
  Scheduler scheduler_;
  Speculation speculation_;
  Sampler sampler_;
  Batch batch_;
  std::vector<RowSampling> rows_;  // of the step that is being sampled
  std::vector<uint32_t> masks_;    // (rows, mask_words(vocab_size)) of it
  std::vector<int32_t> forced_;
  std::array<Step, kMaxInFlight> steps_;  // a ring
  int oldest_ = 0;
  int n_in_flight_ = 0;
  Clock::time_point last_result_;
};

}  // namespace jsg
