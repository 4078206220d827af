// The data model: what a decoder looks like and where its weights lie. Mirrors ModelConfig and TensorInfo of
// src/addon/binding.ts, which validates both before they come here.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace jsg {

enum class DType : uint8_t { kF32, kF16, kBF16, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kQ4_K, kQ5_K, kQ6_K };

// Elements and bytes of one storage block (1 element for plain types).
struct DTypeTraits {
  std::string_view name;
  int block_elems;
  int block_bytes;
};
const DTypeTraits& dtype_traits(DType dtype);
// Throws E_MODEL_UNSUPPORTED.
DType dtype_from_name(std::string_view name);

struct TensorInfo {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;  // row-major, outermost first
  int file;                    // index into RuntimeSpec::files
  uint64_t offset;
  uint64_t nbytes;
};

enum class RopeScaling : uint8_t { kNone, kLinear, kLlama3 };

struct ModelConfig {
  int n_layers;
  int hidden_size;
  int intermediate_size;
  int n_heads;
  int n_kv_heads;
  int head_dim;
  int vocab_size;
  float rms_norm_eps;
  double rope_theta;
  RopeScaling rope_scaling = RopeScaling::kNone;
  double rope_factor = 1.0;
  double rope_low_freq_factor = 1.0;
  double rope_high_freq_factor = 4.0;
  int rope_original_context = 8192;
  bool rope_interleaved = false;  // pairs (2i, 2i+1); otherwise (i, i + head_dim / 2)
  int sliding_window = 0;         // tokens a query sees, itself included; 0: all
  bool tied_embeddings = false;
  bool qkv_bias = false;
  bool qk_norm = false;
};

}  // namespace jsg
