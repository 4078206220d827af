#include "runtime/step_pacer.h"

#include <algorithm>
#include <functional>
#include <random>

#include "check.h"

using jsg::StepPacer;

namespace {

constexpr int kMaxRows = 512;

// Time of a step, microseconds.
using Machine = std::function<double(int n_decodes, int n_rows)>;

// A prompt beside streams: the costs of its steps, in steps without it.
std::vector<double> costs_of_prompt(StepPacer& pacer, const Machine& machine, int n_decodes, int n_tokens) {
  std::vector<double> costs;
  while (n_tokens > 0) {
    const int n_rows = std::min(n_tokens, pacer.prompt_rows(n_decodes));
    const double us = machine(n_decodes, n_rows);
    pacer.observe(n_decodes, n_rows, us);
    costs.push_back(us / machine(n_decodes, 0));
    n_tokens -= n_rows;
  }
  return costs;
}

void decode(StepPacer& pacer, const Machine& machine, int n_decodes, int n_steps) {
  for (int i = 0; i < n_steps; ++i) pacer.observe(n_decodes, 0, machine(n_decodes, 0));
}

// Each row has its price.
double cpu(int n_decodes, int n_rows) { return 3000 + 900.0 * n_decodes + 850.0 * n_rows; }
// Bytes of weights hide the work of the first rows.
double gpu(int n_decodes, int n_rows) { return std::max(8000.0, 30.0 * (n_decodes + n_rows)) + 100; }

// The most that a mixed step may cost, in steps without prompts; estimates are not exact.
double limit(const Machine& machine, int n_decodes) {
  return 1.15 * std::max(2.0, StepPacer::kUnnoticedUs / machine(n_decodes, 0));
}

}  // namespace

TEST(alone_a_prompt_takes_whole_chunks) {
  StepPacer pacer(8, kMaxRows, 2);
  CHECK(pacer.prompt_rows(0) == kMaxRows);
  decode(pacer, cpu, 1, 5);
  CHECK(pacer.prompt_rows(0) == kMaxRows);
  StepPacer unlimited(8, kMaxRows, 0);
  decode(unlimited, cpu, 1, 5);
  unlimited.observe(0, kMaxRows, cpu(0, kMaxRows));
  CHECK(unlimited.prompt_rows(1) == kMaxRows);
}

TEST(a_mixed_step_costs_what_it_may) {
  for (const Machine& machine : {Machine(cpu), Machine(gpu)}) {
    for (const int n_decodes : {1, 4, 8}) {
      StepPacer pacer(8, kMaxRows, 2);
      pacer.observe(0, 200, machine(0, 200));
      decode(pacer, machine, n_decodes, 20);
      const auto costs = costs_of_prompt(pacer, machine, n_decodes, 8192);
      CHECK(*std::max_element(costs.begin(), costs.end()) < limit(machine, n_decodes));
      // And it makes use of that.
      CHECK(costs[costs.size() / 2] > 1.6);
    }
  }
}

TEST(the_first_prompt_of_all_begins_with_few_rows) {
  StepPacer pacer(8, kMaxRows, 2);
  CHECK(pacer.prompt_rows(2) == 8);
  decode(pacer, gpu, 2, 3);
  CHECK(pacer.prompt_rows(2) == 8);
  const auto costs = costs_of_prompt(pacer, gpu, 2, 8192);
  CHECK(*std::max_element(costs.begin(), costs.end()) < 2.3);
  CHECK(costs.size() < 50);  // it grows quickly: 32 would be the least
}

TEST(a_bad_first_impression_is_forgotten) {
  StepPacer pacer(8, kMaxRows, 2);
  pacer.observe(0, 64, 1e6);  // whatever held that step up
  decode(pacer, gpu, 1, 5);
  CHECK(pacer.prompt_rows(1) == StepPacer::kMinRows);
  CHECK(costs_of_prompt(pacer, gpu, 1, 8192).size() < 60);
}

TEST(steps_of_a_fast_device_are_no_reason_to_starve_prompts) {
  // A step with prompts is launched kernel by kernel, which alone costs most of what two recorded steps do.
  const Machine fast = [](int n_decodes, int n_rows) {
    return (n_rows > 0 ? 1600 : 900) + 10.5 * (n_decodes + n_rows);
  };
  StepPacer pacer(64, 2048, 2);
  decode(pacer, fast, 32, 20);
  const auto costs = costs_of_prompt(pacer, fast, 32, 32 * 512);
  CHECK(*std::max_element(costs.begin(), costs.end()) < limit(fast, 32));
  CHECK(costs.size() < 40);
  CHECK(pacer.prompt_rows(32) > 600 && pacer.prompt_rows(32) < 2048);
}

TEST(a_fast_device_is_known_after_a_few_steps) {
  // The first prompt of all pays for what is loaded then.
  const Machine fast = [](int, int n_rows) { return n_rows > 0 ? 1500 + 3.0 * n_rows : 360; };
  StepPacer pacer(8, 8192, 2);
  pacer.observe(0, 300, 10'000);
  decode(pacer, fast, 4, 20);
  const auto costs = costs_of_prompt(pacer, fast, 4, 7001);
  CHECK(*std::max_element(costs.begin(), costs.end()) < limit(fast, 4));
  CHECK(costs.size() < 9);
  // The few rows at the end of a prompt tell nothing of the price of many.
  const int rows = pacer.prompt_rows(4);
  for (int i = 0; i < 20; ++i) pacer.observe(4, 3, fast(4, 3));
  CHECK(pacer.prompt_rows(4) >= rows);
}

TEST(rows_become_dearer_as_their_context_grows) {
  StepPacer pacer(8, kMaxRows, 2);
  int context = 0;
  const auto machine = [&](int n_decodes, int n_rows) {
    context += n_rows;
    return 3000 + 900.0 * n_decodes + (500 + 0.3 * context) * n_rows;
  };
  decode(pacer, machine, 4, 20);
  const auto costs = costs_of_prompt(pacer, machine, 4, 8192);
  CHECK(*std::max_element(costs.begin(), costs.end()) < 2.6);
}

TEST(steps_that_are_held_up_do_not_mislead) {
  std::mt19937 random(1);
  const auto machine = [&](int n_decodes, int n_rows) {
    const bool is_held_up = random() % 20 == 0;
    return cpu(n_decodes, n_rows) * (is_held_up ? 12 : 0.95 + 0.01 * static_cast<double>(random() % 10));
  };
  StepPacer pacer(8, kMaxRows, 2);
  pacer.observe(0, 200, machine(0, 200));
  decode(pacer, machine, 4, 50);
  int n_tokens = 4096, n_dear = 0, n_steps = 0;
  for (; n_tokens > 0; ++n_steps) {
    const int n_rows = pacer.prompt_rows(4);
    n_dear += cpu(4, n_rows) > 2.6 * cpu(4, 0);
    pacer.observe(4, n_rows, machine(4, n_rows));
    n_tokens -= n_rows;
  }
  CHECK(n_dear == 0);
  CHECK(n_steps < 2500);  // of some 510 in a quiet machine
}

TEST(what_is_known_of_other_numbers_of_streams_is_used) {
  const Machine slow = [](int n_decodes, int n_rows) { return 10 * cpu(n_decodes, n_rows); };
  StepPacer pacer(8, kMaxRows, 2);
  pacer.observe(0, 200, slow(0, 200));
  decode(pacer, slow, 4, 20);
  const int at_four = pacer.prompt_rows(4);
  CHECK(at_four > 3);
  CHECK(pacer.prompt_rows(1) == at_four && pacer.prompt_rows(8) == at_four);
  decode(pacer, slow, 1, 20);
  CHECK(pacer.prompt_rows(1) < at_four);
  CHECK(pacer.prompt_rows(2) == pacer.prompt_rows(1));  // rather too few
}

TEST_MAIN()
