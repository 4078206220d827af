#include "runtime/pipeline.h"

#include <map>
#include <thread>

#include "check.h"
#include "error.h"
#include "history_model.h"

using namespace jsg;
using jsg::test::Abilities;
using jsg::test::HistoryModel;
using jsg::test::make_request;

namespace {

constexpr int kVocab = 48;
constexpr Abilities kSync{};
constexpr Abilities kInFlight{.max_in_flight = 2, .max_top_logprobs = 3};
constexpr SchedulerOptions kOptions{.n_blocks = 64, .max_running = 4, .chunked_prefill_size = 32};

// A pipeline played by hand, with what its model was told.
struct Rig {
  explicit Rig(Abilities abilities, SchedulerOptions options = kOptions) {
    auto model = std::make_unique<HistoryModel>(options.n_blocks, kVocab, abilities);
    model->on_step = [this](const Batch& batch) {
      calls += 'L';
      batches.push_back(batch);
      if (on_launch) on_launch(batch);
    };
    model->on_wait = [this] { calls += 'W'; };
    pipeline.emplace(std::move(model), options);
  }

  void submit(const Request& request) { pipeline->submit(std::make_unique<Sequence>(request)); }
  // One call of advance(), whose tokens are gathered by request.
  bool advance() {
    StepEvents events;
    const bool has_stepped = pipeline->advance(events);
    gather(events);
    return has_stepped;
  }
  void end(uint32_t id) {
    StepEvents events;
    pipeline->end(id, FinishReason::kAbort, events);
    gather(events);
  }
  void run() {
    while (pipeline->has_work()) advance();
    CHECK(pipeline->scheduler().count_leaked_blocks() == 0);
    CHECK(pipeline->scheduler().used_tokens() == 0);
  }
  void gather(const StepEvents& events) {
    for (const TokenEvent& event : events.tokens) {
      if (event.token >= 0 && !event.is_prompt) tokens[event.id].push_back(event.token);
      finish[event.id] = event.finish;
    }
    n_retracted += events.stats.n_retracted;
    stats.push_back(events.stats);
  }

  std::string calls;           // L: launch(), W: wait()
  std::vector<Batch> batches;  // as launched; their spans and pointers dangle
  std::function<void(const Batch&)> on_launch;
  std::map<uint32_t, std::vector<int32_t>> tokens;
  std::map<uint32_t, FinishReason> finish;
  std::vector<StepStats> stats;
  int n_retracted = 0;
  std::optional<Pipeline> pipeline;
};

std::vector<int32_t> answer_alone(Request request) {
  Rig rig(kSync);
  request.stop_ids.clear();
  rig.submit(request);
  rig.run();
  return rig.tokens[request.id];
}

}  // namespace

TEST(a_step_is_launched_before_the_last_is_waited_for) {
  for (const auto& [abilities, calls] : {std::pair{kSync, "LWLWLWLWLW"},
                                         {Abilities{.max_top_logprobs = 3}, "LWLWLWLWLW"},
                                         {Abilities{.max_in_flight = 2}, "LWLWLWLWLW"},  // the host has to sample
                                         {kInFlight, "LLWLWLWLWW"}}) {
    Rig rig(abilities);
    rig.submit(make_request(1, {1, 2, 3}, 5));
    rig.run();
    CHECK(rig.calls == calls);
    CHECK(rig.tokens[1] == answer_alone(make_request(1, {1, 2, 3}, 5)));
  }
}

TEST(chunks_of_a_prompt_need_no_token_and_follow_each_other) {
  Rig rig({.max_in_flight = 2});
  rig.submit(make_request(1, std::vector<int32_t>(100, 5), 2));
  rig.run();
  CHECK(rig.calls == "LLWLWLWWLW");  // the second token needs the first
}

TEST(tokens_in_flight_are_fed_by_their_logit_row) {
  Rig rig(kInFlight);
  rig.submit(make_request(1, std::vector<int32_t>(40, 7), 4));  // two chunks
  rig.submit(make_request(2, {8, 9}, 4));                       // beside the second
  rig.run();
  CHECK(rig.batches.size() >= 3);
  CHECK(rig.batches[0].token_ids.size() == 32 && rig.batches[0].logit_rows.empty());
  CHECK((rig.batches[1].logit_rows == std::vector<int32_t>{7, 9}));
  CHECK((rig.batches[2].token_ids == std::vector<int32_t>{sampled_before(0), sampled_before(1)}));
  for (uint32_t id : {1, 2}) CHECK(rig.finish[id] == FinishReason::kLength);
  CHECK(rig.tokens[1] == answer_alone(make_request(1, std::vector<int32_t>(40, 7), 4)));
  CHECK(rig.tokens[2] == answer_alone(make_request(2, {8, 9}, 4)));
}

// A stop id shows up when the next step is under way: that row is nobody's, and costs its neighbour nothing.
TEST(the_row_behind_a_stop_id_is_discarded) {
  Request stopped = make_request(1, {3, 1, 4}, 30);
  const Request other = make_request(2, {2, 7}, 30);
  const std::vector<int32_t> whole = answer_alone(stopped);
  stopped.stop_ids = {whole[5]};
  size_t n = 0;
  while (whole[n] != whole[5]) ++n;  // it may come earlier
  Rig rig(kInFlight);
  rig.submit(stopped);
  rig.submit(other);
  while (!rig.finish.contains(1) || rig.finish[1] == FinishReason::kNone) rig.advance();
  CHECK(rig.finish[1] == FinishReason::kStop);
  CHECK(rig.tokens[1] == std::vector<int32_t>(whole.begin(), whole.begin() + n + 1));
  CHECK(rig.batches.back().slices.size() == 2);  // it has a row in the step in flight ...
  CHECK(rig.pipeline->scheduler().n_running() == 1);
  CHECK(rig.pipeline->scheduler().count_leaked_blocks() == 0);  // ... and no blocks any more
  rig.advance();
  CHECK(rig.batches.back().slices.size() == 1);
  CHECK(rig.stats.back().decode_seqs == 1);  // what was discarded does not count
  rig.run();
  CHECK(rig.tokens[1].size() == n + 1);
  CHECK(rig.tokens[2] == answer_alone(other));
}

// Blocks and id of a request that was cancelled in flight go to the next one at once.
TEST(a_cancelled_row_reaches_no_later_request_of_the_same_id) {
  Rig rig(kInFlight);
  rig.submit(make_request(1, {3, 1, 4}, 100));
  for (int i = 0; i < 4; ++i) rig.advance();
  const size_t n_tokens = rig.tokens[1].size();
  CHECK(n_tokens == 3);
  rig.end(1);
  CHECK(rig.finish[1] == FinishReason::kAbort);
  rig.tokens.clear();
  const Request next = make_request(1, {9, 9, 2, 6}, 20);
  rig.submit(next);
  rig.run();
  CHECK(rig.finish[1] == FinishReason::kLength);
  CHECK(rig.tokens[1] == answer_alone(next));
}

TEST(a_step_whose_logits_the_host_needs_is_waited_for) {
  Request scored = make_request(2, {5, 6, 7}, 6);
  scored.prompt_logprobs = true;
  Request many = make_request(2, {5, 6, 7}, 6);
  many.sampling.top_logprobs = kInFlight.max_top_logprobs + 1;
  for (const Request& request : {scored, many}) {
    Rig rig(kInFlight);
    const Request running = make_request(1, {1}, 30);
    rig.submit(running);
    for (int i = 0; i < 5; ++i) rig.advance();
    rig.submit(request);
    rig.run();
    int n_in_flight = 0, n_on_host = 0;
    size_t n_launched = 0;
    bool needs_host = false;
    for (const char call : rig.calls) {
      if (call == 'W') {
        --n_in_flight;
        continue;
      }
      CHECK(!needs_host || n_in_flight == 0);
      const Batch& batch = rig.batches[n_launched++];
      needs_host = batch.sampling.empty() && !batch.logit_rows.empty();
      n_on_host += needs_host;
      ++n_in_flight;
    }
    CHECK(n_on_host == (request.prompt_logprobs ? 1 : 6));
    CHECK(rig.tokens[1] == answer_alone(running));
    CHECK(rig.tokens[2] == answer_alone(request));
  }
}

TEST(a_retraction_waits_for_the_token_in_flight) {
  // Two that start together and want 16 of 20 blocks each.
  Rig rig(kInFlight, {.n_blocks = 20, .max_running = 4, .chunked_prefill_size = 128});
  for (uint32_t id : {1, 2}) rig.submit(make_request(id, std::vector<int32_t>(16, id), 240));
  rig.run();
  CHECK(rig.n_retracted == 1);
  CHECK(rig.calls.find("WW") != std::string::npos);
  for (uint32_t id : {1, 2}) {
    CHECK(rig.tokens[id] == answer_alone(make_request(id, std::vector<int32_t>(16, id), 240)));
  }
}

// The model is told the same of the k-th token whether those before it are known or not.
TEST(rows_are_sampled_by_their_place_in_the_answer) {
  Request request = make_request(1, {4, 4, 2}, 12);
  request.min_new_tokens = 5;
  request.stop_ids = {46, 47};
  request.sampling.temperature = 1;
  request.sampling.top_k = 20;
  request.sampling.seed = 99;
  request.sampling.presence_penalty = 0.5f;
  for (const Abilities abilities : {Abilities{.max_top_logprobs = 3}, kInFlight}) {
    Rig rig(abilities);
    std::vector<RowSampling> rows;
    std::vector<size_t> n_masked, n_seen;
    rig.on_launch = [&](const Batch& batch) {
      rows.push_back(batch.sampling.at(0));
      n_masked.push_back(rows.back().masked.size());
      n_seen.push_back(rows.back().seen.size());
    };
    rig.submit(request);
    rig.run();
    CHECK(rows.size() >= 6);
    for (size_t k = 0; k < rows.size(); ++k) {
      CHECK(rows[k].u == uniform(99, k));
      CHECK(rows[k].top_k == 20 && rows[k].presence_penalty == 0.5f);
      CHECK(n_masked[k] == (k < 5 ? 2 : 0));
      // From the second token on the newest is in flight.
      CHECK(rows[k].unseen_row == (abilities.max_in_flight > 1 && k > 0 ? 0 : -1));
      CHECK(n_seen[k] >= 2);
    }
    Rig sync(kSync);
    sync.submit(request);
    sync.run();
    CHECK(rig.tokens[1] == sync.tokens[1]);
    CHECK(rig.finish[1] == sync.finish[1]);
  }
}

TEST(only_penalties_ask_for_the_unseen_token) {
  Rig rig(kInFlight);
  rig.on_launch = [](const Batch& batch) {
    for (const RowSampling& row : batch.sampling) CHECK(row.is_plain_greedy());
  };
  rig.submit(make_request(1, {4}, 10));
  rig.run();
  CHECK(rig.tokens[1].size() == 10);
}

TEST(times_of_steps_do_not_overlap) {
  using Clock = std::chrono::steady_clock;
  for (const Abilities abilities : {kSync, kInFlight}) {
    Rig rig(abilities);
    rig.on_launch = [](const Batch&) { std::this_thread::sleep_for(std::chrono::microseconds(500)); };
    const auto start = Clock::now();
    rig.submit(make_request(1, {4}, 40));
    rig.run();
    const double wall_us = std::chrono::duration<double, std::micro>(Clock::now() - start).count();
    double total_us = 0;
    for (const StepStats& stats : rig.stats) total_us += stats.elapsed_us;
    CHECK(total_us <= wall_us);
    CHECK(total_us >= 40 * 500);
  }
}

TEST(replayed_graphs_are_told) {
  class GraphModel : public HistoryModel {
   public:
    using HistoryModel::HistoryModel;
    StepOutput wait() override {
      StepOutput output = HistoryModel::wait();
      output.graph = n_steps_++ > 0;
      return output;
    }

   private:
    int n_steps_ = 0;
  };
  Pipeline pipeline(std::make_unique<GraphModel>(64, kVocab, kInFlight), kOptions);
  pipeline.submit(std::make_unique<Sequence>(make_request(1, {4}, 3)));
  std::vector<bool> graphs;
  while (pipeline.has_work()) {
    StepEvents events;
    if (pipeline.advance(events)) graphs.push_back(events.stats.graph);
  }
  CHECK((graphs == std::vector<bool>{false, true, true}));
}

TEST_MAIN()
