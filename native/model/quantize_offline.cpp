#include "model/quantize_offline.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>

#include "backend/dequant.h"
#include "backend/half.h"
#include "error.h"
#include "model/mapped_file.h"

namespace jsg {
namespace {

// Rows that a thread takes at a time: zeros of eight rows share a word.
constexpr int64_t kRowsAtOnce = 8;
constexpr float kLeastScale = 1e-8f;

float to_bf16(float value) { return bf16_to_float(float_to_bf16(value)); }

// To nearest, ties to even, of |value| < 2^22.
float round_even(float value) {
  constexpr float kShift = 0x1.8p23f;
  return value + kShift - kShift;
}

float clamp(float value, float low, float high) { return std::min(std::max(value, low), high); }

// Scale and zero of one group of `n` weights, in which the codes are low..high.
struct Group {
  const float* w;
  int64_t n;
  float low, high;
  float scale = 1, zero = 0;

  float code(int64_t i) const { return clamp(round_even(clamp(w[i] / scale, -1e6f, 1e6f)) + zero, low, high); }
};

void round_to_nearest(Group& group, bool symmetric) {
  float smallest = 0, largest = 0;
  for (int64_t i = 0; i < group.n; ++i) {
    smallest = std::min(smallest, group.w[i]);
    largest = std::max(largest, group.w[i]);
  }
  if (symmetric) {
    group.scale = std::max(to_bf16(std::max(largest, -smallest) / group.high), kLeastScale);
    return;
  }
  group.scale = std::max(to_bf16((largest - smallest) / (group.high - group.low)), kLeastScale);
  group.zero = clamp(round_even(-smallest / group.scale), group.low, group.high);
}

// Sum of |w| error^2 with `scale` and each of so many zeros from `first_zero` on. Large weights carry the most and must
// not be cut off for the sake of the many small ones.
constexpr int kZeros = 3;
void losses(const Group& group, float scale, float first_zero, double (&sums)[kZeros]) {
  constexpr int64_t kLanes = 16;  // sums that run beside each other
  float lanes[kZeros][kLanes] = {}, w[kLanes], steps[kLanes];
  for (int64_t first = 0; first < group.n; first += kLanes) {
    for (int64_t i = 0; i < kLanes; ++i) w[i] = first + i < group.n ? group.w[first + i] : 0;
    for (int64_t i = 0; i < kLanes; ++i) steps[i] = round_even(clamp(w[i] / scale, -1e6f, 1e6f));
    for (int z = 0; z < kZeros; ++z) {
      const float zero = clamp(first_zero + static_cast<float>(z), group.low, group.high);
      for (int64_t i = 0; i < kLanes; ++i) {
        const float error = w[i] - scale * clamp(steps[i], group.low - zero, group.high - zero);
        lanes[z][i] += std::fabs(w[i]) * error * error;
      }
    }
  }
  for (int z = 0; z < kZeros; ++z) {
    sums[z] = 0;
    for (const float sum : lanes[z]) sums[z] += sum;
  }
}

// Scale and zero for the least loss: those of rounding to nearest, or the best of a grid around them.
void refine(Group& group) {
  constexpr int kScales = 12;
  constexpr float kLeast = 0.75f, kMost = 1.08f;  // times the scale that leaves nothing out
  const Group start = group;
  double sums[kZeros];
  losses(start, start.scale, start.zero, sums);
  double best = sums[0];
  for (int i = 0; i < kScales; ++i) {
    const float ratio = kLeast + (kMost - kLeast) * static_cast<float>(i) / (kScales - 1);
    const float scale = std::max(to_bf16(start.scale * ratio), kLeastScale);
    const float first = start.zero - kZeros / 2;
    losses(start, scale, first, sums);
    for (int z = 0; z < kZeros; ++z) {
      if (sums[z] >= best) continue;
      best = sums[z];
      group.scale = scale;
      group.zero = clamp(first + static_cast<float>(z), group.low, group.high);
    }
  }
}

struct Errors {
  double squared_error = 0, squared_norm = 0;
};

// One row into the matrix.
Errors quantize_row(const std::vector<float>& w, int64_t row, const OfflineScheme& scheme, QuantizedMatrix& out) {
  const int64_t cols = static_cast<int64_t>(w.size()), groups = cols / scheme.group_size;
  const bool is_int4 = scheme.bits == 4;
  Errors errors;
  for (int64_t g = 0; g < groups; ++g) {
    Group group{w.data() + g * scheme.group_size, scheme.group_size, is_int4 ? 0.0f : -127.0f,
                is_int4 ? 15.0f : 127.0f};
    round_to_nearest(group, !is_int4);
    if (scheme.hqq && is_int4) refine(group);
    out.scales[row * groups + g] = float_to_bf16(group.scale);
    if (is_int4) {
      out.zeros[row / 8 * groups + g] |= static_cast<uint32_t>(group.zero) << (row % 8 * 4);
    }
    uint8_t* codes = out.codes.data() + (row * cols + g * scheme.group_size) * scheme.bits / 8;
    for (int64_t i = 0; i < group.n; ++i) {
      const float code = group.code(i), error = group.w[i] - group.scale * (code - group.zero);
      errors.squared_error += static_cast<double>(error) * error;
      errors.squared_norm += static_cast<double>(group.w[i]) * group.w[i];
      const int32_t stored = static_cast<int32_t>(code) + (scheme.biased && !is_int4 ? 128 : 0);
      if (is_int4) {
        codes[i / 2] |= static_cast<uint8_t>(stored << (i % 2 * 4));
      } else {
        codes[i] = static_cast<uint8_t>(stored);
      }
    }
  }
  return errors;
}

}  // namespace

QuantizedMatrix quantize_matrix(const std::string& path, DType dtype, uint64_t offset, int64_t rows, int64_t cols,
                                const OfflineScheme& scheme, int n_threads) {
  const bool fits = rows > 0 && scheme.group_size > 0 && cols % scheme.group_size == 0 && cols % 2 == 0 &&
                    (scheme.bits == 4 || scheme.bits == 8) && dtype_traits(dtype).block_elems == 1;
  if (!fits) throw Error("E_MODEL_INVALID", "a matrix of " + std::to_string(cols) + " columns can't be quantised so");
  const MappedFile file(path);
  const uint64_t row_bytes = WeightType(dtype).bytes(cols);
  if (offset > file.bytes() || row_bytes * static_cast<uint64_t>(rows) > file.bytes() - offset) {
    throw Error("E_MODEL_INVALID", "a tensor reaches past the end of " + path);
  }
  const int64_t groups = cols / scheme.group_size;
  QuantizedMatrix out;
  out.codes.resize(static_cast<size_t>(rows * cols * scheme.bits / 8));
  out.scales.resize(static_cast<size_t>(rows * groups));
  if (scheme.bits == 4) out.zeros.resize(static_cast<size_t>((rows + 7) / 8 * groups));

  // Sums are of each run of rows, added up in order: they do not depend on who took which.
  std::vector<Errors> errors(static_cast<size_t>((rows + kRowsAtOnce - 1) / kRowsAtOnce));
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      std::vector<uint8_t> stored(row_bytes * kRowsAtOnce);
      std::vector<float> w(static_cast<size_t>(cols));
      for (size_t run = next++; run < errors.size(); run = next++) {
        const int64_t first = static_cast<int64_t>(run) * kRowsAtOnce, n = std::min(kRowsAtOnce, rows - first);
        file.read(offset + static_cast<uint64_t>(first) * row_bytes,
                  {stored.data(), row_bytes * static_cast<size_t>(n)});
        for (int64_t r = 0; r < n; ++r) {
          dequantize_row(dtype, stored.data() + static_cast<size_t>(r) * row_bytes, cols, w.data());
          const Errors of_row = quantize_row(w, first + r, scheme, out);
          errors[run].squared_error += of_row.squared_error;
          errors[run].squared_norm += of_row.squared_norm;
        }
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  };
  {
    const size_t wanted = n_threads > 0 ? static_cast<size_t>(n_threads) : std::thread::hardware_concurrency();
    std::vector<std::jthread> helpers;
    for (size_t i = 1; i < std::min(wanted, errors.size()); ++i) helpers.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
  for (const Errors& of_run : errors) {
    out.squared_error += of_run.squared_error;
    out.squared_norm += of_run.squared_norm;
  }
  return out;
}

}  // namespace jsg
