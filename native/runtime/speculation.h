// Prompt lookup: answers that repeat what was said before are guessed at, and a step checks several tokens at once.
//
// A draft is a token as the sequence would have sampled it, or it is dropped: its row is sampled like any other, with
// the random number and the penalties of its place, and the rows behind it count only while what was sampled is what
// was guessed. So the answer is the same with drafts as without. How many are computed depends on how likely they are
// right (Drafter) and what they cost beside the batch that is running (DraftCost): often none, and then a step is what
// it would have been.
#pragma once
#include <span>
#include <vector>

#include "runtime/draft_cost.h"
#include "runtime/sequence.h"

namespace jsg {

struct SpeculationOptions {
  int max_drafts = 0;  // of a sequence in one step; 0: no speculation
  int max_match = 18;  // tokens that are compared to find where a text goes on
};

class Speculation {
 public:
  // Where the model samples, rows are told how to before any token of the step is known: no drafts under penalties.
  Speculation(const SpeculationOptions& options, bool model_samples);

  bool is_on() const { return options_.max_drafts > 0; }
  // Gives those of `running` that decode the drafts that are worth it. No token is in flight.
  void draft(std::span<Sequence* const> running);
  // Whether there would be drafts if the tokens in flight were known and are what is expected: better wait for them.
  bool is_worth_waiting(std::span<Sequence* const> running);
  // A step in which nothing but decoding went on took `us`.
  void observe(int n_sequences, int n_drafts, double us) { cost_.observe(n_sequences, n_drafts, us); }

 private:
  bool choose(std::span<Sequence* const> running);
  bool can_draft(const Sequence& sequence) const;

  const SpeculationOptions options_;
  const bool model_samples_;
  DraftCost cost_;
  // Of the sequences that decode.
  std::vector<std::vector<int32_t>> guesses_;
  std::vector<std::vector<float>> chances_;
  std::vector<int> counts_;
};

}  // namespace jsg
