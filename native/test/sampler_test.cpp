#include "runtime/sampler.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <random>

#include "check.h"
#include "error.h"
#include "runtime/rng.h"
#include "runtime/row_sampling.h"

using namespace jsg;

// A sequence that has generated `generated` after `prompt`.
static Sequence make_sequence(SamplingParams sampling, std::vector<int32_t> prompt = {0},
                              const std::vector<int32_t>& generated = {}, int min_new_tokens = 0,
                              std::vector<int32_t> stop_ids = {}) {
  Request request;
  request.prompt_ids = std::move(prompt);
  request.max_new_tokens = 1000;
  request.min_new_tokens = min_new_tokens;
  request.stop_ids = std::move(stop_ids);
  request.sampling = std::move(sampling);
  Sequence sequence(std::move(request));
  sequence.start();
  for (const int32_t token : generated) sequence.append_token(token);
  return sequence;
}

static SamplingParams params(float temperature, int top_k = 0, float top_p = 1, float min_p = 0, uint64_t seed = 0) {
  SamplingParams sampling;
  sampling.temperature = temperature;
  sampling.top_k = top_k;
  sampling.top_p = top_p;
  sampling.min_p = min_p;
  sampling.seed = seed;
  return sampling;
}

static std::vector<float> random_logits(int n, int seed, float spread) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(n);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

static int32_t pick(const std::vector<float>& logits, const Sequence& sequence) {
  std::vector<float> copy = logits;
  return Sampler(static_cast<int>(logits.size())).sample(copy, row_sampling(sequence, 0)).token;
}

// The textbook: sort everything, softmax, cut by top_k, renormalise, cut by top_p, renormalise, cut by min_p.
static std::map<int32_t, double> reference_distribution(const std::vector<float>& logits, const SamplingParams& s) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  if (s.top_k > 0 && static_cast<size_t>(s.top_k) < order.size()) order.resize(s.top_k);
  std::vector<double> p;
  const auto normalise = [&] {
    const double total = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& value : p) value /= total;
  };
  for (const int32_t token : order) p.push_back(std::exp((double(logits[token]) - logits[order[0]]) / s.temperature));
  normalise();
  double before = 0;
  size_t kept = 0;
  while (kept < p.size() && (kept == 0 || before < s.top_p)) before += p[kept++];
  p.resize(kept);
  normalise();
  while (kept > 1 && p[kept - 1] < s.min_p * p[0]) --kept;
  p.resize(kept);
  normalise();
  std::map<int32_t, double> distribution;
  for (size_t i = 0; i < kept; ++i) distribution[order[i]] = p[i];
  return distribution;
}

TEST(greedy_takes_the_greatest_and_of_equals_the_lowest_id) {
  for (const int n : {1, 5, 32, 513, 1000, 49152}) {
    auto logits = random_logits(n, n, 3);
    const auto best = std::max_element(logits.begin(), logits.end());
    CHECK(pick(logits, make_sequence(params(0))) == best - logits.begin());
    const float high = *best + 1;
    logits[n - 1] = high;
    logits[n / 2] = high;
    CHECK(pick(logits, make_sequence(params(0))) == n / 2);
  }
}

TEST(nan_is_a_failure_wherever_it_stands) {
  for (const int at : {0, 1, 511, 512, 998, 999}) {
    for (const float temperature : {0.f, 1.f}) {
      auto logits = random_logits(1000, 1, 1);
      logits[at] = std::numeric_limits<float>::quiet_NaN();
      CHECK_THROWS(pick(logits, make_sequence(params(temperature))), "E_RUNTIME_FAILED");
    }
  }
  std::vector<float> infinite(10, -std::numeric_limits<float>::infinity());
  CHECK_THROWS(pick(infinite, make_sequence(params(1))), "E_RUNTIME_FAILED");
}

TEST(minus_infinity_is_never_drawn) {
  std::vector<float> logits(600, -std::numeric_limits<float>::infinity());
  logits[599] = -3;
  logits[7] = -3;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const int32_t token = pick(logits, make_sequence(params(1, 0, 1, 0, seed)));
    CHECK(token == 7 || token == 599);
    const int32_t filtered = pick(logits, make_sequence(params(1, 50, 0.9f, 0, seed)));
    CHECK(filtered == 7 || filtered == 599);
  }
}

// Not by the greatest random number either, when the weights do not add up to their sum to the bit.
TEST(what_is_not_allowed_is_never_drawn) {
  Sampler sampler(64);
  const uint32_t allowed[] = {0x3ff, 0};
  for (int i = 0; i < 5000; ++i) {
    auto logits = random_logits(64, i, 3);
    RowSampling row;
    row.temperature = 0.7f;
    row.top_k = 60;
    row.u = 1 - 0x1p-53;
    row.allowed = allowed;
    CHECK(sampler.sample(logits, row).token < 10);
  }
}

// Draws have the reference's distribution, and nothing that it cuts is ever drawn.
TEST(draws_follow_the_reference_distribution) {
  const auto logits = random_logits(40, 5, 2);
  const SamplingParams cases[] = {params(1),
                                  params(0.5f),
                                  params(1, 7),
                                  params(1, 0, 0.8f),
                                  params(1, 0, 1, 0.1f),
                                  params(0.8f, 12, 0.9f),
                                  params(1.5f, 20, 0.7f, 0.2f),
                                  params(1, 1),
                                  params(1, 0, 0),
                                  params(2, 40, 0.99f),
                                  params(1, 0, 1, 1),
                                  params(0.7f, 0, 0.95f, 0.05f)};
  constexpr int kDraws = 40000;
  Sampler sampler(40);
  for (SamplingParams sampling : cases) {
    const auto expected = reference_distribution(logits, sampling);
    std::map<int32_t, int> counts;
    for (int i = 0; i < kDraws; ++i) {
      sampling.seed = i;
      auto copy = logits;
      ++counts[sampler.sample(copy, row_sampling(make_sequence(sampling), 0)).token];
    }
    for (const auto& [token, count] : counts) CHECK(expected.contains(token));
    for (const auto& [token, p] : expected) {
      // Six standard deviations.
      CHECK_NEAR(counts[token] / double(kDraws), p, 6 * std::sqrt(p * (1 - p) / kDraws) + 1e-9);
    }
  }
}

// In a large vocabulary the draw is the inverse of the reference's distribution function, ids ascending.
TEST(large_vocabularies_match_the_reference_draw_for_draw) {
  int n_draws = 0, n_different = 0;
  for (const int vocab : {5000, 49152, 151936}) {
    Sampler sampler(vocab);
    for (const float spread : {0.0f, 0.01f, 1.0f, 4.0f}) {
      const auto logits = random_logits(vocab, vocab, spread);
      for (SamplingParams sampling : {params(1), params(0.7f, 0, 0.9f), params(0.7f, 50), params(1, 1000, 0.95f, 0.01f),
                                      params(1, 0, 1, 0.05f), params(1.3f, 0, 0.999f), params(0.6f, 20, 0.95f)}) {
        const auto expected = reference_distribution(logits, sampling);
        for (uint64_t seed = 0; seed < 8; ++seed) {
          sampling.seed = seed;
          auto copy = logits;
          const int32_t token = sampler.sample(copy, row_sampling(make_sequence(sampling), 0)).token;
          double left = uniform(seed, 0);
          int32_t wanted = -1;
          for (const auto& [id, p] : expected) {
            wanted = id;
            if ((left -= p) < 0) break;
          }
          ++n_draws;
          n_different += token != wanted;
          CHECK(std::abs(token - wanted) < vocab / 1000 + 60 || expected.contains(token));
        }
      }
    }
  }
  // Sums are rounded: where u falls onto the border of two tokens they may differ.
  CHECK(n_different <= n_draws / 50);
}

TEST(equal_seeds_give_equal_tokens_and_positions_differ) {
  const auto logits = random_logits(2000, 3, 1);
  std::map<int32_t, int> tokens;
  std::vector<int32_t> generated;
  for (int i = 0; i < 50; ++i) {
    const int32_t a = pick(logits, make_sequence(params(1, 0, 1, 0, 42), {1, 2, 3}, generated));
    const int32_t b = pick(logits, make_sequence(params(1, 0, 1, 0, 42), {4}, generated));
    CHECK(a == b);
    ++tokens[a];
    generated.push_back(a);
  }
  CHECK(tokens.size() > 25);
  // The low and the high bits of a seed both count.
  const auto first = pick(logits, make_sequence(params(1, 0, 1, 0, 1)));
  int n_same = 0;
  for (int bit = 1; bit < 53; ++bit)
    n_same += pick(logits, make_sequence(params(1, 0, 1, 0, 1 | (1ull << bit)))) == first;
  CHECK(n_same < 5);
}

TEST(penalties_follow_their_definitions) {
  // Prompt {0, 1}; answer {1, 1, 2}.
  const std::vector<float> logits = {4, 3.9f, -1, 3.5f};
  const std::vector<int32_t> prompt = {0, 1}, generated = {1, 1, 2};
  const auto greedy = [&](auto change, std::vector<float> from) {
    SamplingParams sampling;
    change(sampling);
    return pick(from, make_sequence(sampling, prompt, generated));
  };
  CHECK(greedy([](SamplingParams&) {}, logits) == 0);
  // Repetition: prompt tokens count; 4/1.2 = 3.33 < 3.5.
  CHECK(greedy([](SamplingParams& s) { s.repetition_penalty = 1.2f; }, logits) == 3);
  // Negative logits are multiplied: -1 * 3 < -2.
  CHECK(greedy([](SamplingParams& s) { s.repetition_penalty = 3; }, {-1, -1, -1, -2}) == 3);
  // Frequency and presence: the prompt does not count.
  CHECK(greedy([](SamplingParams& s) { s.frequency_penalty = 0.5f; }, {3, 4.1f, 0, 0}) == 1);  // 4.1 - 2 * 0.5 = 3.1
  CHECK(greedy([](SamplingParams& s) { s.frequency_penalty = 0.6f; }, {3, 4.1f, 0, 0}) == 0);  // 4.1 - 2 * 0.6 = 2.9
  CHECK(greedy([](SamplingParams& s) { s.presence_penalty = 1.0f; }, {3, 4.1f, 0, 0}) == 1);   // 4.1 - 1 = 3.1
  CHECK(greedy([](SamplingParams& s) { s.presence_penalty = 1.2f; }, {3, 4.1f, 0, 0}) == 0);   // 4.1 - 1.2 = 2.9
  CHECK(greedy([](SamplingParams& s) { s.presence_penalty = -2; }, {3, 0, 1.5f, 0}) == 2);     // negative: a reward
  CHECK(greedy([](SamplingParams& s) { s.logit_bias = {{2, 100.f}}; }, logits) == 2);
  CHECK(greedy([](SamplingParams& s) { s.logit_bias = {{0, -100.f}}; }, logits) == 1);
}

TEST(stop_ids_are_masked_until_the_minimum_is_reached) {
  const std::vector<float> logits = {1, 5, 2};
  CHECK(pick(logits, make_sequence(params(0), {0}, {}, 2, {1})) == 2);
  CHECK(pick(logits, make_sequence(params(0), {0}, {2}, 2, {1})) == 2);
  CHECK(pick(logits, make_sequence(params(0), {0}, {2, 2}, 2, {1})) == 1);
  // Ids that the model does not have, and a vocabulary with nothing left, are no reason to fail.
  CHECK(pick(logits, make_sequence(params(0), {0}, {}, 2, {-5, 99, 1})) == 2);
  const int32_t any = pick(logits, make_sequence(params(1, 2, 0.9f), {0}, {}, 2, {0, 1, 2}));
  CHECK(any >= 0 && any < 3);
}

TEST(log_probabilities_are_the_models_own) {
  const std::vector<float> logits = {1, 3, 2, -4};
  double total = 0;
  for (const float logit : logits) total += std::exp(logit);
  // Bias and temperature choose token 3, its log-probability is that of the raw logits all the same.
  SamplingParams sampling = params(0.5f, 1);
  sampling.logit_bias = {{3, 50.f}};
  sampling.top_logprobs = 2;
  Sampler sampler(4);
  auto copy = logits;
  const SampledToken sampled = sampler.sample(copy, row_sampling(make_sequence(sampling), 0));
  CHECK(sampled.token == 3);
  CHECK_NEAR(sampled.logprob, -4 - std::log(total), 1e-5);
  CHECK(sampled.top.size() == 2);
  CHECK(sampled.top[0].token == 1 && sampled.top[1].token == 2);
  CHECK_NEAR(sampled.top[0].logprob, 3 - std::log(total), 1e-5);

  sampling.top_logprobs = 0;
  copy = logits;
  const SampledToken alone = sampler.sample(copy, row_sampling(make_sequence(sampling), 0));
  CHECK(alone.top.empty());
  CHECK_NEAR(alone.logprob, -4 - std::log(total), 1e-5);

  sampling.top_logprobs = -1;
  copy = logits;
  CHECK(std::isnan(sampler.sample(copy, row_sampling(make_sequence(sampling), 0)).logprob));

  sampling.top_logprobs = 20;  // more than the vocabulary
  copy = logits;
  CHECK(sampler.sample(copy, row_sampling(make_sequence(sampling), 0)).top.size() == 4);
}

TEST(scoring_large_rows_matches_double_precision) {
  for (const int vocab : {49152, 151936}) {
    const auto logits = random_logits(vocab, 9, 5);
    double total = 0;
    for (const float logit : logits) total += std::exp(double(logit));
    Sampler sampler(vocab);
    const SampledToken scored = sampler.score(logits, 1234, 20);
    CHECK_NEAR(scored.logprob, logits[1234] - std::log(total), 2e-5);
    std::vector<float> sorted = logits;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    for (int i = 0; i < 20; ++i) CHECK(logits[scored.top[i].token] == sorted[i]);
  }
}

TEST(exp_is_within_two_ulp) {
  double worst = 0;
  for (float x = 0; x > -87; x -= 0.00137f)
    worst = std::max(worst, std::fabs(exp_negative(x) / std::exp(double(x)) - 1));
  CHECK(worst < 2.4e-7);
  CHECK(exp_negative(0) == 1);
  CHECK(exp_negative(-1000) == 0);
  CHECK(exp_negative(-std::numeric_limits<float>::infinity()) == 0);
}

TEST_MAIN()
