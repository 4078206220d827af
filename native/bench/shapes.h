// Models of random weights in the shapes of well-known ones.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "model/load.h"

namespace jsg::bench {

struct Shape {
  const char* name;
  int layers, hidden, intermediate, heads, kv_heads, head_dim, vocab;
  bool tied;
};
inline constexpr Shape kShapes[] = {
    {"8b", 32, 4096, 14336, 32, 8, 128, 128256, false},  // Llama-3.1-8B
    {"1b", 16, 2048, 8192, 32, 8, 64, 128256, true},     // Llama-3.2-1B
    {"135m", 30, 576, 1536, 9, 3, 64, 49152, true},      // SmolLM2-135M
};

// Null: there is none of this name.
inline const Shape* find_shape(const std::string& name) {
  for (const Shape& shape : kShapes) {
    if (name == shape.name) return &shape;
  }
  return nullptr;
}

// Weights and activations in `dtype` (kF16 or kBF16); the caller adds backend and size of the KV pool.
inline LoadOptions dummy_options(const Shape& s, DType dtype) {
  LoadOptions options;
  options.dummy = true;
  options.activations = dtype;
  options.config = {s.layers, s.hidden, s.intermediate, s.heads, s.kv_heads, s.head_dim, s.vocab, 1e-5f, 500000.0};
  options.config.tied_embeddings = s.tied;
  auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    uint64_t bytes = 2;
    for (int64_t dim : shape) bytes *= static_cast<uint64_t>(dim);
    options.tensors.push_back({name, dtype, std::move(shape), 0, 0, bytes});
  };
  const int64_t q = static_cast<int64_t>(s.heads) * s.head_dim, kv = static_cast<int64_t>(s.kv_heads) * s.head_dim;
  add("model.embed_tokens.weight", {s.vocab, s.hidden});
  add("model.norm.weight", {s.hidden});
  if (!s.tied) add("lm_head.weight", {s.vocab, s.hidden});
  for (int i = 0; i < s.layers; ++i) {
    const std::string p = "model.layers." + std::to_string(i) + ".";
    add(p + "input_layernorm.weight", {s.hidden});
    add(p + "post_attention_layernorm.weight", {s.hidden});
    add(p + "self_attn.q_proj.weight", {q, s.hidden});
    add(p + "self_attn.k_proj.weight", {kv, s.hidden});
    add(p + "self_attn.v_proj.weight", {kv, s.hidden});
    add(p + "self_attn.o_proj.weight", {s.hidden, q});
    add(p + "mlp.gate_proj.weight", {s.intermediate, s.hidden});
    add(p + "mlp.up_proj.weight", {s.intermediate, s.hidden});
    add(p + "mlp.down_proj.weight", {s.hidden, s.intermediate});
  }
  return options;
}

// Quantises on load: `int4wo-128` and the like, `int8wo`, `int8dq`; the head: `head-int8`, `head-int4`. False: none of
// these.
inline bool apply_format(LoadOptions& options, const std::string& name) {
  const bool is_head = name.starts_with("head-"), is_int4 = name.starts_with("int4wo-");
  if (!is_head && !is_int4 && name != "int8wo" && name != "int8dq") return false;
  if (is_head && options.config.tied_embeddings) {
    TensorInfo head = options.tensors.front();
    head.name = "lm_head.weight";
    options.tensors.push_back(head);
    options.config.tied_embeddings = false;
  }
  for (TensorInfo& tensor : options.tensors) {
    if (tensor.name.find(is_head ? "lm_head" : "proj") == std::string::npos) continue;
    const int cols = static_cast<int>(tensor.shape[1]);
    const int group = is_int4 ? std::stoi(name.substr(7)) : cols % 128 == 0 ? 128 : 64;
    if (is_int4 || name == "head-int4") {
      if (cols % group == 0) tensor.quantize = QuantizeOnLoad{4, group};
    } else {
      tensor.quantize = QuantizeOnLoad{8, cols};
      tensor.int8_activations = name == "int8dq";
    }
  }
  return true;
}

}  // namespace jsg::bench
