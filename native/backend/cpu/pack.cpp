#include "backend/cpu/pack.h"

#include <cstring>
#include <vector>

#include "backend/dequant.h"
#include "backend/half.h"

namespace jsg::cpu {
namespace {

void store_scale(ScaleType type, uint8_t* base, int row, float value) {
  if (type == ScaleType::kF32) {
    std::memcpy(base + 4 * row, &value, 4);
    return;
  }
  const uint16_t narrow = type == ScaleType::kF16 ? float_to_half(value) : float_to_bf16(value);
  std::memcpy(base + 2 * row, &narrow, 2);
}

void store_codes(int bits, uint8_t* base, int row, const uint8_t* codes) {
  uint8_t* lane = base + 4 * row;
  if (bits == 4) {
    for (int load = 0; load < 4; ++load) {
      for (int j = 0; j < 4; ++j) {
        lane[64 * load + j] = static_cast<uint8_t>(codes[8 * load + j] | (codes[8 * load + 4 + j] << 4));
      }
    }
  } else {
    for (int load = 0; load < 8; ++load) std::memcpy(lane + 64 * load, codes + 4 * load, 4);
  }
}

ScaleType scale_type(DType dtype) {
  if (dtype == DType::kF16) return ScaleType::kF16;
  return dtype == DType::kBF16 ? ScaleType::kBF16 : ScaleType::kF32;
}

}  // namespace

PackedWeight packed_shape(const WeightView& view) {
  const QuantFormat format = quant_format(view.type);
  PackedWeight packed{nullptr,
                      static_cast<int>(view.rows),
                      static_cast<int>(view.cols),
                      format.bits,
                      format.zero,
                      format.has_min,
                      format.sub_group,
                      scale_type(format.scale_type)};
  if (view.type.is_grouped()) {
    packed.scale_groups = static_cast<int>(format.scale_cols / kGroup);
    packed.int8_x = view.int8_activations;
  }
  return packed;
}

void pack_blocks(const WeightView& view, const PackedWeight& packed, int64_t begin, int64_t end, uint8_t* data) {
  const size_t row_bytes = view.type.bytes(view.cols);
  const int64_t record_groups = packed.record_groups();
  QuantGroup group;
  std::vector<uint8_t> stored;  // a row of what is not in memory
  for (int64_t block = begin; block < end; ++block) {
    uint8_t* records = data + static_cast<size_t>(block) * packed.row_block_bytes();
    for (int r = 0; r < kRows; ++r) {
      const int64_t row = block * kRows + r;
      if (row >= view.rows) break;  // the memory is zero already
      const uint8_t* source = view.data + static_cast<size_t>(row) * row_bytes;
      if (!view.data) {
        stored.resize(row_bytes);
        view.source->read(static_cast<uint64_t>(row) * row_bytes, stored);
        source = stored.data();
      }
      for (int64_t g = 0; g < view.cols / kGroup; ++g) {
        unpack_group(view.type, source, g, group);
        uint8_t* record = records + static_cast<size_t>(g / record_groups) * packed.record_bytes();
        store_codes(packed.bits, record + static_cast<size_t>(g % record_groups) * packed.code_bytes(), r, group.codes);
        if (g % record_groups != 0) continue;
        uint8_t* scales = record + static_cast<size_t>(record_groups) * packed.code_bytes();
        store_scale(packed.scale_type, scales, r, group.scale[0]);
        if (packed.sub_group) store_scale(packed.scale_type, scales + packed.scale_bytes(), r, group.scale[1]);
        if (packed.has_min) store_scale(packed.scale_type, scales + packed.scale_bytes(), r, group.min);
      }
    }
  }
}

}  // namespace jsg::cpu
