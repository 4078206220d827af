// Drafts on their way through scheduler and pipeline.
#include <cmath>
#include <map>

#include "check.h"
#include "history_model.h"
#include "runtime/pipeline.h"
#include "runtime/rng.h"

using namespace jsg;
using jsg::test::Abilities;
using jsg::test::HistoryModel;
using jsg::test::make_request;

namespace {

constexpr int kVocab = 48;
constexpr float kBias = 30, kTemperature = 2;
constexpr Abilities kHost{};
constexpr Abilities kDevice{.max_in_flight = 2, .max_top_logprobs = 3};
constexpr SchedulerOptions kOptions{.n_blocks = 64, .max_running = 8, .chunked_prefill_size = 64};

// A prompt that goes round.
std::vector<int32_t> loop(int n) {
  std::vector<int32_t> prompt(n);
  for (int i = 0; i < n; ++i) prompt[i] = 1 + i % 5;
  return prompt;
}

// Answers of the tokens 1 to n alone: the fewer, the more they repeat themselves.
void confine(Request& request, int n) {
  for (int token = 1; token <= n; ++token) request.sampling.logit_bias.push_back({token, kBias});
}

// A scheduler whose sequences have started to decode, as far as they fit.
struct Decoding {
  explicit Decoding(const SchedulerOptions& options, std::vector<Request> requests) : scheduler(options) {
    for (Request& request : requests) scheduler.submit(std::make_unique<Sequence>(std::move(request)));
    for (int i = 0; i < 2; ++i) step();
  }
  const StepPlan& step() {
    const StepPlan& plan = scheduler.schedule();
    for (const ScheduledSequence& item : plan.items) {
      item.sequence->advance(item.n_tokens);
      if (item.sequence->n_pending() == 0) item.sequence->append_token(7);
    }
    return plan;
  }
  Scheduler scheduler;
};

struct Played {
  std::map<uint32_t, std::vector<int32_t>> tokens;
  int n_steps = 0, n_drafts = 0, n_accepted = 0, n_checked = 0;
  std::string calls;
};

Played play(Abilities abilities, const std::vector<Request>& requests, SpeculationOptions speculation) {
  Played played;
  auto model = std::make_unique<HistoryModel>(kOptions.n_blocks, kVocab, abilities);
  model->on_step = [&](const Batch& batch) {
    played.calls += batch.logit_rows.size() > batch.slices.size() ? 'D' : 'L';
    CHECK(batch.token_ids.size() <= static_cast<size_t>(kOptions.chunked_prefill_size + kOptions.max_running));
  };
  model->on_wait = [&] { played.calls += 'W'; };
  Pipeline pipeline(std::move(model), kOptions, speculation);
  for (const Request& request : requests) pipeline.submit(std::make_unique<Sequence>(request));
  while (pipeline.has_work()) {
    StepEvents events;
    played.n_steps += pipeline.advance(events);
    played.n_drafts += events.stats.n_drafts;
    played.n_accepted += events.stats.n_accepted;
    for (const TokenEvent& event : events.tokens) {
      played.tokens[event.id].push_back(event.token);
      played.n_checked += event.n_checked;
    }
  }
  CHECK(pipeline.scheduler().count_leaked_blocks() == 0);
  return played;
}

// Over the tokens 1 to n.
std::vector<double> softmax(uint64_t history, int n) {
  std::vector<float> logits(kVocab);
  test::fill_logits(history, logits);
  logits = {logits.begin() + 1, logits.begin() + 1 + n};
  std::vector<double> weights;
  double sum = 0;
  for (const float logit : logits) sum += weights.emplace_back(std::exp(static_cast<double>(logit) / kTemperature));
  for (double& weight : weights) weight /= sum;
  return weights;
}

}  // namespace

TEST(drafts_get_the_blocks_that_they_write_to) {
  Decoding decoding(kOptions, {make_request(1, loop(13), 100)});
  Sequence& sequence = *decoding.scheduler.running()[0];
  CHECK(sequence.n_tokens() == 15 && sequence.block_table().size() == 1);
  sequence.drafts() = {1, 2, 3, 4};
  const StepPlan& plan = decoding.step();
  CHECK(plan.items.size() == 1 && plan.items[0].n_tokens == 1 && plan.items[0].n_drafts == 4);
  CHECK(plan.n_drafts == 4 && plan.n_decode_seqs == 1);
  CHECK(sequence.block_table().size() == 2);
  CHECK(sequence.n_computed() == 15);  // drafts are nobody's tokens yet
  CHECK(decoding.scheduler.used_tokens() == 15);
  decoding.scheduler.remove(1);
  CHECK(decoding.scheduler.count_leaked_blocks() == 0);
}

TEST(drafts_take_no_block_that_a_sequence_may_need) {
  // Three sequences of a block each, and no other block.
  std::vector<Request> requests;
  for (uint32_t id : {1, 2, 3}) requests.push_back(make_request(id, loop(9), 38));
  Decoding decoding({.n_blocks = 6, .max_running = 3, .chunked_prefill_size = 64}, std::move(requests));
  CHECK(decoding.scheduler.n_running() >= 2);
  for (Sequence* sequence : decoding.scheduler.running()) sequence->drafts().assign(15, 3);
  const StepPlan& plan = decoding.step();
  CHECK(plan.n_retracted == 0);
  for (const ScheduledSequence& item : plan.items) {
    const int n_rows = item.sequence->n_computed() + item.n_drafts;
    CHECK(n_rows <= static_cast<int>(item.sequence->block_table().size()) * kBlockSize);
    CHECK(static_cast<int>(item.sequence->drafts().size()) == item.n_drafts);
  }
  CHECK(!decoding.scheduler.must_retract());
}

TEST(drafts_leave_half_of_a_step_to_prompts) {
  std::vector<Request> requests;
  for (uint32_t id : {1, 2, 3, 4}) requests.push_back(make_request(id, loop(8), 100));
  Decoding decoding({.n_blocks = 64, .max_running = 8, .chunked_prefill_size = 32}, std::move(requests));
  decoding.scheduler.submit(std::make_unique<Sequence>(make_request(9, loop(100), 10)));
  for (Sequence* sequence : decoding.scheduler.running()) sequence->drafts().assign(15, 3);
  const StepPlan& plan = decoding.step();
  CHECK(plan.n_drafts == 16);
  CHECK(plan.n_prefill_tokens == 16);
}

TEST(a_retracted_sequence_forgets_its_drafts) {
  Sequence sequence(make_request(1, loop(20), 10));
  sequence.start();
  sequence.drafts() = {1, 2};
  sequence.retract();
  CHECK(sequence.drafts().empty());
}

TEST(answers_that_repeat_themselves_take_fewer_steps) {
  for (const Abilities abilities : {kHost, Abilities{.max_top_logprobs = 3}, kDevice}) {
    std::vector<Request> requests;
    for (uint32_t id = 1; id <= 3; ++id) {
      requests.push_back(make_request(id, loop(10 + static_cast<int>(id)), 150));
      confine(requests.back(), 2);
    }
    const Played without = play(abilities, requests, {}), with = play(abilities, requests, {.max_drafts = 8});
    CHECK(with.tokens == without.tokens);
    CHECK(without.n_drafts == 0 && without.calls.find('D') == std::string::npos);
    CHECK(with.n_accepted > 0 && with.n_accepted <= with.n_drafts);
    CHECK(with.n_steps < without.n_steps);
    // Each step says once for each sequence how many tokens it checked: all but the first of each answer, and the
    // drafts.
    CHECK(with.n_checked == 3 * 149 - with.n_accepted + with.n_drafts);
    // Nothing is launched behind a step with drafts before it is known how many were right.
    for (const char* behind : {"DL", "DD"}) CHECK(with.calls.find(behind) == std::string::npos);
  }
}

TEST(a_model_that_samples_gets_no_drafts_under_penalties_and_nobody_under_a_limit) {
  Request penalised = make_request(1, loop(30), 100);
  penalised.sampling.repetition_penalty = 1.05f;
  CHECK(play(kDevice, {penalised}, {.max_drafts = 8}).n_drafts == 0);
  const Played host = play(kHost, {penalised}, {.max_drafts = 8});
  CHECK(host.tokens == play(kHost, {penalised}, {}).tokens);
  CHECK(play(kHost, {make_request(1, loop(30), 2)}, {.max_drafts = 8}).n_drafts == 0);  // the last token needs no draft
}

// Drawn tokens come as often as the model says, drafted or not: the last four of answers of eight, of two tokens.
TEST(drafts_do_not_change_how_often_tokens_are_drawn) {
  constexpr int kDraws = 6000, kTokens = 8, kOutcomes = 16;
  std::vector<int32_t> prompt(60);
  uint64_t history = 0;
  for (size_t i = 0; i < prompt.size(); ++i) {
    prompt[i] = 1 + static_cast<int32_t>(mix64(i) & 1);
    history = test::extend_history(history, prompt[i]);
  }
  std::vector<double> expected(kOutcomes, 0);
  for (int answer = 0; answer < 1 << kTokens; ++answer) {
    uint64_t so_far = history;
    double chance = 1;
    for (int i = 0; i < kTokens; ++i) {
      const int token = answer >> i & 1;
      chance *= softmax(so_far, 2)[token];
      so_far = test::extend_history(so_far, 1 + token);
    }
    expected[answer >> (kTokens - 4)] += chance;
  }
  for (const Abilities abilities : {kHost, Abilities{.max_top_logprobs = 3}}) {
    std::vector<int> seen(kOutcomes, 0);
    int n_drafts = 0, n_accepted = 0;
    for (int base = 0; base < kDraws; base += 2) {
      std::vector<Request> requests;
      for (int i = 0; i < 2; ++i) {
        requests.push_back(make_request(i, prompt, kTokens));
        confine(requests.back(), 2);
        requests.back().sampling.temperature = kTemperature;
        requests.back().sampling.seed = base + i;
      }
      const Played played = play(abilities, requests, {.max_drafts = 3});
      for (const auto& [id, tokens] : played.tokens) {
        int outcome = 0;
        for (int i = 0; i < 4; ++i) outcome |= (tokens[kTokens - 4 + i] - 1) << i;
        ++seen[outcome];
      }
      n_drafts += played.n_drafts;
      n_accepted += played.n_accepted;
    }
    CHECK(n_drafts > kDraws && n_accepted > kDraws / 2 && n_accepted < n_drafts);
    double chi_square = 0;
    for (int outcome = 0; outcome < kOutcomes; ++outcome) {
      const double mean = expected[outcome] * kDraws;
      chi_square += (seen[outcome] - mean) * (seen[outcome] - mean) / mean;
    }
    CHECK(chi_square < 44);  // of 15 degrees of freedom; by chance once in ten thousand
  }
}

TEST_MAIN()
