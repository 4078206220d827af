// Products of codes with activations in int8 on the device: against the same arithmetic on the host, and against exact
// products of activations as they are. Skipped, with a line, where there is no device or no CUDA in the build. `small`
// in a test's name: for compute-sanitizer.
#include <bit>
#include <cmath>
#include <vector>

#include "check.h"
#include "cuda_device.h"
#include "tiny_decoder.h"
#ifdef JSG_CUDA
#include "backend/cuda/int8_products.h"
#include "cuda_codes.h"
#endif

#ifdef JSG_CUDA
using namespace jsg;
using namespace jsg::cuda;
using namespace jsg::test;

namespace {

// What kernels/quantize_rows.cuh makes of a group of numbers, as numbers.
void quantize_group(float* values, int n) {
  uint32_t largest = 0;
  for (int i = 0; i < n; ++i) largest = std::max(largest, std::bit_cast<uint32_t>(values[i]) & 0x7fffffffu);
  const float rough = std::bit_cast<float>(largest) * (1.0f / 127.0f);
  const float scale = std::bit_cast<float>((std::bit_cast<uint32_t>(rough) + 0x3ffu) & ~0x3ffu);
  const float inverse = largest < 0x01000000u ? 0.0f : 1.0f / scale;
  for (int i = 0; i < n; ++i) values[i] = scale * std::nearbyint(values[i] * inverse);
}

struct Setup {
  const Weight& weight;
  int n;
  int group;           // columns that share a scale of the activations; 0: as they are
  float outlier = 1;   // what one column of each row is multiplied by
  bool quiet = false;  // all rows but the first are 0
};

template <class T>
std::vector<T> activations_of(const Setup& c) {
  auto x = random_numbers<T>(static_cast<size_t>(c.n) * c.weight.cols, 0.1f, 1, 1);
  for (int row = 0; row < c.n; ++row) {
    T* of_row = x.data() + static_cast<size_t>(row) * c.weight.cols;
    T& outlier = of_row[row * 37 % c.weight.cols];
    outlier = static_cast<T>(as_float(outlier) * c.outlier);
    if (c.quiet && row > 0) std::fill_n(of_row, c.weight.cols, T(0));
  }
  return x;
}

// (n, rows of the weight) in fp64.
template <class T>
std::vector<double> products_of(const Setup& c, const std::vector<T>& x) {
  const auto& [type, rows, cols, stored, values] = c.weight;
  std::vector<double> y(static_cast<size_t>(c.n) * rows);
  std::vector<float> row(static_cast<size_t>(cols));
  for (int b = 0; b < c.n; ++b) {
    for (int i = 0; i < cols; ++i) row[i] = as_float(x[static_cast<size_t>(b) * cols + i]);
    for (int i = 0; c.group > 0 && i < cols; i += c.group) quantize_group(row.data() + i, std::min(c.group, cols - i));
    for (int r = 0; r < rows; ++r) {
      const float* w = values.data() + static_cast<size_t>(r) * cols;
      double sums[4] = {};
      for (int i = 0; i < cols; ++i) sums[i % 4] += static_cast<double>(w[i]) * row[i];
      y[static_cast<size_t>(b) * rows + r] = sums[0] + sums[1] + sums[2] + sums[3];
    }
  }
  return y;
}

// What an epilogue makes of products in fp64.
std::vector<float> finished(const Setup& c, std::vector<double> y, Epilogue epilogue, const std::vector<float>& bias,
                            const std::vector<float>& residual) {
  const int rows = c.weight.rows, features = epilogue == Epilogue::kSilu ? rows / 2 : rows;
  std::vector<float> out(static_cast<size_t>(c.n) * features);
  for (size_t i = 0; i < y.size() && !bias.empty(); ++i) y[i] += bias[i % rows];
  for (size_t i = 0; i < out.size(); ++i) {
    const double* of_row = y.data() + i / features * rows;
    const size_t f = i % features;
    double value = of_row[f];
    if (epilogue == Epilogue::kSilu) value = value / (1 + std::exp(-value)) * of_row[features + f];
    if (epilogue == Epilogue::kResidual) value += residual[i];
    out[i] = static_cast<float>(value);
  }
  return out;
}

template <class T>
std::vector<float> run_on_device(const Stream& stream, const Setup& c, const std::vector<T>& x, Epilogue epilogue,
                                 const std::vector<float>& bias, const std::vector<float>& residual) {
  const DType scale_type = std::is_same_v<T, __half> ? DType::kF16 : DType::kBF16;
  const auto tiles = CodeTiles::of(std::vector<WeightView>{c.weight.view()}, scale_type);
  if (!tiles) return {};
  const OnDevice<uint8_t> codes(packed(*tiles, c.weight));
  const int features = epilogue == Epilogue::kSilu ? c.weight.rows / 2 : c.weight.rows;
  const OnDevice<T> device_x(x), out(std::vector<T>(static_cast<size_t>(c.n) * features, T(NAN)));
  const OnDevice<float> device_bias(bias), device_residual(residual);
  ProductArgs<T> args{};
  args.codes = tiles->view();
  args.codes.data = codes.get();
  args.x = device_x.get();
  args.bias = bias.empty() ? nullptr : device_bias.get();
  args.out = out.get();
  args.residual = device_residual.get();
  args.n = c.n;
  args.in_features = c.weight.cols;
  args.out_features = c.weight.rows;
  Int8Products<T> products(stream.launch);
  products.run(epilogue, args);
  cuda::check(cudaStreamSynchronize(stream.launch.stream), "a product");
  if (epilogue == Epilogue::kResidual) return device_residual.read();
  std::vector<float> floats;
  for (const T value : out.read()) floats.push_back(as_float(value));
  return floats;
}

int group_of(const WeightType& type, int cols) {
  const int group = type.is_grouped() ? type.group.size : 32;
  if (group == cols || group >= 128) return 128;
  return group == 64 && type.dtype == DType::kInt4 ? 64 : 32;
}

template <class T>
void compare(const Stream& stream, const Weight& weight, int n, float outlier = 1, bool quiet = false) {
  Setup same{weight, n, group_of(weight.type, weight.cols), outlier, quiet};
  const auto x = activations_of<T>(same);
  const auto y = products_of(same, x);
  Setup exact = same;
  exact.group = 0;
  const auto exact_y = products_of(exact, x);
  for (const Epilogue epilogue : {Epilogue::kStore, Epilogue::kResidual, Epilogue::kSilu}) {
    if (epilogue == Epilogue::kSilu && weight.rows % 32 != 0) continue;
    const bool is_residual = epilogue == Epilogue::kResidual;
    std::vector<float> bias, residual;
    if (is_residual) residual = random_numbers<float>(y.size(), 0, 1, 3);
    if (!is_residual) bias = random_numbers<float>(static_cast<size_t>(weight.rows), 0, 1, 5);
    const auto got = run_on_device(stream, same, x, epilogue, bias, residual);
    const double difference = relative_difference(got, finished(same, y, epilogue, bias, residual));
    const double from_exact = relative_difference(got, finished(exact, exact_y, epilogue, bias, residual));
    // Of outputs in 16 bits; the residual stream shows the products themselves.
    const double tolerance = is_residual ? 3e-6 : std::is_same_v<T, __half> ? 6e-4 : 5e-3;
    const double of_int8 = outlier == 1 ? 0.02 : 0.2;
    if (!(difference <= tolerance && from_exact <= of_int8)) {
      std::printf("     %s (%d, %d) epilogue %d, %d rows: %.2e, from exact %.2e\n", name_of(weight.type).c_str(),
                  weight.rows, weight.cols, static_cast<int>(epilogue), n, difference, from_exact);
    }
    CHECK_NEAR(difference, 0, tolerance);
    CHECK_NEAR(from_exact, 0, of_int8);
    // It did quantise them.
    if (is_residual && !quiet) CHECK(from_exact > 10 * difference);
  }
}

template <class T>
std::vector<WeightType> types() {
  constexpr bool kF16 = std::is_same_v<T, __half>;
  std::vector<WeightType> all = {codes4(32, GroupZero::kOffset, kF16),
                                 codes4(64, GroupZero::kPoint, kF16),
                                 codes4(128, GroupZero::kOffset, kF16),
                                 codes4(128, GroupZero::kPoint, kF16),
                                 codes4(256, GroupZero::kNone, kF16),
                                 codes8(32, kF16),
                                 codes8(128, kF16),
                                 codes8(1024, kF16)};
  if (kF16) all.insert(all.end(), {DType::kQ4_0, DType::kQ4_1, DType::kQ8_0});
  return all;
}

}  // namespace

TEST(int8_products_are_those_of_the_host) {
  if (!has_device()) return;
  const Stream stream;
  for (const auto& type : types<__half>()) compare<__half>(stream, Weight(type, 320, 1024), 200);
  for (const auto& type : types<__nv_bfloat16>()) compare<__nv_bfloat16>(stream, Weight(type, 320, 1024), 129);
}
TEST(int8_products_of_odd_sizes) {
  if (!has_device()) return;
  const Stream stream;
  for (const auto& [rows, cols] : {std::pair{576, 576}, {96, 160}, {40, 96}, {1000, 448}, {8, 2080}, {2144, 64}}) {
    for (const WeightType& type : {codes4(32, GroupZero::kOffset, true), codes4(cols, GroupZero::kPoint, true),
                                   codes8(32, true), codes8(cols, true)}) {
      for (const int n : {1, 65, 128}) compare<__half>(stream, Weight(type, rows, cols), n);
    }
  }
  compare<__half>(stream, Weight(codes4(64, GroupZero::kOffset, true), 576, 576), 300);
}
TEST(int8_products_of_many_tiles) {
  if (!has_device()) return;
  const Stream stream;
  compare<__half>(stream, Weight(codes4(128, GroupZero::kOffset, true), 1280, 256), 1300);
  compare<__nv_bfloat16>(stream, Weight(codes4(128, GroupZero::kPoint), 192, 14336), 70);
  compare<__half>(stream, Weight(codes8(14336, true), 192, 14336), 70);
}
TEST(int8_products_of_outliers_and_zeros) {
  if (!has_device()) return;
  const Stream stream;
  const Weight weight(codes4(128, GroupZero::kOffset, true), 256, 1024);
  compare<__half>(stream, weight, 100, 200);
  compare<__half>(stream, weight, 100, 1, true);
}
TEST(int8_products_show_what_is_no_number) {
  if (!has_device()) return;
  const Stream stream;
  const Weight weight(codes4(128, GroupZero::kOffset, true), 128, 256);
  for (const float value : {NAN, INFINITY, -INFINITY}) {
    const Setup c{weight, 70, 128};
    auto x = activations_of<__half>(c);
    x[3 * 256 + 200] = static_cast<__half>(value);
    const auto got = run_on_device<__half>(stream, c, x, Epilogue::kStore, {}, {});
    for (size_t i = 0; i < got.size(); ++i) CHECK(std::isfinite(got[i]) == (i / 128 != 3));
  }
}
TEST(int8_small_products) {
  if (!has_device()) return;
  const Stream stream;
  for (const WeightType& type :
       {codes4(32, GroupZero::kOffset, true), codes4(64, GroupZero::kPoint, true), codes8(192, true)}) {
    compare<__half>(stream, Weight(type, 96, 192), 70);
  }
  compare<__half>(stream, Weight(codes4(128, GroupZero::kPoint, true), 96, 384), 70);
}
#else
TEST(int8_products) { std::printf("     skipped: built without CUDA\n"); }
#endif

TEST_MAIN()
