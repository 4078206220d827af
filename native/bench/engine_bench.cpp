// What the engine thread costs: the gap between two steps of the model, and the work of the host in each.
//   engine_bench [fake] [--step-us N] [--batch N] [--sampled]
//   engine_bench cpu|cuda [8b|1b|135m] [fp16|bf16] [--batch N] [--sampled]
// `fake` is a device whose steps take a fixed time and nothing of the host's: what it idles between two steps is
// counted exactly, with one step in flight and with two. `cpu` and `cuda` run a decoder of random weights; its step
// under the engine is set against the same steps launched back to back from a batch made beforehand, and a sequence
// alone must get the same tokens with one step in flight as with two. --sampled draws tokens (temperature 0.8, top_p
// 0.95, a repetition penalty) instead of taking the likeliest.
#include <algorithm>
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

constexpr int kMaxBatch = 64;
constexpr int kPromptTokens = 192, kNewTokens = 128;  // KV of 256 tokens in the middle of the answer
constexpr int kBlocksEach = (kPromptTokens + kNewTokens) / kBlockSize;
constexpr int kWarmUpSteps = 8;

double us(Clock::duration duration) { return std::chrono::duration<double, std::micro>(duration).count(); }

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

struct Options {
  std::string device = "fake";
  const bench::Shape* shape = bench::find_shape("1b");
  DType dtype = DType::kF16;
  double step_us = 1000;
  std::vector<int> batches = {1, 8, 32, kMaxBatch};
  bool sampled = false;
};

// Steps of a fixed time, one after the other; the host meets it only in wait().
class FakeDevice : public Model {
 public:
  FakeDevice(double step_us, int max_in_flight) : step_us_(step_us), max_in_flight_(max_in_flight) {}
  int vocab_size() const override { return 128256; }
  int max_in_flight() const override { return max_in_flight_; }
  int max_top_logprobs() const override { return 20; }

  void launch(const Batch& batch) override {
    const auto now = Clock::now();
    const bool is_decode = batch.token_ids.size() == batch.slices.size();
    if (is_decode && was_decode_) gaps_us.push_back(std::max(0.0, us(now - free_at_)));
    was_decode_ = is_decode;
    const auto step = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double, std::micro>(step_us_));
    free_at_ = std::max(now, free_at_) + step;
    ends_[n_launched_++ % 2] = {free_at_, batch.logit_rows.size()};
  }
  StepOutput wait() override {
    const auto& [end, n_rows] = ends_[n_waited_++ % 2];
    while (Clock::now() < end) {
    }
    sampled_.assign(n_rows, {static_cast<int32_t>(n_waited_ % 1000), 0, {}});
    return {{}, sampled_};
  }

  std::vector<double> gaps_us;  // in which the device had nothing to do, before each decode step behind another

 private:
  struct End {
    Clock::time_point at;
    size_t n_rows;
  };
  double step_us_;
  int max_in_flight_;
  bool was_decode_ = false;
  Clock::time_point free_at_;
  End ends_[2];
  size_t n_launched_ = 0, n_waited_ = 0;
  std::vector<SampledToken> sampled_;
};

// Times what lies between the calls of a model that it does not own: the work of the host. May let fewer steps be in
// flight than the model would.
struct HostTimes {
  std::vector<double> around_us;  // a decode step: all but launch() and wait()
  std::vector<double> launch_us;
};
class TimedModel : public Model {
 public:
  TimedModel(Model& model, int max_in_flight, HostTimes& times)
      : model_(model), max_in_flight_(max_in_flight), times_(times) {}
  int vocab_size() const override { return model_.vocab_size(); }
  int max_in_flight() const override { return max_in_flight_; }
  int max_top_logprobs() const override { return model_.max_top_logprobs(); }
  void launch(const Batch& batch) override {
    is_decode_ = batch.token_ids.size() == batch.slices.size();
    const auto start = Clock::now();
    model_.launch(batch);
    launch_us_ = us(Clock::now() - start);
    ++n_launches_;
  }
  StepOutput wait() override {
    if (is_decode_ && n_launches_ == 1 && last_ != Clock::time_point()) {
      times_.around_us.push_back(us(Clock::now() - last_) - launch_us_);
      times_.launch_us.push_back(launch_us_);
    }
    const StepOutput output = model_.wait();
    n_launches_ = 0;
    last_ = Clock::now();
    return output;
  }

 private:
  Model& model_;
  const int max_in_flight_;
  HostTimes& times_;
  bool is_decode_ = false;
  int n_launches_ = 0;
  double launch_us_ = 0;
  Clock::time_point last_;
};

Request make_request(uint32_t id, bool sampled) {
  Request request;
  request.id = id;
  for (int i = 0; i < kPromptTokens; ++i) request.prompt_ids.push_back(static_cast<int32_t>((id * 31 + i * 7) % 40000));
  request.max_new_tokens = kNewTokens;
  if (sampled) {
    request.sampling.temperature = 0.8f;
    request.sampling.top_p = 0.95f;
    request.sampling.repetition_penalty = 1.1f;
    request.sampling.seed = id;
  }
  return request;
}

struct EngineRun {
  double step_us;               // median of the decode steps in which all sequences take part, from result to result
  std::vector<int32_t> tokens;  // of all sequences, as they came
};

EngineRun run_engine(Model& model, int max_in_flight, int n_blocks, int n_sequences, bool sampled, HostTimes& times) {
  std::mutex mutex;
  std::condition_variable ended;
  int n_ended = 0;
  std::vector<double> elapsed_us;
  EngineRun run;
  const auto sink = [&](std::unique_ptr<StepEvents> events) {
    const std::lock_guard lock(mutex);
    if (events->stats.decode_seqs == n_sequences) elapsed_us.push_back(events->stats.elapsed_us);
    for (const TokenEvent& event : events->tokens) {
      run.tokens.push_back(event.token);
      n_ended += event.finish != FinishReason::kNone;
    }
    if (n_ended == n_sequences) ended.notify_one();
  };
  const EngineOptions options{n_blocks, kPromptTokens + kNewTokens, kMaxBatch, 0, 2048};
  Engine engine(std::make_unique<TimedModel>(model, max_in_flight, times), options, sink);
  for (int id = 0; id < n_sequences; ++id) engine.submit(make_request(id, sampled));
  {
    std::unique_lock lock(mutex);
    ended.wait(lock, [&] { return n_ended == n_sequences; });
  }
  engine.stop();
  if (elapsed_us.size() > kWarmUpSteps) elapsed_us.erase(elapsed_us.begin(), elapsed_us.begin() + kWarmUpSteps);
  run.step_us = median(elapsed_us);
  return run;
}

int bench_fake(const Options& options) {
  std::printf("a device whose steps take %.0f us; medians over the decode steps\n", options.step_us);
  for (const int max_in_flight : {1, 2}) {
    for (const int batch : options.batches) {
      FakeDevice device(options.step_us, max_in_flight);
      HostTimes times;
      const EngineRun run = run_engine(device, max_in_flight, kMaxBatch * kBlocksEach, batch, options.sampled, times);
      std::printf("in flight %d, batch %2d: step %7.1f us, device idle %5.1f us, host %5.1f us a step\n", max_in_flight,
                  batch, run.step_us, median(device.gaps_us), median(times.around_us));
    }
  }
  return 0;
}

// Decode steps back to back, as many in flight as the model takes: what the engine is held against.
double run_bare(Model& model, int n_sequences, bool sampled) {
  std::vector<int32_t> table(static_cast<size_t>(n_sequences) * kBlocksEach);
  for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<int32_t>(i);
  std::vector<SeenToken> seen;
  for (int i = 0; i < kPromptTokens; ++i) seen.push_back({i * 7, 0});
  const bool feeds = model.max_in_flight() > 1 && model.max_top_logprobs() >= 0;
  Batch batch;
  const auto launch = [&](int step) {
    batch.token_ids.assign(n_sequences, 17);
    batch.positions.assign(n_sequences, kPromptTokens + step);
    batch.slices.clear();
    batch.logit_rows.clear();
    batch.sampling.clear();
    for (int i = 0; i < n_sequences; ++i) {
      if (feeds && step > 0) batch.token_ids[i] = sampled_before(i);
      batch.slices.push_back({i, 1, kPromptTokens + step + 1, table.data() + static_cast<size_t>(i) * kBlocksEach});
      batch.logit_rows.push_back(i);
      if (model.max_top_logprobs() < 0) continue;
      RowSampling& row = batch.sampling.emplace_back();
      if (!sampled) continue;
      row.temperature = 0.8f;
      row.top_p = 0.95f;
      row.repetition_penalty = 1.1f;
      row.u = 0.5;
      row.seen = seen;
      if (feeds && step > 0) row.unseen_row = i;
    }
    model.launch(batch);
  };
  std::vector<double> step_us;
  auto last = Clock::now();
  const int n_ahead = feeds ? 1 : 0;
  for (int step = 0; step < kNewTokens; ++step) {
    launch(step);
    if (step < n_ahead) continue;
    (void)model.wait();
    const auto now = Clock::now();
    if (step > kWarmUpSteps) step_us.push_back(us(now - last));
    last = now;
  }
  for (int i = 0; i < n_ahead; ++i) (void)model.wait();
  return median(step_us);
}

int bench_model(const Options& options) {
  LoadOptions load = bench::dummy_options(*options.shape, options.dtype);
  load.backend = options.device == "cuda" ? BackendKind::kCuda : BackendKind::kCpu;
  load.max_total_tokens = static_cast<int64_t>(kMaxBatch) * kBlocksEach * kBlockSize;
  LoadedModel loaded = load_model(load, [](double) {});
  std::printf("%s %s on %s, %d in flight, KV of %d to %d tokens; medians over the decode steps\n", options.shape->name,
              options.dtype == DType::kF16 ? "fp16" : "bf16", loaded.isa.c_str(), loaded.model->max_in_flight(),
              kPromptTokens, kPromptTokens + kNewTokens);
  for (const int batch : options.batches) {
    (void)run_bare(*loaded.model, batch, options.sampled);  // records graphs, settles clocks
    double bare = 1e30, step = 1e30;
    HostTimes times, times_alone;
    const auto engine = [&](int max_in_flight, HostTimes& to) {
      return run_engine(*loaded.model, max_in_flight, loaded.n_blocks, batch, options.sampled, to);
    };
    const EngineRun one = engine(1, times_alone);
    for (int round = 0; round < 3; ++round) {
      bare = std::min(bare, run_bare(*loaded.model, batch, options.sampled));
      const EngineRun run = engine(loaded.model->max_in_flight(), times);
      step = std::min(step, run.step_us);
      // In a larger batch the sequences start as they come, so that their steps are not the same ones.
      if (batch == 1 && run.tokens != one.tokens) {
        std::printf("one step in flight gives other tokens than %d\n", loaded.model->max_in_flight());
        return 1;
      }
    }
    std::printf(
        "batch %2d: %8.1f token/s; step %8.1f us, back to back %8.1f, gap %6.1f us; host %5.1f us + launch %5.1f us; "
        "one in flight %8.1f us\n",
        batch, batch / step * 1e6, step, bare, step - bare, median(times.around_us), median(times.launch_us),
        one.step_us);
  }
  return 0;
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto number = [&] { return i + 1 < argc ? std::atoi(argv[++i]) : 0; };
    if (arg == "fake" || arg == "cpu" || arg == "cuda") {
      options.device = arg;
    } else if (const bench::Shape* shape = bench::find_shape(arg)) {
      options.shape = shape;
    } else if (arg == "fp16" || arg == "bf16") {
      options.dtype = arg == "bf16" ? DType::kBF16 : DType::kF16;
    } else if (arg == "--batch") {
      options.batches = {number()};
      if (options.batches[0] < 1 || options.batches[0] > kMaxBatch) return false;
    } else if (arg == "--step-us") {
      options.step_us = number();
      if (options.step_us < 1) return false;
    } else if (arg == "--sampled") {
      options.sampled = true;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // lines are seen as they come, in a file too
  Options options;
  if (!parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: engine_bench [fake] [--step-us N] [--batch 1..%d] [--sampled]\n"
                 "       engine_bench cpu|cuda [8b|1b|135m] [fp16|bf16] [--batch 1..%d] [--sampled]\n",
                 kMaxBatch, kMaxBatch);
    return 2;
  }
  try {
    return options.device == "fake" ? bench_fake(options) : bench_model(options);
  } catch (const Error& error) {
    std::fprintf(stderr, "engine_bench: %s: %s\n", error.code().c_str(), error.what());
    return 1;
  }
}
