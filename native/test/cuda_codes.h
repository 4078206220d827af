// What the tests of weights of codes share: random ones, as stored and in their kernels' order, and a stream.
#pragma once
#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "backend/cuda/code_tiles.h"
#include "backend/cuda/launch.h"
#include "backend/dequant.h"
#include "backend/half.h"

namespace jsg::test {

using cuda::CodeTiles;
using cuda::kTileRows;

inline WeightType codes4(int size, GroupZero zero, bool f16 = false) { return {DType::kInt4, {size, zero, f16}}; }
inline WeightType codes8(int size, bool f16 = false) { return {DType::kInt8, {size, GroupZero::kNone, f16}}; }

inline std::string name_of(const WeightType& type) {
  std::string name(dtype_traits(type.dtype).name);
  if (type.is_grouped())
    name += "-" + std::to_string(type.group.size) + " zero " + std::to_string(static_cast<int>(type.group.zero));
  return name;
}

// Random weights of any group format, about 0.05 in size, and what they are.
struct Weight {
  WeightType type;
  int rows, cols;
  std::vector<uint8_t> stored;
  std::vector<float> values;  // (rows, cols)

  Weight(const WeightType& type, int rows, int cols) : type(type), rows(rows), cols(cols) {
    std::mt19937 random(static_cast<uint32_t>(rows * 31 + cols));
    std::uniform_real_distribution<float> uniform(0.5f, 1.5f);
    const bool is_int4 = type.dtype != DType::kInt8 && type.dtype != DType::kQ8_0;
    const bool f16 = !type.is_grouped() || type.group.f16;
    stored.resize(type.bytes(static_cast<int64_t>(rows) * cols));
    const int64_t block = type.block_bytes();
    for (size_t at = 0; at < stored.size(); at += static_cast<size_t>(block)) {
      for (int64_t i = 0; i < block; ++i) stored[at + i] = static_cast<uint8_t>(random());
      const float scale = uniform(random) * (is_int4 ? 0.01f : 0.0006f);
      put(at, scale, f16);
      if (type.dtype == DType::kQ4_1) put(at + 2, -8 * scale * uniform(random), f16);
      if (type.dtype == DType::kQ4_K) {
        put(at, scale / 32, f16);
        put(at + 2, scale / 4, f16);
      }
      if (type.group.zero == GroupZero::kOffset) put(at + 2, (uniform(random) - 1) * 0.05f, f16);
      if (type.group.zero == GroupZero::kPoint) put(at + 2, static_cast<float>(random() % 16) - 8, f16);
    }
    values.resize(static_cast<size_t>(rows) * cols);
    for (int row = 0; row < rows; ++row) {
      dequantize_row(type, stored.data() + type.bytes(static_cast<int64_t>(row) * cols), cols,
                     values.data() + static_cast<size_t>(row) * cols);
    }
  }
  WeightView view() const { return {type, rows, cols, stored.data()}; }

 private:
  void put(size_t at, float value, bool f16) {
    const uint16_t bits = f16 ? float_to_half(value) : float_to_bf16(value);
    std::memcpy(stored.data() + at, &bits, 2);
  }
};

inline std::vector<uint8_t> packed(const CodeTiles& tiles, const Weight& weight) {
  std::vector<uint8_t> out;
  for (int row = 0; row < weight.rows; row += kTileRows) {
    out.resize(out.size() + tiles.bytes(), 0xff);
    tiles.pack(weight.stored.data() + weight.type.bytes(static_cast<int64_t>(row) * weight.cols),
               std::min(kTileRows, weight.rows - row), out.data() + out.size() - tiles.bytes());
  }
  return out;
}

template <class T>
float as_float(T x) {
  return static_cast<float>(x);
}
template <class T>
std::vector<T> random_numbers(size_t n, float center, float spread, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(center, spread);
  std::vector<T> values(n);
  for (T& value : values) value = static_cast<T>(normal(random));
  return values;
}

class Stream {
 public:
  Stream() {
    cuda::check(cudaStreamCreateWithFlags(&launch.stream, cudaStreamNonBlocking), "creating a stream");
    cuda::check(cudaGetDeviceProperties(&properties, 0), "reading the device's properties");
    launch.dependent = properties.major >= 9;
  }
  ~Stream() { (void)cudaStreamDestroy(launch.stream); }
  cuda::Launcher launch;
  cudaDeviceProp properties;
};

}  // namespace jsg::test
