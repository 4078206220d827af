// The CPU kernels of one instruction set, as a table of functions; and the layouts they work on.
#pragma once
#include <cstddef>
#include <cstdint>

namespace jsg::cpu {

// Weights are quantised along in_features in groups of kGroup; activations get one scale for each such group.
inline constexpr int kGroup = 32;
// Rows of a packed weight that are interleaved: lane r of a vector of 16 works on row r.
inline constexpr int kRows = 16;
// Rows of activations that share one pass over a weight tile.
inline constexpr int kTile = 32;

// 32 activations as integers q of 15 bits, x = scale * q, |q| <= 16256: precise enough to be taken for fp32 beside
// 4- to 8-bit weights, yet made for integer dot products. `data` is laid out as the instruction set wants it: two
// planes of 7 bits (q = 128 * hi + lo) for 8-bit dot products, or 16-bit words. As int8 (Kernels::quantize8) |q| <=
// 127, and with planes only the second is read.
struct XGroup {
  alignas(4) uint8_t data[64];
  float scale;
  int32_t sum[2];  // of q, of each half
};

enum class ScaleType : uint8_t { kF16, kF32, kBF16 };

// A quantised weight (rows, cols), w = scale * (code - zero) + min, packed for streaming. For each block of 16 rows,
// for each group of 32 columns, one record:
//   codes  bits 4: 4 x 64 bytes, byte 4 r + j of load i: row r, column 8 i + j (low nibble) and 8 i + 4 + j (high)
//          bits 8: 8 x 64 bytes, byte 4 r + j of load i: row r, column 4 i + j
//   scale  (16) of each row, or (2, 16) with sub-groups of 16 columns
//   min    (16) of each row, if has_min
// With scale_groups one record holds the codes of so many groups, then their one scale and min.
struct PackedWeight {
  const uint8_t* data;
  int rows;
  int cols;
  int bits;        // 4 or 8
  int zero;        // of every code
  bool has_min;    // scales and mins have the same type
  bool sub_group;  // two scales a group, for each 16 columns
  ScaleType scale_type;
  int scale_groups = 0;  // of 32 columns that share scale and min; 0: each has its own (GGUF)
  bool int8_x = false;   // x comes from quantize8; with scale_groups

  int record_groups() const { return scale_groups > 0 ? scale_groups : 1; }
  size_t scale_bytes() const { return kRows * (scale_type == ScaleType::kF32 ? 4u : 2u); }
  size_t code_bytes() const { return static_cast<size_t>(kRows * kGroup) * bits / 8; }
  size_t record_bytes() const {
    return record_groups() * code_bytes() + scale_bytes() * ((sub_group ? 2 : 1) + (has_min ? 1 : 0));
  }
  size_t row_block_bytes() const { return record_bytes() * (cols / kGroup / record_groups()); }
  int row_blocks() const { return (rows + kRows - 1) / kRows; }
};

enum class PlainType : uint8_t { kF32, kF16, kBF16 };

// A plain weight (rows, cols), row-major, where it was mapped.
struct PlainWeight {
  const uint8_t* data;
  int rows;
  int cols;
  PlainType type;
};

// One layer's cache: for each block and KV head, K as (head_dim, 16 tokens) followed by V as (16 tokens, v_stride).
struct KvLayout {
  int n_kv_heads;
  int head_dim;
  int v_stride;  // head_dim rounded up to 16
  bool f16;

  size_t elem_bytes() const { return f16 ? 2 : 4; }
  size_t k_elems() const { return static_cast<size_t>(head_dim) * 16; }
  size_t head_elems() const { return k_elems() + static_cast<size_t>(v_stride) * 16; }
  size_t block_bytes() const { return head_elems() * n_kv_heads * elem_bytes(); }
};

// Online-softmax state of one query over part of its context, merged afterwards: out = acc / sum.
struct AttentionTask {
  const float* q;  // first query row: (n_q_rows) rows of q_stride, each the group's heads (group, head_dim)
  size_t q_stride;
  const uint8_t* kv;           // the layer's cache
  const int32_t* block_table;  // of the sequence
  int kv_head;
  int group;  // query heads of this KV head
  int n_q_rows;
  int first_position;    // of the first query row
  int sliding_window;    // 0: all
  int kv_begin, kv_end;  // tokens this task covers; kv_begin is a multiple of 64
  float scale;           // of the scores
  float* acc;            // (n_q_rows, group, v_stride): sum of p * v
  float* max_sum;        // (n_q_rows, group, 2): largest score, sum of p
};

struct Kernels {
  const char* isa;
  // x (cols) -> groups (cols / 32, `stride` apart)
  void (*quantize)(const float* x, int cols, XGroup* groups, size_t stride);
  // The same with one scale for the row and q in int8: largest / 127, but at least 1e-5.
  void (*quantize8)(const float* x, int cols, XGroup* groups, size_t stride);
  // out (n_x, ...)[., column + row] = w[row] . x for the 16-row blocks [block_begin, block_end). `x` is tiled: for each
  // kTile rows of activations (the last tile may be shorter), for each group, the rows of the tile.
  void (*packed_linear)(const PackedWeight& w, int block_begin, int block_end, const XGroup* x, int n_x, float* out,
                        size_t out_stride);
  // The same for plain weights and rows [row_begin, row_end); x (n_x, cols).
  void (*plain_linear)(const PlainWeight& w, int row_begin, int row_end, const float* x, int n_x, float* out,
                       size_t out_stride);
  // out = x / rms(x) * weight; x (n)
  void (*rms_norm)(const float* x, const float* weight, int n, float eps, float* out);
  // x += delta
  void (*add)(float* x, const float* delta, int n);
  // out (n) = silu(gate) * up
  void (*silu_mul)(const float* gate, const float* up, int n, float* out);
  // k, v (head_dim) of one token into its slot of one block and head.
  void (*store_kv)(const KvLayout& layout, const float* k, const float* v, uint8_t* head, int slot);
  void (*attention)(const KvLayout& layout, const AttentionTask& task);
  // Sum of the bytes as 64-bit words: reads memory as fast as it can.
  uint64_t (*read)(const uint8_t* data, size_t bytes);
};

#if defined(__x86_64__)
const Kernels& kernels_avx512_vnni();
const Kernels& kernels_avx512();
const Kernels& kernels_avx2();
#elif defined(__aarch64__)
const Kernels& kernels_neon_dotprod();
const Kernels& kernels_neon();
#endif
const Kernels& kernels_scalar();

}  // namespace jsg::cpu
