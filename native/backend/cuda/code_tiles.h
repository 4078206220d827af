// Weights of int4 or int8 codes as the device keeps them: in the order in which its kernels read them.
//
// Tiles of kTileRows rows, one after the other. In each first the codes, in chunks of kChunkBytes (64 columns of int4,
// 32 of int8), of which lane l of a warp reads bytes 16 l to + 16; then the scales of each group of columns, for l / 4
// = 0 to 7 those of rows l / 4 and l / 4 + 8. Columns are filled up to kUnitColumns.
//   int4: word 2 p + h of a lane holds columns 32 p + 8 (l % 4) to + 8 of row l / 4 + 8 h: column c in nibble
//         c / 2 + 4 (c % 2). A row's scale and zero of a group are a pair of 16 bits.
//   int8: words 2 h and 2 h + 1 hold columns 8 (l % 4) to + 8 of row l / 4 + 8 h as q + 128. A group has only scales.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "backend/backend.h"
#include "backend/weight_loader.h"

namespace jsg::cuda {

inline constexpr int kTileRows = 16;
inline constexpr int kChunkBytes = 512;
inline constexpr int kUnitColumns = 64;  // that kernels take at least at a time

// What kernels are told.
struct CodesView {
  const uint8_t* data;
  int bits;            // 4 or 8; 0: there are no codes
  int tile_bytes;      // of kTileRows rows
  int scales_at;       // in a tile
  int group_shift;     // log2 of the columns that share a scale
  int middle;          // int4: q = code - middle
  bool zero_is_point;  // int4: w = scale * (q - zero); otherwise scale * q + zero
  bool scales_rows;    // int8: one scale a row
};

class CodeTiles final : public TileFormat {
 public:
  // Of weights stacked along their rows, with scales and zeros in `scale_type` (kF16 or kBF16: rounded to it). None
  // where they have no such form (other types, two different ones, groups of odd sizes, rows that don't fill tiles).
  static std::optional<CodeTiles> of(std::span<const WeightView> stacked, DType scale_type);

  // Without data.
  const CodesView& view() const { return view_; }

  int64_t rows() const override { return kTileRows; }
  uint64_t bytes() const override { return static_cast<uint64_t>(view_.tile_bytes); }
  void pack(const uint8_t* stored, int64_t n_rows, uint8_t* tile) const override;

 private:
  CodeTiles(const WeightType& type, int64_t cols, DType scale_type);
  void pack_row(const uint8_t* stored, int row, uint8_t* tile) const;
  void put_codes(const uint8_t* codes, int64_t column, int row, uint8_t* tile) const;
  void put_scale(float scale, float zero, int64_t group, int row, uint8_t* tile) const;

  WeightType type_;
  int64_t cols_, group_cols_;
  DType scale_type_;
  CodesView view_{};
};

}  // namespace jsg::cuda
