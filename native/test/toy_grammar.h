// A grammar over token ids, for tests of the runtime: what may come next depends on the place in the answer alone.
#pragma once
#include <algorithm>
#include <memory>
#include <vector>

#include "error.h"
#include "runtime/token_matcher.h"

namespace jsg::test {

struct ToyRules {
  int vocab_size;
  int n_tokens;       // the answer is complete with the last of so many
  int dead_at = -1;   // here nothing may come next
  int limit_at = -1;  // here following it takes too long
  bool ends_in_time = false;

  // Places 2, 3 and 4 of each seven have one possible token, every fourth other place any, the rest a third of all.
  bool is_forced(int place) const { return place % 7 >= 2 && place % 7 <= 4; }
  bool is_free(int place) const { return !is_forced(place) && place % 4 == 0; }
  int32_t forced(int place) const { return (place * 31 + 5) % vocab_size; }
  bool allows(int place, int32_t token) const {
    return is_forced(place) ? token == forced(place) : is_free(place) || token % 3 == place % 3;
  }
};

class ToyMatcher final : public TokenMatcher {
 public:
  explicit ToyMatcher(const ToyRules& rules) : rules_(rules) {}

  Allowed fill(std::span<uint32_t> mask) override {
    if (place_ == rules_.limit_at) throw Error("E_GRAMMAR_LIMIT", "too slow");
    if (is_done() || place_ == rules_.dead_at) return Allowed::kNone;
    if (rules_.is_free(place_)) return Allowed::kAll;
    std::fill(mask.begin(), mask.end(), 0u);
    for (int32_t token = 0; token < rules_.vocab_size; ++token) {
      if (rules_.allows(place_, token)) mask[token / 32] |= 1u << token % 32;
    }
    return Allowed::kSome;
  }

  bool accept(int32_t token) override {
    if (is_done() || !rules_.allows(place_, token)) return false;
    ++place_;
    return true;
  }

  void find_forced(int max, std::vector<int32_t>& tokens) override {
    tokens.clear();
    for (int place = place_; rules_.is_forced(place) && place < last_place(); ++place) {
      if (static_cast<int>(tokens.size()) == max) return;
      tokens.push_back(rules_.forced(place));
    }
  }

  // Its ending is two tokens.
  bool must_end(int n_left, std::vector<int32_t>& tokens) override {
    tokens.clear();
    if (!rules_.ends_in_time || n_left != 3 || place_ + 2 >= last_place()) return false;
    for (int place = place_; place < place_ + 2; ++place) {
      int32_t token = 0;
      while (!rules_.allows(place, token)) ++token;
      tokens.push_back(token);
    }
    return true;
  }

  bool is_done() const override { return place_ >= rules_.n_tokens; }

 private:
  // Nothing is foretold from where nothing follows.
  int last_place() const {
    int last = rules_.n_tokens;
    if (rules_.dead_at >= 0) last = std::min(last, rules_.dead_at);
    if (rules_.limit_at >= 0) last = std::min(last, rules_.limit_at);
    return last;
  }

  ToyRules rules_;
  int place_ = 0;
};

class ToyGrammar final : public Grammar {
 public:
  explicit ToyGrammar(const ToyRules& rules) : rules_(rules) {}
  std::unique_ptr<TokenMatcher> start() const override { return std::make_unique<ToyMatcher>(rules_); }

 private:
  ToyRules rules_;
};

}  // namespace jsg::test
