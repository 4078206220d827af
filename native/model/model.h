// What the runtime drives: steps over a batch, token ids in; logits, or the tokens sampled from them, out.
//
// A step is launched, and later waited for. A model that runs elsewhere than on the calling thread lets more than one
// step be in flight, so that the next is launched before the last one's tokens are known to the host: a batch may name
// such a token by the logit row it comes from.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace jsg {

// Tokens of KV in one block: the unit of the block pool and of every backend's paged KV cache.
inline constexpr int kBlockSize = 16;

// Consecutive rows of a batch that belong to one sequence: one row in decode, a chunk of the prompt in prefill.
struct SequenceSlice {
  int first_row;
  int n_rows;
  int context_len;             // tokens of the sequence after this step, these rows included
  const int32_t* block_table;  // (ceil(context_len / kBlockSize)) block ids
};

// Below this a draw is greedy, as in SGLang; 1 / temperature would overflow.
inline constexpr float kMinTemperature = 1e-5f;
// Finite, so that a vocabulary of nothing but masked tokens still has a best one.
inline constexpr float kMaskedLogit = -1e30f;

struct LogitBias {
  int32_t token;
  float value;
};
struct SeenToken {
  int32_t token;
  int32_t n_generated;  // 0: seen in the prompt alone
};
struct TopLogprob {
  int32_t token;
  float logprob;
};

// How the token after one logit row is sampled; runtime/sampler.h defines the order of the operations.
struct RowSampling {
  float temperature = 0;  // below kMinTemperature: the likeliest token
  int top_k = 0;          // 0: off
  float top_p = 1;
  float min_p = 0;
  double u = 0;  // in [0, 1): which token of the distribution
  float repetition_penalty = 1;
  float frequency_penalty = 0;
  float presence_penalty = 0;
  int top_logprobs = -1;                  // -1: none; 0: the sampled token's; n: and the n likeliest beside it
  std::span<const SeenToken> seen;        // of prompt and answer, ascending; empty unless there is a penalty
  int unseen_row = -1;                    // logit row of the step before whose (generated) token `seen` lacks; -1: none
  std::span<const LogitBias> logit_bias;  // tokens may repeat
  std::span<const int32_t> masked;        // never sampled: stop ids while the answer is too short
  // (ceil(vocab_size / 32)): only tokens whose bit (i % 32 of word i / 32) is set are sampled; empty: any token
  std::span<const uint32_t> allowed;

  // The likeliest token of the logits as they are, and nothing else.
  bool is_plain_greedy() const {
    return temperature < kMinTemperature && top_logprobs < 0 && seen.empty() && unseen_row < 0 && logit_bias.empty() &&
           masked.empty() && allowed.empty();
  }
};

struct SampledToken {
  int32_t token;
  float logprob;                    // of the model itself, before all adjustments; NaN unless asked for
  std::span<const TopLogprob> top;  // likeliest first
};

// In Batch::token_ids: the token sampled for logit row `row` of the step launched before.
constexpr int32_t sampled_before(int row) { return -1 - row; }

// Spans are read by launch() and not kept.
struct Batch {
  std::vector<int32_t> token_ids;     // (n_rows), each an id or sampled_before()
  std::vector<int32_t> positions;     // (n_rows)
  std::vector<SequenceSlice> slices;  // cover the rows in order, without gaps
  std::vector<int32_t> logit_rows;    // rows whose logits are wanted, ascending
  std::vector<RowSampling> sampling;  // (logit_rows), or empty: the logits themselves are wanted
  bool samples_later = false;         // tokens are wanted, and how they are sampled comes by Model::sample()
};

struct StepOutput {
  std::span<float> logits;                // (logit_rows, vocab_size) fp32 on the host; of a batch without sampling
  std::span<const SampledToken> sampled;  // (logit_rows), of a batch with sampling; token -1 where logits were NaN
  bool graph = false;                     // a recorded graph was replayed
};

class Model {
 public:
  virtual ~Model() = default;
  virtual int vocab_size() const = 0;
  // Steps that may be launched and not yet waited for. 1: launch() does the work.
  virtual int max_in_flight() const { return 1; }
  // Whether batches may ask for sampling, with up to so many top_logprobs; -1: they may not.
  virtual int max_top_logprobs() const { return -1; }

  // All of the following from one thread. A model that threw is not to be used again.

  // Starts the batch, which appends its K and V to the cache. At most the `max_rows` the model was built for.
  virtual void launch(const Batch& batch) = 0;
  // How the rows (logit_rows of its batch) of the step launched last are sampled, where the batch says samples_later:
  // before the next launch, and before that step is waited for. So what a grammar allows is found while the model
  // computes.
  virtual void sample(std::span<const RowSampling>) {}
  // The result of the oldest step in flight, valid until the next wait().
  virtual StepOutput wait() = 0;

  // The KV of a block, all layers, as bytes that mean something to a model of the same weights, type of KV and backend
  // alone. While no step is in flight.
  virtual size_t block_bytes() const { return 0; }
  virtual void read_block(int32_t, uint8_t*) {}
  virtual void write_block(int32_t, const uint8_t*) {}

  StepOutput run(const Batch& batch) {
    launch(batch);
    return wait();
  }
};

}  // namespace jsg
