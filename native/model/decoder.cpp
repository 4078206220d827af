#include "model/decoder.h"

#include <algorithm>
#include <chrono>
#include <functional>

#include "backend/dequant.h"
#include "error.h"

namespace jsg {
namespace {

constexpr std::chrono::milliseconds kProgressInterval(50);

std::vector<float> rope_divisors(const Weights& weights, const ModelConfig& config) {
  if (!weights.has("rope_freqs.weight")) return {};
  return weights.get_vector("rope_freqs.weight", config.head_dim / 2);
}

}  // namespace

Decoder::Decoder(const ModelConfig& config, std::unique_ptr<Weights> weights, std::unique_ptr<Backend> backend,
                 int n_blocks, const std::function<void(double)>& progress)
    : config_(config),
      weights_(std::move(weights)),
      rope_(config, rope_divisors(*weights_, config)),
      backend_(std::move(backend)) {
  const std::string table = "model.embed_tokens.weight", head = config.tied_embeddings ? table : "lm_head.weight";
  embedding_ = load_table(table, {config.vocab_size, config.hidden_size});
  // A tied table is handed over twice.
  const uint64_t total = weights_->bytes() + (config.tied_embeddings ? weights_->bytes(table) : 0);
  double reported = 0;
  const auto report = [&](uint64_t missing) {
    // A backend may take a tensor in two forms, and so miss more than it was given.
    const uint64_t there = handed_over_ - std::min(handed_over_, missing);
    reported = std::max(reported, static_cast<double>(there) / static_cast<double>(total));
    progress(reported);
    return missing;
  };
  final_norm_ = load_table("model.norm.weight", {config.hidden_size});
  for (int i = 0; i < config.n_layers; ++i) {
    layers_.push_back(load_layer(i));
    report(backend_->await_weights(std::chrono::milliseconds(0)));
  }
  head_ = load_linear({head}, {config.vocab_size}, config.hidden_size, false);
  while (report(backend_->await_weights(kProgressInterval)) > 0) continue;
  backend_->make_kv_cache(n_blocks);
  progress(1.0);
}

std::unique_ptr<Table> Decoder::load_table(const std::string& name, const std::vector<int64_t>& shape) {
  auto table = backend_->make_table(weights_->get(name, shape));
  handed_over_ += weights_->bytes(name);
  return table;
}

std::unique_ptr<Linear> Decoder::load_linear(const std::vector<std::string>& names, const std::vector<int64_t>& rows,
                                             int64_t cols, bool bias) {
  std::vector<WeightView> views;
  std::vector<float> biases;
  for (size_t i = 0; i < names.size(); ++i) {
    const int64_t shape[] = {rows[i], cols};
    views.push_back(weights_->get(names[i], shape));
    if (!bias) continue;
    const std::string bias_name = names[i].substr(0, names[i].size() - std::string("weight").size()) + "bias";
    const std::vector<float> values = weights_->get_vector(bias_name, rows[i]);
    biases.insert(biases.end(), values.begin(), values.end());
    handed_over_ += weights_->bytes(bias_name);
  }
  auto linear = backend_->make_linear(views, std::move(biases));
  // Packed weights are copies: give the originals' pages back. (Plain ones are used in place, and then kept.)
  for (size_t i = 0; i < names.size(); ++i) {
    if (is_quantized(views[i].type)) weights_->release(names[i]);
    handed_over_ += weights_->bytes(names[i]);
  }
  weight_bytes_ += linear->bytes;
  return linear;
}

Decoder::Layer Decoder::load_layer(int index) {
  const std::string prefix = "model.layers." + std::to_string(index) + ".";
  const int64_t hidden = config_.hidden_size, intermediate = config_.intermediate_size;
  const int64_t q = static_cast<int64_t>(config_.n_heads) * config_.head_dim;
  const int64_t kv = static_cast<int64_t>(config_.n_kv_heads) * config_.head_dim;
  const std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
  Layer layer;
  layer.attention_norm = load_table(prefix + "input_layernorm.weight", {hidden});
  layer.mlp_norm = load_table(prefix + "post_attention_layernorm.weight", {hidden});
  if (config_.qk_norm) {
    layer.q_norm = load_table(attention + "q_norm.weight", {config_.head_dim});
    layer.k_norm = load_table(attention + "k_norm.weight", {config_.head_dim});
  }
  layer.qkv = load_linear({attention + "q_proj.weight", attention + "k_proj.weight", attention + "v_proj.weight"},
                          {q, kv, kv}, hidden, config_.qkv_bias);
  layer.output = load_linear({attention + "o_proj.weight"}, {hidden}, q, false);
  layer.gate_up =
      load_linear({mlp + "gate_proj.weight", mlp + "up_proj.weight"}, {intermediate, intermediate}, hidden, false);
  layer.down = load_linear({mlp + "down_proj.weight"}, {hidden}, intermediate, false);
  return layer;
}

void Decoder::launch(const Batch& batch) {
  const bool may_be_unknown = backend_->max_in_flight() > 1;
  for (int32_t id : batch.token_ids) {
    if (id >= config_.vocab_size || (id < 0 && !may_be_unknown)) {
      throw Error("E_INVALID_REQUEST", "token id " + std::to_string(id) + " is not in the vocabulary");
    }
  }
  rope_.fill(batch.positions, cos_, sin_);
  backend_->begin_step(batch, cos_, sin_);
  backend_->embed(*embedding_, *layers_[0].attention_norm);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    backend_->qkv(*layer.qkv);
    backend_->attention(static_cast<int>(i), layer.q_norm.get(), layer.k_norm.get());
    backend_->output(*layer.output, *layer.mlp_norm);
    backend_->gate_up(*layer.gate_up);
    backend_->down(*layer.down, i + 1 < layers_.size() ? *layers_[i + 1].attention_norm : *final_norm_);
  }
  backend_->logits(*head_);
}

}  // namespace jsg
