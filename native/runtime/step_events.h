// What one step did. Mirrors StepEvents, StepStats and RuntimeStats of src/addon/binding.ts.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/model.h"

namespace jsg {

// kGrammar: its grammar cannot be followed any further, within limits or at all.
enum class FinishReason : uint8_t { kNone, kStop, kLength, kAbort, kError, kGrammar };

struct TokenEvent {
  uint32_t id;
  int32_t token;  // -1: the request ends without a further token
  float logprob;  // NaN where not asked for
  FinishReason finish;
  bool is_prompt;
  uint8_t n_top;  // its entries of StepEvents::top, in order
  // Of the first token that a step which goes on with an answer has for it: 1 and the drafts that the step checked.
  // Otherwise 0.
  uint8_t n_checked = 0;
};

// A request has started, with so many tokens of its prompt from the prefix cache.
struct Start {
  uint32_t id;
  int32_t n_cached;
};

struct StepStats {
  int prefill_seqs = 0;
  int prefill_tokens = 0;
  int cached_tokens = 0;
  int decode_seqs = 0;
  int n_drafts = 0;  // computed beside the tokens that were known, and how many of them were right
  int n_accepted = 0;
  int n_running = 0;
  int n_queued = 0;
  int used_tokens = 0;
  int total_tokens = 0;
  int n_retracted = 0;
  double elapsed_us = 0;  // from its launch, or from the result of the step in front of it, to its result
  bool graph = false;     // the model replayed a recorded graph
};

struct RuntimeFailure {
  std::string code;
  std::string message;
};

struct StepEvents {
  void add(uint32_t id, const SampledToken& sampled, FinishReason finish, bool is_prompt, int n_checked = 0);
  // The request ends without a further token.
  void add_end(uint32_t id, FinishReason finish);

  std::vector<TokenEvent> tokens;
  std::vector<TopLogprob> top;
  std::vector<Start> starts;
  StepStats stats;
  std::optional<RuntimeFailure> error;
};

struct RuntimeStats {
  int n_running = 0;
  int n_queued = 0;
  int used_tokens = 0;
  int total_tokens = 0;
  int evictable_tokens = 0;
  int64_t queued_tokens = 0;  // of the prompts that wait
  int leaked_blocks = 0;
  uint64_t steps = 0;
};

}  // namespace jsg
