// Rotation, cache append and attention of prompts on the device, against the formulas in fp64 on the host. Skipped,
// with a line, where there is no device or no CUDA in the build.
#include <cmath>
#include <numbers>
#include <random>
#include <vector>

#include "check.h"
#include "cuda_device.h"
#include "error.h"
#ifdef JSG_CUDA
#include "backend/cuda/attention.h"
#endif

#ifdef JSG_CUDA
using namespace jsg;
using namespace jsg::test;
using namespace jsg::cuda;

namespace {

struct Dims {
  int heads, kv_heads, head_dim;
  int window = 0;
  bool qk_norm = false, interleaved = false;
};

// Rows of one sequence in a step: they begin where the sequence ends so far.
struct Chunk {
  int sequence, n_rows;
};
using Steps = std::vector<std::vector<Chunk>>;

// A cache, and what it should hold.
template <class T>
class Prefill {
 public:
  Prefill(const Dims& dims, AttentionPath path, int n_sequences)
      : dims_(dims),
        shape_{1,      kHidden,     kHidden,          dims.heads, dims.kv_heads, dims.head_dim,
               kVocab, dims.window, dims.interleaved, kEps},
        options_{.precision = std::is_same_v<T, __half> ? Precision::kF16 : Precision::kBF16, .attention = path},
        launch_{make_stream(), device_major() >= 9},
        attention_(shape_, options_, n_sms(), launch_),
        keys_(n_sequences),
        values_(n_sequences) {
    attention_.make_cache(kBlocks);
    for (int s = 0; s < n_sequences; ++s) {
      tables_.emplace_back(kBlocks / n_sequences);
      for (int32_t& block : tables_.back()) block = n_tabled_++ * kStride % kBlocks;
    }
  }
  ~Prefill() { (void)cudaStreamDestroy(launch_.stream); }

  // Sequences begin again; what they have written stays in their blocks.
  void forget() {
    for (auto& keys : keys_) keys.clear();
    for (auto& values : values_) values.clear();
  }

  // Runs one step of random rows. Returns the largest difference of an output from the formula's, relative to the
  // largest value that went into it. `poison`: q, k and v are NaN, and nothing is compared.
  double step(const std::vector<Chunk>& chunks, bool poison = false) {
    const int d = dims_.head_dim, width = (dims_.heads + 2 * dims_.kv_heads) * d;
    std::vector<int32_t> positions, sequences, tables, table_begin;
    std::vector<int2> slices;
    AttentionStep plan{0, 0, static_cast<int>(chunks.size()), 0, 1};
    for (const Chunk& chunk : chunks) {
      const int first = static_cast<int>(keys_[chunk.sequence].size()) / (dims_.kv_heads * d);
      if (chunk.n_rows == 1 && plan.n_rows == plan.n_decode) {
        ++plan.n_decode;
      } else {
        plan.max_slice_rows = std::max(plan.max_slice_rows, chunk.n_rows);
      }
      for (int i = 0; i < chunk.n_rows; ++i) {
        positions.push_back(first + i);
        sequences.push_back(static_cast<int32_t>(slices.size()));
      }
      slices.push_back({plan.n_rows, chunk.n_rows});
      table_begin.push_back(static_cast<int32_t>(tables.size()));
      const auto& table = tables_[chunk.sequence];
      tables.insert(tables.end(), table.begin(), table.begin() + (first + chunk.n_rows + kPage - 1) / kPage);
      plan.n_rows += chunk.n_rows;
      plan.max_context = std::max(plan.max_context, first + chunk.n_rows);
    }
    std::vector<float2> rotations;
    for (const int32_t position : positions) {
      for (int i = 0; i < d / 2; ++i) {
        const double angle = position * std::pow(1e4, -2.0 * i / d);
        rotations.push_back({static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))});
      }
    }
    std::vector<T> qkv(static_cast<size_t>(plan.n_rows) * width);
    for (T& x : qkv) x = static_cast<T>(poison ? NAN : normal_(random_));
    std::vector<float> q_norm(d), k_norm(d);
    for (float& x : q_norm) x = 1 + 0.3f * normal_(random_);
    for (float& x : k_norm) x = 1 + 0.3f * normal_(random_);

    const OnDevice<T> device_qkv(qkv), device_out(std::vector<T>(static_cast<size_t>(plan.n_rows) * dims_.heads * d));
    const OnDevice<int32_t> device_positions(positions), device_sequences(sequences), device_tables(tables),
        device_table_begin(table_begin);
    const OnDevice<int2> device_slices(slices);
    const OnDevice<float2> device_rotations(rotations);
    const OnDevice<float> device_q_norm(q_norm), device_k_norm(k_norm);
    attention_.plan(plan);
    attention_.run(0, device_qkv.get(), device_out.get(),
                   StepView{device_positions.get(), device_sequences.get(), device_slices.get(), device_tables.get(),
                            device_table_begin.get(), device_rotations.get()},
                   dims_.qk_norm ? device_q_norm.get() : nullptr, dims_.qk_norm ? device_k_norm.get() : nullptr);
    check(cudaStreamSynchronize(launch_.stream), "running attention");
    const std::vector<T> out = device_out.read();

    double worst = 0;
    for (size_t c = 0; c < chunks.size(); ++c) {
      for (int i = 0; i < chunks[c].n_rows; ++i) {
        const int row = slices[c].x + i;
        const T* x = qkv.data() + static_cast<size_t>(row) * width;
        const float2* rotation = rotations.data() + static_cast<size_t>(row) * d / 2;
        auto& keys = keys_[chunks[c].sequence];
        auto& values = values_[chunks[c].sequence];
        for (int h = 0; h < dims_.kv_heads; ++h) {
          append(keys, rotated(x + (dims_.heads + h) * d, k_norm, rotation));
          for (int j = 0; j < d; ++j) values.push_back(to_double(x[(dims_.heads + dims_.kv_heads + h) * d + j]));
        }
        if (poison) continue;
        for (int h = 0; h < dims_.heads; ++h) {
          const auto expected = attend(rotated(x + h * d, q_norm, rotation), keys, values,
                                       h / (dims_.heads / dims_.kv_heads), positions[row]);
          for (int j = 0; j < d; ++j) {
            const double got = to_double(out[(static_cast<size_t>(row) * dims_.heads + h) * d + j]);
            const double difference = std::fabs(got - expected[j]);
            if (!(difference <= worst)) worst = difference;
            if (std::isnan(difference)) return NAN;
          }
        }
      }
    }
    return worst;
  }

 private:
  static constexpr int kHidden = 64, kVocab = 8, kBlocks = 512, kStride = 197;
  static constexpr float kEps = 1e-5f;

  static cudaStream_t make_stream() {
    cudaStream_t stream;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
    return stream;
  }
  static int attribute(cudaDeviceAttr which) {
    int value;
    check(cudaDeviceGetAttribute(&value, which, 0), "reading the device's properties");
    return value;
  }
  static int device_major() { return attribute(cudaDevAttrComputeCapabilityMajor); }
  static int n_sms() { return attribute(cudaDevAttrMultiProcessorCount); }
  static double to_double(T x) { return static_cast<double>(static_cast<float>(x)); }
  static void append(std::vector<double>& to, const std::vector<double>& values) {
    to.insert(to.end(), values.begin(), values.end());
  }

  // A head of q or k as the kernels hand it on: normalised, rotated, rounded.
  std::vector<double> rotated(const T* x, const std::vector<float>& norm, const float2* rotation) const {
    const int d = dims_.head_dim;
    std::vector<double> y(d);
    double squares = 0;
    for (int j = 0; j < d; ++j) squares += to_double(x[j]) * to_double(x[j]);
    const double factor = 1 / std::sqrt(squares / d + kEps);
    for (int j = 0; j < d; ++j) y[j] = to_double(x[j]) * (dims_.qk_norm ? factor * norm[j] : 1);
    for (int i = 0; i < d / 2; ++i) {
      double& a = y[dims_.interleaved ? 2 * i : i];
      double& b = y[dims_.interleaved ? 2 * i + 1 : i + d / 2];
      const double turned = a * rotation[i].x - b * rotation[i].y;
      b = a * rotation[i].y + b * rotation[i].x;
      a = turned;
    }
    for (double& value : y) value = to_double(static_cast<T>(static_cast<float>(value)));
    return y;
  }

  std::vector<double> attend(const std::vector<double>& q, const std::vector<double>& keys,
                             const std::vector<double>& values, int kv_head, int position) const {
    const int d = dims_.head_dim, first = dims_.window > 0 ? std::max(0, position - dims_.window + 1) : 0;
    std::vector<double> weights, sum(d);
    double total = 0, top = -INFINITY;
    auto of = [&](const std::vector<double>& cache, int token) {
      return cache.data() + (static_cast<size_t>(token) * dims_.kv_heads + kv_head) * d;
    };
    for (int token = first; token <= position; ++token) {
      double score = 0;
      for (int j = 0; j < d; ++j) score += q[j] * of(keys, token)[j];
      weights.push_back(score / std::sqrt(static_cast<double>(d)));
      top = std::max(top, weights.back());
    }
    for (double& weight : weights) total += weight = std::exp(weight - top);
    for (int token = first; token <= position; ++token) {
      for (int j = 0; j < d; ++j) sum[j] += weights[token - first] / total * of(values, token)[j];
    }
    return sum;
  }

  const Dims dims_;
  const DecoderShape shape_;
  const CudaOptions options_;
  const Launcher launch_;
  Attention<T> attention_;
  int n_tabled_ = 0;
  std::vector<std::vector<int32_t>> tables_;
  std::vector<std::vector<double>> keys_, values_;  // of each sequence, (tokens, kv_heads, head_dim)
  std::mt19937 random_{5};
  std::normal_distribution<float> normal_;
};

// Of outputs about 1 in size: the rounding of q, k, the probabilities and the output.
template <class T>
constexpr double kTolerance = std::is_same_v<T, __half> ? 4e-3 : 3e-2;

template <class T>
void compare(const Dims& dims, int n_sequences, const Steps& steps) {
  if (!has_device()) return;
  for (const AttentionPath path : {AttentionPath::kFast, AttentionPath::kReference}) {
    Prefill<T> prefill(dims, path, n_sequences);
    // What earlier sequences have left in the blocks must not show.
    for (const auto& chunks : steps) prefill.step(chunks, true);
    prefill.forget();
    double worst = 0;
    for (const auto& chunks : steps) {
      const double difference = prefill.step(chunks);
      if (!(difference <= worst)) worst = difference;
    }
    std::printf("     %d/%d heads of %d, window %d, %s: %.2e\n", dims.heads, dims.kv_heads, dims.head_dim, dims.window,
                path == AttentionPath::kFast ? "fast" : "reference", worst);
    CHECK_NEAR(worst, 0, kTolerance<T>);
  }
}

// Prompts of many lengths together, then chunks that begin at odd positions beside rows that decode.
const Steps kRagged = {
    {{0, 1}, {1, 15}, {2, 16}, {3, 17}, {4, 64}, {5, 65}, {6, 129}, {7, 200}},
    {{0, 1}, {1, 1}, {2, 33}, {3, 130}, {4, 2}, {5, 1}, {6, 127}},
    {{7, 3}, {6, 61}, {0, 14}, {3, 96}},
};

}  // namespace

TEST(prefill_head_128) { compare<__half>({8, 2, 128}, 8, kRagged); }
TEST(prefill_head_64) { compare<__half>({6, 3, 64}, 8, kRagged); }
TEST(prefill_bf16_interleaved_qk_norm) {
  compare<__nv_bfloat16>({4, 1, 128, 0, true, true}, 8, kRagged);
  compare<__nv_bfloat16>({4, 4, 64, 0, true, false}, 8, kRagged);
}
TEST(prefill_groups) {
  for (const int group : {1, 2, 3, 5, 7, 8, 16}) compare<__half>({group, 1, 64}, 8, kRagged);
  compare<__half>({24, 2, 128}, 8, kRagged);
}
TEST(prefill_windows) {
  for (const int window : {1, 7, 16, 50, 64, 100, 129}) compare<__half>({4, 2, 64, window}, 8, kRagged);
  compare<__half>({2, 1, 128, 77}, 8, kRagged);
}
TEST(prefill_long_context) {
  Steps steps;
  for (int i = 0; i < 5; ++i) steps.push_back({{0, 300}, {1, 41}});
  compare<__half>({2, 1, 128}, 2, steps);
  compare<__half>({2, 1, 64, 700}, 2, steps);
}
TEST(prefill_other_heads) {
  compare<__half>({2, 1, 96}, 8, kRagged);
  compare<__half>({2, 2, 32, 20, true}, 8, kRagged);
}
#else
TEST(prefill) { std::printf("     skipped: built without CUDA\n"); }
#endif

TEST_MAIN()
