#include "runtime/request.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "error.h"

namespace jsg {
namespace {

constexpr int kMaxTopLogprobs = 20;

void require(bool ok, const std::string& message) {
  if (!ok) throw Error("E_INVALID_REQUEST", message);
}

void check_token(int32_t token, const RequestLimits& limits, const char* field) {
  require(token >= 0 && token < limits.vocab_size, std::string(field) + " has the token id " + std::to_string(token) +
                                                       ", outside of the vocabulary of " +
                                                       std::to_string(limits.vocab_size));
}

void check_range(float value, float low, float high, const char* field) {
  // Written so that NaN fails.
  require(value >= low && value <= high, std::string(field) + " is " + std::to_string(value) + ", outside of " +
                                             std::to_string(low) + " to " + std::to_string(high));
}

void check_sampling(const SamplingParams& sampling, const RequestLimits& limits) {
  check_range(sampling.temperature, 0, 1e6f, "temperature");
  check_range(sampling.top_p, 0, 1, "topP");
  check_range(sampling.min_p, 0, 1, "minP");
  check_range(sampling.repetition_penalty, 1e-6f, 1e6f, "repetitionPenalty");
  check_range(sampling.frequency_penalty, -1e6f, 1e6f, "frequencyPenalty");
  check_range(sampling.presence_penalty, -1e6f, 1e6f, "presencePenalty");
  require(sampling.top_k >= 0, "topK is negative");
  require(sampling.top_logprobs >= -1 && sampling.top_logprobs <= kMaxTopLogprobs,
          "topLogprobs is " + std::to_string(sampling.top_logprobs) + ", outside of -1 to " +
              std::to_string(kMaxTopLogprobs));
  for (const LogitBias& bias : sampling.logit_bias) {
    check_token(bias.token, limits, "logitBias");
    check_range(bias.value, -1e6f, 1e6f, "a value of logitBias");
  }
}

}  // namespace

void check_request(const Request& request, const RequestLimits& limits) {
  require(!request.prompt_ids.empty(), "the prompt is empty");
  require(request.max_new_tokens >= 0, "maxNewTokens is negative");
  require(request.min_new_tokens >= 0, "minNewTokens is negative");
  for (const int32_t token : request.prompt_ids) check_token(token, limits, "the prompt");

  const int64_t n_prompt = static_cast<int64_t>(request.prompt_ids.size());
  const int64_t n_total = n_prompt + request.max_new_tokens;
  const std::string sum = std::to_string(n_prompt) + " prompt tokens and " + std::to_string(request.max_new_tokens) +
                          " new ones make " + std::to_string(n_total);
  require(n_total <= limits.context_length,
          sum + ", more than the context length of " + std::to_string(limits.context_length));
  require(n_total <= limits.pool_tokens,
          sum + ", more than the KV cache of " + std::to_string(limits.pool_tokens) + " tokens");
  check_sampling(request.sampling, limits);
}

}  // namespace jsg
