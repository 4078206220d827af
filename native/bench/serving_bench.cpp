// What the engine serves without HTTP: requests of one size, so many at a time, each followed by another as it ends.
// The figure that `jsg bench serve --max-concurrency` over the same sizes is held against.
//   serving_bench cpu|cuda [8b|1b|135m] [fp16|bf16] [--streams N] [--requests N] [--prompt N] [--tokens N] [--chunk N]
// Random weights, greedy, no two prompts alike in their beginnings. 64 streams, 512 requests, 512 tokens in, 128 out,
// chunks of 2048 rows if nothing else is said.
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

#include "bench/shapes.h"
#include "error.h"
#include "runtime/engine.h"

using namespace jsg;
using Clock = std::chrono::steady_clock;

namespace {

struct Options {
  BackendKind backend = BackendKind::kCpu;
  const bench::Shape* shape = bench::find_shape("1b");
  DType dtype = DType::kBF16;
  int n_streams = 64, n_requests = 512, n_prompt = 512, n_tokens = 128, chunk = 2048;
};

Request make_request(uint32_t id, const Options& options) {
  Request request;
  request.id = id;
  for (int i = 0; i < options.n_prompt; ++i) {
    request.prompt_ids.push_back(static_cast<int32_t>((id * 31 + i * 7) % 40000));
  }
  request.max_new_tokens = options.n_tokens;
  return request;
}

// Seconds from the first request to the last token.
double serve(Engine& engine, std::mutex& mutex, std::condition_variable& ended, int& n_ended, const Options& options,
             uint32_t first_id, int n_requests) {
  {
    const std::lock_guard lock(mutex);
    n_ended = 0;
  }
  const auto start = Clock::now();
  int n_submitted = 0;
  std::unique_lock lock(mutex);
  for (;;) {
    const int n_wanted = std::min(n_requests, n_ended + options.n_streams);
    if (n_ended == n_requests) break;
    if (n_submitted == n_wanted) {
      ended.wait(lock);
      continue;
    }
    lock.unlock();
    for (; n_submitted < n_wanted; ++n_submitted) engine.submit(make_request(first_id + n_submitted, options));
    lock.lock();
  }
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int run(const Options& options) {
  LoadOptions load = bench::dummy_options(*options.shape, options.dtype);
  load.backend = options.backend;
  const int n_each = (options.n_prompt + options.n_tokens + kBlockSize - 1) / kBlockSize + 1;
  load.max_total_tokens = static_cast<int64_t>(options.n_streams) * n_each * kBlockSize;
  LoadedModel loaded = load_model(load, [](double) {});

  std::mutex mutex;
  std::condition_variable ended;
  int n_ended = 0;
  const auto sink = [&](std::unique_ptr<StepEvents> events) {
    const std::lock_guard lock(mutex);
    for (const TokenEvent& event : events->tokens) n_ended += event.finish != FinishReason::kNone;
    ended.notify_one();
  };
  const EngineOptions engine_options{loaded.n_blocks, options.n_prompt + options.n_tokens, options.n_streams,
                                     options.n_streams, options.chunk};
  Engine engine(std::move(loaded.model), engine_options, sink);
  // Records graphs, settles clocks.
  (void)serve(engine, mutex, ended, n_ended, options, 1, options.n_streams);
  const double seconds = serve(engine, mutex, ended, n_ended, options, 1 + options.n_streams, options.n_requests);
  engine.stop();
  const double n_out = static_cast<double>(options.n_requests) * options.n_tokens;
  const double n_all = n_out + static_cast<double>(options.n_requests) * options.n_prompt;
  std::printf("%s %s, %d streams, %d requests of %d + %d tokens: %.0f output token/s, %.0f in all, %.2f s\n",
              options.shape->name, options.dtype == DType::kF16 ? "fp16" : "bf16", options.n_streams,
              options.n_requests, options.n_prompt, options.n_tokens, n_out / seconds, n_all / seconds, seconds);
  return 0;
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    int* number = nullptr;
    if (arg == "cpu" || arg == "cuda") {
      options.backend = arg == "cuda" ? BackendKind::kCuda : BackendKind::kCpu;
    } else if (const bench::Shape* shape = bench::find_shape(arg)) {
      options.shape = shape;
    } else if (arg == "fp16" || arg == "bf16") {
      options.dtype = arg == "bf16" ? DType::kBF16 : DType::kF16;
    } else if (arg == "--streams") {
      number = &options.n_streams;
    } else if (arg == "--requests") {
      number = &options.n_requests;
    } else if (arg == "--prompt") {
      number = &options.n_prompt;
    } else if (arg == "--tokens") {
      number = &options.n_tokens;
    } else if (arg == "--chunk") {
      number = &options.chunk;
    } else {
      return false;
    }
    if (number == nullptr) continue;
    *number = i + 1 < argc ? std::atoi(argv[++i]) : 0;
    if (*number < 1) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: serving_bench cpu|cuda [8b|1b|135m] [fp16|bf16] [--streams N] [--requests N] [--prompt N]\n"
                 "                     [--tokens N] [--chunk N]\n");
    return 2;
  }
  try {
    return run(options);
  } catch (const Error& error) {
    std::fprintf(stderr, "serving_bench: %s: %s\n", error.code().c_str(), error.what());
    return 1;
  }
}
