// What a caller asks of the runtime. Mirrors NativeRequest and NativeSampling of src/addon/binding.ts.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "model/model.h"
#include "runtime/token_matcher.h"

namespace jsg {

struct SamplingParams {
  float temperature = 0;  // 0: greedy
  int top_k = 0;          // 0: off
  float top_p = 1;
  float min_p = 0;
  uint64_t seed = 0;
  float repetition_penalty = 1;
  float frequency_penalty = 0;
  float presence_penalty = 0;
  std::vector<LogitBias> logit_bias;
  int top_logprobs = -1;  // -1: none; 0: the chosen token's; n: and the n likeliest tokens beside it

  bool has_penalties() const { return repetition_penalty != 1 || frequency_penalty != 0 || presence_penalty != 0; }
};

struct Request {
  uint32_t id = 0;
  std::vector<int32_t> prompt_ids;
  int max_new_tokens = 0;
  int min_new_tokens = 0;
  std::vector<int32_t> stop_ids;
  SamplingParams sampling;
  bool prompt_logprobs = false;
  std::shared_ptr<const Grammar> grammar;  // that the answer follows, or null
  int priority = 0;                        // the higher ones go first
  uint64_t cache_salt = 0;                 // only requests of the same salt share KV; below 2^53
};

// What a runtime accepts.
struct RequestLimits {
  int vocab_size;
  int context_length;  // prompt and answer of one sequence
  int pool_tokens;     // capacity of the KV pool
};
// Throws E_INVALID_REQUEST naming the field, the value and the bound.
void check_request(const Request& request, const RequestLimits& limits);

}  // namespace jsg
