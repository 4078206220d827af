#include "runtime/speculation.h"

#include <algorithm>
#include <map>
#include <random>

#include "check.h"
#include "runtime/draft_cost.h"
#include "runtime/drafter.h"
#include "runtime/ngram_index.h"

using namespace jsg;

namespace {

int common_suffix(std::span<const int32_t> text, int end, int other_end, int max) {
  int n = 0;
  while (n < std::min(other_end, max) && text[end - 1 - n] == text[other_end - 1 - n]) ++n;
  return n;
}

// A text of few words, so that pieces of it come again and again.
std::vector<int32_t> repetitive_text(int n, int vocab, std::mt19937& random) {
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  std::vector<int32_t> text;
  while (static_cast<int>(text.size()) < n) {
    if (text.size() > 20 && pick(0, 2) == 0) {
      const int length = pick(2, 20), from = pick(0, static_cast<int>(text.size()) - length);
      for (int i = 0; i < length; ++i) text.push_back(text[from + i]);
    } else {
      text.push_back(pick(0, vocab - 1));
    }
  }
  text.resize(n);
  return text;
}

}  // namespace

TEST(the_longest_match_is_found_and_of_equals_the_newest) {
  std::mt19937 random(1);
  for (const int max_length : {2, 5, 18}) {
    const std::vector<int32_t> text = repetitive_text(600, 60, random);
    NgramIndex index(max_length);
    int n_found = 0;
    for (int end = 1; end <= static_cast<int>(text.size()); ++end) {
      const NgramIndex::Match match = index.extend(std::span(text).first(end));
      int longest = 0, newest = 0, n_places = 0;
      for (int other = end - 1; other >= 2; --other) {
        const int length = common_suffix(text, end, other, max_length);
        n_places += length >= 2;
        if (length >= 2 && length > longest) {
          longest = length;
          newest = other;
        }
      }
      CHECK((match.length > 0) == (longest > 0));
      if (n_places > 12) continue;  // more than are looked at
      CHECK(match.length == longest);
      CHECK(match.length == 0 || match.next == newest);
      n_found += match.length > 0;
    }
    CHECK(n_found > 100);
  }
}

TEST(a_text_may_be_taken_in_at_once_and_grow) {
  std::mt19937 random(2);
  const std::vector<int32_t> text = repetitive_text(5000, 400, random);
  NgramIndex one_by_one(18), in_parts(18);
  NgramIndex::Match expected;
  for (size_t end = 0, part = 0; end <= text.size(); ++end) {
    expected = one_by_one.extend(std::span(text).first(end));
    if (end < part) continue;
    const NgramIndex::Match match = in_parts.extend(std::span(text).first(end));
    CHECK(match.length == expected.length && match.next == expected.next);
    part = 2 * end + 7;
  }
  const NgramIndex::Match again = one_by_one.extend(text);  // nothing new
  CHECK(again.length == expected.length && again.next == expected.next);
}

TEST(guesses_follow_a_copy_and_get_surer) {
  std::mt19937 random(3);
  std::vector<int32_t> text(200);
  for (int32_t& token : text) token = static_cast<int32_t>(random() % 30000);
  const std::vector<int32_t> original = text;
  Drafter drafter(18);
  std::vector<int32_t> guesses;
  std::vector<float> chances;
  drafter.follow(text);
  drafter.guess(text, 8, guesses, chances);
  CHECK(guesses.empty());  // nothing has come twice
  float first_chance = 0;
  for (int i = 0; i < 60; ++i) {
    text.push_back(original[i]);
    drafter.follow(text);
    drafter.guess(text, 8, guesses, chances);
    if (i < 1) continue;
    CHECK(std::equal(guesses.begin(), guesses.end(), original.begin() + i + 1) && guesses.size() == 8);
    CHECK(std::is_sorted(chances.rbegin(), chances.rend()));
    if (i == 1) first_chance = chances[0];
  }
  CHECK(first_chance < 0.3f && chances[0] > 0.95f);
  CHECK(chances[7] > 0.7f);
  // What was expected of long matches, and does not come, lowers what is expected of the next.
  for (int again = 0; again < 6; ++again) {
    for (int i = 0; i < 20; ++i) text.push_back(original[again * 10 + i]);
    drafter.follow(text);
    text.push_back(40000 + again);
    drafter.follow(text);
  }
  for (int i = 0; i < 20; ++i) text.push_back(original[i]);
  drafter.follow(text);
  drafter.guess(text, 1, guesses, chances);
  CHECK(chances[0] < 0.97f);
}

TEST(of_equal_matches_the_nearest_is_taken_where_there_is_a_place) {
  // 1 2 comes at 0, 10, 20 and 30, each with another token behind it.
  std::vector<int32_t> text;
  for (int32_t i = 0; i < 4; ++i) {
    for (const int32_t token : {1, 2, 50 + i, 60 + i, 70 + i, 80 + i, 90 + i, 100 + i, 110 + i, 120 + i}) {
      text.push_back(token);
    }
  }
  text.push_back(1);
  text.push_back(2);
  for (const auto& [near, next] : {std::pair{-1, 32}, {40, 32}, {25, 22}, {14, 12}, {0, 2}}) {
    CHECK(NgramIndex(18).extend(text, near).next == next);
  }
}

TEST(a_copy_is_taken_up_behind_a_change) {
  std::mt19937 random(6);
  std::vector<int32_t> text(150);
  for (int32_t& token : text) token = static_cast<int32_t>(random() % 30000);
  const std::vector<int32_t> original = text;
  Drafter drafter(18);
  std::vector<int32_t> guesses;
  std::vector<float> chances;
  drafter.follow(text);
  const auto add = [&](int32_t token) {
    text.push_back(token);
    drafter.follow(text);
    drafter.guess(text, 4, guesses, chances);
  };
  for (int i = 0; i < 20; ++i) add(original[i]);
  add(40000);  // for original[20]
  for (int i = 21; i < 23; ++i) add(original[i]);
  CHECK(std::equal(guesses.begin(), guesses.end(), original.begin() + 23) && guesses.size() == 4);
  const float resumed = chances[0];
  for (int i = 100; i < 102; ++i) add(original[i]);  // far away
  CHECK(guesses[0] == original[102]);
  CHECK(chances[0] < resumed);
}

TEST(a_loop_is_guessed_beyond_its_end) {
  std::vector<int32_t> text = {9, 1, 2, 3, 1, 2, 3, 1};
  Drafter drafter(18);
  std::vector<int32_t> guesses;
  std::vector<float> chances;
  drafter.follow(text);
  drafter.guess(text, 7, guesses, chances);
  CHECK((guesses == std::vector<int32_t>{2, 3, 1, 2, 3, 1, 2}));
}

TEST(the_chosen_drafts_make_the_most_tokens_in_their_time) {
  std::mt19937 random(4);
  const auto real = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
  int n_chosen = 0, n_left = 0;
  for (int round = 0; round < 300; ++round) {
    const int n_sequences = 1 + static_cast<int>(random() % 3);
    const RelativeCost cost{round % 3 == 0 ? real(0, 1) : 0, real(0.01, 0.5)};
    std::vector<std::vector<float>> chances(n_sequences);
    for (auto& each : chances) {
      float chance = 1;
      const float rate = static_cast<float>(real(0.1, 1));
      for (int n = static_cast<int>(random() % 8); n > 0; --n) each.push_back(chance *= rate);
    }
    const auto gain = [&](std::span<const int> counts) {
      double tokens = n_sequences, drafts = 0;
      for (int i = 0; i < n_sequences; ++i) {
        for (int k = 0; k < counts[i]; ++k) tokens += chances[i][k];
        drafts += counts[i];
      }
      return tokens / (drafts == 0 ? 1 : 1 + cost.fixed + cost.per_row * drafts) / n_sequences;
    };
    // Every choice there is.
    double best = 1;
    std::vector<int> tried(n_sequences, 0);
    for (int i = 0; i < n_sequences;) {
      best = std::max(best, gain(tried));
      for (i = 0; i < n_sequences && tried[i] == static_cast<int>(chances[i].size()); ++i) tried[i] = 0;
      if (i < n_sequences) ++tried[i];
    }
    std::vector<int> counts(n_sequences, -1);
    choose_drafts(chances, cost, counts);
    const bool any = std::any_of(counts.begin(), counts.end(), [](int count) { return count > 0; });
    CHECK(any ? gain(counts) > best - 1e-3 : best < 1.05 + 1e-3);
    (any ? n_chosen : n_left) += 1;
  }
  CHECK(n_chosen > 50 && n_left > 50);
}

TEST(costs_are_learnt_from_the_times_of_steps) {
  std::mt19937 random(5);
  for (const auto& [fixed, per_row] : {std::pair{0.0, 0.3}, {0.4, 0.01}, {0.1, 0.8}}) {
    DraftCost cost;
    CHECK(cost.of(1).per_row > 0.1 && cost.of(1).per_row < 0.5);  // beforehand
    const auto noise = [&] { return std::uniform_real_distribution<double>(0.97, 1.03)(random); };
    for (int step = 0; step < 200; ++step) {
      const int n_drafts = step % 2 == 0 ? 0 : 1 + static_cast<int>(random() % 12);
      const double us = 4000 * (1 + (n_drafts > 0 ? fixed : 0) + per_row * n_drafts) * noise();
      cost.observe(1, n_drafts, step % 50 == 49 ? 50 * us : us);  // now and then something holds it up
    }
    const RelativeCost found = cost.of(1);
    const double expected = 1 + fixed + per_row * 6, seen = 1 + found.fixed + found.per_row * 6;
    CHECK(seen > 0.75 * expected && seen < 1.4 * expected);
  }
}

TEST_MAIN()
