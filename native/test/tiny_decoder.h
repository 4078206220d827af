// Decoders small enough for tests, with seeded random weights, and the batches they are fed.
#pragma once
#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/load.h"

namespace jsg::test {

// Every way in which the supported architectures differ.
struct TinyDecoder {
  const char* name;
  int hidden, heads, kv_heads, head_dim;
  bool qkv_bias, qk_norm, interleaved, tied;
  int window;  // tokens a query sees; 0: all
  int intermediate = 384;
  int n_layers = 3;
  int vocab = 1000;
};

// Without a file, on the CPU, with KV in fp32: as exact as it gets. `dtype`: of the weights.
inline LoadOptions tiny_options(const TinyDecoder& d, DType dtype, int n_blocks) {
  LoadOptions options;
  options.dummy = true;
  options.kv_dtype = KvDType::kF32;
  options.max_total_tokens = static_cast<int64_t>(n_blocks) * kBlockSize;
  options.activations = dtype == DType::kBF16 ? DType::kBF16 : DType::kF16;
  ModelConfig& c = options.config;
  c = {d.n_layers, d.hidden, d.intermediate, d.heads, d.kv_heads, d.head_dim, d.vocab, 1e-5f, 10000.0};
  c.rope_interleaved = d.interleaved;
  c.sliding_window = d.window;
  c.tied_embeddings = d.tied;
  c.qkv_bias = d.qkv_bias;
  c.qk_norm = d.qk_norm;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    uint64_t bytes = static_cast<uint64_t>(dtype_traits(dtype).block_bytes);
    for (const int64_t dim : shape) bytes *= static_cast<uint64_t>(dim);
    options.tensors.push_back({name, dtype, std::move(shape), 0, 0, bytes});
  };
  const int64_t hidden = d.hidden, intermediate = d.intermediate, q = d.heads * d.head_dim,
                kv = d.kv_heads * d.head_dim;
  add("model.embed_tokens.weight", {d.vocab, hidden});
  add("model.norm.weight", {hidden});
  if (!d.tied) add("lm_head.weight", {d.vocab, hidden});
  for (int i = 0; i < d.n_layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    const std::string attention = layer + "self_attn.", mlp = layer + "mlp.";
    add(layer + "input_layernorm.weight", {hidden});
    add(layer + "post_attention_layernorm.weight", {hidden});
    if (d.qk_norm) add(attention + "q_norm.weight", {d.head_dim});
    if (d.qk_norm) add(attention + "k_norm.weight", {d.head_dim});
    for (const auto& [name, rows] : {std::pair{"q_proj", q}, {"k_proj", kv}, {"v_proj", kv}}) {
      add(attention + name + ".weight", {rows, hidden});
      if (d.qkv_bias) add(attention + name + ".bias", {rows});
    }
    add(attention + "o_proj.weight", {hidden, q});
    add(mlp + "gate_proj.weight", {intermediate, hidden});
    add(mlp + "up_proj.weight", {intermediate, hidden});
    add(mlp + "down_proj.weight", {hidden, intermediate});
  }
  return options;
}

// The token at a place of a sequence: a formula, so that whoever runs the sequence gets the same.
inline int32_t token_at(int sequence, int position, int vocab) {
  const int64_t at = position;
  return static_cast<int32_t>((at * 37 + sequence * 101 + at * at * 3) % vocab);
}

enum class LogitsOf { kNone, kLast, kAll };

// Appends rows [begin, end) of a sequence to the batch. `table` must outlive the batch.
inline void append_rows(Batch& batch, int sequence, int begin, int end, const std::vector<int32_t>& table, int vocab,
                        LogitsOf wanted) {
  const int first = static_cast<int>(batch.token_ids.size());
  for (int position = begin; position < end; ++position) {
    const bool is_wanted = wanted == LogitsOf::kAll || (wanted == LogitsOf::kLast && position == end - 1);
    if (is_wanted) batch.logit_rows.push_back(static_cast<int32_t>(batch.token_ids.size()));
    batch.token_ids.push_back(token_at(sequence, position, vocab));
    batch.positions.push_back(position);
  }
  batch.slices.push_back({first, end - begin, end, table.data()});
}

// Largest |a - b|; infinite where the sizes differ or a value is NaN.
inline double largest_difference(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return INFINITY;
  double worst = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(a[i]) - b[i]);
    if (!(difference <= worst)) worst = std::isnan(difference) ? INFINITY : difference;
  }
  return worst;
}

// ||a - b|| / ||b||; infinite where the sizes differ or a value is NaN.
inline double relative_difference(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0, size = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    size += static_cast<double>(b[i]) * b[i];
  }
  const double relative = size > 0 ? std::sqrt(difference / size) : std::sqrt(difference);
  return std::isnan(relative) ? INFINITY : relative;
}

}  // namespace jsg::test
