// Whatever is asked of a pipeline, in whatever order and with however little room: requests of every kind that come in
// bursts, in several copies, are cancelled at any step, and find what a server before them had computed. After each
// step the books must balance, and in the end each request has the answer that it would have got alone.
//
// JSG_LOAD_SEEDS and JSG_LOAD_FIRST_SEED in the environment make it more than a build waits for.
#include <cstdlib>
#include <map>
#include <set>

#include "check.h"
#include "reference_answer.h"
#include "runtime/pipeline.h"
#include "session_server.h"

using namespace jsg;
using namespace jsg::test;

namespace {

constexpr int kSeeds = 240;

class Load {
 public:
  explicit Load(int seed) : random_(seed), seed_(seed) {
    abilities_ = {.max_in_flight = pick(1, 2), .max_top_logprobs = pick(0, 1) ? 3 : -1};
    n_requests_ = pick(5, 60);
    max_tokens_ = pick(2, 60) * kBlockSize;
    start_server();
  }

  void run() {
    while (n_submitted_ < n_requests_ || pipeline_->has_work()) {
      arrive();
      cancel();
      step();
      if (!pipeline_->has_work() && pick(0, 9) == 0) change_server();
      if (n_steps_ > most_steps_) throw std::runtime_error("seed " + std::to_string(seed_) + " does not end");
    }
    pipeline_->clear_cache();
    CHECK(pipeline_->scheduler().evictable_tokens() == 0 && pipeline_->scheduler().used_tokens() == 0);
    for (const auto& [id, request] : requests_) check_answer(answers_[id], reference(request));
  }

  int n_retracted = 0, n_cached = 0, n_accepted = 0, n_restored = 0;

 private:
  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  template <typename T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[pick(0, static_cast<int>(values.size()) - 1)];
  }

  // Every request fits alone, and often no other one beside it.
  void start_server() {
    const int n_least = max_tokens_ / kBlockSize;
    options_ = {.n_blocks = n_least + (pick(0, 2) == 0 ? 0 : pick(0, 3 * n_least)),
                .max_running = pick(1, 12),
                .chunked_prefill_size = one_of({1, 2, 7, 16, 33, 64, 128, 512}),
                .shares_prefixes = pick(0, 3) > 0,
                .mixed_step_cost = one_of({0.0, 1.0, 1.5, 2.0, 100.0})};
    auto model = std::make_unique<HistoryModel>(options_.n_blocks, kVocab, abilities_);
    model->on_step = [this](const Batch& batch) { check_batch(batch); };
    pipeline_ = std::make_unique<Pipeline>(std::move(model), options_,
                                           SpeculationOptions{.max_drafts = one_of({0, 0, 1, 4, 15})});
  }

  // What is cached goes to another server of another size by way of a file.
  void change_server() {
    StepEvents events;
    pipeline_->drain(events);
    CHECK(events.tokens.empty());
    const TemporaryFile file;
    const int n_saved = pipeline_->save_session(file.path, kHeader);
    CHECK(n_saved * kBlockSize == pipeline_->scheduler().evictable_tokens());
    start_server();
    const int n_loaded = pipeline_->load_session(file.path, kHeader.size());
    CHECK(n_loaded == std::min(n_saved, options_.n_blocks));
    CHECK(pipeline_->scheduler().count_leaked_blocks() == 0);
    n_restored += n_loaded;
  }

  void arrive() {
    if (n_submitted_ == n_requests_ || pick(0, 3) > 0) return;
    Request request = random_request(0, max_tokens_, random_);
    for (int copies = pick(0, 3) == 0 ? pick(2, 5) : 1; copies > 0 && n_submitted_ < n_requests_; --copies) {
      request.id = n_submitted_++;
      request.sampling.seed += request.id;
      // Whatever happens, so many steps are enough: each that is finished computes a row for whoever is first in rank.
      most_steps_ += 40 + 8 * (static_cast<int>(request.prompt_ids.size()) + request.max_new_tokens);
      requests_.emplace(request.id, request);
      live_.insert(request.id);
      pipeline_->submit(std::make_unique<Sequence>(request));
    }
  }

  void cancel() {
    if (n_submitted_ == 0 || pick(0, 60) > 0) return;
    StepEvents events;
    pipeline_->end(pick(0, n_submitted_ - 1), FinishReason::kAbort, events);
    take(events);
  }

  void step() {
    const Place before = place_of_first();
    StepEvents events;
    const bool is_finished = pipeline_->advance(events);
    n_steps_ += is_finished;
    n_retracted += events.stats.n_retracted;
    n_accepted += events.stats.n_accepted;
    take_starts(events);
    take(events);
    check_books();
    const Place after = place_of_first();
    const bool is_stuck = is_finished && before.id >= 0 && before.id == after.id && before.n_done == after.n_done;
    n_stuck_ = is_stuck ? n_stuck_ + 1 : 0;
    n_kept_waiting_ = is_finished && is_urgent_waiting() ? n_kept_waiting_ + 1 : 0;
    CHECK(n_kept_waiting_ < 5);
    // Its token may be in flight. One or two rows are those of a grammar's streams and of drafts.
    CHECK(n_stuck_ < 3 || options_.chunked_prefill_size <= 2);
  }

  // Who ranks before others starts before them, and is told once what it found.
  void take_starts(const StepEvents& events) {
    for (const Start& start : events.starts) {
      const Request& request = requests_.at(start.id);
      CHECK(started_.insert(start.id).second);
      n_cached += start.n_cached;
      CHECK(start.n_cached % kBlockSize == 0 && start.n_cached < static_cast<int>(request.prompt_ids.size()));
      if (!options_.shares_prefixes || request.prompt_logprobs) CHECK(start.n_cached == 0);
      for (const uint32_t other : live_) {
        const bool is_first = requests_.at(other).priority > request.priority ||
                              (requests_.at(other).priority == request.priority && other < start.id);
        if (is_first && !started_.contains(other)) CHECK(is_starting(events, other));
      }
    }
  }
  static bool is_starting(const StepEvents& events, uint32_t id) {
    return std::any_of(events.starts.begin(), events.starts.end(), [&](const Start& start) { return start.id == id; });
  }

  void take(const StepEvents& events) {
    auto top = events.top.begin();
    for (const TokenEvent& event : events.tokens) {
      answers_[event.id].add(event, {top, top + event.n_top});
      top += event.n_top;
      if (event.finish != FinishReason::kNone) CHECK(live_.erase(event.id) == 1);
    }
  }

  void check_batch(const Batch& batch) const {
    CHECK(!batch.token_ids.empty());
    CHECK(batch.token_ids.size() <= static_cast<size_t>(options_.chunked_prefill_size + options_.max_running));
    CHECK(batch.logit_rows.size() <= static_cast<size_t>(kMaxScoredRows + options_.max_running));
  }

  void check_books() const {
    const Scheduler& scheduler = pipeline_->scheduler();
    CHECK(scheduler.count_leaked_blocks() == 0);
    const auto running = scheduler.running();
    CHECK(scheduler.n_running() <= options_.max_running);
    CHECK(std::is_sorted(running.begin(), running.end(), [](auto* a, auto* b) { return a->ranks_before(*b); }));
    CHECK(scheduler.live_ids().size() == live_.size());
    CHECK(scheduler.used_tokens() >= 0);
    CHECK(scheduler.used_tokens() + scheduler.evictable_tokens() <= scheduler.total_tokens());
  }

  // Whether one waits that may take the place of the last one that runs.
  bool is_urgent_waiting() const {
    const auto running = pipeline_->scheduler().running();
    const auto ids = pipeline_->scheduler().live_ids();
    if (running.empty() || ids.size() == running.size()) return false;
    const Request& next = requests_.at(ids[running.size()]);
    if (next.priority < running.back()->request().priority + kPreemptionMargin) return false;
    // Unless prompts that go first take the rows, or another one computes its prefix.
    return std::none_of(running.begin(), running.end(), [&](const Sequence* other) {
      if (other->is_decoding()) return false;
      const auto [end, _] =
          std::mismatch(next.prompt_ids.begin(), next.prompt_ids.end(), other->tokens().begin(), other->tokens().end());
      const bool is_awaited = options_.shares_prefixes && end - next.prompt_ids.begin() >= 2 * kBlockSize;
      return is_awaited || other->request().priority >= next.priority;
    });
  }

  // How far the first of those that run has come.
  struct Place {
    int64_t id = -1;
    size_t n_done = 0;
  };
  Place place_of_first() const {
    const auto running = pipeline_->scheduler().running();
    if (running.empty()) return {};
    const Sequence& first = *running.front();
    return {first.id(), first.tokens().size() + static_cast<size_t>(first.n_computed() + first.n_scored())};
  }

  std::mt19937 random_;
  const int seed_;
  Abilities abilities_;
  SchedulerOptions options_{};
  int n_requests_, max_tokens_;
  std::unique_ptr<Pipeline> pipeline_;
  std::map<uint32_t, Request> requests_;
  std::map<uint32_t, Answer> answers_;
  std::set<uint32_t> live_, started_;
  int n_submitted_ = 0, n_steps_ = 0, most_steps_ = 100, n_stuck_ = 0, n_kept_waiting_ = 0;
};

void run(int first, int n_seeds) {
  int n_retracted = 0, n_cached = 0, n_accepted = 0, n_restored = 0;
  for (int seed = first; seed < first + n_seeds; ++seed) {
    const int before = failures();
    Load load(seed);
    load.run();
    if (failures() > before) std::printf("seed %d\n", seed);
    n_retracted += load.n_retracted;
    n_cached += load.n_cached;
    n_accepted += load.n_accepted;
    n_restored += load.n_restored;
  }
  std::printf("%d retracted, %d tokens cached, %d drafts right, %d blocks restored\n", n_retracted, n_cached,
              n_accepted, n_restored);
  CHECK(n_retracted > n_seeds && n_cached > 50 * n_seeds && n_accepted > n_seeds && n_restored > n_seeds);
}

}  // namespace

TEST(load) {
  const char* const seeds = std::getenv("JSG_LOAD_SEEDS");
  const char* const first = std::getenv("JSG_LOAD_FIRST_SEED");
  run(first ? std::atoi(first) : 0, seeds ? std::atoi(seeds) : kSeeds);
}

TEST_MAIN()
