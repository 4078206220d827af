// The operations a decoder is made of, each as much as one kernel can do. A backend owns weights, KV cache and
// activations in its own memory and precision: the residual stream x (n_rows, hidden), its norm h, and what the
// products hand on, named here q k v, a and m.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/config.h"
#include "model/model.h"

namespace jsg {

// The bytes of a tensor, read in parts from any thread: of a file, or made up while they are read.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Bytes [begin, begin + to.size()), both multiples of the storage block. Throws E_IO_FAILED.
  virtual void read(uint64_t begin, std::span<uint8_t> to) const = 0;
};

struct WeightView {
  WeightType type;
  int64_t rows;         // out_features (1 for vectors)
  int64_t cols;         // in_features
  const uint8_t* data;  // rows * cols elements as `type` says, no alignment promised; null: not in memory
  const ByteSource* source = nullptr;  // the same bytes; null: only `data`
  bool int8_activations = false;       // each row of x is quantised to int8 for the product (int8dq, w8a8)

  int64_t elems() const { return rows * cols; }
};

// y = W x + b, with one or more weights stacked along out_features (q, k, v; gate, up), each of its own dtype.
class Linear {
 public:
  virtual ~Linear() = default;
  int64_t in_features = 0;
  int64_t out_features = 0;
  uint64_t bytes = 0;  // read by one product with a single row
};

// A vector of parameters (norm weights), or a table of rows to look up (embeddings).
class Table {
 public:
  virtual ~Table() = default;
  int64_t rows = 0;
  int64_t cols = 0;
};

struct DecoderShape {
  int n_layers;
  int hidden;
  int intermediate;
  int n_heads;
  int n_kv_heads;
  int head_dim;
  int vocab;
  int sliding_window;     // tokens a query sees, itself included; 0: all
  bool rope_interleaved;  // pairs (2i, 2i + 1) rotate together; otherwise (i, i + head_dim / 2)
  float eps;              // of every RMS norm

  int qkv_dim() const { return (n_heads + 2 * n_kv_heads) * head_dim; }
};

class Backend {
 public:
  virtual ~Backend() = default;

  // --- memory, at load ---
  // `bias` (out_features of the stack, fp32) may be empty.
  virtual std::unique_ptr<Linear> make_linear(std::span<const WeightView> stacked, std::vector<float> bias) = 0;
  virtual std::unique_ptr<Table> make_table(const WeightView& weights) = 0;
  // Weights may still be on their way when these two return. Waits until all are there, or for `timeout`; returns how
  // many bytes (as stored) are missing. Views must stay until none is. Throws what went wrong on the way.
  virtual uint64_t await_weights(std::chrono::milliseconds) { return 0; }
  // After the last weight has arrived.
  virtual void make_kv_cache(int n_blocks) = 0;
  // Takes the memory of steps of up to so many rows now, for a backend that warm_up() does not run.
  virtual void reserve_steps(int /*max_rows*/, int /*max_logit_rows*/) {}
  virtual uint64_t kv_bytes_per_token() const = 0;
  // One block, all layers, one behind the other (kv_bytes_per_token() * kBlockSize bytes), while no step is in flight.
  virtual void read_block(int32_t block, uint8_t* to) = 0;
  virtual void write_block(int32_t block, const uint8_t* from) = 0;

  // --- one step ---
  // Announces the rows, positions and block tables that the ops below work on, until the next call.
  // `cos`, `sin`: (n_rows, head_dim / 2).
  virtual void begin_step(const Batch& batch, std::span<const float> cos, std::span<const float> sin) = 0;

  // x = table[ids]; h = rms_norm(x) * norm
  virtual void embed(const Table& table, const Table& norm) = 0;
  // q k v (n_rows, qkv_dim) = W h + b
  virtual void qkv(const Linear& weight) = 0;
  // Normalises each head of q and k where weights (head_dim) are given, rotates them, appends k and v to the cache of
  // `layer`; a (n_rows, n_heads * head_dim) = causal attention of q over that cache.
  virtual void attention(int layer, const Table* q_norm, const Table* k_norm) = 0;
  // x += W a; h = rms_norm(x) * next_norm
  virtual void output(const Linear& weight, const Table& next_norm) = 0;
  // m (n_rows, intermediate) = silu(W_gate h) * (W_up h); the stack is gate, then up
  virtual void gate_up(const Linear& weight) = 0;
  // x += W m; h = rms_norm(x) * next_norm
  virtual void down(const Linear& weight, const Table& next_norm) = 0;
  // W h of the batch's logit rows, and the tokens sampled from them where the batch asks for that: ends the step, or
  // the sample() of a batch that samples later does.
  virtual void logits(const Linear& head) = 0;

  // As those of Model.
  virtual void sample(std::span<const RowSampling>) {}
  virtual int max_in_flight() const { return 1; }
  virtual int max_top_logprobs() const { return -1; }
  virtual StepOutput wait() = 0;

  // Sizes of decode batches whose steps are recorded and replayed, ascending; and how many recordings there are.
  virtual std::vector<int> recorded_rows() const { return {}; }
  virtual int n_recorded() const { return 0; }
};

}  // namespace jsg
