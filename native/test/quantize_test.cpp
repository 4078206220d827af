// Quantisation on load, to the bit what TorchAO makes (test/oracle/torchao_rules.py wrote the golden files), and how
// the blocks are stored, read in parts and decoded.
#include "model/quantize.h"

#include <fstream>
#include <iterator>
#include <random>

#include "backend/dequant.h"
#include "backend/half.h"
#include "backend/weight_loader.h"
#include "check.h"
#include "error.h"
#include "model/weights.h"

using namespace jsg;

namespace {

constexpr int64_t kGoldenRows = 20, kGoldenCols = 512;

struct Golden {
  std::vector<uint8_t> weights;  // (rows, cols) bf16
  std::vector<int8_t> codes;
  std::vector<uint16_t> scales, zeros;  // (rows, groups) bf16
  std::vector<float> dequantized;
};

Golden read_golden(const std::string& name, int64_t groups, bool has_zeros) {
  std::ifstream file(std::string(JSG_GOLDEN) + "/torchao/" + name + ".bin", std::ios::binary);
  const std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const uint8_t* at = bytes.data();
  const auto take = [&](auto& values, int64_t n) {
    values.resize(static_cast<size_t>(n));
    std::memcpy(values.data(), at, values.size() * sizeof(values[0]));
    at += values.size() * sizeof(values[0]);
  };
  Golden golden;
  const int64_t n = kGoldenRows * kGoldenCols;
  if (bytes.size() != static_cast<size_t>(7 * n + kGoldenRows * groups * (has_zeros ? 4 : 2))) {
    throw Error("E_IO_FAILED", "golden file " + name + " is missing or short");
  }
  take(golden.weights, 2 * n);
  take(golden.codes, n);
  take(golden.scales, kGoldenRows * groups);
  if (has_zeros) take(golden.zeros, kGoldenRows * groups);
  take(golden.dequantized, n);
  return golden;
}

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  void read(uint64_t begin, std::span<uint8_t> to) const override {
    CHECK(begin + to.size() <= bytes_.size());
    std::memcpy(to.data(), bytes_.data() + begin, to.size());
  }

 private:
  const std::span<const uint8_t> bytes_;
};

uint16_t u16(const uint8_t* p) {
  uint16_t value;
  std::memcpy(&value, p, 2);
  return value;
}

std::vector<uint8_t> normal_bf16(size_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  std::vector<uint8_t> bytes(2 * n);
  for (size_t i = 0; i < n; ++i) {
    const uint16_t bits = float_to_bf16(normal(generator));
    std::memcpy(bytes.data() + 2 * i, &bits, 2);
  }
  return bytes;
}

std::vector<uint8_t> quantized(const std::vector<uint8_t>& stored, const WeightType& type, int64_t elems,
                               const QuantizeOnLoad& how) {
  const MemorySource source(stored);
  std::vector<uint8_t> bytes(how.type().bytes(elems));
  QuantizingSource(source, type, how).read(0, bytes);
  return bytes;
}

}  // namespace

TEST(int4_is_torchao_s_to_the_bit) {
  for (const int size : {32, 64, 128, 256}) {
    const int64_t groups = kGoldenCols / size;
    const Golden golden = read_golden("int4-" + std::to_string(size), groups, true);
    const QuantizeOnLoad how{4, size};
    const auto bytes = quantized(golden.weights, DType::kBF16, kGoldenRows * kGoldenCols, how);
    CHECK(how.type().block_bytes() == 4 + size / 2);
    for (int64_t g = 0; g < kGoldenRows * groups; ++g) {
      const uint8_t* block = bytes.data() + g * how.type().block_bytes();
      CHECK(u16(block) == golden.scales[g]);
      CHECK(u16(block + 2) == golden.zeros[g]);
      for (int64_t i = 0; i < size; ++i) {
        CHECK(((block[4 + i / 2] >> (i % 2 * 4)) & 15) == golden.codes[g * size + i]);
      }
    }
    std::vector<float> decoded(kGoldenCols);
    for (int64_t row = 0; row < kGoldenRows; ++row) {
      dequantize_row(how.type(), bytes.data() + how.type().bytes(row * kGoldenCols), kGoldenCols, decoded.data());
      for (int64_t i = 0; i < kGoldenCols; ++i) CHECK(decoded[i] == golden.dequantized[row * kGoldenCols + i]);
    }
  }
}

TEST(int8_is_torchao_s_to_the_bit) {
  const Golden golden = read_golden("int8", 1, false);
  const QuantizeOnLoad how{8, kGoldenCols};
  const auto bytes = quantized(golden.weights, DType::kBF16, kGoldenRows * kGoldenCols, how);
  std::vector<float> decoded(kGoldenCols);
  for (int64_t row = 0; row < kGoldenRows; ++row) {
    const uint8_t* block = bytes.data() + row * (2 + kGoldenCols);
    CHECK(u16(block) == golden.scales[row]);
    CHECK(std::memcmp(block + 2, golden.codes.data() + row * kGoldenCols, kGoldenCols) == 0);
    dequantize_row(how.type(), block, kGoldenCols, decoded.data());
    for (int64_t i = 0; i < kGoldenCols; ++i) CHECK(decoded[i] == golden.dequantized[row * kGoldenCols + i]);
  }
}

TEST(every_part_of_a_quantized_source_is_what_the_whole_has_there) {
  constexpr int64_t kRows = 6, kCols = 1536;
  const auto stored = normal_bf16(kRows * kCols, 3);
  const MemorySource source(stored);
  for (const QuantizeOnLoad how : {QuantizeOnLoad{4, 32}, {4, 256}, {4, 1536}, {8, 1536}, {8, 512}}) {
    const auto whole = quantized(stored, DType::kBF16, kRows * kCols, how);
    const QuantizingSource parts(source, DType::kBF16, how);
    const uint64_t block = how.type().block_bytes(), n_blocks = whole.size() / block;
    for (uint64_t begin = 0; begin < n_blocks; ++begin) {
      for (const uint64_t n : {uint64_t{1}, (n_blocks - begin + 1) / 2, n_blocks - begin}) {
        std::vector<uint8_t> part(n * block);
        parts.read(begin * block, part);
        CHECK(std::memcmp(part.data(), whole.data() + begin * block, part.size()) == 0);
      }
    }
  }
}

TEST(other_types_are_rounded_to_bf16_first) {
  constexpr int64_t kCols = 512;
  std::mt19937 generator(4);
  std::normal_distribution<float> normal;
  std::vector<uint8_t> f32(4 * kCols), f16(2 * kCols), k4(2 * 144);
  for (int64_t i = 0; i < kCols; ++i) {
    const float value = normal(generator);
    const uint16_t half = float_to_half(value);
    std::memcpy(f32.data() + 4 * i, &value, 4);
    std::memcpy(f16.data() + 2 * i, &half, 2);
  }
  for (uint8_t& byte : k4) byte = static_cast<uint8_t>(generator());
  for (const size_t at : {0, 144}) k4[at + 1] = k4[at + 3] = 0x20;  // sane fp16 scales
  const std::pair<WeightType, const std::vector<uint8_t>&> cases[] = {
      {DType::kF32, f32}, {DType::kF16, f16}, {DType::kQ4_K, k4}};
  for (const auto& [type, stored] : cases) {
    std::vector<uint8_t> rounded(2 * kCols);
    convert(type, stored.data(), kCols, DType::kBF16, rounded.data());
    for (const QuantizeOnLoad how : {QuantizeOnLoad{4, 64}, {8, 512}, {16, 512}}) {
      CHECK(quantized(stored, type, kCols, how) == quantized(rounded, DType::kBF16, kCols, how));
    }
    // A group that begins within a block of the source.
    const MemorySource source(stored);
    std::vector<uint8_t> group(QuantizeOnLoad{4, 64}.type().block_bytes());
    QuantizingSource(source, type, {4, 64}).read(3 * group.size(), group);
    const auto all = quantized(rounded, DType::kBF16, kCols, {4, 64});
    CHECK(std::memcmp(group.data(), all.data() + 3 * group.size(), group.size()) == 0);
  }
}

TEST(zeros_mean_what_they_are_declared_to) {
  constexpr float kScale = 0.25f;
  for (const bool f16 : {false, true}) {
    const auto store = [&](uint8_t* p, float value) {
      const uint16_t bits = f16 ? float_to_half(value) : float_to_bf16(value);
      std::memcpy(p, &bits, 2);
    };
    for (const DType dtype : {DType::kInt4, DType::kInt8}) {
      for (const GroupZero zero : {GroupZero::kNone, GroupZero::kOffset, GroupZero::kPoint}) {
        const WeightType type(dtype, {32, zero, f16});
        std::vector<uint8_t> block(type.block_bytes());
        store(block.data(), kScale);
        if (zero != GroupZero::kNone) store(block.data() + 2, zero == GroupZero::kPoint ? -3.0f : 1.5f);
        uint8_t* codes = block.data() + type.header_bytes();
        for (int i = 0; i < 32; ++i) {
          if (dtype == DType::kInt8) {
            codes[i] = static_cast<uint8_t>(static_cast<int8_t>(8 * i - 128));
          } else {
            codes[i / 2] = static_cast<uint8_t>(codes[i / 2] | ((i % 16) << (i % 2 * 4)));
          }
        }
        float row[32];
        dequantize_row(type, block.data(), 32, row);
        QuantGroup group;
        unpack_group(type, block.data(), 0, group);
        const QuantFormat format = quant_format(type);
        for (int i = 0; i < 32; ++i) {
          const float q = static_cast<float>(dtype == DType::kInt8 ? 8 * i - 128 : i % 16 - 8);
          const float expected = zero == GroupZero::kPoint    ? kScale * (q + 3)
                                 : zero == GroupZero::kOffset ? kScale * q + 1.5f
                                                              : kScale * q;
          CHECK(row[i] == expected);
          CHECK(group.scale[0] * static_cast<float>(group.codes[i] - format.zero) + group.min == expected);
        }
      }
    }
  }
}

namespace {

// Copies into memory.
class MemoryLane final : public CopyLane {
 public:
  uint8_t* buffer() override { return buffer_.data(); }
  void send(void* target, size_t bytes) override {
    CHECK(bytes <= buffer_.size());
    std::memcpy(target, buffer_.data(), bytes);
  }
  void flush() override {}

 private:
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(WeightLoader::kBufferBytes);
};

}  // namespace

TEST(the_loader_sends_blocks_as_they_are_or_decoded) {
  // Rows that a buffer does not hold a whole number of.
  constexpr int64_t kRows = 700, kCols = 14336;
  const auto stored = normal_bf16(kRows * kCols, 5);
  const MemorySource source(stored);
  for (const QuantizeOnLoad how : {QuantizeOnLoad{4, 128}, {8, kCols}}) {
    const auto expected = quantized(stored, DType::kBF16, kRows * kCols, how);
    const QuantizingSource blocks(source, DType::kBF16, how);
    std::vector<uint8_t> as_stored(expected.size()), halves(2 * kRows * kCols), expected_halves(halves.size());
    convert(how.type(), expected.data(), kRows * kCols, DType::kF16, expected_halves.data());
    WeightLoader loader(3, [] { return std::make_unique<MemoryLane>(); });
    const WeightView view{how.type(), kRows, kCols, nullptr, &blocks};
    loader.copy(view, view.type, as_stored.data());
    loader.copy(view, DType::kF16, halves.data());
    while (loader.wait(std::chrono::milliseconds(1000)) > 0) continue;
    CHECK(as_stored == expected);
    CHECK(halves == expected_halves);
  }
}

TEST(weights_show_what_they_are_quantised_to_and_refuse_what_does_not_fit) {
  const auto tensor = [](int64_t cols, std::optional<QuantizeOnLoad> how) {
    return TensorInfo{"model.layers.0.mlp.up_proj.weight", DType::kBF16, {8, cols}, 0, 0,
                      static_cast<uint64_t>(16 * cols),    how};
  };
  const auto weights = Weights::dummy({tensor(256, QuantizeOnLoad{4, 128})}, WeightUse::kInPlace);
  const int64_t shape[] = {8, 256};
  const WeightView view = weights->get("model.layers.0.mlp.up_proj.weight", shape);
  CHECK(view.type == (QuantizeOnLoad{4, 128}.type()));
  CHECK(view.data == nullptr && view.source != nullptr);
  CHECK(weights->bytes() == 8 * 256 / 128 * 68);
  CHECK(Weights::dummy({tensor(256, QuantizeOnLoad{16, 256})}, WeightUse::kInPlace)->bytes() == 8 * 256 * 2);
  CHECK_THROWS(Weights::dummy({tensor(96, QuantizeOnLoad{4, 64})}, WeightUse::kInPlace), "E_MODEL_INVALID");
  CHECK_THROWS(Weights::dummy({tensor(96, QuantizeOnLoad{4, 48})}, WeightUse::kInPlace), "E_MODEL_INVALID");
  CHECK_THROWS(Weights::dummy({tensor(96, QuantizeOnLoad{3, 32})}, WeightUse::kInPlace), "E_MODEL_INVALID");
}

TEST_MAIN()
