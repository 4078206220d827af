// Weights quantised for a checkpoint: what hqq promises of every group, and what becomes of odd ones.
#include "model/quantize_offline.h"

#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "backend/half.h"
#include "check.h"

using namespace jsg;

namespace {

// Rows of fp32 in a file, for as long as it lives.
class Stored {
 public:
  Stored(std::vector<float> w, int64_t cols) : w_(std::move(w)), cols_(cols) {
    path_ = std::filesystem::temp_directory_path() / ("jsg-offline-test-" + std::to_string(getpid()));
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(w_.data()), static_cast<std::streamsize>(w_.size() * 4));
  }
  ~Stored() { std::filesystem::remove(path_); }
  int64_t rows() const { return static_cast<int64_t>(w_.size()) / cols_; }

  // What the weights have become.
  std::vector<float> quantised(const OfflineScheme& scheme, int n_threads = 1) const {
    const QuantizedMatrix made = quantize_matrix(path_, DType::kF32, 0, rows(), cols_, scheme, n_threads);
    const int64_t groups = cols_ / scheme.group_size;
    std::vector<float> out(w_.size());
    for (size_t i = 0; i < out.size(); ++i) {
      const auto row = static_cast<int64_t>(i) / cols_, group = static_cast<int64_t>(i) % cols_ / scheme.group_size;
      const float scale = bf16_to_float(made.scales[static_cast<size_t>(row * groups + group)]);
      if (scheme.bits == 8) {
        out[i] = scale * static_cast<float>(static_cast<int8_t>(made.codes[i]));
        continue;
      }
      const uint32_t zero = made.zeros[static_cast<size_t>(row / 8 * groups + group)] >> (row % 8 * 4) & 15;
      const int code = made.codes[i / 2] >> (i % 2 * 4) & 15;
      out[i] = scale * static_cast<float>(code - static_cast<int>(zero));
    }
    return out;
  }
  // Sum of |w| error^2 of group g.
  double loss(const std::vector<float>& quantised, int64_t group_size, int64_t g) const {
    double sum = 0;
    for (int64_t i = g * group_size; i < (g + 1) * group_size; ++i) {
      const auto at = static_cast<size_t>(i);
      const double error = static_cast<double>(w_[at]) - quantised[at];
      sum += std::fabs(w_[at]) * error * error;
    }
    return sum;
  }
  const std::vector<float>& weights() const { return w_; }

 private:
  std::vector<float> w_;
  int64_t cols_;
  std::filesystem::path path_;
};

std::vector<float> random_weights(size_t n, float spread, float outlier) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> w(n);
  for (size_t i = 0; i < n; ++i) w[i] = normal(random) * (i % 61 == 0 ? outlier : 1.0f);
  return w;
}

constexpr OfflineScheme int4(int group, bool hqq) { return {4, group, hqq, false}; }

}  // namespace

TEST(hqq_lowers_the_loss_of_every_group) {
  for (const int group : {32, 64, 128, 256}) {
    for (const float outlier : {1.0f, 5.0f}) {
      const Stored stored(random_weights(16 * 1536, 0.02f, outlier), 1536);
      const auto rtn = stored.quantised(int4(group, false)), hqq = stored.quantised(int4(group, true));
      const int64_t n_groups = 16 * 1536 / group;
      double of_rtn = 0, of_hqq = 0;
      for (int64_t g = 0; g < n_groups; ++g) {
        const double before = stored.loss(rtn, group, g), after = stored.loss(hqq, group, g);
        CHECK(after <= before * (1 + 1e-5));
        of_rtn += before;
        of_hqq += after;
      }
      CHECK(of_hqq < 0.95 * of_rtn);
      CHECK(stored.quantised(int4(group, true), 3) == hqq);
    }
  }
}

TEST(hqq_keeps_what_is_exact) {
  // Whole steps of a scale that bf16 holds, zero among them: nothing is left to lower.
  std::vector<float> w(4 * 64);
  for (size_t i = 0; i < w.size(); ++i) w[i] = 0.25f * (static_cast<float>(i * 7 % 16) - 5);
  const Stored stored(w, 64);
  CHECK(stored.quantised(int4(32, false)) == w);
  CHECK(stored.quantised(int4(32, true)) == w);
}

TEST(groups_of_one_kind_are_quantised) {
  for (const float value : {0.0f, 3.0f, -0.0371f, 1e-20f, -1e30f}) {
    const Stored stored(std::vector<float>(2 * 64, value), 64);
    for (const bool hqq : {false, true}) {
      for (const float out : stored.quantised(int4(64, hqq))) {
        CHECK(std::isfinite(out));
        CHECK_NEAR(out, value, std::fabs(value) < 1e-7f ? 1e-7 : std::fabs(value) * 0.005);
      }
    }
  }
}

TEST(hqq_of_8_bits_rounds_to_nearest) {
  const Stored stored(random_weights(8 * 576, 0.02f, 5), 576);
  const OfflineScheme rtn{8, 576, false, false}, hqq{8, 576, true, false};
  CHECK(stored.quantised(hqq) == stored.quantised(rtn));
}

TEST_MAIN()
