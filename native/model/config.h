// The data model: what a decoder looks like and where its weights lie. Mirrors ModelConfig and TensorInfo of
// src/addon/binding.ts, which validates both before they come here.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jsg {

// Plain types, GGUF's block formats, and the two canonical ones of weights quantised in groups (GroupFormat).
enum class DType : uint8_t { kF32, kF16, kBF16, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kQ4_K, kQ5_K, kQ6_K, kInt4, kInt8 };

// Elements and bytes of one storage block (1 element for plain types); of kInt4 and kInt8 the least there can be.
struct DTypeTraits {
  std::string_view name;
  int block_elems;
  int block_bytes;
};
const DTypeTraits& dtype_traits(DType dtype);
// Of a tensor in a file, so never kInt4 or kInt8. Throws E_MODEL_UNSUPPORTED.
DType dtype_from_name(std::string_view name);

// What `zero` of a group means; q is the signed code: 0..15 less 8 of kInt4, -128..127 of kInt8.
enum class GroupZero : uint8_t {
  kNone,    // symmetric, nothing stored: w = scale * q
  kOffset,  // w = scale * q + zero (TorchAO's int4wo)
  kPoint,   // w = scale * (q - zero), zero a whole number, exact in 16 bits (AWQ, GPTQ, compressed-tensors)
};

// How a weight (rows, cols) of kInt4 or kInt8 is stored: row by row, each row in blocks of `size` columns,
//   scale  16 bits
//   zero   16 bits, unless kNone
//   codes  kInt4: size / 2 bytes; columns 2 i and 2 i + 1 in the low and the high nibble of byte i, as q + 8
//          kInt8: size bytes, q in two's complement
// in the byte order of the machine, nothing aligned. A block is complete in itself, so that any run of blocks can be
// read, converted and sent alone.
struct GroupFormat {
  int size = 0;  // columns; a multiple of 32 that divides the row, up to the whole row
  GroupZero zero = GroupZero::kNone;
  bool f16 = false;  // scale and zero are fp16; otherwise bf16

  friend bool operator==(const GroupFormat&, const GroupFormat&) = default;
};

// A type of storage in full.
struct WeightType {
  DType dtype = DType::kF32;
  GroupFormat group{};  // of kInt4 and kInt8

  WeightType() = default;
  WeightType(DType plain_or_gguf) : dtype(plain_or_gguf) {}
  WeightType(DType dtype, const GroupFormat& group) : dtype(dtype), group(group) {}

  bool is_grouped() const { return dtype == DType::kInt4 || dtype == DType::kInt8; }
  int64_t block_elems() const { return is_grouped() ? group.size : dtype_traits(dtype).block_elems; }
  int64_t block_bytes() const {
    if (!is_grouped()) return dtype_traits(dtype).block_bytes;
    return header_bytes() + (dtype == DType::kInt4 ? group.size / 2 : group.size);
  }
  // In front of the codes of a kInt4 or kInt8 block.
  int header_bytes() const { return group.zero == GroupZero::kNone ? 2 : 4; }
  // Of `elems` elements: whole blocks.
  uint64_t bytes(int64_t elems) const { return static_cast<uint64_t>(elems / block_elems() * block_bytes()); }

  friend bool operator==(const WeightType&, const WeightType&) = default;
};

// A weight that is quantised while it is loaded, whatever type it is stored as: by TorchAO's rules (model/quantize.h).
struct QuantizeOnLoad {
  int bits;        // 4: asymmetric, kOffset; 8: symmetric; 16: bf16
  int group_size;  // columns that share a scale; a multiple of 32 that divides the row, up to the whole row

  // What comes out of it.
  WeightType type() const {
    if (bits == 4) return {DType::kInt4, {group_size, GroupZero::kOffset, false}};
    if (bits == 8) return {DType::kInt8, {group_size, GroupZero::kNone, false}};
    return DType::kBF16;
  }
};

// Part of a tensor that others quantised: bytes of a file.
struct FilePart {
  int file = 0;
  uint64_t offset = 0;
  uint64_t nbytes = 0;  // 0: there is none
};

// How a matrix (rows, cols) that others quantised is stored; `codes` are where its TensorInfo says.
struct Packing {
  enum class Layout : uint8_t {
    // compressed-tensors: codes (rows, cols * bits / 8), the first column in the low bits; scales (rows, groups); zeros
    // (ceil(rows * bits / 32), groups) words, the first row in the low bits
    kRows,
    // AutoAWQ's "gemm": codes (cols, rows / 8) words, row 8 i + kOrder[j] at bit 4 j; scales (groups, rows); zeros as
    // codes
    kAwq,
    // GPTQ: codes (cols * bits / 32, rows) words, the first column in the low bits; scales (groups, rows); zeros
    // (groups, rows * bits / 32) words, less one; column c is of group group_index[c]
    kGptq,
  };
  Layout layout;
  int bits;                     // 4 or 8
  int group_size;               // a multiple of 32 that divides the columns
  bool signed_codes = false;    // 8 bits in two's complement, otherwise code + 128; kRows
  bool bytes_as_zeros = false;  // zeros are (rows, groups) int8 instead; kRows
  DType scale_type = DType::kF16;
  FilePart scales, zeros, group_index;  // group_index: (cols) int32, only where it is not column / group_size

  // What it is as canonical blocks; with a group_index in 16 bits, since groups are scattered over the row.
  WeightType type() const {
    const bool f16 = scale_type == DType::kF16;
    if (group_index.nbytes > 0) return f16 ? DType::kF16 : DType::kBF16;
    const GroupZero zero = zeros.nbytes > 0 ? GroupZero::kPoint : GroupZero::kNone;
    return {bits == 4 ? DType::kInt4 : DType::kInt8, {group_size, zero, f16}};
  }
};

struct TensorInfo {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;  // row-major, outermost first
  int file;                    // index into RuntimeSpec::files
  uint64_t offset;
  uint64_t nbytes;
  std::optional<QuantizeOnLoad> quantize{};
  std::optional<Packing> packing{};  // `dtype` means nothing then
  // Products with it quantise each row of activations to int8, by its largest element (int8dq, w8a8).
  bool int8_activations = false;
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
