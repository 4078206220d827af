// Guesses how a sequence goes on from where its last tokens have come before, and how likely each guess is right. The
// likelihood is counted for each length of a match, apart for those that take up a copy near where it was left (as an
// answer does that repeats a text with changes): every token that comes is held against the one that was expected,
// whether or not a step had computed it, so that finding out costs no row.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/ngram_index.h"

namespace jsg {

class Drafter {
 public:
  explicit Drafter(int max_match) : index_(max_match) {}

  // Takes in the tokens that have come since the last call. At the first, the prompt and what follows it.
  void follow(std::span<const int32_t> tokens);
  // At most `max` guesses at the tokens that come next after those followed; `chances[i]`: that guess i and all before
  // it are right. Both are cleared first; the chances fall.
  void guess(std::span<const int32_t> tokens, int max, std::vector<int32_t>& guesses,
             std::vector<float>& chances) const;

 private:
  static constexpr int kClasses = 6;
  static int class_of(int length);

  NgramIndex index_;
  NgramIndex::Match match_;
  bool resumes_ = false;  // match_ is near left_at_
  int left_at_ = -1;      // where the last copy of some length would have gone on
  int n_followed_ = 0;
  using Rates = std::array<float, kClasses>;  // by class of length: what share of the guesses is right
  // At first those of a text that repeats itself now and then; and where copies are resumed.
  Rates rates_ = {0.2f, 0.3f, 0.4f, 0.55f, 0.65f, 0.75f}, resumed_rates_ = {0.5f, 0.6f, 0.7f, 0.75f, 0.8f, 0.85f};
};

}  // namespace jsg
