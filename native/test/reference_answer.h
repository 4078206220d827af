// What requests must get: a request of any kind, and its answer as one sequence alone would get it, without paging,
// batching, caches or drafts.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "check.h"
#include "error.h"
#include "history_model.h"
#include "runtime/row_sampling.h"
#include "runtime/step_events.h"
#include "toy_grammar.h"

namespace jsg::test {

inline constexpr int kVocab = 48;

struct Answer {
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;
  std::vector<int32_t> prompt_tokens;
  std::vector<float> prompt_logprobs;
  std::vector<TopLogprob> top;
  FinishReason finish = FinishReason::kNone;
  int n_after_end = 0;

  // `more`: the event's entries of StepEvents::top.
  void add(const TokenEvent& event, std::span<const TopLogprob> more) {
    if (finish != FinishReason::kNone) ++n_after_end;
    finish = event.finish;
    top.insert(top.end(), more.begin(), more.end());
    if (event.token < 0) return;
    (event.is_prompt ? prompt_tokens : tokens).push_back(event.token);
    (event.is_prompt ? prompt_logprobs : logprobs).push_back(event.logprob);
  }
};

// What a request must get: one sequence alone, no paging, no batching.
inline Answer reference(const Request& request) {
  Sampler sampler(kVocab);
  Sequence sequence(request);
  sequence.start();
  std::vector<float> logits(kVocab);
  uint64_t history = 0;
  Answer answer;
  const auto keep_top = [&](const SampledToken& sampled) {
    answer.top.insert(answer.top.end(), sampled.top.begin(), sampled.top.end());
  };
  for (size_t i = 0; i < request.prompt_ids.size(); ++i) {
    if (request.prompt_logprobs) {
      answer.prompt_tokens.push_back(request.prompt_ids[i]);
      if (i == 0) {
        answer.prompt_logprobs.push_back(NAN);
      } else {
        fill_logits(history, logits);
        const auto scored = sampler.score(logits, request.prompt_ids[i], std::max(request.sampling.top_logprobs, 0));
        answer.prompt_logprobs.push_back(scored.logprob);
        keep_top(scored);
      }
    }
    history = extend_history(history, request.prompt_ids[i]);
  }
  answer.finish = FinishReason::kLength;
  TokenMatcher* const matcher = sequence.matcher();
  // False: the answer has ended.
  const auto add = [&](const SampledToken& sampled) {
    sequence.append_token(sampled.token);
    answer.tokens.push_back(sampled.token);
    answer.logprobs.push_back(sampled.logprob);
    keep_top(sampled);
    history = extend_history(history, sampled.token);
    if (matcher != nullptr) CHECK(matcher->accept(sampled.token));
    const bool stops = sequence.is_stop_id(sampled.token) || (matcher != nullptr && matcher->is_done());
    if (stops) answer.finish = FinishReason::kStop;
    return !stops && sequence.n_remaining() > 0;
  };
  std::vector<uint32_t> mask(mask_words(kVocab));
  bool goes_on = sequence.n_remaining() > 0;
  while (goes_on) {
    RowSampling row = row_sampling(sequence, 0);
    if (matcher != nullptr) {
      Allowed allowed = Allowed::kNone;
      try {
        allowed = matcher->fill(mask);
      } catch (const Error&) {
      }
      if (allowed == Allowed::kNone) {
        answer.finish = FinishReason::kGrammar;
        break;
      }
      if (allowed == Allowed::kSome) row.allowed = mask;
      // A single token is sampled even where it is masked for another reason.
      int n_allowed = 0;
      for (const uint32_t word : mask) n_allowed += std::popcount(word);
      if (allowed == Allowed::kSome && n_allowed == 1) row.masked = {};
    }
    fill_logits(history, logits);
    goes_on = add(sampler.sample(logits, row));
    if (!goes_on || matcher == nullptr || request.sampling.top_logprobs >= 0) continue;
    std::vector<int32_t> known;
    const bool ends = matcher->must_end(sequence.n_remaining(), known);
    if (!ends) matcher->find_forced(sequence.n_remaining(), known);
    if (!ends && known.size() < 2) continue;
    for (size_t i = 0; i < known.size() && goes_on; ++i) goes_on = add({known[i], NAN, {}});
    goes_on = goes_on && !ends;
  }
  return answer;
}

inline bool same(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }
inline bool same(const std::vector<float>& a, const std::vector<float>& b, size_t n) {
  return std::equal(a.begin(), a.begin() + n, b.begin(), [](float x, float y) { return same(x, y); });
}

// All of the reference, or, if cancelled, the beginning of it.
inline void check_answer(const Answer& actual, const Answer& expected) {
  CHECK(actual.n_after_end == 0);
  const bool whole = actual.finish != FinishReason::kAbort;
  if (whole) {
    CHECK(actual.finish == expected.finish);
    CHECK(actual.tokens.size() == expected.tokens.size());
    CHECK(actual.prompt_tokens.size() == expected.prompt_tokens.size());
    CHECK(actual.top.size() == expected.top.size());
  }
  const size_t n = actual.tokens.size(), n_prompt = actual.prompt_tokens.size(), n_top = actual.top.size();
  CHECK(n <= expected.tokens.size() && n_prompt <= expected.prompt_tokens.size() && n_top <= expected.top.size());
  if (n > expected.tokens.size() || n_prompt > expected.prompt_tokens.size() || n_top > expected.top.size()) return;
  CHECK(std::equal(actual.tokens.begin(), actual.tokens.end(), expected.tokens.begin()));
  CHECK(std::equal(actual.prompt_tokens.begin(), actual.prompt_tokens.end(), expected.prompt_tokens.begin()));
  CHECK(same(actual.logprobs, expected.logprobs, n));
  CHECK(same(actual.prompt_logprobs, expected.prompt_logprobs, n_prompt));
  CHECK(std::equal(
      actual.top.begin(), actual.top.end(), expected.top.begin(),
      [](const TopLogprob& a, const TopLogprob& b) { return a.token == b.token && a.logprob == b.logprob; }));
}

// Any request a caller may send to an engine of this size.
inline Request random_request(uint32_t id, int max_tokens, std::mt19937& random) {
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  const int n_prompt = pick(1, pick(0, 1) ? max_tokens - 1 : max_tokens / 8);
  Request request = make_request(id, {}, pick(0, 9) == 0 ? 0 : pick(1, max_tokens - n_prompt));
  // Often with a beginning that others have.
  const int n_common = pick(0, 1) ? pick(0, n_prompt) : 0;
  for (int i = 0; i < n_prompt; ++i) request.prompt_ids.push_back(i < n_common ? i % kVocab : pick(0, kVocab - 1));
  request.cache_salt = static_cast<uint64_t>(pick(0, 1));
  if (pick(0, 3) == 0) request.priority = pick(-15, 15);
  request.prompt_logprobs = pick(0, 5) == 0;
  if (pick(0, 3) == 0) request.stop_ids = {pick(0, kVocab - 1), pick(0, kVocab - 1)};
  if (pick(0, 3) == 0) request.min_new_tokens = pick(0, 20);
  SamplingParams& sampling = request.sampling;
  if (pick(0, 1)) {
    sampling.temperature = 0.3f * static_cast<float>(pick(1, 5));
    sampling.seed = random();
    if (pick(0, 1)) sampling.top_k = pick(1, 60);
    if (pick(0, 1)) sampling.top_p = 0.1f * static_cast<float>(pick(1, 10));
    if (pick(0, 2) == 0) sampling.min_p = 0.1f;
  }
  if (pick(0, 3) == 0) sampling.frequency_penalty = 0.5f;
  if (pick(0, 3) == 0) sampling.repetition_penalty = 1.3f;
  if (pick(0, 3) == 0) sampling.logit_bias = {{pick(0, kVocab - 1), 2.f}};
  if (pick(0, 2) == 0) sampling.top_logprobs = pick(0, 5);
  if (pick(0, 2) == 0) {
    ToyRules rules{.vocab_size = kVocab, .n_tokens = pick(1, 200)};
    if (pick(0, 7) == 0) rules.dead_at = pick(0, 40);
    if (pick(0, 7) == 0) rules.limit_at = pick(0, 40);
    rules.ends_in_time = pick(0, 1) == 0;
    request.grammar = std::make_shared<ToyGrammar>(rules);
  }
  return request;
}

}  // namespace jsg::test
