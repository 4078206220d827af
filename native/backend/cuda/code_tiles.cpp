#include "backend/cuda/code_tiles.h"

#include <bit>
#include <cstring>

#include "backend/dequant.h"
#include "backend/half.h"

namespace jsg::cuda {
namespace {

constexpr int kAllColumns = 30;  // log2 of a group that no row outgrows

// GGUF's types whose groups are ours: of 32 columns, with scale and min.
bool is_gguf_group(DType dtype) {
  return dtype == DType::kQ4_0 || dtype == DType::kQ4_1 || dtype == DType::kQ4_K || dtype == DType::kQ8_0;
}

bool has_codes(const WeightType& type) {
  if (is_gguf_group(type.dtype)) return true;
  if (!type.is_grouped()) return false;
  return type.dtype == DType::kInt4 || type.group.zero == GroupZero::kNone;
}

// 8 nibbles in order of columns, as even ones and then odd ones.
uint32_t interleave(uint32_t word) {
  auto gather = [](uint32_t x) {  // every second nibble
    x = (x | x >> 4) & 0x00ff00ff;
    return (x | x >> 8) & 0x0000ffff;
  };
  return gather(word & 0x0f0f0f0f) | gather(word >> 4 & 0x0f0f0f0f) << 16;
}

}  // namespace

std::optional<CodeTiles> CodeTiles::of(std::span<const WeightView> stacked, DType scale_type) {
  const WeightType& type = stacked[0].type;
  const int64_t cols = stacked[0].cols;
  if (!has_codes(type) || cols % 32 != 0) return {};
  const CodeTiles tiles(type, cols, scale_type);
  const int64_t group = tiles.group_cols_;
  if (group != cols && (!std::has_single_bit(static_cast<uint64_t>(group)) || cols % group != 0)) return {};
  uint64_t n_tiles = 0;
  for (const WeightView& view : stacked) {
    n_tiles += static_cast<uint64_t>((view.rows + kTileRows - 1) / kTileRows);
    if (view.type != type || (stacked.size() > 1 && view.rows % kTileRows != 0)) return {};
  }
  // Kernels count bytes in 32 bits.
  if (n_tiles * tiles.bytes() > UINT32_MAX) return {};
  return tiles;
}

CodeTiles::CodeTiles(const WeightType& type, int64_t cols, DType scale_type)
    : type_(type), cols_(cols), group_cols_(type.is_grouped() ? type.group.size : 32), scale_type_(scale_type) {
  const QuantFormat format = quant_format(type);
  const int64_t padded = (cols + kUnitColumns - 1) / kUnitColumns * kUnitColumns;
  const bool whole_rows = group_cols_ == cols;
  const int64_t n_groups = whole_rows ? 1 : (padded + group_cols_ - 1) / group_cols_;
  view_.bits = format.bits;
  view_.scales_at = static_cast<int>(padded * kTileRows * format.bits / 8);
  view_.tile_bytes = view_.scales_at + static_cast<int>(n_groups * kTileRows * (format.bits == 4 ? 4 : 2));
  view_.group_shift = whole_rows ? kAllColumns : std::countr_zero(static_cast<uint64_t>(group_cols_));
  view_.middle = format.zero;
  view_.zero_is_point = type.is_grouped() && type.group.zero == GroupZero::kPoint;
  view_.scales_rows = format.bits == 8 && whole_rows;
}

void CodeTiles::pack(const uint8_t* stored, int64_t n_rows, uint8_t* tile) const {
  // What is filled up counts as 0: codes of any value, whose scale is 0.
  std::memset(tile, 0, bytes());
  for (int row = 0; row < n_rows; ++row) pack_row(stored + row * type_.bytes(cols_), row, tile);
}

void CodeTiles::pack_row(const uint8_t* stored, int row, uint8_t* tile) const {
  if (!type_.is_grouped()) {
    QuantGroup group;
    for (int64_t g = 0; g < cols_ / 32; ++g) {
      unpack_group(type_, stored, g, group);
      uint8_t nibbles[16];
      for (int i = 0; i < 16; ++i) nibbles[i] = static_cast<uint8_t>(group.codes[2 * i] | group.codes[2 * i + 1] << 4);
      put_scale(group.scale[0], group.min, g, row, tile);
      for (int64_t i = 0; i < 32; i += 8) {
        put_codes(view_.bits == 4 ? nibbles + i / 2 : group.codes + i, 32 * g + i, row, tile);
      }
    }
    return;
  }
  const uint8_t* block = stored;
  for (int64_t g = 0; g < cols_ / group_cols_; ++g, block += type_.block_bytes()) {
    const GroupHeader header = group_header(type_.group, block);
    put_scale(header.scale, header.zero, g, row, tile);
    const uint8_t* codes = block + type_.header_bytes();
    for (int64_t i = 0; i < group_cols_; i += 8) {
      put_codes(codes + i * view_.bits / 8, g * group_cols_ + i, row, tile);
    }
  }
}

// 8 codes, in order of columns: nibbles, or bytes, canonical ones signed and GGUF's not.
void CodeTiles::put_codes(const uint8_t* codes, int64_t column, int row, uint8_t* tile) const {
  const int64_t lane = row % 8 * 4 + column % 32 / 8, half = row / 8;
  if (view_.bits == 4) {
    uint32_t word;
    std::memcpy(&word, codes, 4);
    word = interleave(word);
    std::memcpy(tile + column / 64 * kChunkBytes + lane * 16 + (column % 64 / 32 * 2 + half) * 4, &word, 4);
  } else {
    uint64_t bytes;
    std::memcpy(&bytes, codes, 8);
    if (type_.is_grouped()) bytes ^= 0x8080808080808080u;
    std::memcpy(tile + column / 32 * kChunkBytes + lane * 16 + half * 8, &bytes, 8);
  }
}

void CodeTiles::put_scale(float scale, float zero, int64_t group, int row, uint8_t* tile) const {
  auto narrow = [&](float x) { return scale_type_ == DType::kF16 ? float_to_half(x) : float_to_bf16(x); };
  const uint16_t pair[2] = {narrow(scale), narrow(zero)};
  const size_t bytes = view_.bits == 4 ? 4 : 2;
  std::memcpy(tile + view_.scales_at + ((group * 8 + row % 8) * 2 + row / 8) * bytes, pair, bytes);
}

}  // namespace jsg::cuda
