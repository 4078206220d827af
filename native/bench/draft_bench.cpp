// What drafts cost and gain, without Node, on a decoder of random weights.
//   draft_bench [cpu|cuda] [8b|1b|135m] [fp16|bf16] [--context N] [--torchao-config int4wo-N|int8wo]
// First what a step with drafts takes beside the step without, launched as the engine would: ahead without drafts, one
// after the other with them. Then answers of few different tokens, which repeat themselves, through the engine with
// drafts and without: the rates, and whether the tokens are the same.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>

#include "bench/shapes.h"
#include "error.h"
#include "runtime/engine.h"

using namespace jsg;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int kNewTokens = 192, kMostDrafts = 15, kMostSequences = 16, kWarmUpSteps = 4;

struct Options {
  bool cuda = false;
  const bench::Shape* shape = bench::find_shape("1b");
  DType dtype = DType::kF16;
  int context = 512;
};

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Median of a step of n_sequences with n_drafts each, ms.
double step_ms(Model& model, const Options& options, int n_sequences, int n_drafts, std::span<const int32_t> blocks) {
  const bool ahead = n_drafts == 0 && model.max_in_flight() > 1;
  const int n_steps = options.cuda ? 40 : 8;
  const int stride = static_cast<int>(blocks.size()) / kMostSequences, n_rows = 1 + n_drafts;
  int n_launched = 0;
  auto launch = [&] {
    Batch batch;
    if (model.max_top_logprobs() >= 0) batch.sampling.resize(static_cast<size_t>(n_sequences) * n_rows);
    for (int s = 0; s < n_sequences; ++s) {
      const int first = s * n_rows;
      for (int row = 0; row < n_rows; ++row) {
        const bool known = !ahead || n_launched == 0;
        batch.token_ids.push_back(known ? (s * 31 + row * 7) % options.shape->vocab : sampled_before(first + row));
        batch.positions.push_back(options.context + row);
        batch.logit_rows.push_back(first + row);
      }
      batch.slices.push_back({first, n_rows, options.context + n_rows, blocks.data() + s * stride});
    }
    ++n_launched;
    model.launch(batch);
  };
  if (ahead) launch();
  std::vector<double> times;
  for (int i = 0; i < kWarmUpSteps + n_steps; ++i) {
    const auto start = Clock::now();
    launch();
    model.wait();
    if (i >= kWarmUpSteps) times.push_back(ms_since(start));
  }
  if (ahead) model.wait();
  std::nth_element(times.begin(), times.begin() + n_steps / 2, times.end());
  return times[n_steps / 2];
}

struct Played {
  std::map<uint32_t, std::vector<int32_t>> tokens;
  int n_steps = 0, n_sequence_steps = 0, n_drafts = 0, n_accepted = 0;
  double ms = 0;
};

Played play(std::unique_ptr<Model> model, int n_blocks, const Options& options, int n_sequences, int max_drafts) {
  std::mutex mutex;
  std::condition_variable ended;
  int n_ended = 0;
  Played played;
  Clock::time_point begin;
  const auto sink = [&](std::unique_ptr<StepEvents> events) {
    const std::lock_guard lock(mutex);
    if (events->stats.decode_seqs > 0 && played.n_steps++ == 0) begin = Clock::now();
    played.n_sequence_steps += events->stats.decode_seqs;
    played.n_drafts += events->stats.n_drafts;
    played.n_accepted += events->stats.n_accepted;
    for (const TokenEvent& event : events->tokens) {
      if (event.token >= 0) played.tokens[event.id].push_back(event.token);
      n_ended += event.finish != FinishReason::kNone;
    }
    if (n_ended < n_sequences) return;
    played.ms = ms_since(begin);
    ended.notify_one();
  };
  EngineOptions engine_options{n_blocks, options.context + kNewTokens, kMostSequences, 0, 2048};
  engine_options.speculation.max_drafts = max_drafts;
  Engine engine(std::move(model), engine_options, sink);
  for (int id = 0; id < n_sequences; ++id) {
    Request request;
    request.id = static_cast<uint32_t>(id);
    for (int i = 0; i < options.context; ++i) request.prompt_ids.push_back((id * 31 + i * i * 7) % 4000);
    request.max_new_tokens = kNewTokens;
    // Random weights would say something new for ever.
    for (int token = 10; token < 14; ++token) request.sampling.logit_bias.push_back({token, 100});
    engine.submit(std::move(request));
  }
  std::unique_lock lock(mutex);
  ended.wait(lock, [&] { return n_ended == n_sequences; });
  lock.unlock();
  engine.stop();
  return played;
}

// Lends a model to an engine, which would free it.
class Lent : public Model {
 public:
  explicit Lent(Model& model) : model_(model) {}
  int vocab_size() const override { return model_.vocab_size(); }
  int max_in_flight() const override { return model_.max_in_flight(); }
  int max_top_logprobs() const override { return model_.max_top_logprobs(); }
  void launch(const Batch& batch) override { model_.launch(batch); }
  void sample(std::span<const RowSampling> rows) override { model_.sample(rows); }
  StepOutput wait() override { return model_.wait(); }

 private:
  Model& model_;
};

int run(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "cuda") options.cuda = true;
    if (arg == "bf16") options.dtype = DType::kBF16;
    if (arg == "--context" && i + 1 < argc) options.context = std::atoi(argv[++i]);
    if (const bench::Shape* named = bench::find_shape(arg)) options.shape = named;
  }
  LoadOptions load = bench::dummy_options(*options.shape, options.dtype);
  for (int i = 1; i < argc; ++i) bench::apply_format(load, argv[i]);
  load.backend = options.cuda ? BackendKind::kCuda : BackendKind::kCpu;
  load.max_rows = 2048 + kMostSequences;
  load.max_running = kMostSequences;
  load.max_total_tokens =
      static_cast<int64_t>(kMostSequences) * (options.context + kNewTokens + kMostDrafts + 2 * kBlockSize);
  LoadedModel loaded = load_model(load, [](double) {});
  std::vector<int32_t> blocks(loaded.n_blocks);
  for (int i = 0; i < loaded.n_blocks; ++i) blocks[i] = i;
  std::printf("%s on %s, context %d\n", options.shape->name, loaded.isa.c_str(), options.context);
  for (const int n_sequences : {1, 4, kMostSequences}) {
    const double plain = step_ms(*loaded.model, options, n_sequences, 0, blocks);
    std::printf("%2d sequences: %8.3f ms without drafts;", n_sequences, plain);
    for (const int n_drafts : {1, 3, 7, kMostDrafts}) {
      if (n_sequences * n_drafts > 64) continue;
      const double ms = step_ms(*loaded.model, options, n_sequences, n_drafts, blocks);
      std::printf("  with %2d each x %.2f", n_drafts, ms / plain);
    }
    std::printf("\n");
  }
  bool same = true;
  for (const int n_sequences : {1, 4, kMostSequences}) {
    const Played without = play(std::make_unique<Lent>(*loaded.model), loaded.n_blocks, options, n_sequences, 0);
    const Played with = play(std::make_unique<Lent>(*loaded.model), loaded.n_blocks, options, n_sequences, kMostDrafts);
    int n_same = 0;
    for (const auto& [id, tokens] : with.tokens) n_same += tokens == without.tokens.at(id);
    same = same && n_same == n_sequences;
    std::printf(
        "%2d answers of %d tokens: %7.1f token/s without, %7.1f with, x %.2f; accept len %.2f, rate %.2f; %d same\n",
        n_sequences, kNewTokens, n_sequences * kNewTokens / without.ms * 1e3, n_sequences * kNewTokens / with.ms * 1e3,
        without.ms / with.ms, 1 + static_cast<double>(with.n_accepted) / std::max(with.n_sequence_steps, 1),
        static_cast<double>(with.n_accepted) / std::max(with.n_drafts, 1), n_same);
  }
  return same ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "draft_bench: %s: %s\n", error.code().c_str(), error.what());
    return 2;
  }
}
