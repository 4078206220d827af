#include "model/packed_source.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

#include "backend/dequant.h"
#include "backend/half.h"
#include "error.h"

namespace jsg {
namespace {

template <class T>
T load(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

void store16(uint8_t* p, uint16_t value) { std::memcpy(p, &value, 2); }

// What all layouts have in common: the parts, read whole, and how numbers become those of a block.
class Parts {
 public:
  Parts(const TensorInfo& tensor, const std::vector<std::unique_ptr<MappedFile>>& files)
      : name(tensor.name),
        packing(*tensor.packing),
        rows(tensor.shape[0]),
        cols(tensor.shape[1]),
        groups(cols / packing.group_size),
        codes{tensor.file, tensor.offset, tensor.nbytes},
        files_(files) {}

  const std::string name;
  const Packing packing;
  const int64_t rows, cols, groups;
  const FilePart codes;

  void read(const FilePart& part, uint64_t begin, std::span<uint8_t> to) const {
    files_[part.file]->read(part.offset + begin, to);
  }
  std::vector<uint8_t> read(const FilePart& part) const {
    std::vector<uint8_t> bytes(part.nbytes);
    if (part.nbytes > 0) read(part, 0, bytes);
    return bytes;
  }

  void require(const FilePart& part, const char* what, int64_t bytes) const {
    if (part.file < 0 || static_cast<size_t>(part.file) >= files_.size() ||
        part.nbytes != static_cast<uint64_t>(bytes) || part.offset > files_[part.file]->bytes() ||
        part.nbytes > files_[part.file]->bytes() - part.offset) {
      throw Error("E_MODEL_INVALID", "tensor " + name + ": its " + what + " should take " + std::to_string(bytes) +
                                         " bytes of their file, not " + std::to_string(part.nbytes));
    }
  }

  int scale_bytes() const { return packing.scale_type == DType::kF32 ? 4 : 2; }
  // The scale at index i, in 16 bits. fp32 becomes bf16 where that is the same number.
  uint16_t scale_at(const uint8_t* scales, int64_t i) const {
    if (packing.scale_type != DType::kF32) return load<uint16_t>(scales + 2 * i);
    const float scale = load<float>(scales + 4 * i);
    const uint16_t narrow = float_to_bf16(scale);
    if (bf16_to_float(narrow) != scale) {
      throw Error("E_MODEL_UNSUPPORTED",
                  "tensor " + name + ": scales in fp32 that bf16 does not hold are not supported");
    }
    return narrow;
  }
  uint16_t zero_bits(int zero) const {
    return packing.type().group.f16 ? float_to_half(static_cast<float>(zero)) : float_to_bf16(static_cast<float>(zero));
  }
  int middle() const { return packing.bits == 4 ? 8 : 128; }

 private:
  const std::vector<std::unique_ptr<MappedFile>>& files_;
};

// Field `index` of consecutive words of `bits` each, low bits first.
int field(const uint8_t* words, int64_t index, int bits) {
  if (bits == 8) return words[index];
  return (words[index / 2] >> (index % 2 * 4)) & 15;
}

// Rows of codes lie as blocks have them: any run of blocks is read where it is.
class RowsSource final : public ByteSource {
 public:
  explicit RowsSource(Parts parts) : parts_(std::move(parts)) {
    const Parts& p = parts_;
    const Packing& packing = p.packing;
    const int64_t per_word = 32 / packing.bits;
    p.require(p.codes, "codes", p.rows * p.cols * packing.bits / 8);
    p.require(packing.scales, "scales", p.rows * p.groups * p.scale_bytes());
    if (packing.zeros.nbytes > 0) {
      const int64_t words = (p.rows + per_word - 1) / per_word * p.groups;
      p.require(packing.zeros, "zero points", packing.bytes_as_zeros ? p.rows * p.groups : 4 * words);
    }
  }

  void read(uint64_t begin, std::span<uint8_t> to) const override {
    const Packing& packing = parts_.packing;
    const WeightType type = packing.type();
    const int64_t code_bytes = static_cast<int64_t>(type.block_bytes()) - type.header_bytes();
    const int64_t first = static_cast<int64_t>(begin) / type.block_bytes();
    const int64_t n = static_cast<int64_t>(to.size()) / type.block_bytes();
    std::vector<uint8_t> codes(static_cast<size_t>(n * code_bytes)),
        scales(static_cast<size_t>(n * parts_.scale_bytes()));
    parts_.read(parts_.codes, static_cast<uint64_t>(first * code_bytes), codes);
    parts_.read(packing.scales, static_cast<uint64_t>(first * parts_.scale_bytes()), scales);
    if (packing.zeros.nbytes > 0) std::call_once(once_, [&] { zeros_ = parts_.read(packing.zeros); });
    const bool flip = packing.bits == 8 && !packing.signed_codes;
    for (int64_t i = 0; i < n; ++i) {
      uint8_t* block = to.data() + i * type.block_bytes();
      store16(block, parts_.scale_at(scales.data(), i));
      if (packing.zeros.nbytes > 0) store16(block + 2, parts_.zero_bits(zero_of(first + i)));
      uint8_t* out = block + type.header_bytes();
      std::memcpy(out, codes.data() + i * code_bytes, static_cast<size_t>(code_bytes));
      if (flip) {
        for (int64_t j = 0; j < code_bytes; ++j) out[j] ^= 128;
      }
    }
  }

 private:
  // Of block `index` of the matrix, signed.
  int zero_of(int64_t index) const {
    if (parts_.packing.bytes_as_zeros) return static_cast<int8_t>(zeros_[index]);
    const int64_t row = index / parts_.groups, group = index % parts_.groups, per_word = 32 / parts_.packing.bits;
    const uint8_t* word = zeros_.data() + 4 * (row / per_word * parts_.groups + group);
    return field(word, row % per_word, parts_.packing.bits) - parts_.middle();
  }

  const Parts parts_;
  mutable std::once_flag once_;
  mutable std::vector<uint8_t> zeros_;
};

// Codes lie by columns: made whole at the first read, and dropped when all has been read once.
class ColumnsSource final : public ByteSource {
 public:
  explicit ColumnsSource(Parts parts) : parts_(std::move(parts)) {
    const Parts& p = parts_;
    const Packing& packing = p.packing;
    p.require(p.codes, "codes", p.rows * p.cols * packing.bits / 8);
    p.require(packing.scales, "scales", p.rows * p.groups * p.scale_bytes());
    p.require(packing.zeros, "zero points", p.rows * p.groups * packing.bits / 8);
    if (packing.group_index.nbytes > 0) p.require(packing.group_index, "group index", 4 * p.cols);
  }

  void read(uint64_t begin, std::span<uint8_t> to) const override {
    std::shared_ptr<const std::vector<uint8_t>> blocks;
    {
      const std::lock_guard lock(mutex_);
      if (!blocks_) blocks_ = std::make_shared<const std::vector<uint8_t>>(make());
      blocks = blocks_;
      served_ += to.size();
      if (served_ >= blocks->size()) {
        blocks_.reset();
        served_ = 0;
      }
    }
    std::memcpy(to.data(), blocks->data() + begin, to.size());
  }

 private:
  struct Content {
    std::vector<uint8_t> codes, scales, zeros, index;
  };

  std::vector<uint8_t> make() const {
    const Parts& p = parts_;
    const Content content{p.read(p.codes), p.read(p.packing.scales), p.read(p.packing.zeros),
                          p.read(p.packing.group_index)};
    for (int64_t c = 0; c < static_cast<int64_t>(content.index.size()) / 4; ++c) {
      if (load<uint32_t>(content.index.data() + 4 * c) >= static_cast<uint64_t>(p.groups)) {
        throw Error("E_MODEL_INVALID", "tensor " + p.name + ": a column belongs to a group that is not there");
      }
    }
    std::vector<uint8_t> out(p.packing.type().bytes(p.rows * p.cols));
    constexpr int64_t kRun = 64;
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::exception_ptr failure;
    const auto work = [&] {
      try {
        for (int64_t row = next.fetch_add(kRun); row < p.rows; row = next.fetch_add(kRun)) {
          make_rows(content, row, std::min(row + kRun, p.rows), out.data());
        }
      } catch (...) {
        const std::lock_guard lock(mutex);
        failure = std::current_exception();
      }
    };
    {
      std::vector<std::jthread> helpers;
      for (unsigned i = 1; i < std::min(16u, std::thread::hardware_concurrency()); ++i) helpers.emplace_back(work);
      work();
    }
    if (failure) std::rethrow_exception(failure);
    return out;
  }

  // Code and zero point without sign.
  int code_of(const Content& content, int64_t row, int64_t col) const {
    const Packing& packing = parts_.packing;
    if (packing.layout == Packing::Layout::kAwq) return awq(content.codes.data() + col * parts_.rows / 2, row);
    const int64_t per_word = 32 / packing.bits;
    return field(content.codes.data() + 4 * (col / per_word * parts_.rows + row), col % per_word, packing.bits);
  }
  int zero_of(const Content& content, int64_t row, int64_t group) const {
    const Packing& packing = parts_.packing;
    const uint8_t* zeros = content.zeros.data() + group * parts_.rows * packing.bits / 8;
    if (packing.layout == Packing::Layout::kAwq) return awq(zeros, row);
    return field(zeros, row, packing.bits) + 1;
  }
  // Nibble of row `row` in words that interleave eight rows.
  static int awq(const uint8_t* words, int64_t row) {
    constexpr int kPlace[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    return field(words + row / 8 * 4, kPlace[row % 8], 4);
  }

  void make_rows(const Content& content, int64_t begin, int64_t end, uint8_t* out) const {
    const Parts& p = parts_;
    const WeightType type = p.packing.type();
    const int64_t size = p.packing.group_size;
    for (int64_t row = begin; row < end; ++row) {
      if (!type.is_grouped()) {
        make_plain_row(content, row, type.dtype, out + type.bytes(row * p.cols));
        continue;
      }
      for (int64_t g = 0; g < p.groups; ++g) {
        uint8_t* block = out + (row * p.groups + g) * type.block_bytes();
        store16(block, p.scale_at(content.scales.data(), g * p.rows + row));
        store16(block + 2, p.zero_bits(zero_of(content, row, g) - p.middle()));
        uint8_t* codes = block + type.header_bytes();
        for (int64_t i = 0; i < size; ++i) {
          const int code = code_of(content, row, g * size + i);
          if (p.packing.bits == 4) {
            codes[i / 2] |= static_cast<uint8_t>(code << (i % 2 * 4));
          } else {
            codes[i] = static_cast<uint8_t>(code ^ 128);
          }
        }
      }
    }
  }

  void make_plain_row(const Content& content, int64_t row, DType dtype, uint8_t* out) const {
    const Parts& p = parts_;
    for (int64_t c = 0; c < p.cols; ++c) {
      const int64_t group = load<int32_t>(content.index.data() + 4 * c);
      const uint16_t bits = p.scale_at(content.scales.data(), group * p.rows + row);
      const float scale = dtype == DType::kF16 ? half_to_float(bits) : bf16_to_float(bits);
      const float w = scale * static_cast<float>(code_of(content, row, c) - zero_of(content, row, group));
      store16(out + 2 * c, dtype == DType::kF16 ? float_to_half(w) : float_to_bf16(w));
    }
  }

  const Parts parts_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const std::vector<uint8_t>> blocks_;
  mutable uint64_t served_ = 0;
};

}  // namespace

std::unique_ptr<ByteSource> make_packed_source(const TensorInfo& tensor,
                                               const std::vector<std::unique_ptr<MappedFile>>& files) {
  const Packing& packing = *tensor.packing;
  const bool fits = tensor.shape.size() == 2 && (packing.bits == 4 || packing.bits == 8) && packing.group_size > 0 &&
                    packing.group_size % 32 == 0 && tensor.shape[1] % packing.group_size == 0 &&
                    (packing.layout == Packing::Layout::kRows || tensor.shape[0] % 8 == 0) &&
                    (packing.layout != Packing::Layout::kAwq || packing.bits == 4);
  if (!fits) {
    throw Error("E_MODEL_INVALID", "tensor " + tensor.name + ": " + std::to_string(packing.bits) +
                                       " bits in groups of " + std::to_string(packing.group_size) +
                                       " don't fit its shape");
  }
  Parts parts(tensor, files);
  if (packing.layout == Packing::Layout::kRows) return std::make_unique<RowsSource>(std::move(parts));
  return std::make_unique<ColumnsSource>(std::move(parts));
}

}  // namespace jsg
