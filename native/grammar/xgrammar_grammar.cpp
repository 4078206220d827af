#include "grammar/xgrammar_grammar.h"

#include <algorithm>
#include <utility>

#include "error.h"
#include "grammar/json_ending.h"

namespace jsg {
namespace {

// Forced texts below this many bytes are not worth a step with more than one row.
constexpr size_t kLeastForced = 2;
// A token at the end of a forced text may become another one with what follows; more than the last few are not tried.
constexpr size_t kMaxHealed = 4;
// Tokens that an ending may have, and by how many one more token of the answer may make it longer.
constexpr int kLongestEnding = 512;
constexpr int kEndingGrowth = 8;
// What closes brackets is short.
constexpr size_t kEndingBytesPerToken = 4;
// Looking for an ending takes two to three allocations a byte; where the schema counts far it takes ever more of them.
// So many are about half a millisecond.
constexpr int64_t kEndingAllocations = 4096;

// Processor time that an answer may take of the engine thread: so much, and so much more with each token. Other answers
// wait for it.
constexpr int64_t kAllowanceNs = 500'000'000;
constexpr int64_t kAllowancePerTokenNs = 5'000'000;

// What a library call throws, as an error of this project.
template <typename F>
auto within(const BudgetLimits& limits, F&& call) -> decltype(call()) {
  try {
    const Budget budget(limits);
    return call();
  } catch (const BudgetExceeded& exceeded) {
    throw Error("E_GRAMMAR_LIMIT", std::string("following the grammar ") + exceeded.what() + " for one token");
  } catch (const std::exception& error) {
    throw Error("E_GRAMMAR_LIMIT", std::string("following the grammar failed: ") + error.what());
  }
}

}  // namespace

Allowed fill_mask(xgrammar::GrammarMatcher& matcher, std::span<uint32_t> mask) {
  int64_t shape = static_cast<int64_t>(mask.size());
  DLTensor tensor{};
  tensor.data = mask.data();
  tensor.device = {kDLCPU, 0};
  tensor.ndim = 1;
  tensor.dtype = xgrammar::GetBitmaskDLType();
  tensor.shape = &shape;
  if (!matcher.FillNextTokenBitmask(&tensor)) return Allowed::kAll;
  return std::any_of(mask.begin(), mask.end(), [](uint32_t word) { return word != 0; }) ? Allowed::kSome
                                                                                        : Allowed::kNone;
}

namespace {

class XgrammarMatcher final : public TokenMatcher {
 public:
  XgrammarMatcher(xgrammar::GrammarMatcher matcher, std::shared_ptr<const Vocabulary> vocabulary, BudgetLimits limits,
                  bool is_json)
      : matcher_(std::move(matcher)),
        vocabulary_(std::move(vocabulary)),
        limits_(limits),
        ending_below_(is_json ? kLongestEnding : 0) {}

  Allowed fill(std::span<uint32_t> mask) override {
    if (matcher_.IsTerminated()) return Allowed::kNone;
    return spend([&] { return fill_mask(matcher_, mask); });
  }

  bool accept(int32_t token) override {
    if (matcher_.IsTerminated()) return false;
    allowance_ns_ += kAllowancePerTokenNs;
    return spend([&] { return matcher_.AcceptToken(token); });
  }

  bool must_end(int n_left, std::vector<int32_t>& tokens) override {
    tokens.clear();
    if (n_left > ending_below_ || matcher_.IsTerminated()) return false;
    return spend([&] { return spell_ending(n_left, tokens); });
  }

  bool is_done() const override { return matcher_.IsTerminated(); }

  void find_forced(int max, std::vector<int32_t>& tokens) override {
    tokens.clear();
    if (max < 1 || matcher_.IsTerminated()) return;
    spend([&] { return spell_forced(max, tokens); });
  }

 private:
  template <typename F>
  auto spend(F&& call) -> decltype(call()) {
    const int64_t before = thread_cpu_ns();
    const auto result = within(limits_, std::forward<F>(call));
    allowance_ns_ -= thread_cpu_ns() - before;
    if (allowance_ns_ >= 0) return result;
    throw Error("E_GRAMMAR_LIMIT", "following the grammar takes too long");
  }

  bool spell_forced(int max, std::vector<int32_t>& tokens) {
    const std::string text = matcher_.FindJumpForwardString();
    if (text.size() < kLeastForced) return false;
    tokens = vocabulary_->encode(text);
    const size_t n_sure = std::min(count_sure(tokens), static_cast<size_t>(max));
    tokens.resize(n_sure);
    return true;
  }

  bool spell_ending(int n_left, std::vector<int32_t>& tokens) {
    const size_t max_bytes = static_cast<size_t>(n_left) * kEndingBytesPerToken;
    const Ending ending = find_json_ending(matcher_, max_bytes, kEndingAllocations, ending_);
    if (ending != Ending::kFound) {
      ending_below_ = n_left - n_until_retry(ending, n_left);
      return false;
    }
    // Complete as it is: the token that says so has precedence over a cut, where there is room for it.
    if (ending_.empty() && n_left > 1) return false;
    tokens = vocabulary_->encode(ending_);
    const int n_ending = static_cast<int>(tokens.size());
    const int n_spare = n_left - n_ending - kEndingGrowth;
    if (n_spare <= 0 && n_ending <= n_left && (n_ending > 0 || ending_.empty())) return true;
    // Each token may take one of what is spare, and make the ending longer.
    ending_below_ = n_left - std::max(n_spare / (1 + kEndingGrowth), 1);
    return false;
  }

  // Tokens of the answer until an ending that was not found with `n_left` of them is looked for again.
  int n_until_retry(Ending ending, int n_left) {
    switch (ending) {
      case Ending::kTooHard:
        return std::max(n_left / 2, 1);
      case Ending::kTooLong:
        return std::max(n_left / 8, 1);
      default:  // perhaps after the next one, and less and less often
        return 1 << std::min(n_stuck_++, 10);
    }
  }

  // How many of the tokens of a forced text the tokenizer would spell so whatever follows the text: up to the first of
  // the last few that some longer token might take the place of, reaching beyond the end. The matcher returns to where
  // it was.
  size_t count_sure(const std::vector<int32_t>& tokens) {
    size_t n_accepted = 0;
    while (n_accepted < tokens.size() && matcher_.AcceptToken(tokens[n_accepted])) ++n_accepted;
    size_t n_sure = n_accepted;
    // Cut short in the middle of the text (a token that the grammar's text has another boundary for): all of it is
    // free.
    if (n_accepted < tokens.size()) n_sure = 0;
    std::string rest;
    mask_.resize(mask_words(vocabulary_->spec().vocab_size));
    size_t n_left = n_accepted;
    for (size_t tried = 0; n_left > 0 && n_sure > 0 && tried < kMaxHealed; ++tried) {
      matcher_.Rollback(1);
      --n_left;
      rest.insert(0, vocabulary_->bytes(tokens[n_left]));
      if (is_extended(rest)) n_sure = n_left;
    }
    if (n_left > 0) matcher_.Rollback(static_cast<int>(n_left));
    return n_sure;
  }

  // Whether a token that is longer than `text` and begins with it may come next.
  bool is_extended(std::string_view text) {
    const auto longer = vocabulary_->extensions(text);
    if (longer.empty()) return false;
    const Allowed allowed = fill_mask(matcher_, mask_);
    if (allowed != Allowed::kSome) return allowed == Allowed::kAll;
    return std::any_of(longer.begin(), longer.end(),
                       [&](int32_t token) { return mask_[token / 32] >> (token % 32) & 1; });
  }

  xgrammar::GrammarMatcher matcher_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  BudgetLimits limits_;
  int ending_below_;  // with so many tokens left, endings are looked for
  int n_stuck_ = 0;
  std::string ending_;
  int64_t allowance_ns_ = kAllowanceNs;
  std::vector<uint32_t> mask_;
};

}  // namespace

std::unique_ptr<TokenMatcher> XgrammarGrammar::start() const {
  return within(per_step_, [&] {
    return std::make_unique<XgrammarMatcher>(xgrammar::GrammarMatcher(compiled_), vocabulary_, per_step_, is_json_);
  });
}

}  // namespace jsg
