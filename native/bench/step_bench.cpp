// Times decode steps and prefills of a decoder with random weights, without Node: the engine-level figures.
//   step_bench [cpu|cuda] [8b|1b|135m] [fp16|bf16] [--context N]
//              [--torchao-config int4wo-N|int8wo|int8dq] [--lm-head-dtype int8|int4]
// Each line: tokens a second, milliseconds a step (median), and the rate at which the weights were read beside the read
// bandwidth measured in the same process.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>

#include "bench/shapes.h"
#include "error.h"
#include "model/load.h"
#ifdef JSG_CUDA
#include "backend/cuda/cuda_backend.h"
#endif

using namespace jsg;
using bench::Shape;
using Clock = std::chrono::steady_clock;

namespace {

double median_ms(int repeats, const auto& body) {
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    const auto start = Clock::now();
    body();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  std::nth_element(times.begin(), times.begin() + repeats / 2, times.end());
  return times[repeats / 2];
}

int run(int argc, char** argv) {
  const Shape* shape = bench::find_shape("1b");
  DType dtype = DType::kF16;
  bool cuda = false;
  int context = 256;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "cuda") cuda = true;
    if (arg == "bf16") dtype = DType::kBF16;
    if (arg == "--context" && i + 1 < argc) context = std::atoi(argv[++i]);
    if (const Shape* named = bench::find_shape(arg)) shape = named;
  }
  LoadOptions options = bench::dummy_options(*shape, dtype);
  std::string format = dtype == DType::kF16 ? "fp16" : "bf16";
  for (int i = 1; i < argc; ++i) {
    const bool is_head = i > 0 && std::strcmp(argv[i - 1], "--lm-head-dtype") == 0;
    const std::string name = (is_head ? "head-" : "") + std::string(argv[i]);
    if (bench::apply_format(options, name)) format += " " + name;
  }
  options.backend = cuda ? BackendKind::kCuda : BackendKind::kCpu;
  const int max_batch = cuda ? 64 : 8, blocks_each = (std::max(context + 256, 2048 + 64) + kBlockSize - 1) / kBlockSize;
  options.max_total_tokens =
      static_cast<int64_t>(std::max(max_batch * ((context + 256) / kBlockSize + 1), 8 * blocks_each)) * kBlockSize;
  double bandwidth = 0;
#ifdef JSG_CUDA
  if (cuda) bandwidth = cuda::measure_read_bandwidth(size_t{4} << 30);
#endif
  if (!cuda) bandwidth = measure_read_bandwidth(size_t{256} << 20, 0);
  const auto load_start = Clock::now();
  LoadedModel loaded = load_model(options, [](double) {});
  std::printf("%s %s on %s: loaded in %.1f s, %.2f GB of weights a step, read bandwidth %.0f GB/s\n", shape->name,
              format.c_str(), loaded.isa.c_str(), std::chrono::duration<double>(Clock::now() - load_start).count(),
              static_cast<double>(loaded.weight_bytes) / 1e9, bandwidth);

  std::vector<int32_t> pool(loaded.n_blocks);
  for (int i = 0; i < loaded.n_blocks; ++i) pool[i] = (i * 7919) % loaded.n_blocks;  // scattered
  const int stride = (context + 256) / kBlockSize + 1;
  for (int batch_size = 1; batch_size <= max_batch; batch_size *= 2) {
    // Where the model allows it, each step is launched before the last one's tokens are known.
    Model& model = *loaded.model;
    const bool ahead = model.max_in_flight() > 1;
    int step = 0;
    auto launch = [&] {
      Batch batch;
      if (model.max_top_logprobs() >= 0) batch.sampling.resize(batch_size);
      for (int s = 0; s < batch_size; ++s) {
        batch.token_ids.push_back(ahead && step > 0 ? sampled_before(s) : (s * 31 + step * 7) % shape->vocab);
        batch.positions.push_back(context + step);
        batch.slices.push_back({s, 1, context + step + 1, pool.data() + s * stride});
        batch.logit_rows.push_back(s);
      }
      ++step;
      model.launch(batch);
    };
    if (ahead) launch();
    auto decode = [&] {
      launch();
      model.wait();
    };
    for (int i = 0; i < 5; ++i) decode();
    const double ms = median_ms(cuda ? 60 : 20, decode);
    if (ahead) model.wait();
    const double rate = static_cast<double>(loaded.weight_bytes) / ms / 1e6;
    std::printf(
        "decode batch %2d: %9.1f token/s  %8.3f ms a step  %6.0f GB/s of weights, %3.0f %% of the read bandwidth\n",
        batch_size, batch_size / ms * 1e3, ms, rate, 100 * rate / bandwidth);
  }
  struct Prompts {
    int count, tokens;
  };
  for (const Prompts& p : {Prompts{1, 512}, Prompts{8, 256}, Prompts{1, 2048}}) {
    if (!cuda && p.count * p.tokens > 512) continue;
    auto prefill = [&] {
      Batch batch;
      for (int s = 0; s < p.count; ++s) {
        const int first = static_cast<int>(batch.token_ids.size());
        for (int i = 0; i < p.tokens; ++i) {
          batch.token_ids.push_back((s * 31 + i * 7) % shape->vocab);
          batch.positions.push_back(i);
        }
        batch.slices.push_back({first, p.tokens, p.tokens, pool.data() + s * blocks_each});
        batch.logit_rows.push_back(first + p.tokens - 1);
      }
      loaded.model->run(batch);
    };
    prefill();
    const double ms = median_ms(cuda ? 10 : 3, prefill);
    std::printf("prefill %d x %4d: %9.0f token/s  %8.2f ms\n", p.count, p.tokens, p.count * p.tokens / ms * 1e3, ms);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "step_bench: %s: %s\n", error.code().c_str(), error.what());
    return 1;
  }
}
