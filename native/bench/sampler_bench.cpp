// Microseconds of sampling on the device, beside those of reading the logits once at the rate of the level-2 cache.
//   sampler_bench [vocab]
// The device's time is that of recorded graphs (20 launches each) replayed; the host's that of launch() itself.
#include <cstdio>

#ifdef JSG_CUDA
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/device_memory.h"
#include "backend/cuda/sampler.h"

using namespace jsg;
using cuda::check;

namespace {

constexpr int kLaunches = 20;

struct Mode {
  const char* name;
  RowSampling sampling;
  bool has_best = false;
  int n_seen = 0;
};

RowSampling sampling(float temperature, int top_k, float top_p, float min_p = 0, int top_logprobs = -1) {
  RowSampling out;
  out.temperature = temperature;
  out.top_k = top_k;
  out.top_p = top_p;
  out.min_p = min_p;
  out.top_logprobs = top_logprobs;
  return out;
}

struct Timing {
  double device_us, host_us;
};

Timing measure(cuda::DeviceSampler& sampler, cudaStream_t stream, float* logits, const uint64_t* best,
               const std::vector<RowSampling>& rows) {
  using Clock = std::chrono::steady_clock;
  for (int slot = 0; slot < 2; ++slot) sampler.launch(stream, logits, best, rows, slot);
  check(cudaStreamSynchronize(stream), "warming up");
  double host_us = 1e9;
  for (int i = 0; i < 20; ++i) {
    const auto begin = Clock::now();
    sampler.launch(stream, logits, best, rows, 0);
    host_us = std::min(host_us, std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
    check(cudaStreamSynchronize(stream), "sampling");
  }
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "recording");
  for (int i = 0; i < kLaunches; ++i) sampler.launch(stream, logits, best, rows, i % 2);
  cudaGraph_t graph;
  check(cudaStreamEndCapture(stream, &graph), "recording");
  cudaGraphExec_t exec;
  check(cudaGraphInstantiate(&exec, graph, 0), "instantiating a graph");
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "creating an event");
  check(cudaEventCreate(&end), "creating an event");
  float best_ms = 1e9f;
  for (int i = 0; i < 10; ++i) {
    check(cudaEventRecord(begin, stream), "timing");
    check(cudaGraphLaunch(exec, stream), "replaying");
    check(cudaEventRecord(end, stream), "timing");
    check(cudaEventSynchronize(end), "sampling");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin, end), "timing");
    best_ms = std::min(best_ms, ms);
  }
  (void)cudaEventDestroy(begin);
  (void)cudaEventDestroy(end);
  (void)cudaGraphExecDestroy(exec);
  (void)cudaGraphDestroy(graph);
  return {1000.0 * best_ms / kLaunches, host_us};
}

void bench(int vocab) {
  const cuda::CudaDevice device = cuda::cuda_device();
  std::printf("%s, vocab %d\n", device.name.c_str(), vocab);
  cudaStream_t stream;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
  std::vector<Mode> modes = {
      {"greedy, maxima known", {}, true},
      {"greedy", {}},
      {"temperature", sampling(1, 0, 1)},
      {"top_k 50 top_p 0.9", sampling(1, 50, 0.9f)},
      {"top_k 1000", sampling(1, 1000, 1)},
      {"top_k 20000", sampling(1, 20000, 1)},
      {"top_p 0.9", sampling(1, 0, 0.9f)},
      {"top_p 0.999999", sampling(1, 0, 0.999999f)},
      {"min_p 0.05", sampling(1, 0, 1, 0.05f)},
      {"greedy, 5 logprobs", sampling(0, 0, 1, 0, 5)},
      {"greedy, 20 logprobs", sampling(0, 0, 1, 0, 20)},
      {"top_p 0.9, 500 seen", sampling(1, 0, 0.9f), false, 500},
  };
  for (Mode& mode : modes) mode.sampling.repetition_penalty = mode.n_seen > 0 ? 1.1f : 1.0f;
  std::mt19937 random(1);
  for (const char* shape :
       {"normal, deviation 1 (dummy weights)", "nearly flat, deviation 0.001", "peaked, deviation 4", "all equal"}) {
    const float deviation = shape[0] == 'n' && shape[1] == 'o' ? 1.0f
                            : shape[0] == 'n'                  ? 1e-3f
                            : shape[0] == 'p'                  ? 4
                                                               : 0;
    std::printf("\n%s: device us (host us) by rows\n%-22s", shape, "");
    const std::vector<int> row_counts = {1, 8, 32, 64, 256};
    for (const int n : row_counts) std::printf("%17d", n);
    std::printf("\n");
    std::vector<float> host(static_cast<size_t>(row_counts.back()) * vocab);
    std::normal_distribution<float> normal(0, 1);
    std::vector<float> pool(1 << 20);
    for (float& x : pool) x = normal(random) * deviation;
    for (size_t i = 0; i < host.size(); ++i) host[i] = pool[(i + i / vocab * 7919) % pool.size()];
    cuda::Memory<float> logits(host.size());
    cuda::Memory<uint64_t> best(row_counts.back());
    check(cudaMemset(best.get(), 0x80, best.bytes()), "writing maxima");
    for (const Mode& mode : modes) {
      std::printf("%-22s", mode.name);
      for (const int n : row_counts) {
        cuda::copy_to_device(logits.get(), host.data(), static_cast<size_t>(n) * vocab * sizeof(float),
                             "copying logits");
        cuda::DeviceSampler sampler(vocab, device.sm >= 90);
        std::vector<SeenToken> seen;
        for (int i = 0; i < mode.n_seen; ++i) seen.push_back({i * (vocab / mode.n_seen), 1});
        std::vector<RowSampling> rows(n, mode.sampling);
        for (RowSampling& row : rows) {
          row.u = std::uniform_real_distribution<double>(0, 1)(random);
          row.seen = seen;
        }
        const Timing timing = measure(sampler, stream, logits.get(), mode.has_best ? best.get() : nullptr, rows);
        std::printf("%9.1f (%5.1f)", timing.device_us, timing.host_us);
      }
      std::printf("\n");
      std::fflush(stdout);
    }
  }
  (void)cudaStreamDestroy(stream);
}

}  // namespace

int main(int argc, char** argv) {
  if (cuda::cuda_device_count() == 0) {
    std::printf("skipped: no CUDA device\n");
    return 0;
  }
  try {
    bench(argc > 1 ? std::atoi(argv[1]) : 128256);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

#else
int main() { std::printf("skipped: built without CUDA\n"); }
#endif
