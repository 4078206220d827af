// Decode attention by itself: a chain of layers in a graph, each with its own cache, as a step has it but without the
// products between. Prints microseconds a layer and the rate at which K and V are read.
//
//   attention_bench [8b|1b]... [auto|fp8_e4m3|fp8_e5m2|int8]... [--context N]... [--batch N]...
// Of what is not given: all.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "error.h"
#ifdef JSG_CUDA
#include "backend/cuda/attention.h"

using namespace jsg;
using namespace jsg::cuda;

namespace {

struct Format {
  const char* name;
  KvFormat format;
};
constexpr Format kFormats[] = {{"auto", KvFormat::k16Bit},
                               {"fp8_e4m3", KvFormat::kE4M3},
                               {"fp8_e5m2", KvFormat::kE5M2},
                               {"int8", KvFormat::kInt8}};
struct Heads {
  const char* name;
  int n_heads, n_kv_heads, head_dim;
};
constexpr Heads kHeads[] = {{"8b", 32, 8, 128}, {"1b", 32, 8, 64}};
constexpr uint64_t kLeastCache = uint64_t{256} << 20;  // of all layers: more than any level-2 cache holds
constexpr int kReplays = 5;

template <class T>
Memory<T> uploaded(const std::vector<T>& host) {
  Memory<T> memory(host.size());
  copy_to_device(memory.get(), host.data(), host.size() * sizeof(T), "copying");
  return memory;
}

// What a step of `batch` sequences with `context` tokens each gives the kernels; blocks are scattered.
struct Step {
  Memory<int32_t> positions, sequences, tables, table_begin;
  Memory<float2> rotations;
  Memory<__half> qkv, out;

  Step(const Heads& heads, int batch, int context) {
    const int n_blocks = (context + kPage - 1) / kPage;
    std::mt19937 random(1);
    std::vector<int32_t> rows(batch), table(static_cast<size_t>(batch) * n_blocks), begin(batch);
    std::iota(rows.begin(), rows.end(), 0);
    std::iota(table.begin(), table.end(), 0);
    std::shuffle(table.begin(), table.end(), random);
    for (int i = 0; i < batch; ++i) begin[i] = i * n_blocks;
    positions = uploaded(std::vector<int32_t>(batch, context - 1));
    sequences = uploaded(rows);
    tables = uploaded(table);
    table_begin = uploaded(begin);
    std::vector<float2> angles(static_cast<size_t>(batch) * heads.head_dim / 2);
    for (size_t i = 0; i < angles.size(); ++i) {
      angles[i] = {std::cos(static_cast<float>(i)), std::sin(static_cast<float>(i))};
    }
    rotations = uploaded(angles);
    std::normal_distribution<float> normal;
    std::vector<__half> x(static_cast<size_t>(batch) * (heads.n_heads + 2 * heads.n_kv_heads) * heads.head_dim);
    for (__half& value : x) value = __float2half(normal(random));
    qkv = uploaded(x);
    out.grow(static_cast<size_t>(batch) * heads.n_heads * heads.head_dim);
  }
  StepView view() const {
    return {positions.get(), sequences.get(), nullptr, tables.get(), table_begin.get(), rotations.get()};
  }
};

void measure(const Heads& heads, const Format& format, int batch, int context) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "reading the device's properties");
  cudaStream_t stream;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
  const Launcher launch{stream, properties.major >= 9};

  DecoderShape shape{};
  shape.n_layers = 1;
  shape.n_heads = heads.n_heads;
  shape.n_kv_heads = heads.n_kv_heads;
  shape.head_dim = heads.head_dim;
  CudaOptions options;
  options.kv_format = format.format;
  const uint64_t bytes_per_token =
      Attention<__half>(shape, options, properties.multiProcessorCount, launch).kv_bytes_per_token();
  const uint64_t layer_bytes = bytes_per_token * context * batch;
  shape.n_layers = static_cast<int>(std::clamp<uint64_t>(kLeastCache / layer_bytes, 4, 128));

  Attention<__half> attention(shape, options, properties.multiProcessorCount, launch);
  attention.make_cache(batch * ((context + kPage - 1) / kPage));
  attention.plan({batch, batch, batch, 0, context});
  const Step step(heads, batch, context);
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "recording");
  for (int layer = 0; layer < shape.n_layers; ++layer) {
    attention.run(layer, step.qkv.get(), step.out.get(), step.view(), nullptr, nullptr);
  }
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  check(cudaStreamEndCapture(stream, &graph), "recording");
  check(cudaGraphInstantiate(&exec, graph, 0), "instantiating");

  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "creating an event");
  check(cudaEventCreate(&end), "creating an event");
  float best = INFINITY;
  for (int i = 0; i < kReplays; ++i) {
    check(cudaEventRecord(begin, stream), "timing");
    check(cudaGraphLaunch(exec, stream), "launching");
    check(cudaEventRecord(end, stream), "timing");
    check(cudaEventSynchronize(end), "running");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin, end), "timing");
    best = std::min(best, ms);
  }
  const double us = 1e3 * best / shape.n_layers;
  std::printf("%-4s %-9s batch %2d context %5d spans %2d: %8.2f us a layer, %7.1f GB/s\n", heads.name, format.name,
              batch, context, attention.spans(), us, 1e-3 * static_cast<double>(layer_bytes) / us);
  std::fflush(stdout);
  (void)cudaGraphExecDestroy(exec);
  (void)cudaGraphDestroy(graph);
  (void)cudaEventDestroy(begin);
  (void)cudaEventDestroy(end);
  (void)cudaStreamDestroy(stream);
}

// The entries of `all` that one of the arguments names; all of them if none does.
template <class Entry, size_t kCount>
std::vector<Entry> chosen(const Entry (&all)[kCount], int argc, char** argv) {
  std::vector<Entry> some;
  for (const Entry& entry : all) {
    if (std::any_of(argv + 1, argv + argc, [&](const char* given) { return std::strcmp(given, entry.name) == 0; })) {
      some.push_back(entry);
    }
  }
  return some.empty() ? std::vector<Entry>(std::begin(all), std::end(all)) : some;
}
// The numbers that follow `option`, or the usual ones.
std::vector<int> numbers(const char* option, std::vector<int> usual, int argc, char** argv) {
  std::vector<int> given;
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], option) == 0) given.push_back(std::atoi(argv[i + 1]));
  }
  return given.empty() ? usual : given;
}

}  // namespace

int main(int argc, char** argv) try {
  const auto contexts = numbers("--context", {256, 2048, 8192}, argc, argv);
  const auto batches = numbers("--batch", {1, 8, 32, 64}, argc, argv);
  std::printf("read bandwidth: %.0f GB/s\n", measure_read_bandwidth(size_t{4} << 30));
  for (const Heads& heads : chosen(kHeads, argc, argv)) {
    for (const Format& format : chosen(kFormats, argc, argv)) {
      for (const int context : contexts) {
        for (const int batch : batches) measure(heads, format, batch, context);
      }
    }
  }
  return 0;
} catch (const Error& error) {
  std::fprintf(stderr, "%s: %s\n", error.code().c_str(), error.what());
  return 1;
}
#else
int main() {
  std::printf("this build has no CUDA backend\n");
  return 1;
}
#endif
