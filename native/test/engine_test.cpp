#include "runtime/engine.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <future>
#include <map>
#include <random>

#include "check.h"
#include "error.h"
#include "history_model.h"
#include "reference_answer.h"

using namespace jsg;
using jsg::test::Abilities;
using jsg::test::Answer;
using jsg::test::check_answer;
using jsg::test::HistoryModel;
using jsg::test::kVocab;
using jsg::test::make_request;
using jsg::test::random_request;
using jsg::test::reference;

// What holds for every kind of model, whoever samples and however many steps are in flight, and with drafts.
#define TEST_EACH_MODEL(name)                                                                    \
  static void name(Abilities abilities, int max_drafts);                                         \
  TEST(name##_host) { name({}, 0); }                                                             \
  TEST(name##_model) { name({.max_top_logprobs = 3}, 0); }                                       \
  TEST(name##_host_in_flight) { name({.max_in_flight = 2}, 0); }                                 \
  TEST(name##_model_in_flight) { name({.max_in_flight = 2, .max_top_logprobs = 3}, 0); }         \
  TEST(name##_host_drafts) { name({}, 15); }                                                     \
  TEST(name##_model_drafts) { name({.max_top_logprobs = 3}, 2); }                                \
  TEST(name##_host_in_flight_drafts) { name({.max_in_flight = 2}, 4); }                          \
  TEST(name##_model_in_flight_drafts) { name({.max_in_flight = 2, .max_top_logprobs = 3}, 15); } \
  static void name([[maybe_unused]] Abilities abilities, [[maybe_unused]] int max_drafts)

namespace {

// Gathers what the engine hands out, by request.
class Collector {
 public:
  Engine::Sink sink() {
    return [this](std::unique_ptr<StepEvents> events) {
      const std::lock_guard lock(mutex_);
      auto top = events->top.begin();
      for (const TokenEvent& event : events->tokens) {
        answers_[event.id].add(event, {top, top + event.n_top});
        top += event.n_top;
        if (event.finish != FinishReason::kNone) ++n_ended_;
      }
      n_retracted_ += events->stats.n_retracted;
      n_prefilled_ += events->stats.prefill_tokens;
      n_cached_ += events->stats.cached_tokens;
      n_accepted_ += events->stats.n_accepted;
      if (events->error) error_ = events->error->message;
      changed_.notify_all();
    };
  }
  void wait_ended(int n) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(60), [&] { return n_ended_ >= n; })) {
      throw std::runtime_error("no end within a minute");
    }
  }
  void wait_tokens(uint32_t id, size_t n) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(60), [&] { return answers_[id].tokens.size() >= n; })) {
      throw std::runtime_error("no token within a minute");
    }
  }
  Answer answer(uint32_t id) {
    const std::lock_guard lock(mutex_);
    return answers_[id];
  }
  int n_retracted() {
    const std::lock_guard lock(mutex_);
    return n_retracted_;
  }
  int n_prefilled() {
    const std::lock_guard lock(mutex_);
    return n_prefilled_;
  }
  int n_cached() {
    const std::lock_guard lock(mutex_);
    return n_cached_;
  }
  int n_accepted() {
    const std::lock_guard lock(mutex_);
    return n_accepted_;
  }
  std::string error() {
    const std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint32_t, Answer> answers_;
  int n_ended_ = 0;
  int n_retracted_ = 0;
  int n_prefilled_ = 0;
  int n_cached_ = 0;
  int n_accepted_ = 0;
  std::string error_;
};

EngineOptions small_options(int max_drafts = 0) {
  return {.n_blocks = 64,
          .context_length = 1024,
          .max_running = 4,
          .max_queued = 4,
          .chunked_prefill_size = 32,
          .speculation = {max_drafts}};
}

}  // namespace

TEST_EACH_MODEL(an_answer_ends_by_stop_id_or_length) {
  Collector collector;
  Engine engine(std::make_unique<HistoryModel>(64, kVocab, abilities), small_options(max_drafts), collector.sink());
  Request request = make_request(1, {3, 1, 4}, 20);
  const Answer all = reference(request);
  CHECK(all.tokens.size() == 20);
  engine.submit(request);
  request.id = 2;
  request.stop_ids = {all.tokens[7]};
  engine.submit(request);
  collector.wait_ended(2);
  check_answer(collector.answer(1), all);
  const Answer stopped = collector.answer(2);
  CHECK(stopped.finish == FinishReason::kStop);
  CHECK(stopped.tokens.back() == all.tokens[7]);
  CHECK(stopped.tokens.size() <= 8);
}

TEST_EACH_MODEL(a_prompt_alone_can_be_scored) {
  Collector collector;
  Engine engine(std::make_unique<HistoryModel>(64, kVocab, abilities), small_options(max_drafts), collector.sink());
  std::vector<int32_t> prompt(200);
  for (int i = 0; i < 200; ++i) prompt[i] = i % kVocab;
  Request request = make_request(1, prompt, 0);
  request.prompt_logprobs = true;
  request.sampling.top_logprobs = 2;
  engine.submit(request);
  request.id = 2;
  request.prompt_logprobs = false;  // nothing asked for: nothing but an end
  engine.submit(request);
  collector.wait_ended(2);
  const Answer answer = collector.answer(1);
  CHECK(answer.finish == FinishReason::kLength);
  CHECK(answer.tokens.empty());
  CHECK(answer.prompt_tokens == prompt);
  CHECK(answer.top.size() == 2 * 199);
  check_answer(answer, reference([&] {
                 request.id = 1;
                 request.prompt_logprobs = true;
                 return request;
               }()));
  CHECK(collector.answer(2).finish == FinishReason::kLength);
  CHECK(collector.answer(2).tokens.empty() && collector.answer(2).prompt_tokens.empty());
}

// Thousands of requests of every kind, some cancelled, through pools so small that retraction is common.
TEST_EACH_MODEL(whatever_the_batch_each_request_gets_the_tokens_it_would_get_alone) {
  int n_retracted = 0, n_cached = 0, n_accepted = 0;
  for (int seed = 0; seed < 12; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
    const int n_blocks = pick(8, 48);
    const EngineOptions options{n_blocks, pick(100, 800), pick(1, 12), 1 << 20, pick(1, 80), true, {max_drafts}};
    Collector collector;
    Engine engine(std::make_unique<HistoryModel>(n_blocks, kVocab, abilities), options, collector.sink());
    const int max_tokens = std::min(n_blocks * kBlockSize, options.context_length);
    constexpr int kRequests = 250;
    std::vector<Request> requests;
    for (uint32_t id = 0; id < kRequests; ++id) {
      requests.push_back(random_request(id, max_tokens, random));
      engine.submit(requests.back());
      if (pick(0, 9) == 0) engine.cancel(pick(0, static_cast<int>(id)));
      if (pick(0, 20) == 0) std::this_thread::sleep_for(std::chrono::microseconds(pick(0, 2000)));
    }
    collector.wait_ended(kRequests);
    int n_aborted = 0;
    for (const Request& request : requests) {
      const Answer answer = collector.answer(request.id);
      n_aborted += answer.finish == FinishReason::kAbort;
      check_answer(answer, reference(request));
    }
    CHECK(n_aborted < kRequests / 5);
    CHECK(engine.flush_cache());
    const RuntimeStats stats = engine.stats();
    CHECK(stats.used_tokens == 0 && stats.leaked_blocks == 0 && stats.n_running == 0 && stats.n_queued == 0);
    n_retracted += collector.n_retracted();
    n_cached += collector.n_cached();
    n_accepted += collector.n_accepted();
  }
  CHECK(n_retracted > 20);
  CHECK(n_cached > 3000);
  CHECK(max_drafts == 0 ? n_accepted == 0 : n_accepted > 200);
}

TEST_EACH_MODEL(a_flushed_cache_is_empty) {
  Collector collector;
  Engine engine(std::make_unique<HistoryModel>(64, kVocab, abilities), small_options(max_drafts), collector.sink());
  std::vector<int32_t> prompt(100);
  for (int i = 0; i < 100; ++i) prompt[i] = i % kVocab;
  const auto n_cached_by = [&](uint32_t id) {
    const int before = collector.n_cached();
    const Request request = make_request(id, prompt, 20);
    engine.submit(request);
    collector.wait_ended(static_cast<int>(id));
    check_answer(collector.answer(id), reference(request));
    return collector.n_cached() - before;
  };
  CHECK(n_cached_by(1) == 0);
  CHECK(engine.stats().evictable_tokens == 112);  // of 119 that were fed
  CHECK(n_cached_by(2) == 96);
  CHECK(engine.flush_cache());
  CHECK(engine.stats().evictable_tokens == 0);
  CHECK(n_cached_by(3) == 0);
}

TEST_EACH_MODEL(the_queue_is_bounded) {
  Collector collector;
  std::promise<void> gate;
  auto opened = gate.get_future().share();
  auto model = std::make_unique<HistoryModel>(64, kVocab, abilities);
  model->on_step = [&](const Batch&) { opened.wait(); };
  Engine engine(std::move(model), small_options(max_drafts), collector.sink());
  for (uint32_t id = 0; id < 8; ++id) engine.submit(make_request(id, {1}, 5));
  CHECK_THROWS(engine.submit(make_request(8, {1}, 5)), "E_QUEUE_FULL");
  CHECK(!engine.flush_cache());
  gate.set_value();
  collector.wait_ended(8);
  engine.submit(make_request(8, {1}, 5));
  collector.wait_ended(9);
}

TEST_EACH_MODEL(the_tokens_that_wait_are_bounded) {
  Collector collector;
  std::promise<void> gate;
  auto opened = gate.get_future().share();
  auto model = std::make_unique<HistoryModel>(64, kVocab, abilities);
  model->on_step = [&](const Batch&) { opened.wait(); };
  EngineOptions options = small_options();
  options.max_queued_tokens = 100;
  Engine engine(std::move(model), options, collector.sink());
  const std::vector<int32_t> longer(150, 1), shorter(60, 2);
  engine.submit(make_request(1, longer, 5));  // alone it may be as long as it likes
  CHECK(engine.stats().queued_tokens == 150);
  CHECK_THROWS(engine.submit(make_request(2, shorter, 5)), "E_QUEUE_FULL");
  gate.set_value();
  collector.wait_tokens(1, 1);
  CHECK(engine.stats().queued_tokens == 0);
  engine.submit(make_request(2, shorter, 5));
  collector.wait_ended(2);
  engine.cancel(2);
  CHECK(engine.stats().queued_tokens == 0);
}

TEST(bad_requests_never_reach_the_thread) {
  Collector collector;
  Engine engine(std::make_unique<HistoryModel>(4, kVocab), {4, 1024, 4, 4, 32}, collector.sink());
  CHECK_THROWS(engine.submit(make_request(1, {}, 5)), "E_INVALID_REQUEST");
  CHECK_THROWS(engine.submit(make_request(1, {kVocab}, 5)), "E_INVALID_REQUEST");
  CHECK_THROWS(engine.submit(make_request(1, {1}, 64)), "E_INVALID_REQUEST");
  engine.submit(make_request(1, {1}, 63));
  collector.wait_ended(1);
  CHECK(collector.answer(1).tokens.size() == 63);
}

TEST_EACH_MODEL(an_id_in_use_is_refused) {
  Collector collector;
  std::promise<void> gate;
  auto opened = gate.get_future().share();
  auto model = std::make_unique<HistoryModel>(64, kVocab, abilities);
  model->on_step = [&](const Batch&) { opened.wait(); };
  Engine engine(std::move(model), small_options(max_drafts), collector.sink());
  engine.submit(make_request(1, {1}, 5));
  CHECK_THROWS(engine.submit(make_request(1, {1}, 5)), "E_INVALID_REQUEST");
  gate.set_value();
  collector.wait_ended(1);
  engine.submit(make_request(1, {1}, 5));
  collector.wait_ended(2);
}

TEST_EACH_MODEL(cancel_ends_within_a_step_and_frees) {
  Collector collector;
  auto model = std::make_unique<HistoryModel>(64, kVocab, abilities);
  model->on_step = [](const Batch&) { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
  Engine engine(std::move(model), small_options(max_drafts), collector.sink());
  engine.submit(make_request(1, {1, 2}, 900));
  collector.wait_tokens(1, 3);
  engine.cancel(1);
  const size_t n_tokens = collector.answer(1).tokens.size();
  collector.wait_ended(1);
  CHECK(collector.answer(1).finish == FinishReason::kAbort);
  CHECK(collector.answer(1).tokens.size() <= n_tokens + 2);
  engine.cancel(1);
  engine.cancel(12345);
  CHECK(engine.stats().used_tokens == 0);
}

TEST_EACH_MODEL(a_late_cancel_does_not_meet_the_next_request_of_the_same_id) {
  for (int i = 0; i < 200; ++i) {
    Collector collector;
    Engine engine(std::make_unique<HistoryModel>(64, kVocab, abilities), small_options(max_drafts), collector.sink());
    engine.submit(make_request(1, {1}, 2));
    collector.wait_tokens(1, 1);
    engine.cancel(1);
    collector.wait_ended(1);
    engine.submit(make_request(1, {1}, 30));
    collector.wait_ended(2);
    CHECK(collector.answer(1).finish == FinishReason::kLength);
  }
}

TEST_EACH_MODEL(nan_ends_every_request_with_an_error_and_closes_the_door) {
  class NanModel : public HistoryModel {
   public:
    using HistoryModel::HistoryModel;
    StepOutput wait() override {
      StepOutput output = HistoryModel::wait();
      if (++n_steps_ != 4) return output;
      sampled_.assign(output.sampled.begin(), output.sampled.end());
      if (output.sampled.empty()) {
        output.logits[3] = NAN;
      } else {
        sampled_[0].token = -1;
      }
      return {output.logits, sampled_};
    }

   private:
    int n_steps_ = 0;
    std::vector<SampledToken> sampled_;
  };
  Collector collector;
  EngineOptions options = small_options();
  options.max_running = 2;
  Engine engine(std::make_unique<NanModel>(64, kVocab, abilities), options, collector.sink());
  for (uint32_t id = 0; id < 4; ++id) {
    try {
      engine.submit(make_request(id, {1, 2}, 100));
    } catch (const Error& error) {
      CHECK(error.code() == "E_RUNTIME_FAILED");  // it was that quick
      return;
    }
  }
  collector.wait_ended(4);
  for (uint32_t id = 0; id < 4; ++id) CHECK(collector.answer(id).finish == FinishReason::kError);
  CHECK(collector.error() == "the model produced NaN");
  CHECK_THROWS(engine.submit(make_request(9, {1}, 1)), "E_RUNTIME_FAILED");
  CHECK(engine.stats().used_tokens == 0);
  engine.stop();
}

// In launch() or wait(), at the first step or later, with a step in flight or not.
TEST_EACH_MODEL(an_exception_of_the_model_is_a_failure) {
  for (const bool in_wait : {false, true}) {
    for (const int n_good : {0, 1, 5}) {
      Collector collector;
      auto model = std::make_unique<HistoryModel>(64, kVocab, abilities);
      int n_left = n_good;
      const auto hit = [&n_left] {
        if (n_left-- == 0) throw std::runtime_error("cosmic ray");
      };
      if (in_wait) {
        model->on_wait = hit;
      } else {
        model->on_step = [hit](const Batch&) { hit(); };
      }
      Engine engine(std::move(model), small_options(max_drafts), collector.sink());
      engine.submit(make_request(1, {1}, 50));
      collector.wait_ended(1);
      CHECK(collector.answer(1).finish == FinishReason::kError);
      CHECK(collector.answer(1).tokens.size() <= static_cast<size_t>(n_good));
      CHECK(collector.error() == "cosmic ray");
      CHECK(engine.stats().used_tokens == 0);
      CHECK_THROWS(engine.submit(make_request(2, {1}, 1)), "E_RUNTIME_FAILED");
      engine.stop();
    }
  }
}

TEST_EACH_MODEL(stop_aborts_what_is_live_and_may_be_repeated) {
  Collector collector;
  auto model = std::make_unique<HistoryModel>(64, kVocab, abilities);
  int n_launched = 0, n_waited = 0;
  model->on_step = [&](const Batch&) {
    ++n_launched;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  model->on_wait = [&] { ++n_waited; };
  Engine engine(std::move(model), small_options(max_drafts), collector.sink());
  for (uint32_t id = 0; id < 6; ++id) engine.submit(make_request(id, {1, 2}, 500));
  collector.wait_tokens(0, 1);
  std::promise<void> stopped;
  engine.begin_stop([&] { stopped.set_value(); });
  stopped.get_future().wait();
  for (uint32_t id = 0; id < 6; ++id) CHECK(collector.answer(id).finish == FinishReason::kAbort);
  CHECK_THROWS(engine.submit(make_request(9, {1}, 1)), "E_RUNTIME_FAILED");
  engine.stop();
  engine.stop();
  CHECK(engine.stats().n_running == 0);
  CHECK(n_launched == n_waited);  // the model was not freed under a step
}

// Decoding goes on beside a long prompt, and its cost is counted once.
TEST_EACH_MODEL(prefill_is_chunked_and_counted) {
  Collector collector;
  std::vector<int> rows;
  auto model = std::make_unique<HistoryModel>(64, kVocab, abilities);
  model->on_step = [&](const Batch& batch) { rows.push_back(static_cast<int>(batch.token_ids.size())); };
  Engine engine(std::move(model), small_options(max_drafts), collector.sink());
  engine.submit(make_request(1, std::vector<int32_t>(100, 5), 3));
  collector.wait_ended(1);
  engine.stop();
  CHECK((rows == std::vector<int>{32, 32, 32, 4, 1, 1}));
  CHECK(collector.n_prefilled() == 100);
}

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// What was freed between pieces that are still held stays with the allocator, until there has been nothing to do.
TEST(an_idle_engine_gives_back_the_memory_of_the_process) {
  const auto resident_mib = [] {
    int64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages >> pages;
    return pages * sysconf(_SC_PAGESIZE) >> 20;
  };
  Collector collector;
  Engine engine(std::make_unique<HistoryModel>(64, kVocab), small_options(), collector.sink());
  std::vector<std::unique_ptr<std::vector<char>>> pieces(4000);
  for (auto& piece : pieces) piece = std::make_unique<std::vector<char>>(16'000, 'x');
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (i % 100 != 99) pieces[i].reset();
  }
  const int64_t before = resident_mib();
  engine.submit(make_request(1, {1, 2, 3}, 5));
  collector.wait_ended(1);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (resident_mib() > before - 40 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  CHECK(resident_mib() <= before - 40);
}
#endif

TEST_MAIN()
