#include "runtime/drafter.h"

#include <algorithm>
#include <cstdlib>

namespace jsg {
namespace {

constexpr float kLearningRate = 1.0f / 8;
constexpr int kLeastCopy = 4;  // tokens
constexpr int kNear = 32;      // tokens that may be changed or left out

}  // namespace

// 2, 3, 4 to 5, 6 to 8, 9 to 12, longer.
int Drafter::class_of(int length) {
  constexpr int kLasts[kClasses - 1] = {2, 3, 5, 8, 12};
  return static_cast<int>(std::lower_bound(std::begin(kLasts), std::end(kLasts), length) - std::begin(kLasts));
}

void Drafter::follow(std::span<const int32_t> tokens) {
  const int n_tokens = static_cast<int>(tokens.size());
  // Nothing was expected of a prompt.
  if (n_followed_ == 0) n_followed_ = std::max(n_tokens - 1, 0);
  for (; n_followed_ < n_tokens; ++n_followed_) {
    const bool expected = match_.length > 0;
    const bool is_right = expected && tokens[match_.next] == tokens[n_followed_];
    if (expected) {
      float& rate = (resumes_ ? resumed_rates_ : rates_)[class_of(match_.length)];
      rate += kLearningRate * (static_cast<float>(is_right) - rate);
    }
    if (expected && !is_right && match_.length >= kLeastCopy) left_at_ = match_.next + 1;
    const NgramIndex::Match found = index_.extend(tokens.first(n_followed_ + 1), left_at_);
    // A copy is followed on where it is, not jumped out of for another place that looks as good.
    if (is_right) {
      match_ = {match_.next + 1, match_.length + 1};
    } else {
      match_ = found;
      resumes_ = left_at_ >= 0 && std::abs(found.next - left_at_) <= kNear;
    }
  }
}

void Drafter::guess(std::span<const int32_t> tokens, int max, std::vector<int32_t>& guesses,
                    std::vector<float>& chances) const {
  guesses.clear();
  chances.clear();
  if (match_.length == 0) return;
  const int n_tokens = static_cast<int>(tokens.size());
  const Rates& rates = resumes_ ? resumed_rates_ : rates_;
  float chance = 1;
  for (int i = 0; i < max; ++i) {
    const int source = match_.next + i;
    // Beyond the end the guesses repeat themselves, as a loop does.
    guesses.push_back(source < n_tokens ? tokens[source] : guesses[source - n_tokens]);
    chances.push_back(chance *= rates[class_of(match_.length + i)]);
  }
}

}  // namespace jsg
