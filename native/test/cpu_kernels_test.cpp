// Every kernel of every instruction set this machine has, against plain double-precision loops.
#include <algorithm>
#include <bit>
#include <numeric>
#include <random>

#include "backend/cpu/features.h"
#include "backend/cpu/pack.h"
#include "backend/dequant.h"
#include "backend/half.h"
#include "check.h"

using namespace jsg;
using namespace jsg::cpu;

namespace {

std::mt19937 generator(7);

std::vector<float> normals(size_t n, float scale = 1.0f) {
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> values(n);
  for (float& value : values) value = normal(generator);
  return values;
}

// Random bytes are valid codes of every format; only the fp16 scales need sane exponents.
std::vector<uint8_t> random_rows(DType dtype, int rows, int cols) {
  const DTypeTraits& traits = dtype_traits(dtype);
  std::vector<uint8_t> data(static_cast<size_t>(rows) * cols / traits.block_elems * traits.block_bytes);
  for (uint8_t& byte : data) byte = static_cast<uint8_t>(generator());
  for (size_t at = 0; at < data.size(); at += traits.block_bytes) {
    const int scales =
        dtype == DType::kQ4_0 || dtype == DType::kQ5_0 || dtype == DType::kQ8_0 || dtype == DType::kQ6_K ? 1 : 2;
    for (int i = 0; i < scales; ++i) {
      uint8_t* half = data.data() + at + (dtype == DType::kQ6_K ? 208 : 2 * i);
      // 2^-8 .. 2^-5, either sign; now and then a subnormal.
      const uint16_t exponent = generator() % 16 == 0 ? 0 : static_cast<uint16_t>(7 + generator() % 3);
      const uint16_t bits = static_cast<uint16_t>((generator() & 0x83ff) | (exponent << 10));
      std::memcpy(half, &bits, 2);
    }
  }
  return data;
}

std::vector<XGroup> tiled(const Kernels& k, const std::vector<float>& x, int n, int cols, bool int8 = false) {
  const int groups = cols / kGroup;
  std::vector<XGroup> out(static_cast<size_t>(n) * groups);
  for (int row = 0; row < n; ++row) {
    const int tile = row / kTile * kTile, tile_rows = std::min(kTile, n - tile);
    (int8 ? k.quantize8 : k.quantize)(x.data() + static_cast<size_t>(row) * cols, cols,
                                      out.data() + static_cast<size_t>(tile) * groups + (row - tile),
                                      static_cast<size_t>(tile_rows));
  }
  return out;
}

constexpr DType kQuantized[] = {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1,
                                DType::kQ8_0, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K};

}  // namespace

TEST(packed_linear_matches_dequantized_rows) {
  for (const Kernels* k : available_kernels()) {
    for (DType dtype : kQuantized) {
      for (int n : {1, 2, 7, 33, 70}) {
        const int rows = 41, cols = (n % 2 + 1) * 3 * dtype_traits(dtype).block_elems;  // an odd number of groups, too
        const std::vector<uint8_t> raw = random_rows(dtype, rows, cols);
        const WeightView view{dtype, rows, cols, raw.data()};
        PackedWeight packed = packed_shape(view);
        std::vector<uint8_t> data(packed.row_block_bytes() * packed.row_blocks());
        pack_blocks(view, packed, 0, packed.row_blocks(), data.data());
        packed.data = data.data();
        std::vector<float> x = normals(static_cast<size_t>(n) * cols);
        x[5] *= 50;  // an outlier in one group
        const std::vector<XGroup> groups = tiled(*k, x, n, cols);
        const size_t stride = rows + 3;
        std::vector<float> out(n * stride, -7.0f);
        k->packed_linear(packed, 0, 1, groups.data(), n, out.data(), stride);
        k->packed_linear(packed, 1, packed.row_blocks(), groups.data(), n, out.data(), stride);
        std::vector<float> row(cols);
        double worst = 0;
        for (int r = 0; r < rows; ++r) {
          dequantize_row(dtype, raw.data() + raw.size() / rows * r, cols, row.data());
          for (int t = 0; t < n; ++t) {
            double expected = 0, most = 0;
            for (int g = 0; g < cols; g += kGroup) {
              const float* const xs = &x[static_cast<size_t>(t) * cols + g];
              double largest = 0, size = 0;
              for (int i = 0; i < kGroup; ++i) {
                expected += static_cast<double>(row[g + i]) * xs[i];
                largest = std::max(largest, std::fabs(static_cast<double>(xs[i])));
                size += std::fabs(row[g + i]);
              }
              // Activations are whole numbers up to 16256: each is off by a half at most. And fp32 is itself.
              most += size * largest * (0.5 / 16256 + 1e-6);
            }
            worst = std::max(worst, std::fabs(out[t * stride + r] - expected) / (most + 1e-9));
          }
        }
        CHECK(worst <= 1);
        for (int t = 0; t < n; ++t) CHECK(out[t * stride + rows] == -7.0f);
        if (!(worst <= 1)) std::printf("  %s %s n=%d\n", k->isa, std::string(dtype_traits(dtype).name).c_str(), n);
      }
    }
  }
}

namespace {

// Random blocks of int4 or int8 with scales near 2^-6, and zeros as large as the codes make sense of.
std::vector<uint8_t> random_blocks(const WeightType& type, int64_t elems) {
  std::vector<uint8_t> data(type.bytes(elems));
  for (uint8_t& byte : data) byte = static_cast<uint8_t>(generator());
  const auto store = [&](uint8_t* p, float value) {
    const uint16_t bits = type.group.f16 ? float_to_half(value) : float_to_bf16(value);
    std::memcpy(p, &bits, 2);
  };
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  for (size_t at = 0; at < data.size(); at += type.block_bytes()) {
    store(data.data() + at, 0x1p-6f * (1 + uniform(generator) / 2));
    const float zero = uniform(generator);
    if (type.group.zero == GroupZero::kOffset) store(data.data() + at + 2, 0.1f * zero);
    if (type.group.zero == GroupZero::kPoint) store(data.data() + at + 2, std::round(7 * zero));
  }
  return data;
}

// What quantize8 makes of a row, by its definition.
std::vector<float> through_int8(const std::vector<float>& x, int cols) {
  std::vector<float> out(x.size());
  for (size_t row = 0; row < x.size(); row += cols) {
    float largest = 0;
    for (int i = 0; i < cols; ++i) largest = std::max(largest, std::fabs(x[row + i]));
    const float scale = std::max(largest / 127.0f, 1e-5f);
    for (int i = 0; i < cols; ++i) out[row + i] = scale * std::nearbyint(x[row + i] * (1.0f / scale));
  }
  return out;
}

}  // namespace

TEST(int4_and_int8_products_match_dequantized_rows) {
  constexpr int kRowCount = 41, kCols = 768;
  std::vector<WeightType> types;
  for (const DType dtype : {DType::kInt4, DType::kInt8}) {
    for (const GroupZero zero : {GroupZero::kNone, GroupZero::kOffset, GroupZero::kPoint}) {
      for (const bool f16 : {false, true}) {
        for (const int size : {32, 64, 128, 256, kCols}) types.push_back({dtype, {size, zero, f16}});
      }
    }
  }
  for (const Kernels* k : available_kernels()) {
    for (const WeightType& type : types) {
      for (const bool int8 : {false, true}) {
        const std::vector<uint8_t> raw = random_blocks(type, kRowCount * kCols);
        const WeightView view{type, kRowCount, kCols, raw.data(), nullptr, int8};
        PackedWeight packed = packed_shape(view);
        std::vector<uint8_t> data(packed.row_block_bytes() * packed.row_blocks());
        pack_blocks(view, packed, 0, packed.row_blocks(), data.data());
        packed.data = data.data();
        for (const int n : {1, 7, 33}) {
          const std::vector<float> x = normals(static_cast<size_t>(n) * kCols);
          const std::vector<XGroup> groups = tiled(*k, x, n, kCols, int8);
          const std::vector<float> seen = int8 ? through_int8(x, kCols) : x;
          std::vector<float> out(static_cast<size_t>(n) * kRowCount), row(kCols);
          k->packed_linear(packed, 0, packed.row_blocks(), groups.data(), n, out.data(), kRowCount);
          double worst = 0;
          for (int r = 0; r < kRowCount; ++r) {
            dequantize_row(type, raw.data() + type.bytes(static_cast<int64_t>(r) * kCols), kCols, row.data());
            for (int t = 0; t < n; ++t) {
              double expected = 0, magnitude = 0;
              for (int i = 0; i < kCols; ++i) {
                const double product = static_cast<double>(row[i]) * seen[static_cast<size_t>(t) * kCols + i];
                expected += product;
                magnitude += std::fabs(product);
              }
              worst = std::max(worst, std::fabs(out[static_cast<size_t>(t) * kRowCount + r] - expected) / magnitude);
            }
          }
          CHECK_NEAR(worst, 0.0, int8 ? 2e-6 : 3e-5);
        }
      }
    }
  }
}

TEST(activations_in_int8_are_one_scale_a_row) {
  for (const Kernels* k : available_kernels()) {
    std::vector<float> x = normals(96);
    x[70] = -12.7f;
    std::vector<XGroup> groups(3);
    k->quantize8(x.data(), 96, groups.data(), 1);
    int32_t sums[6] = {};
    for (int i = 0; i < 96; ++i) sums[i / 16] += static_cast<int32_t>(std::nearbyint(x[i] * (1.0f / 0.1f)));
    for (int g = 0; g < 3; ++g) {
      CHECK_NEAR(groups[g].scale, 0.1, 1e-7);
      CHECK(groups[g].sum[0] == sums[2 * g] && groups[g].sum[1] == sums[2 * g + 1]);
    }
    x[3] = NAN;
    k->quantize8(x.data(), 96, groups.data(), 1);
    for (const XGroup& group : groups) CHECK(std::isnan(group.scale));
    const std::vector<float> zeros(96);
    k->quantize8(zeros.data(), 96, groups.data(), 1);
    for (const XGroup& group : groups) CHECK(group.sum[0] == 0 && group.sum[1] == 0 && group.scale == 1e-5f);
  }
}

TEST(quantized_nan_comes_out_as_nan) {
  for (const Kernels* k : available_kernels()) {
    const std::vector<uint8_t> raw = random_rows(DType::kQ4_0, 16, 32);
    const WeightView view{DType::kQ4_0, 16, 32, raw.data()};
    PackedWeight packed = packed_shape(view);
    std::vector<uint8_t> data(packed.row_block_bytes());
    pack_blocks(view, packed, 0, 1, data.data());
    packed.data = data.data();
    for (float bad : {NAN, INFINITY, -INFINITY}) {
      std::vector<float> x(32, 0.5f);
      x[9] = bad;
      const std::vector<XGroup> groups = tiled(*k, x, 1, 32);
      std::vector<float> out(16);
      k->packed_linear(packed, 0, 1, groups.data(), 1, out.data(), 16);
      for (float value : out) CHECK(std::isnan(value));
    }
  }
}

TEST(plain_linear_matches_loops) {
  for (const Kernels* k : available_kernels()) {
    for (PlainType type : {PlainType::kF32, PlainType::kF16, PlainType::kBF16}) {
      for (int cols : {64, 100, 7}) {
        const int rows = 23, n = 6;
        const std::vector<float> values = normals(static_cast<size_t>(rows) * cols);
        std::vector<uint8_t> data(values.size() * 4 + 1);
        uint8_t* base = data.data() + 1;  // files promise no alignment
        std::vector<float> stored(values.size());
        for (size_t i = 0; i < values.size(); ++i) {
          if (type == PlainType::kF32) {
            std::memcpy(base + 4 * i, &values[i], 4);
            stored[i] = values[i];
          } else {
            const uint32_t bits = std::bit_cast<uint32_t>(values[i]);
            uint16_t narrow = static_cast<uint16_t>(bits >> 16);
            stored[i] = std::bit_cast<float>(static_cast<uint32_t>(narrow) << 16);
            if (type == PlainType::kF16) {
              narrow = static_cast<uint16_t>(((bits >> 16) & 0x8000) | (((bits & 0x7fffffff) - 0x38000000) >> 13));
              if ((bits & 0x7fffffff) < 0x38800000) narrow = 0;
              stored[i] = half_to_float(narrow);
            }
            std::memcpy(base + 2 * i, &narrow, 2);
          }
        }
        const std::vector<float> x = normals(static_cast<size_t>(n) * cols);
        std::vector<float> out(static_cast<size_t>(n) * rows);
        k->plain_linear({base, rows, cols, type}, 0, 5, x.data(), n, out.data(), rows);
        k->plain_linear({base, rows, cols, type}, 5, rows, x.data(), n, out.data(), rows);
        for (int t = 0; t < n; ++t) {
          for (int r = 0; r < rows; ++r) {
            double expected = 0;
            for (int i = 0; i < cols; ++i) expected += static_cast<double>(stored[r * cols + i]) * x[t * cols + i];
            CHECK_NEAR(out[t * rows + r], expected, 1e-4);
          }
        }
      }
    }
  }
}

TEST(elementwise_kernels_match_loops) {
  for (const Kernels* k : available_kernels()) {
    for (int n : {576, 50, 3}) {
      const std::vector<float> x = normals(n, 3), w = normals(n);
      std::vector<float> out(n);
      k->rms_norm(x.data(), w.data(), n, 1e-5f, out.data());
      double squares = 0;
      for (float value : x) squares += static_cast<double>(value) * value;
      for (int i = 0; i < n; ++i) CHECK_NEAR(out[i], x[i] / std::sqrt(squares / n + 1e-5) * w[i], 1e-5);
      std::vector<float> gate = normals(n, 20);
      gate[0] = -200;
      gate[1] = 200;
      k->silu_mul(gate.data(), w.data(), n, out.data());
      for (int i = 0; i < n; ++i)
        CHECK_NEAR(out[i], gate[i] / (1 + std::exp(-static_cast<double>(gate[i]))) * w[i],
                   1e-5 * (1 + std::fabs(gate[i])));
      std::vector<float> sum = x;
      k->add(sum.data(), w.data(), n);
      for (int i = 0; i < n; ++i) CHECK(sum[i] == x[i] + w[i]);
    }
  }
}

namespace {

struct AttentionCase {
  bool f16;
  int head_dim, group, n_rows, window, context;
  int kv_begin = 0;
};

// Of every query, against the softmax over all that it sees, computed from what the cache holds.
void check_attention(const Kernels& k, const AttentionCase& c) {
  const KvLayout layout{2, c.head_dim, (c.head_dim + 15) / 16 * 16, c.f16};
  constexpr int kBlocks = 24, kKvHead = 1;
  std::vector<uint8_t> cache(layout.block_bytes() * kBlocks, 0xff);  // stale memory: NaN everywhere
  std::vector<int32_t> table(kBlocks);
  std::iota(table.begin(), table.end(), 0);
  std::shuffle(table.begin(), table.end(), generator);
  std::vector<float> keys = normals(static_cast<size_t>(c.context) * c.head_dim), values = normals(keys.size());
  for (int t = 0; t < c.context; ++t) {
    uint8_t* head =
        cache.data() + table[t / 16] * layout.block_bytes() + kKvHead * layout.head_elems() * layout.elem_bytes();
    const size_t at = static_cast<size_t>(t) * c.head_dim;
    k.store_kv(layout, &keys[at], &values[at], head, t % 16);
  }
  if (c.f16) {
    for (std::vector<float>* all : {&keys, &values}) {
      for (float& value : *all) value = half_to_float(float_to_half(value));
    }
  }
  const int n_queries = c.n_rows * c.group, first = c.context - c.n_rows;
  const std::vector<float> q = normals(static_cast<size_t>(n_queries) * c.head_dim);
  std::vector<float> acc(static_cast<size_t>(n_queries) * layout.v_stride), max_sum(2 * n_queries);
  const float scale = 1 / std::sqrt(static_cast<float>(c.head_dim));
  k.attention(layout, {q.data(), static_cast<size_t>(c.group) * c.head_dim, cache.data(), table.data(), kKvHead,
                       c.group, c.n_rows, first, c.window, c.kv_begin, c.context, scale, acc.data(), max_sum.data()});
  double worst = 0;
  for (int query = 0; query < n_queries; ++query) {
    const int position = first + query / c.group;
    std::vector<double> expected(c.head_dim);
    double total = 0;
    for (int t = std::max(c.kv_begin, c.window ? position - c.window + 1 : 0); t <= position; ++t) {
      double score = 0;
      for (int d = 0; d < c.head_dim; ++d) {
        score += static_cast<double>(q[query * c.head_dim + d]) * keys[t * c.head_dim + d];
      }
      const double p = std::exp(score * scale);
      total += p;
      for (int d = 0; d < c.head_dim; ++d) expected[d] += p * values[t * c.head_dim + d];
    }
    const float sum = max_sum[2 * query + 1];
    if (total == 0) CHECK(sum == 0 && max_sum[2 * query] < -1e29f);  // it sees nothing of these
    for (int d = 0; d < c.head_dim && total > 0; ++d) {
      const double difference = std::fabs(acc[query * layout.v_stride + d] / sum - expected[d] / total);
      worst = std::max(worst, std::isnan(difference) ? INFINITY : difference);
    }
  }
  CHECK_NEAR(worst, 0.0, 3e-6);
  if (!(worst <= 3e-6)) {
    std::printf("  %s f16 %d head_dim %d group %d rows %d window %d context %d from %d\n", k.isa, c.f16, c.head_dim,
                c.group, c.n_rows, c.window, c.context, c.kv_begin);
  }
}

}  // namespace

TEST(attention_matches_full_softmax) {
  const auto pick = [](int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator); };
  for (const Kernels* k : available_kernels()) {
    for (const bool f16 : {false, true}) {
      for (const int head_dim : {2, 24, 64, 80, 96, 128, 256}) {
        for (const int window : {0, 20, 150}) {
          const int n_rows = pick(0, 1) ? 1 : pick(2, 70), context = n_rows + pick(0, 300);
          check_attention(*k, {f16, head_dim, pick(1, 9), n_rows, window, context});
          // A span of it, and of some queries nothing.
          if (context > 64) check_attention(*k, {f16, head_dim, 3, std::min(n_rows, 20), window, context, 64});
        }
      }
    }
  }
}

TEST_MAIN()
