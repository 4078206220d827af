// Where the time of a prefill goes: each operation of the CUDA backend by itself, over as many layers as the model has,
// and the whole step.
//   prefill_bench [8b|1b|135m] [fp16|bf16] [--prompts N] [--tokens N] [--context N]
//                 [--torchao-config int4wo-N|int8wo] [--prefill-dtype int8]
// Every operation runs over several layers of random weights in turn, so that no weight is left in a cache. Beside
// each: operations or bytes a second, and the share of the sum. Beside each product: the same by cuBLAS, without what
// the backend does in the same kernel.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "bench/shapes.h"
#include "error.h"
#include "model/dummy_weights.h"
#include "model/quantize.h"
#include "model/rope.h"
#ifdef JSG_CUDA
#include "backend/cuda/cublas.h"
#include "backend/cuda/cuda_backend.h"
#endif

using namespace jsg;
using Clock = std::chrono::steady_clock;

#ifdef JSG_CUDA
namespace {

constexpr int kLayers = 6;  // that weights are made of
constexpr int kRepeats = 5;

struct Options {
  const bench::Shape* shape = bench::find_shape("8b");
  DType dtype = DType::kF16;
  int prompts = 0, tokens = 2048;  // 0 prompts: 8 x 256 and 1 x 2048
  int context = 0;                 // tokens computed before
  int bits = 16, group = 0;        // of the linear layers' weights; group 0: a row
  bool int8 = false;               // activations, for codes
};

struct Layer {
  std::unique_ptr<Linear> qkv, output, gate_up, down;
};

double milliseconds(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

// Median time of `body`, ended by the device's last work, in ms.
double time_ms(const std::function<void()>& body) {
  std::vector<double> times;
  for (int i = 0; i <= kRepeats; ++i) {
    cuda::check(cudaDeviceSynchronize(), "waiting for the device");
    const auto start = Clock::now();
    body();
    cuda::check(cudaDeviceSynchronize(), "waiting for the device");
    if (i > 0) times.push_back(milliseconds(Clock::now() - start));
  }
  std::nth_element(times.begin(), times.begin() + kRepeats / 2, times.end());
  return times[kRepeats / 2];
}

class PrefillBench {
 public:
  explicit PrefillBench(const Options& options)
      : options_(options),
        s_(*options.shape),
        backend_(cuda::make_cuda_backend(
            {s_.layers, s_.hidden, s_.intermediate, s_.heads, s_.kv_heads, s_.head_dim, s_.vocab, 0, false, 1e-5f},
            {.precision = options.dtype == DType::kF16 ? cuda::Precision::kF16 : cuda::Precision::kBF16,
             .int8_prompts = options.int8})) {
    const int64_t q = int64_t{s_.heads} * s_.head_dim, kv = int64_t{s_.kv_heads} * s_.head_dim;
    embedding_ = backend_->make_table(view(s_.vocab, s_.hidden));
    norm_ = backend_->make_table(view(1, s_.hidden));
    for (int i = 0; i < kLayers; ++i) {
      layers_.push_back({linear({q, kv, kv}, s_.hidden), linear({s_.hidden}, q),
                         linear({s_.intermediate, s_.intermediate}, s_.hidden), linear({s_.hidden}, s_.intermediate)});
    }
    head_ = backend_->make_linear(std::vector{view(s_.vocab, s_.hidden)}, {});
    while (backend_->await_weights(std::chrono::milliseconds(100)) > 0) continue;
  }

  void make_cache(int n_sequences, int length) {
    blocks_each_ = (length + kBlockSize - 1) / kBlockSize;
    const int n_blocks = n_sequences * blocks_each_;
    backend_->make_kv_cache(n_blocks);
    for (int i = 0; i < n_blocks; ++i) pool_.push_back(static_cast<int32_t>(int64_t{i} * 7919 % n_blocks));
  }

  void run(int prompts, int tokens) {
    Batch batch;
    for (int s = 0; s < prompts; ++s) {
      const int first = static_cast<int>(batch.token_ids.size());
      for (int i = 0; i < tokens; ++i) {
        batch.token_ids.push_back((s * 31 + i * 7) % s_.vocab);
        batch.positions.push_back(options_.context + i);
      }
      batch.slices.push_back({first, tokens, options_.context + tokens, pool_.data() + s * blocks_each_});
      batch.logit_rows.push_back(first + tokens - 1);
    }
    batch.sampling.resize(prompts);
    const double rows = static_cast<double>(prompts) * tokens, n = s_.layers;
    std::printf("%d x %d tokens after %d: ms over %d layers\n", prompts, tokens, options_.context, s_.layers);

    ModelConfig config{s_.layers,   s_.hidden, s_.intermediate, s_.heads, s_.kv_heads,
                       s_.head_dim, s_.vocab,  1e-5f,           500000.0};
    Rope rope(config, {});
    std::vector<float> cos, sin;
    total_ = 0;
    report("rotations, on the host", time_ms([&] { rope.fill(batch.positions, cos, sin); }), 0, 0);
    backend_->begin_step(batch, cos, sin);
    report("embed", time_ms([&] { backend_->embed(*embedding_, *norm_); }), 0, rows * s_.hidden * 8);
    each_layer(
        "qkv", rows, [&](const Layer& layer) -> auto& { return *layer.qkv; },
        [&](const Layer& layer) { backend_->qkv(*layer.qkv); });
    const double pairs = rows * (options_.context + (tokens + 1) / 2.0);
    report("append and attention", layers_ms([&](const Layer&) { backend_->attention(0, nullptr, nullptr); }),
           4.0 * pairs * s_.heads * s_.head_dim * n, 0);
    each_layer(
        "output, residual, norm", rows, [&](const Layer& layer) -> auto& { return *layer.output; },
        [&](const Layer& layer) { backend_->output(*layer.output, *norm_); });
    each_layer(
        "gate and up, SiLU", rows, [&](const Layer& layer) -> auto& { return *layer.gate_up; },
        [&](const Layer& layer) { backend_->gate_up(*layer.gate_up); });
    each_layer(
        "down, residual, norm", rows, [&](const Layer& layer) -> auto& { return *layer.down; },
        [&](const Layer& layer) { backend_->down(*layer.down, *norm_); });
    const auto start = Clock::now();
    backend_->logits(*head_);
    backend_->wait();
    report("logits and sampling", milliseconds(Clock::now() - start), 0, static_cast<double>(head_->bytes));
    std::printf("  %-24s %8.3f ms\n", "sum", total_);

    const double whole = time_ms([&] {
      rope.fill(batch.positions, cos, sin);
      backend_->begin_step(batch, cos, sin);
      backend_->embed(*embedding_, *norm_);
      for (int i = 0; i < s_.layers; ++i) {
        const Layer& layer = layers_[i % kLayers];
        backend_->qkv(*layer.qkv);
        backend_->attention(0, nullptr, nullptr);
        backend_->output(*layer.output, *norm_);
        backend_->gate_up(*layer.gate_up);
        backend_->down(*layer.down, *norm_);
      }
      backend_->logits(*head_);
      backend_->wait();
    });
    std::printf("  %-24s %8.3f ms, %.0f token/s\n", "the whole step", whole, rows / whole * 1e3);
  }

 private:
  WeightView view(int64_t rows, int64_t cols) {
    const std::string name = "tensor " + std::to_string(sources_.size()) + (rows == 1 ? " norm.weight" : "");
    const uint64_t bytes = static_cast<uint64_t>(rows * cols) * 2;
    std::vector<int64_t> shape = rows == 1 ? std::vector<int64_t>{cols} : std::vector<int64_t>{rows, cols};
    sources_.push_back(std::make_unique<DummySource>(TensorInfo{name, options_.dtype, std::move(shape), 0, 0, bytes}));
    return {options_.dtype, rows, cols, nullptr, sources_.back().get()};
  }
  WeightView quantized(WeightView plain) {
    const int group = options_.group > 0 ? options_.group : static_cast<int>(plain.cols);
    const QuantizeOnLoad how{options_.bits, group};
    codes_.push_back(std::make_unique<QuantizingSource>(*plain.source, plain.type, how));
    return {how.type(), plain.rows, plain.cols, nullptr, codes_.back().get()};
  }
  std::unique_ptr<Linear> linear(std::initializer_list<int64_t> rows, int64_t cols) {
    std::vector<WeightView> views;
    for (const int64_t n : rows) views.push_back(options_.bits == 16 ? view(n, cols) : quantized(view(n, cols)));
    return backend_->make_linear(views, {});
  }

  double layers_ms(const std::function<void(const Layer&)>& op) {
    return time_ms([&] {
      for (int i = 0; i < s_.layers; ++i) op(layers_[i % kLayers]);
    });
  }

  void report(const char* name, double ms, double operations, double bytes) {
    total_ += ms;
    std::printf("  %-24s %8.3f ms", name, ms);
    if (operations > 0) std::printf("  %6.0f TFLOP/s", operations / ms / 1e9);
    if (bytes > 0) std::printf("  %6.0f GB/s", bytes / ms / 1e6);
    std::printf("\n");
  }

  // A product, and beside it the same by cuBLAS.
  void each_layer(const char* name, double rows, const std::function<const Linear&(const Layer&)>& weight_of,
                  const std::function<void(const Layer&)>& op) {
    const Linear& linear = weight_of(layers_[0]);
    const double operations = 2 * rows * static_cast<double>(linear.in_features * linear.out_features) * s_.layers;
    report(name, layers_ms(op), operations, 0);
    const auto type = options_.dtype == DType::kF16 ? cuda::ElementType::kF16 : cuda::ElementType::kBF16;
    const auto m = static_cast<int>(linear.out_features), k = static_cast<int>(linear.in_features);
    const auto weight_elems = static_cast<size_t>(m) * k;
    const auto n = static_cast<int>(rows);
    weights_.grow(weight_elems * kLayers);
    x_.grow(static_cast<size_t>(n) * k);
    out_.grow(static_cast<size_t>(n) * m);
    fill(weights_.get(), weight_elems * kLayers);
    fill(x_.get(), static_cast<size_t>(n) * k);
    if (!cublas_) {
      cuda::check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
      cublas_ = cuda::Cublas::open(stream_);
    }
    const double ms = time_ms([&] {
      for (int i = 0; i < s_.layers; ++i) {
        cublas_->product(weights_.get() + weight_elems * (i % kLayers), x_.get(), type, out_.get(), type, m, n, k, m,
                         false);
      }
    });
    std::printf("  %-24s %8.3f ms  %6.0f TFLOP/s\n", "    by cuBLAS, bare", ms, operations / ms / 1e9);
  }

  // Random numbers, a part of them made on the host.
  void fill(uint16_t* to, size_t count) {
    constexpr size_t kPart = size_t{1} << 22;
    if (random_.empty()) {
      random_.resize(kPart);
      DummySource({"x", options_.dtype, {1024, 4096}, 0, 0, kPart * 2})
          .read(0, {reinterpret_cast<uint8_t*>(random_.data()), kPart * 2});
    }
    for (size_t at = 0; at < count; at += kPart) {
      cuda::copy_to_device(to + at, random_.data(), std::min(kPart, count - at) * 2, "copying to the device");
    }
  }

  const Options options_;
  const bench::Shape& s_;
  std::vector<std::unique_ptr<DummySource>> sources_;
  std::vector<std::unique_ptr<QuantizingSource>> codes_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Table> embedding_, norm_;
  std::vector<Layer> layers_;
  std::unique_ptr<Linear> head_;
  int blocks_each_ = 0;
  std::vector<int32_t> pool_;
  double total_ = 0;

  cudaStream_t stream_ = nullptr;
  std::unique_ptr<cuda::Cublas> cublas_;
  cuda::Memory<uint16_t> weights_, x_, out_;
  std::vector<uint16_t> random_;
};

int run(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "bf16") options.dtype = DType::kBF16;
    if (arg == "int8") options.int8 = true;
    if (arg == "int8wo") options.bits = 8;
    if (arg.starts_with("int4wo-")) {
      options.bits = 4;
      options.group = std::stoi(arg.substr(7));
    }
    if (arg == "--prompts" && i + 1 < argc) options.prompts = std::atoi(argv[++i]);
    if (arg == "--tokens" && i + 1 < argc) options.tokens = std::atoi(argv[++i]);
    if (arg == "--context" && i + 1 < argc) options.context = std::atoi(argv[++i]);
    if (const bench::Shape* shape = bench::find_shape(arg)) options.shape = shape;
  }
  if (cuda::cuda_device_count() == 0) throw Error("E_DEVICE_UNSUITABLE", "there is no CUDA device");
  PrefillBench bench(options);
  bench.make_cache(std::max(8, options.prompts), options.context + options.tokens);
  if (options.prompts > 0) {
    bench.run(options.prompts, options.tokens);
  } else {
    bench.run(8, 256);
    bench.run(1, 2048);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "prefill_bench: %s: %s\n", error.code().c_str(), error.what());
    return 1;
  }
}
#else
int main() {
  std::printf("prefill_bench: built without CUDA\n");
  return 1;
}
#endif
