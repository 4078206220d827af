// What a grammar is to the runtime: which tokens may come next. The runtime knows no text, and neither does this.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace jsg {

// Words of a mask over n tokens: bit i % 32 of word i / 32 is token i.
constexpr int mask_words(int n_tokens) { return (n_tokens + 31) / 32; }

enum class Allowed : uint8_t { kAll, kSome, kNone };

// Follows one answer. Of the engine thread alone.
class TokenMatcher {
 public:
  virtual ~TokenMatcher() = default;

  // Each of the four throws E_GRAMMAR_LIMIT when the grammar takes more time or memory than it may; the matcher is then
  // not to be used again.

  // Writes (mask_words(vocab_size)) words of tokens that may come next, but nothing for kAll.
  virtual Allowed fill(std::span<uint32_t> mask) = 0;
  // The next token; false when it may not come.
  virtual bool accept(int32_t token) = 0;
  // At most `max` tokens that are sure to come next, as the tokenizer would spell them; `tokens` is cleared first. The
  // matcher stays where it is.
  virtual void find_forced(int max, std::vector<int32_t>& tokens) = 0;

  // Whether the answer, to be complete within `n_left` tokens, has to be brought to its end now; `tokens` are those
  // that do so. False too where that is not known, or not possible. The matcher stays where it is.
  virtual bool must_end(int n_left, std::vector<int32_t>& tokens) = 0;

  // The answer is complete, and nothing may follow.
  virtual bool is_done() const = 0;
};

// A compiled grammar, shared by all answers that follow it. Any thread.
class Grammar {
 public:
  virtual ~Grammar() = default;
  virtual std::unique_ptr<TokenMatcher> start() const = 0;
};

}  // namespace jsg
