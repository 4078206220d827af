// The part of the pipeline in which a step's rows become tokens of answers: sampled, drafted, or named by a grammar.
#include <algorithm>
#include <bit>
#include <limits>

#include "error.h"
#include "runtime/pipeline.h"
#include "runtime/row_sampling.h"

namespace jsg {
namespace {

// Forced tokens that are worth a step with more than one row, and most of one step.
constexpr size_t kLeastForced = 2;
constexpr int kMaxForced = 64;

// Whether `mask` has a token that is not among `tokens`.
bool allows_others(std::span<const uint32_t> mask, std::span<const int32_t> tokens) {
  int64_t n_allowed = 0;
  for (const uint32_t word : mask) n_allowed += std::popcount(word);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int32_t token = tokens[i];
    const auto before = tokens.first(i);
    const bool is_new = std::find(before.begin(), before.end(), token) == before.end();
    if (token < 0 || static_cast<size_t>(token) / 32 >= mask.size() || !is_new) continue;
    n_allowed -= mask[token / 32] >> (token % 32) & 1;
  }
  return n_allowed > 0;
}

}  // namespace

// Tells the step launched last how to sample, where it waits for that: every token before is known by now.
void Pipeline::sample_newest(StepEvents& events) {
  Step& step = this->step(n_in_flight_ - 1);
  if (!step.samples_later) return;
  step.samples_later = false;
  const size_t n_words = mask_words(model_->vocab_size());
  masks_.resize(step.items.size() * n_words);
  rows_.clear();
  size_t n_masks = 0;
  for (StepItem& item : step.items) {
    const size_t first = rows_.size();
    rows_.resize(first + item.n_logit_rows);
    // Of one that has ended, or whose token is known already, any token will do.
    if (item.n_logit_rows == 0 || item.sequence == nullptr || !item.picks) continue;
    for (int i = 0; i <= item.n_drafts; ++i) rows_[first + i] = row_sampling(*item.sequence, i);
    // Drafts are of sequences without a grammar.
    const std::span mask = std::span(masks_).subspan(n_masks++ * n_words, n_words);
    if (!constrain(*item.sequence, mask, rows_[first], events)) rows_[first] = {};
  }
  model_->sample(rows_);
}

// The tokens that logit rows from `row` on pick: the next one, and as long as those before it are as guessed, one more
// for each draft. The KV of a draft that was right is there already.
void Pipeline::pick_tokens(const StepItem& item, Step& step, const StepOutput& output, int row, StepEvents& events) {
  Sequence& sequence = *item.sequence;
  int n_right = 0, n_checked = item.decodes ? 1 + item.n_drafts : 0;
  while (pick_token(sequence, step, output, row + n_right, n_checked, events)) {
    if (n_right == item.n_drafts || sequence.tokens().back() != sequence.drafts()[n_right]) {
      sequence.drafts().clear();
      break;
    }
    sequence.advance(1);
    ++n_right;
    n_checked = 0;
  }
  step.stats.n_accepted += n_right;
}

// The token that logit row `row` of the step picks. False where the sequence has come to its end.
bool Pipeline::pick_token(Sequence& sequence, const Step& step, const StepOutput& output, int row, int n_checked,
                          StepEvents& events) {
  if (!step.samples_on_host) {
    const SampledToken sampled = output.sampled[row];
    if (sampled.token < 0 || sampled.token >= model_->vocab_size()) {
      throw Error("E_RUNTIME_FAILED", "the model produced NaN");
    }
    return append_token(sequence, sampled, n_checked, events);
  }
  // All tokens before this one are known by now.
  RowSampling sampling = row_sampling(sequence, 0);
  masks_.resize(mask_words(model_->vocab_size()));
  if (!constrain(sequence, masks_, sampling, events)) return false;
  return append_token(sequence, sampler_.sample(logits_of(output.logits, row), sampling), n_checked, events);
}

// Lets `row` pick what the sequence's grammar allows. False, and the sequence has ended, where that is nothing.
bool Pipeline::constrain(Sequence& sequence, std::span<uint32_t> mask, RowSampling& row, StepEvents& events) {
  TokenMatcher* const matcher = sequence.matcher();
  if (matcher == nullptr) return true;
  try {
    const Allowed allowed = matcher->fill(mask);
    if (allowed == Allowed::kAll) return true;
    if (allowed == Allowed::kSome) {
      row.allowed = mask;
      // An answer that is too short to stop, and whose grammar allows nothing else, stops.
      if (!row.masked.empty() && !allows_others(mask, row.masked)) row.masked = {};
      return true;
    }
  } catch (const Error& error) {
    if (error.code() != "E_GRAMMAR_LIMIT") throw;
  }
  end(sequence.id(), FinishReason::kGrammar, events);
  return false;
}

// The next token of the answer, and those that its grammar says follow. False where the sequence has come to its end.
bool Pipeline::append_token(Sequence& sequence, const SampledToken& sampled, int n_checked, StepEvents& events) {
  if (add_token(sequence, sampled, n_checked, events) != FinishReason::kNone) return false;
  return sequence.matcher() == nullptr || follow_grammar(sequence, events);
}

// The next token of the answer; the sequence is gone where it is the last.
FinishReason Pipeline::add_token(Sequence& sequence, const SampledToken& sampled, int n_checked, StepEvents& events) {
  sequence.append_token(sampled.token);
  TokenMatcher* const matcher = sequence.matcher();
  FinishReason reason = FinishReason::kNone;
  try {
    const bool follows = matcher == nullptr || matcher->accept(sampled.token);
    const bool stops = sequence.is_stop_id(sampled.token) || (matcher != nullptr && matcher->is_done());
    if (stops) {
      reason = FinishReason::kStop;
    } else if (!follows) {
      reason = FinishReason::kGrammar;
    } else if (sequence.is_complete()) {
      reason = FinishReason::kLength;
    }
  } catch (const Error& error) {
    if (error.code() != "E_GRAMMAR_LIMIT") throw;
    reason = FinishReason::kGrammar;
  }
  events.add(sequence.id(), sampled, reason, false, n_checked);
  if (reason != FinishReason::kNone) remove(sequence.id());
  return reason;
}

// Adds the tokens that the grammar says are next, and those that complete an answer which would be cut short. Nobody
// computes their log-probabilities, so not where those are wanted. False where the sequence has come to its end.
bool Pipeline::follow_grammar(Sequence& sequence, StepEvents& events) {
  if (sequence.sampling().top_logprobs >= 0) return true;
  const int n_known = static_cast<int>(sequence.tokens().size()) - sequence.n_prompt();
  const int n_left = sequence.request().max_new_tokens - n_known;
  bool ends = false;
  try {
    ends = sequence.matcher()->must_end(n_left, forced_);
    if (!ends) sequence.matcher()->find_forced(std::min(n_left, kMaxForced), forced_);
  } catch (const Error& error) {
    if (error.code() != "E_GRAMMAR_LIMIT") throw;
    end(sequence.id(), FinishReason::kGrammar, events);
    return false;
  }
  if (!ends && forced_.size() < kLeastForced) return true;
  // The step in flight picks what is known now, or is not wanted.
  if (StepItem* const item = item_in_flight(sequence)) item->picks = false;
  const uint32_t id = sequence.id();
  for (const int32_t token : forced_) {
    const SampledToken known{token, std::numeric_limits<float>::quiet_NaN(), {}};
    if (add_token(sequence, known, 0, events) != FinishReason::kNone) return false;
  }
  if (ends) end(id, FinishReason::kLength, events);
  return !ends;
}

}  // namespace jsg
