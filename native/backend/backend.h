// The operations a decoder is made of. A backend owns weights, activations and KV cache in its own memory; the decoder
// only names them. Activations are row-major (rows, dim) matrices of the backend's activation type.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/config.h"
#include "model/model.h"

namespace jsg {

// A tensor as it lies in a mapped file (or, for dummy weights, in memory).
struct WeightView {
  DType dtype;
  int64_t rows;         // out_features (1 for vectors)
  int64_t cols;         // in_features
  const uint8_t* data;  // rows * cols elements in dtype's storage, no alignment promised
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

// Activation memory.
class Buffer {
 public:
  virtual ~Buffer() = default;
};

struct AttentionShape {
  int n_layers;
  int n_heads;
  int n_kv_heads;
  int head_dim;
  int sliding_window;  // tokens a query sees, itself included; 0: all
};

class Backend {
 public:
  virtual ~Backend() = default;

  // --- memory, at load ---
  // `bias` (out_features of the stack, fp32) may be empty.
  virtual std::unique_ptr<Linear> make_linear(std::span<const WeightView> stacked, std::vector<float> bias) = 0;
  virtual std::unique_ptr<Table> make_table(const WeightView& weights) = 0;
  virtual void make_kv_cache(const AttentionShape& shape, int n_blocks) = 0;
  virtual uint64_t kv_bytes_per_token() const = 0;
  // Grows a buffer to (rows, dim) elements; its content is lost when it grows.
  virtual void reserve(std::unique_ptr<Buffer>& buffer, int64_t rows, int64_t dim) = 0;

  // --- one step ---
  // Announces the rows, positions and block tables that the ops below work on, until the next call.
  // `cos`, `sin`: (n_rows, head_dim / 2).
  virtual void begin_step(const Batch& batch, std::span<const float> cos, std::span<const float> sin) = 0;

  // out (n_rows, dim) = table[ids]
  virtual void embed(const Table& table, Buffer& out) = 0;
  // out (n_rows, dim) = x / rms(x) * weight
  virtual void rms_norm(const Buffer& x, const Table& weight, float eps, Buffer& out) = 0;
  // x (n_rows, dim) += delta, then as rms_norm
  virtual void add_rms_norm(Buffer& x, const Buffer& delta, const Table& weight, float eps, Buffer& out) = 0;
  // out (n_rows, out_features) = x (n_rows, in_features) W^T + b
  virtual void linear(const Buffer& x, const Linear& weight, Buffer& out) = 0;
  // qkv (n_rows, (n_heads + 2 n_kv_heads) * head_dim): normalises each head of q and k where weights (head_dim) are
  // given, rotates q and k, appends k and v to the cache of `layer`.
  virtual void rope_append(int layer, Buffer& qkv, const Table* q_norm, const Table* k_norm, float eps,
                           bool interleaved) = 0;
  // out (n_rows, n_heads * head_dim): causal attention of q over the cache of `layer`.
  virtual void attention(int layer, const Buffer& qkv, Buffer& out) = 0;
  // out (n_rows, dim) = silu(gate_up[:, :dim]) * gate_up[:, dim:]
  virtual void silu_mul(const Buffer& gate_up, int64_t dim, Buffer& out) = 0;
  // Logits of the batch's logit rows, on the host: add_rms_norm of those rows alone, then the head.
  // Returns (logit_rows, vocab).
  virtual std::span<float> logits(const Buffer& x, const Buffer& delta, const Table& norm, float eps,
                                  const Linear& head) = 0;
};

}  // namespace jsg
