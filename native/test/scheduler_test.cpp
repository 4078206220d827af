#include "runtime/scheduler.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "check.h"
#include "error.h"

using namespace jsg;

static std::unique_ptr<Sequence> make_sequence(uint32_t id, int n_prompt, int max_new_tokens, bool scored = false) {
  Request request;
  request.id = id;
  request.prompt_ids.assign(n_prompt, static_cast<int32_t>(id) + 2);  // of no other
  request.max_new_tokens = max_new_tokens;
  request.prompt_logprobs = scored;
  return std::make_unique<Sequence>(std::move(request));
}

// A prompt that begins with `n_common` tokens of all such prompts.
static std::unique_ptr<Sequence> make_sharing(uint32_t id, int n_common, int n_own, int max_new_tokens,
                                              uint64_t salt = 0) {
  Request request;
  request.id = id;
  for (int i = 0; i < n_common; ++i) request.prompt_ids.push_back(100 + i);
  request.prompt_ids.insert(request.prompt_ids.end(), n_own, static_cast<int32_t>(id) + 2);
  request.max_new_tokens = max_new_tokens;
  request.cache_salt = salt;
  return std::make_unique<Sequence>(std::move(request));
}

// Does what the engine does after the model has run: every picked token is 1, no stop ids.
static std::map<uint32_t, int> run_step(Scheduler& scheduler, StepPlan* copy = nullptr) {
  const StepPlan& plan = scheduler.schedule();
  if (copy) *copy = plan;
  std::map<uint32_t, int> taken;
  for (const auto& [sequence, n_tokens, n_drafts] : plan.items) {
    taken[sequence->id()] = n_tokens;
    const bool picks = n_tokens == sequence->n_pending();
    sequence->advance(n_tokens);
    scheduler.share_blocks(*sequence);
    if (!picks) continue;
    sequence->append_token(1);
    if (sequence->n_remaining() <= 0) scheduler.remove(sequence->id());
  }
  return taken;
}

TEST(a_long_prompt_goes_in_chunks_beside_running_streams) {
  Scheduler scheduler({.n_blocks = 100, .max_running = 4, .chunked_prefill_size = 32});
  scheduler.submit(make_sequence(1, 10, 20));
  CHECK(run_step(scheduler).at(1) == 10);
  scheduler.submit(make_sequence(2, 70, 5));
  for (const int expected : {32, 32, 6, 1}) {
    StepPlan plan;
    const auto taken = run_step(scheduler, &plan);
    CHECK(taken.at(1) == 1);  // not stalled
    CHECK(taken.at(2) == expected);
    CHECK(plan.items[0].sequence->id() == 1);
    CHECK(plan.n_prefill_tokens == (expected == 1 ? 0 : expected));
  }
}

TEST(one_step_takes_several_prompts_up_to_the_chunk) {
  Scheduler scheduler({.n_blocks = 100, .max_running = 8, .chunked_prefill_size = 32});
  for (uint32_t id = 1; id <= 4; ++id) scheduler.submit(make_sequence(id, 10, 5));
  StepPlan plan;
  const auto first = run_step(scheduler, &plan);
  CHECK(first.size() == 4);
  CHECK(first.at(3) == 10);
  CHECK(first.at(4) == 2);
  CHECK(plan.n_prefill_seqs == 4 && plan.n_prefill_tokens == 32 && plan.n_decode_seqs == 0);
  run_step(scheduler, &plan);
  CHECK(plan.n_prefill_seqs == 1 && plan.n_prefill_tokens == 8 && plan.n_decode_seqs == 3);
}

TEST(max_running_is_kept_and_the_queue_is_first_come_first_served) {
  Scheduler scheduler({.n_blocks = 100, .max_running = 2, .chunked_prefill_size = 64});
  for (uint32_t id = 1; id <= 5; ++id) scheduler.submit(make_sequence(id, 4, 3));
  std::vector<uint32_t> order;
  std::set<uint32_t> seen;
  while (scheduler.has_work()) {
    for (const auto& [id, n] : run_step(scheduler)) {
      if (seen.insert(id).second) order.push_back(id);
    }
    CHECK(scheduler.n_running() <= 2);
  }
  CHECK((order == std::vector<uint32_t>{1, 2, 3, 4, 5}));
}

TEST(when_kv_is_short_the_youngest_yields_and_the_oldest_goes_on) {
  // Each wants 16 of 20 blocks in the end; the headroom lets both start.
  Scheduler scheduler({.n_blocks = 20, .max_running = 4, .chunked_prefill_size = 128});
  scheduler.submit(make_sequence(1, 16, 240));
  scheduler.submit(make_sequence(2, 16, 240));
  CHECK(run_step(scheduler).size() == 2);
  int n_retracted = 0;
  for (int step = 1; step < 240; ++step) {
    StepPlan plan;
    CHECK(run_step(scheduler, &plan).contains(1));  // one token in each step, whatever happens to the other
    n_retracted += plan.n_retracted;
    CHECK(scheduler.count_leaked_blocks() == 0);
  }
  CHECK(n_retracted == 1);
  CHECK(scheduler.live_ids() == std::vector<uint32_t>{2});
  while (scheduler.has_work()) run_step(scheduler);
  CHECK(scheduler.used_tokens() == 0);
}

// Advances what is planned and expects its tokens, as the engine does at a launch.
static std::vector<Sequence*> launch_step(Scheduler& scheduler) {
  std::vector<Sequence*> picking;
  for (const auto& [sequence, n_tokens, n_drafts] : scheduler.schedule().items) {
    const bool picks = n_tokens == sequence->n_pending();
    sequence->advance(n_tokens);
    scheduler.share_blocks(*sequence);
    if (!picks) continue;
    sequence->expect_token(static_cast<int>(picking.size()));
    picking.push_back(sequence);
  }
  return picking;
}

TEST(who_has_a_token_in_flight_is_not_retracted) {
  // As above: both start, and one must yield later.
  Scheduler scheduler({.n_blocks = 20, .max_running = 4, .chunked_prefill_size = 128});
  scheduler.submit(make_sequence(1, 16, 240));
  scheduler.submit(make_sequence(2, 16, 240));
  auto in_flight = launch_step(scheduler);
  int step = 0;
  for (; step < 240 && !scheduler.must_retract(); ++step) {
    for (Sequence* sequence : in_flight) sequence->append_token(1);
    CHECK(!scheduler.must_retract());
    in_flight = launch_step(scheduler);
    CHECK(in_flight.size() == 2);
  }
  CHECK(step > 0 && step < 240);
  CHECK_THROWS(scheduler.schedule(), "E_INTERNAL");
  for (Sequence* sequence : in_flight) sequence->append_token(1);
  CHECK(scheduler.schedule().n_retracted == 1);
  CHECK(scheduler.n_running() == 1 && scheduler.n_waiting() == 1);
}

TEST(the_last_token_on_its_way_leaves_nothing_to_feed) {
  Scheduler scheduler({.n_blocks = 20, .max_running = 4, .chunked_prefill_size = 128});
  scheduler.submit(make_sequence(1, 16, 1));
  scheduler.submit(make_sequence(2, 16, 2));
  CHECK(launch_step(scheduler).size() == 2);
  const auto second = launch_step(scheduler);
  CHECK(second.size() == 1 && second[0]->id() == 2);
  CHECK(launch_step(scheduler).empty());
  CHECK(scheduler.n_running() == 2);
}

TEST(a_retracted_sequence_returns_before_later_ones) {
  // Each of three wants half of the pool: the headroom lets two start, and one must yield.
  Scheduler scheduler({.n_blocks = 20, .max_running = 8, .chunked_prefill_size = 512});
  for (uint32_t id = 1; id <= 3; ++id) scheduler.submit(make_sequence(id, 16, 240));
  std::vector<uint32_t> finished;
  int retracted = 0;
  for (int step = 0; step < 5000 && scheduler.has_work(); ++step) {
    const auto before = scheduler.live_ids();
    StepPlan plan;
    run_step(scheduler, &plan);
    retracted += plan.n_retracted;
    const auto after = scheduler.live_ids();
    for (const uint32_t id : before) {
      if (std::find(after.begin(), after.end(), id) == after.end()) finished.push_back(id);
    }
  }
  CHECK(retracted > 0);
  CHECK(retracted < 6);  // no thrashing
  CHECK((finished == std::vector<uint32_t>{1, 2, 3}));
}

TEST(scored_prompts_take_small_chunks) {
  Scheduler scheduler({.n_blocks = 100, .max_running = 8, .chunked_prefill_size = 512});
  scheduler.submit(make_sequence(1, 200, 1, true));
  scheduler.submit(make_sequence(2, 200, 1, true));
  scheduler.submit(make_sequence(3, 200, 1));
  const auto taken = run_step(scheduler);
  CHECK(taken.at(1) == kMaxScoredRows);
  CHECK(!taken.contains(2));
}

TEST(cancel_frees_waiting_and_running) {
  Scheduler scheduler({.n_blocks = 10, .max_running = 1, .chunked_prefill_size = 16});
  scheduler.submit(make_sequence(1, 40, 5));
  scheduler.submit(make_sequence(2, 40, 5));
  run_step(scheduler);
  CHECK(scheduler.n_waiting() == 1);
  CHECK(scheduler.remove(2));
  CHECK(scheduler.n_waiting() == 0);
  CHECK(scheduler.remove(1));
  CHECK(!scheduler.remove(1));
  CHECK(!scheduler.has_work());
  CHECK(scheduler.count_leaked_blocks() == 0);
}

TEST(random_load_with_a_tiny_pool_always_ends) {
  for (int seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
    const int n_blocks = pick(2, 24);
    Scheduler scheduler({n_blocks, pick(1, 12), pick(1, 64)});
    uint32_t next_id = 0;
    int steps_left = 200000;
    int to_submit = 40;
    int stalled = 0;
    while ((to_submit > 0 || scheduler.has_work()) && --steps_left > 0) {
      if (to_submit > 0 && pick(0, 3) == 0) {
        const int n_prompt = pick(1, n_blocks * kBlockSize - 1);
        const int n_new = pick(1, n_blocks * kBlockSize - n_prompt);
        const int n_common = pick(0, n_prompt);
        scheduler.submit(pick(0, 1) == 0 ? make_sequence(next_id, n_prompt, n_new, pick(0, 4) == 0)
                                         : make_sharing(next_id, n_common, n_prompt - n_common, n_new, pick(0, 1)));
        ++next_id;
        --to_submit;
      }
      const auto ids = scheduler.live_ids();
      if (!ids.empty() && pick(0, 50) == 0) scheduler.remove(ids[pick(0, static_cast<int>(ids.size()) - 1)]);
      const auto now = scheduler.live_ids();
      const auto taken = run_step(scheduler);
      // The oldest gets something in every step.
      if (!now.empty() && !taken.contains(now.front())) ++stalled;
      CHECK(scheduler.count_leaked_blocks() == 0);
    }
    CHECK(stalled == 0);
    CHECK(steps_left > 0);
    CHECK(scheduler.used_tokens() == 0);
  }
}

TEST(a_cached_prefix_is_not_computed_again) {
  Scheduler scheduler({.n_blocks = 100, .max_running = 4, .chunked_prefill_size = 512});
  scheduler.submit(make_sharing(1, 100, 20, 4));
  CHECK(run_step(scheduler).at(1) == 120);
  // Beside the one that runs: 96 of the 100 are in full blocks.
  scheduler.submit(make_sharing(2, 100, 30, 4));
  StepPlan plan;
  CHECK(run_step(scheduler, &plan).at(2) == 34);
  CHECK(plan.started.size() == 1 && plan.started[0]->n_cached_prompt() == 96);
  CHECK(scheduler.used_tokens() == 120 + 1 + 34);  // those they share count once
  while (scheduler.has_work()) run_step(scheduler);
  CHECK(scheduler.used_tokens() == 0);
  CHECK(scheduler.evictable_tokens() == (7 + 2) * kBlockSize);  // seven of the first, two more of the second
  // Nobody runs any more; another tenant finds nothing.
  scheduler.submit(make_sharing(3, 100, 30, 4, 7));
  CHECK(run_step(scheduler).at(3) == 130);
  scheduler.submit(make_sharing(4, 100, 0, 4));
  CHECK(run_step(scheduler).at(4) == 4);
  // The very same prompt: its last token is computed.
  scheduler.submit(make_sharing(5, 96, 0, 4));
  CHECK(run_step(scheduler).at(5) == 16);
  CHECK(scheduler.count_leaked_blocks() == 0);
}

TEST(the_cache_can_be_turned_off) {
  Scheduler scheduler({.n_blocks = 100, .max_running = 4, .chunked_prefill_size = 512, .shares_prefixes = false});
  for (uint32_t id = 1; id <= 2; ++id) {
    scheduler.submit(make_sharing(id, 100, 0, 4));
    CHECK(run_step(scheduler).at(id) == 100);
  }
  while (scheduler.has_work()) run_step(scheduler);
  CHECK(scheduler.evictable_tokens() == 0);
}

TEST(the_choices_of_a_request_compute_its_prompt_once) {
  Scheduler scheduler({.n_blocks = 400, .max_running = 8, .chunked_prefill_size = 64});
  for (uint32_t id = 1; id <= 4; ++id) scheduler.submit(make_sharing(id, 150, 0, 30));
  for (int step = 0; step < 2; ++step) {
    const auto taken = run_step(scheduler);
    CHECK(taken.size() == 1 && taken.at(1) == 64);
  }
  // Eight blocks are there; for the ninth nobody waits.
  const auto taken = run_step(scheduler);
  CHECK(taken.at(1) == 22 && taken.at(2) == 22 && taken.at(3) == 20);
  CHECK(run_step(scheduler).at(4) == 6);
  // Too little to wait for.
  Scheduler other({.n_blocks = 400, .max_running = 8, .chunked_prefill_size = 64});
  for (uint32_t id = 1; id <= 2; ++id) other.submit(make_sharing(id, 20, 0, 30));
  CHECK(run_step(other).size() == 2);
}

TEST(who_waits_for_a_prefix_starts_when_its_owner_is_gone) {
  Scheduler scheduler({.n_blocks = 400, .max_running = 8, .chunked_prefill_size = 32});
  for (uint32_t id = 1; id <= 2; ++id) scheduler.submit(make_sharing(id, 300, 0, 30));
  run_step(scheduler);
  CHECK(!run_step(scheduler).contains(2));
  scheduler.remove(1);
  CHECK(run_step(scheduler).at(2) == 32);
  CHECK(scheduler.used_tokens() == 96);  // 64 of them are from the one that is gone
  CHECK(scheduler.count_leaked_blocks() == 0);
}

TEST(cached_blocks_make_room_for_prompts) {
  Scheduler scheduler({.n_blocks = 10, .max_running = 4, .chunked_prefill_size = 512});
  scheduler.submit(make_sharing(1, 0, 140, 4));
  while (scheduler.has_work()) run_step(scheduler);
  CHECK(scheduler.evictable_tokens() == 128);
  scheduler.submit(make_sharing(2, 0, 140, 4));
  CHECK(run_step(scheduler).at(2) == 140);
  CHECK(scheduler.evictable_tokens() <= 16);
  CHECK(scheduler.count_leaked_blocks() == 0);
  while (scheduler.has_work()) run_step(scheduler);
  scheduler.clear_cache();
  CHECK(scheduler.evictable_tokens() == 0);
}

TEST(a_retracted_sequence_finds_its_blocks_again) {
  Scheduler scheduler({.n_blocks = 20, .max_running = 4, .chunked_prefill_size = 128});
  scheduler.submit(make_sequence(1, 16, 240));
  scheduler.submit(make_sequence(2, 16, 240));
  int n_recomputed = 0;
  std::map<uint32_t, int> n_fed;
  while (scheduler.has_work()) {
    for (const auto& [id, n] : run_step(scheduler)) n_fed[id] += n;
  }
  for (const auto& [id, n] : n_fed) n_recomputed += n - 255;
  // The other one took some of them before it returned.
  CHECK(n_recomputed > 0 && n_recomputed < 150);
}

static std::unique_ptr<Sequence> make_urgent(uint32_t id, int priority, int n_prompt, int max_new_tokens) {
  Request request;
  request.id = id;
  request.prompt_ids.assign(n_prompt, static_cast<int32_t>(id) + 2);
  request.max_new_tokens = max_new_tokens;
  request.priority = priority;
  return std::make_unique<Sequence>(std::move(request));
}

TEST(higher_priorities_start_first_and_equal_ones_as_they_came) {
  Scheduler scheduler({.n_blocks = 100, .max_running = 1, .chunked_prefill_size = 64});
  const std::pair<uint32_t, int> requests[] = {{1, 0}, {2, 0}, {3, 5}, {4, -1}, {5, 5}, {6, 9}};
  for (const auto& [id, priority] : requests) scheduler.submit(make_urgent(id, priority, 4, 2));
  std::vector<uint32_t> order;
  while (scheduler.has_work()) {
    for (const auto& [id, n] : run_step(scheduler)) {
      if (n == 4) order.push_back(id);
    }
  }
  CHECK((order == std::vector<uint32_t>{6, 3, 5, 1, 2, 4}));
}

TEST(a_much_higher_priority_takes_the_place_of_one_that_runs) {
  Scheduler scheduler({.n_blocks = 100, .max_running = 2, .chunked_prefill_size = 64});
  scheduler.submit(make_urgent(1, 0, 40, 30));
  scheduler.submit(make_urgent(2, 0, 40, 30));
  run_step(scheduler);
  scheduler.submit(make_urgent(3, kPreemptionMargin - 1, 40, 30));
  CHECK(!scheduler.must_retract());
  CHECK(run_step(scheduler).contains(2));
  scheduler.submit(make_urgent(4, kPreemptionMargin, 40, 3));
  CHECK(scheduler.must_retract());
  StepPlan plan;
  const auto taken = run_step(scheduler, &plan);
  CHECK(plan.n_retracted == 1 && taken.at(4) == 40 && taken.contains(1) && !taken.contains(2));
  std::vector<uint32_t> finished;
  while (scheduler.has_work()) {
    const auto before = scheduler.live_ids();
    run_step(scheduler);
    const auto after = scheduler.live_ids();
    for (const uint32_t id : before) {
      if (std::find(after.begin(), after.end(), id) == after.end()) finished.push_back(id);
    }
    CHECK(scheduler.count_leaked_blocks() == 0);
  }
  CHECK(finished.front() == 4);
  CHECK(finished.size() == 4);
}

TEST(nobody_yields_to_one_that_fits_behind_a_shared_prefix) {
  Scheduler scheduler({.n_blocks = 20, .max_running = 4, .chunked_prefill_size = 512});
  scheduler.submit(make_sharing(1, 160, 10, 30));
  scheduler.submit(make_sharing(2, 160, 20, 30));
  for (int i = 0; i < 2; ++i) run_step(scheduler);
  CHECK(scheduler.n_running() == 2);
  const auto urgent = [](uint32_t id, int n_own) {
    const auto sharing = make_sharing(id, 160, n_own, 4);
    Request request = sharing->request();
    request.prompt_ids.assign(sharing->tokens().begin(), sharing->tokens().end());
    request.priority = kPreemptionMargin;
    return std::make_unique<Sequence>(std::move(request));
  };
  // Eleven blocks alone, one behind the ten that are there.
  scheduler.submit(urgent(3, 10));
  CHECK(!scheduler.must_retract());
  StepPlan plan;
  CHECK(run_step(scheduler, &plan).at(3) == 10);
  CHECK(plan.n_retracted == 0);
  // One whose own tokens do not fit takes the place of the last.
  scheduler.submit(urgent(4, 100));
  CHECK(scheduler.must_retract());
  const auto taken = run_step(scheduler, &plan);
  CHECK(plan.n_retracted == 1 && !taken.contains(2));
  while (scheduler.has_work()) run_step(scheduler);
  CHECK(scheduler.count_leaked_blocks() == 0);
}

TEST(prompts_that_are_scored_have_rows_beside_drafts) {
  Scheduler scheduler({.n_blocks = 400, .max_running = 16, .chunked_prefill_size = 512});
  for (uint32_t id = 1; id <= 8; ++id) scheduler.submit(make_sequence(id, 4, 200));
  run_step(scheduler);
  const auto draft = [&] {
    for (Sequence* sequence : scheduler.running()) {
      if (sequence->is_decoding()) sequence->drafts().assign(15, 3);
    }
  };
  draft();
  CHECK(scheduler.schedule().n_drafts == kMaxScoredRows);
  scheduler.submit(make_sequence(9, 100, 5, true));
  scheduler.submit(make_sequence(10, 100, 5));
  for (const int expected : {32, 32, 32, 4}) {
    draft();
    StepPlan plan;
    CHECK(run_step(scheduler, &plan).at(9) == expected);
    CHECK(plan.n_drafts == kMaxScoredRows / 2);
  }
  CHECK(scheduler.n_running() == 10);  // nor does it hold up who came later
}

TEST(streams_of_grammars_leave_rows_to_prompts) {
  Scheduler scheduler({.n_blocks = 400, .max_running = 8, .chunked_prefill_size = 64});
  for (uint32_t id = 1; id <= 4; ++id) scheduler.submit(make_sequence(id, 4, 400));
  run_step(scheduler);
  scheduler.submit(make_sequence(5, 20, 5));
  int n_prompt = 0;
  for (int step = 0; step < 8; ++step) {
    for (Sequence* sequence : scheduler.running()) {
      while (sequence->extends_answer() && sequence->n_pending() < 20) sequence->append_token(1);
    }
    const auto taken = run_step(scheduler);
    const auto found = taken.find(5);
    n_prompt += found == taken.end() ? 0 : found->second;
  }
  CHECK(n_prompt >= 20);
}

TEST(where_kv_is_short_the_last_in_rank_yields) {
  Scheduler scheduler({.n_blocks = 20, .max_running = 4, .chunked_prefill_size = 128});
  scheduler.submit(make_urgent(1, 0, 16, 240));
  scheduler.submit(make_urgent(2, 1, 16, 240));  // comes later, and goes first
  run_step(scheduler);
  while (scheduler.n_waiting() == 0) run_step(scheduler);
  CHECK((scheduler.live_ids() == std::vector<uint32_t>{2, 1}));
}

TEST(bad_options_are_refused) {
  CHECK_THROWS(Scheduler({.n_blocks = 4, .max_running = 0, .chunked_prefill_size = 16}), "E_INVALID_REQUEST");
  CHECK_THROWS(Scheduler({.n_blocks = 4, .max_running = 1, .chunked_prefill_size = 0}), "E_INVALID_REQUEST");
}

TEST_MAIN()
