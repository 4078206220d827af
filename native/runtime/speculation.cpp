#include "runtime/speculation.h"

#include <algorithm>
#include <memory>

namespace jsg {

Speculation::Speculation(const SpeculationOptions& options, bool model_samples)
    : options_(options), model_samples_(model_samples) {}

void Speculation::draft(std::span<Sequence* const> running) {
  if (!is_on()) return;
  const bool any = choose(running);
  size_t i = 0;
  for (Sequence* sequence : running) {
    if (!sequence->is_decoding()) continue;
    sequence->drafts().clear();
    if (any) sequence->drafts().assign(guesses_[i].begin(), guesses_[i].begin() + counts_[i]);
    ++i;
  }
}

bool Speculation::is_worth_waiting(std::span<Sequence* const> running) { return is_on() && choose(running); }

// Guesses at the sequences that decode, and chooses among the guesses. Guesses at tokens in flight come first, and are
// not computed: what is behind them is as likely as they and it together.
bool Speculation::choose(std::span<Sequence* const> running) {
  size_t n = 0;
  for (Sequence* sequence : running) {
    if (!sequence->is_decoding()) continue;
    if (n == guesses_.size()) {
      guesses_.emplace_back();
      chances_.emplace_back();
    }
    std::vector<int32_t>& guesses = guesses_[n];
    std::vector<float>& chances = chances_[n++];
    guesses.clear();
    chances.clear();
    // The last row picks a token, too.
    const int most = std::min(options_.max_drafts, sequence->n_remaining() - 1), n_ahead = sequence->n_in_flight();
    if (!can_draft(*sequence) || most < 1) continue;
    if (!sequence->drafter()) sequence->drafter() = std::make_unique<Drafter>(options_.max_match);
    sequence->drafter()->follow(sequence->tokens());
    sequence->drafter()->guess(sequence->tokens(), n_ahead + most, guesses, chances);
    const int n_skipped = std::min(n_ahead, static_cast<int>(chances.size()));
    chances.erase(chances.begin(), chances.begin() + n_skipped);
  }
  counts_.assign(n, 0);
  if (n == 0) return false;
  choose_drafts(std::span(chances_).first(n), cost_.of(static_cast<int>(n)), counts_);
  return std::any_of(counts_.begin(), counts_.end(), [](int count) { return count > 0; });
}

bool Speculation::can_draft(const Sequence& sequence) const {
  // A grammar forces most of what could be guessed, and guesses it better.
  if (sequence.matcher() != nullptr) return false;
  return !model_samples_ || !sequence.sampling().has_penalties();
}

}  // namespace jsg
