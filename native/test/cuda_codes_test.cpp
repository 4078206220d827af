// Weights of int4 and int8 codes on the device: every product and epilogue against fp64 on the host. Skipped, with a
// line, where there is no device or no CUDA in the build; the order of the codes is checked without one. `small` in a
// test's name: for compute-sanitizer.
#include <algorithm>
#include <cmath>
#include <vector>

#include "check.h"
#include "cuda_device.h"
#include "error.h"
#include "tiny_decoder.h"
#ifdef JSG_CUDA
#include "backend/cuda/code_products.h"
#include "backend/cuda/code_tiles.h"
#include "backend/cuda/cuda_backend.h"
#include "cuda_codes.h"
#endif

#ifdef JSG_CUDA
using namespace jsg;
using namespace jsg::cuda;
using namespace jsg::test;

namespace {

// One weight out of tiles, by what code_tiles.h says of them; scales and zeros are in fp16.
float value_at(const std::vector<uint8_t>& tiles, const CodesView& view, int row, int column) {
  const uint8_t* tile = tiles.data() + static_cast<size_t>(row / 16) * view.tile_bytes;
  const int r = row % 16, lane = r % 8 * 4 + column % 32 / 8, c = column % 8, half = r / 8;
  const int group = column >> view.group_shift;
  auto number = [&](int index) {
    uint16_t bits;
    std::memcpy(&bits, tile + view.scales_at + 2 * index, 2);
    return half_to_float(bits);
  };
  if (view.bits == 8) {
    const uint8_t* words = tile + column / 32 * kChunkBytes + lane * 16;
    return number((group * 8 + r % 8) * 2 + half) * static_cast<float>(words[half * 8 + c] - 128);
  }
  uint32_t word;
  std::memcpy(&word, tile + column / 64 * kChunkBytes + lane * 16 + (column % 64 / 32 * 2 + half) * 4, 4);
  const int at = ((group * 8 + r % 8) * 2 + half) * 2;
  const float q = static_cast<float>(static_cast<int>(word >> (4 * (c / 2 + 4 * (c % 2))) & 15) - view.middle);
  return view.zero_is_point ? number(at) * (q - number(at + 1)) : number(at) * q + number(at + 1);
}

const WeightType kTypes[] = {
    codes4(32, GroupZero::kOffset, true),
    codes4(64, GroupZero::kPoint, true),
    codes4(128, GroupZero::kOffset, true),
    codes4(256, GroupZero::kNone, true),
    codes4(128, GroupZero::kPoint, true),
    codes8(32, true),
    codes8(128, true),
    DType::kQ4_0,
    DType::kQ4_1,
    DType::kQ4_K,
    DType::kQ8_0,
};

// --- on the device ---

constexpr float kEps = 1e-5f;
const char* const kEpilogueNames[] = {"store", "residual", "silu", "logits"};

constexpr int kMostRows = 64;

// Activations of kMostRows rows, and their products with a weight in fp64.
template <class T>
struct Expected {
  std::vector<T> x;       // (kMostRows, in_features)
  std::vector<double> y;  // (kMostRows, out_features)

  // Sums over a row stay near 1: SiLU of what is far below 0 is nothing but its error.
  static float center(int cols) { return std::min(0.2f, 6 / std::sqrt(static_cast<float>(cols))); }

  Expected(const Weight& w, int n)
      : x(random_numbers<T>(static_cast<size_t>(kMostRows) * w.cols, center(w.cols), 1, 1)),
        y(static_cast<size_t>(n) * w.rows) {
    std::vector<double> row(w.cols);
    for (int r = 0; r < w.rows; ++r) {
      std::copy_n(w.values.begin() + static_cast<ptrdiff_t>(r) * w.cols, w.cols, row.begin());
      for (int b = 0; b < n; ++b) {
        const T* from = x.data() + static_cast<size_t>(b) * w.cols;
        double sums[4] = {};
        for (int i = 0; i < w.cols; ++i) sums[i % 4] += row[i] * as_float(from[i]);
        y[static_cast<size_t>(b) * w.rows + r] = sums[0] + sums[1] + sums[2] + sums[3];
      }
    }
  }
};

enum class Way { kGemv, kGemm32, kGemm64 };

// Relative to the reference, as ||difference|| / ||reference||, of the worst of what the epilogue writes.
template <class T>
double run_product(const Stream& stream, const Weight& weight, const Expected<T>& products_of, const CodeTiles& tiles,
                   const OnDevice<uint8_t>& codes, Epilogue epilogue, int n, Way way) {
  const CodeProducts<T> products(stream.properties, stream.launch);
  const bool is_paired = epilogue == Epilogue::kSilu, is_normed = epilogue != Epilogue::kResidual;
  const int features = is_paired ? weight.rows / 2 : weight.rows, tile = way == Way::kGemv     ? kTileRows
                                                                         : way == Way::kGemm32 ? 32
                                                                                               : 64;
  const int n_tiles = (features + tile - 1) / tile;
  const size_t n_out = static_cast<size_t>(n) * features;
  const auto norm = random_numbers<T>(features, 1, 0.3f, 2);
  const auto residual = random_numbers<float>(n_out, 0, 1, 3);
  std::vector<float> squares, bias;
  if (is_normed) {
    squares = random_numbers<float>(static_cast<size_t>(n) * 3, static_cast<float>(weight.cols), 1, 4);
    bias = random_numbers<float>(weight.rows, 0, 1, 5);
  }
  const OnDevice<T> device_x(products_of.x), device_norm(norm), out(std::vector<T>(n_out, T(NAN))),
      next_x(std::vector<T>(n_out, T(NAN)));
  const OnDevice<float> device_squares(squares), device_bias(bias), device_residual(residual),
      logits(std::vector<float>(n_out, NAN)), next_squares(std::vector<float>(static_cast<size_t>(n) * n_tiles, NAN));
  const OnDevice<uint64_t> best{std::vector<uint64_t>(n)};
  ProductArgs<T> args{};
  args.codes = tiles.view();
  args.codes.data = codes.get();
  args.x = device_x.get();
  if (is_normed) {
    args.squares = device_squares.get();
    args.n_squares = 3;
    args.bias = device_bias.get();
  }
  args.out = out.get();
  args.logits = logits.get();
  args.best = best.get();
  args.residual = device_residual.get();
  args.next_norm = device_norm.get();
  args.next_x = next_x.get();
  args.next_squares = next_squares.get();
  args.n = n;
  args.in_features = weight.cols;
  args.out_features = weight.rows;
  args.eps = kEps;
  if (way == Way::kGemv) {
    products.run_gemv(epilogue, args);
  } else {
    products.run_gemm(epilogue, args, way == Way::kGemm32 ? 32 : 64);
  }
  check(cudaStreamSynchronize(stream.launch.stream), "a product");

  std::vector<double> y(products_of.y.begin(), products_of.y.begin() + static_cast<ptrdiff_t>(n) * weight.rows);
  for (size_t i = 0; i < y.size() && is_normed; ++i) {
    const float* of_row = squares.data() + i / weight.rows * 3;
    const double total = static_cast<double>(of_row[0]) + of_row[1] + of_row[2];
    y[i] = y[i] / std::sqrt(total / weight.cols + kEps) + bias[i % weight.rows];
  }
  std::vector<float> expected(n_out), actual(n_out);
  auto floats = [](const auto& values) { return std::vector<float>(values.begin(), values.end()); };
  double worst = 0;
  for (size_t i = 0; i < n_out; ++i) {
    const size_t b = i / features, f = i % features;
    if (is_paired) {
      const double gate = y[b * weight.rows + f];
      expected[i] = static_cast<float>(gate / (1 + std::exp(-gate)) * y[b * weight.rows + features + f]);
    } else {
      expected[i] = static_cast<float>(y[i] + (epilogue == Epilogue::kResidual ? residual[i] : 0));
    }
  }
  switch (epilogue) {
    case Epilogue::kStore:
    case Epilogue::kSilu:
      actual = floats(out.read());
      break;
    case Epilogue::kLogits: {
      actual = logits.read();
      const auto packed_best = best.read();
      for (int b = 0; b < n; ++b) {
        const auto row = actual.begin() + static_cast<ptrdiff_t>(b) * features;
        CHECK(static_cast<int>(0xffffffffu - static_cast<uint32_t>(packed_best[b])) ==
              std::max_element(row, row + features) - row);
      }
      break;
    }
    case Epilogue::kResidual: {
      actual = device_residual.read();
      std::vector<float> normed(n_out), sums(static_cast<size_t>(n) * n_tiles);
      for (size_t i = 0; i < n_out; ++i) {
        normed[i] = expected[i] * as_float(norm[i % features]);
        sums[i / features * n_tiles + i % features / tile] += expected[i] * expected[i];
      }
      worst =
          std::max(relative_difference(floats(next_x.read()), normed), relative_difference(next_squares.read(), sums));
    }
  }
  return std::max(worst, relative_difference(actual, expected));
}

// Of 16-bit outputs; in a GEMM the weights are rounded too.
template <class T>
constexpr double kTolerance = std::is_same_v<T, __half> ? 1e-3 : 8e-3;

template <class T>
void compare_products(const Stream& stream, const Weight& weight, std::span<const int> row_counts) {
  const auto tiles =
      CodeTiles::of(std::vector<WeightView>{weight.view()}, std::is_same_v<T, __half> ? DType::kF16 : DType::kBF16);
  CHECK(tiles.has_value());
  if (!tiles) return;
  const OnDevice<uint8_t> codes(packed(*tiles, weight));
  const Expected<T> expected(weight, *std::ranges::max_element(row_counts));
  double worst = 0;
  for (const Epilogue epilogue : {Epilogue::kStore, Epilogue::kResidual, Epilogue::kSilu, Epilogue::kLogits}) {
    if (epilogue == Epilogue::kSilu && weight.rows % 32 != 0) continue;
    if (epilogue == Epilogue::kResidual && weight.rows % 8 != 0) continue;
    if (epilogue == Epilogue::kStore && weight.rows % 8 != 0) continue;
    for (const int n : row_counts) {
      for (const Way way : {Way::kGemv, Way::kGemm32, Way::kGemm64}) {
        if (way == Way::kGemv && n > 8) continue;
        // Only these have tiles of 32.
        if (way == Way::kGemm32 && (epilogue == Epilogue::kSilu || epilogue == Epilogue::kLogits)) continue;
        const double difference = run_product<T>(stream, weight, expected, *tiles, codes, epilogue, n, way);
        if (!(difference <= kTolerance<T>)) {
          std::printf("     %s (%d, %d) %s, %d rows, %s: %.2e\n", name_of(weight.type).c_str(), weight.rows,
                      weight.cols, kEpilogueNames[static_cast<int>(epilogue)], n,
                      way == Way::kGemv     ? "gemv"
                      : way == Way::kGemm32 ? "gemm of 32"
                                            : "gemm of 64",
                      difference);
        }
        worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
      }
    }
  }
  std::printf("     %s (%d, %d): %.2e\n", name_of(weight.type).c_str(), weight.rows, weight.cols, worst);
  CHECK_NEAR(worst, 0, kTolerance<T>);
}

template <class T>
void compare_expanded(const Stream& stream, const Weight& weight) {
  const bool is_half = std::is_same_v<T, __half>;
  const auto tiles = CodeTiles::of(std::vector<WeightView>{weight.view()}, is_half ? DType::kF16 : DType::kBF16);
  const OnDevice<uint8_t> codes(packed(*tiles, weight));
  const OnDevice<T> out(std::vector<T>(weight.values.size(), T(NAN)));
  CodesView view = tiles->view();
  view.data = codes.get();
  CodeProducts<T>(stream.properties, stream.launch).expand(view, weight.rows, weight.cols, out.get());
  check(cudaStreamSynchronize(stream.launch.stream), "expanding codes");
  const std::vector<T> got = out.read();
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    // What is cancelled by a zero leaves the rounding of both.
    const double difference = std::fabs(as_float(got[i]) - weight.values[i]) / (std::fabs(weight.values[i]) + 0.1);
    worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
  }
  // Scales that the type does not hold are rounded, too.
  const bool has_f16_scales = !weight.type.is_grouped() || weight.type.group.f16;
  const bool is_inexact = weight.type.dtype == DType::kQ4_K || (has_f16_scales && !is_half);
  CHECK_NEAR(worst, 0, (is_half ? 1e-3 : 8e-3) * (is_inexact ? 4 : 1));
}

}  // namespace

TEST(codes_are_in_the_order_of_their_kernels) {
  for (const WeightType& type : kTypes) {
    for (const auto& [rows, cols] : {std::pair{32, 512}, {19, 256}}) {
      const Weight weight(type, rows, cols);
      const auto tiles = CodeTiles::of(std::vector<WeightView>{weight.view()}, DType::kF16);
      CHECK(tiles.has_value());
      if (!tiles) continue;
      const std::vector<uint8_t> bytes = packed(*tiles, weight);
      double worst = 0;
      for (int row = 0; row < rows; ++row) {
        for (int column = 0; column < cols; ++column) {
          worst = std::max<double>(worst, std::fabs(value_at(bytes, tiles->view(), row, column) -
                                                    weight.values[static_cast<size_t>(row) * cols + column]));
        }
      }
      // Scales of Q4_K are products of two numbers.
      CHECK_NEAR(worst, 0, type.dtype == DType::kQ4_K ? 1e-3 : 1e-7);
    }
  }
}

TEST(codes_are_refused_where_tiles_have_no_place_for_them) {
  const Weight a(codes4(32, GroupZero::kOffset), 32, 96), b(codes4(32, GroupZero::kOffset, true), 32, 96),
      odd(codes4(32, GroupZero::kOffset), 24, 96), third(codes4(96, GroupZero::kOffset), 32, 192),
      whole(codes4(96, GroupZero::kOffset), 32, 96);
  const WeightType point8{DType::kInt8, {32, GroupZero::kPoint, true}};
  auto fits = [](std::vector<WeightView> views) { return CodeTiles::of(views, DType::kF16).has_value(); };
  CHECK(fits({a.view(), a.view()}));
  CHECK(fits({odd.view()}));
  CHECK(fits({whole.view()}));
  CHECK(!fits({a.view(), b.view()}));
  CHECK(!fits({odd.view(), a.view()}));
  CHECK(!fits({third.view()}));
  CHECK(!fits({{point8, 32, 96, nullptr}}));
  CHECK(!fits({{DType::kQ6_K, 32, 256, nullptr}}));
  CHECK(!fits({{DType::kF16, 32, 256, nullptr}}));
}

constexpr int kRowCounts[] = {1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 48, 64};
constexpr int kFewRowCounts[] = {1, 8, 16, 33};

TEST(codes_products_fp16) {
  if (!has_device()) return;
  const Stream stream;
  for (const WeightType& type : kTypes) compare_products<__half>(stream, Weight(type, 160, 1024), kRowCounts);
  compare_products<__half>(stream, Weight(codes8(1024, true), 320, 1024), kRowCounts);
}
TEST(codes_products_bf16) {
  if (!has_device()) return;
  const Stream stream;
  for (const WeightType& type : kTypes) {
    WeightType bf16 = type;
    bf16.group.f16 = false;
    compare_products<__nv_bfloat16>(stream, Weight(bf16, 320, 1024), kFewRowCounts);
  }
  compare_products<__nv_bfloat16>(stream, Weight(codes8(1024), 320, 1024), kRowCounts);
  compare_products<__nv_bfloat16>(stream, Weight(codes4(128, GroupZero::kOffset), 320, 1024), kRowCounts);
}
TEST(codes_products_of_odd_sizes) {
  if (!has_device()) return;
  const Stream stream;
  for (const auto& [rows, cols] :
       {std::pair{40, 96}, {19, 32}, {96, 160}, {576, 576}, {1000, 448}, {7, 2080}, {2144, 64}}) {
    for (const WeightType& type : {codes4(32, GroupZero::kOffset, true), codes4(cols, GroupZero::kPoint, true),
                                   codes8(32, true), codes8(cols, true)}) {
      compare_products<__half>(stream, Weight(type, rows, cols), kFewRowCounts);
      compare_products<__nv_bfloat16>(stream, Weight(type, rows, cols), kFewRowCounts);
    }
  }
}
TEST(codes_products_of_long_rows) {
  if (!has_device()) return;
  const Stream stream;
  for (const WeightType& type :
       {codes4(128, GroupZero::kOffset, true), codes4(32, GroupZero::kOffset, true), codes8(14336, true)}) {
    compare_products<__half>(stream, Weight(type, 64, 14336), kFewRowCounts);
  }
  // More tiles than blocks.
  compare_products<__half>(stream, Weight(codes4(64, GroupZero::kOffset, true), 20480, 128), kFewRowCounts);
}
TEST(codes_small_products) {
  if (!has_device()) return;
  const Stream stream;
  constexpr int kSmall[] = {1, 8, 33};
  for (const WeightType& type : {codes4(32, GroupZero::kOffset, true), codes4(64, GroupZero::kPoint, true),
                                 codes8(32, true), codes8(192, true)}) {
    compare_products<__half>(stream, Weight(type, 96, 192), kSmall);
    compare_expanded<__half>(stream, Weight(type, 96, 192));
  }
}
TEST(codes_expand) {
  if (!has_device()) return;
  const Stream stream;
  for (const WeightType& type : kTypes) {
    compare_expanded<__half>(stream, Weight(type, 48, 1024));
    compare_expanded<__nv_bfloat16>(stream, Weight(type, 35, 512));
  }
  compare_expanded<__half>(stream, Weight(codes8(96, true), 19, 96));
  compare_expanded<__half>(stream, Weight(codes4(96, GroupZero::kOffset, true), 19, 96));
}
#else
TEST(codes) { std::printf("     skipped: built without CUDA\n"); }
#endif

TEST_MAIN()
