// What the runtime drives: one forward step over a batch, token ids in, logits out.
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

struct Batch {
  std::vector<int32_t> token_ids;     // (n_rows)
  std::vector<int32_t> positions;     // (n_rows)
  std::vector<SequenceSlice> slices;  // cover the rows in order, without gaps
  std::vector<int32_t> logit_rows;    // rows whose logits are wanted, ascending
  bool greedy = false;                // of each logit row only the likeliest token is wanted
};

class Model {
 public:
  virtual ~Model() = default;
  virtual int vocab_size() const = 0;
  // Runs the batch and appends its K and V to the cache. Returns (logit_rows.size(), vocab_size) fp32 on the host,
  // valid until the next call. Called from one thread. At most the `max_rows` the model was built for.
  // Empty when the batch is greedy and the backend has picked the tokens itself: see greedy_tokens().
  virtual std::span<float> forward(const Batch& batch) = 0;
  // After a forward() that returned no logits: the likeliest token of each logit row, the lowest id among equals; -1
  // where logits were NaN. Valid until the next forward().
  virtual std::span<const int32_t> greedy_tokens() const { return {}; }
};

}  // namespace jsg
