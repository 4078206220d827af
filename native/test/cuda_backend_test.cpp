// The CUDA backend against the CPU backend: the same decoder, the same weights, the same steps. Skipped, with a line,
// where there is no device or no CUDA in the build. An argument picks tests by a part of their names; `small` are those
// for compute-sanitizer, under which everything is a hundred times slower.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <future>

#include "check.h"
#include "cuda_device.h"
#include "error.h"
#include "model/load.h"
#include "tiny_decoder.h"
#ifdef JSG_CUDA
#include "backend/cuda/cuda_backend.h"
#endif

using namespace jsg;
using namespace jsg::test;

namespace {

// Ends the program when a step hangs, saying which: a kernel that waits for ever would hold the machine.
class Watchdog {
 public:
  explicit Watchdog(const std::string& what) {
    std::snprintf(message_, sizeof message_, "FAIL %s hangs\n", what.c_str());
    std::signal(SIGALRM, [](int) {
      (void)!write(STDOUT_FILENO, message_, std::strlen(message_));
      _exit(1);
    });
    alarm(kSeconds);
  }
  ~Watchdog() { alarm(0); }

 private:
  static constexpr unsigned kSeconds = 60;  // compute-sanitizer takes half of that
  static inline char message_[200];
};

constexpr int kVocab = 1000;
constexpr int kPoolBlocks = 800;

constexpr TinyDecoder kVariants[] = {
    // name, hidden, heads, kv_heads, head_dim, qkv_bias, qk_norm, interleaved, tied, window
    {"llama-64", 256, 4, 1, 64, false, false, true, true, 0},
    {"llama-128", 512, 8, 2, 128, false, false, false, false, 0},
    {"mistral-64", 256, 4, 2, 64, false, false, false, false, 40},
    {"mistral-128", 384, 6, 2, 128, false, false, false, true, 133},
    {"qwen2", 448, 7, 1, 64, true, false, false, true, 0},
    {"qwen3", 256, 4, 4, 128, false, true, false, false, 0},
    {"odd-head", 160, 5, 1, 32, false, true, true, false, 24},
    {"wide-group", 576, 18, 2, 64, false, false, false, true, 0},
};

// One way to run on the GPU. `tolerance` comes on top of what the number type of the weights costs. What KV of 8 bits
// costs has been seen to differ by half between kinds of heads, in the worst of thousands of rows; that values are
// stored and read exactly is for cuda_attention_test.
struct Subject {
  const char* name;
  void (*apply)(LoadOptions&);
  double tolerance;
};
constexpr Subject kSubjects[] = {
    {"fast", [](LoadOptions&) {}, 0},
    {"without graphs", [](LoadOptions& options) { options.use_graphs = false; }, 0},
    {"reference attention", [](LoadOptions& options) { options.reference_attention = true; }, 0},
    {"KV int8", [](LoadOptions& options) { options.kv_dtype = KvDType::kInt8; }, 0.04},
    {"KV fp8_e4m3", [](LoadOptions& options) { options.kv_dtype = KvDType::kFp8E4M3; }, 0.2},
    {"KV fp8_e5m2", [](LoadOptions& options) { options.kv_dtype = KvDType::kFp8E5M2; }, 0.4},
    {"reference attention, KV int8",
     [](LoadOptions& options) {
       options.reference_attention = true;
       options.kv_dtype = KvDType::kInt8;
     },
     0.04},
};

const char* name_of(DType dtype) { return dtype == DType::kF16 ? "fp16" : "bf16"; }
// Of the worst row of logits, relative; three layers of activations and KV are rounded to 11 or 8 bits.
double tolerance_of(DType dtype) { return dtype == DType::kF16 ? 6e-3 : 5e-2; }

LoadedModel load_reference(const TinyDecoder& variant, DType dtype) {
  LoadOptions options = tiny_options(variant, dtype, kPoolBlocks);
  options.n_threads = 1;  // scripts run side by side
  return load_model(options, [](double) {});
}

LoadedModel load(const TinyDecoder& variant, DType dtype, const Subject& subject) {
  LoadOptions options = tiny_options(variant, dtype, kPoolBlocks);
  options.backend = BackendKind::kCuda;
  options.kv_dtype = KvDType::kF16;  // as wide as the activations
  subject.apply(options);
  return load_model(options, [](double) {});
}

// Block tables of sequences of so many tokens, scattered over the pool.
std::vector<std::vector<int32_t>> scattered_tables(const std::vector<int>& lengths) {
  constexpr int kStride = 389;  // a prime that does not divide the pool: every block is met once
  std::vector<std::vector<int32_t>> tables;
  int taken = 0;
  for (const int length : lengths) {
    tables.emplace_back((length + kBlockSize - 1) / kBlockSize);
    for (int32_t& block : tables.back()) block = taken++ * kStride % kPoolBlocks;
  }
  if (taken > kPoolBlocks) throw Error("E_INVALID_REQUEST", "the script needs a larger pool");
  return tables;
}

// Steps whose tokens follow a formula, so that every backend can be given the same.
class Script {
 public:
  Script(std::string name, const std::vector<int>& lengths)
      : name_(std::move(name)), tables_(scattered_tables(lengths)), computed_(lengths.size()), steps_(1) {}
  Script(Script&&) = default;  // a copy would point into the tables of the original

  // Adds the next `n` tokens of a sequence to the current step.
  Script& rows(int sequence, int n, LogitsOf wanted = LogitsOf::kLast) {
    int& computed = computed_.at(sequence);
    append_rows(steps_.back(), sequence, computed, computed + n, tables_.at(sequence), kVocab, wanted);
    computed += n;
    return *this;
  }
  // Begins the next step.
  Script& next() {
    steps_.emplace_back();
    return *this;
  }
  const std::string& name() const { return name_; }
  const std::vector<Batch>& steps() const { return steps_; }

 private:
  std::string name_;
  std::vector<std::vector<int32_t>> tables_;
  std::vector<int> computed_;  // tokens of each sequence so far
  std::vector<Batch> steps_;
};

// What a scheduler does with n sequences: prompts together, decode, decode beside chunks of prompts.
Script mixed(int n) {
  std::vector<int> prompts, lengths;
  for (int s = 0; s < n; ++s) {
    prompts.push_back(20 + s * 7 % 50);
    lengths.push_back(prompts.back() + 40);
  }
  Script script("mixed x " + std::to_string(n), lengths);
  for (int s = 0; s < n; ++s) script.rows(s, prompts[s]);
  for (int t = 0; t < 3; ++t) {
    script.next();
    for (int s = 0; s < n; ++s) script.rows(s, 1);
  }
  script.next().rows(0, 1);
  if (n > 1) script.rows(1, 17, LogitsOf::kNone);  // a chunk that does not end its prompt
  script.next();
  for (int s = 0; s < n; s += 2) script.rows(s, 1);
  if (n > 1) script.rows(1, 13, LogitsOf::kAll);  // scored
  script.next().rows(0, 2, LogitsOf::kNone);
  return script;
}

// Contexts of several thousand tokens beside short ones: many spans of split KV, and spans with nothing to do.
Script long_contexts() {
  const std::vector<int> lengths = {3300, 17, 700, 900, 33, 1300, 300, 48};
  const int n = static_cast<int>(lengths.size());
  constexpr int kSteps = 9, kChunk = 1000;
  Script script("long contexts", lengths);
  for (int s = 0; s < n; ++s) {
    int left = lengths[s] - kSteps;
    for (; left > kChunk; left -= kChunk) script.rows(s, kChunk, LogitsOf::kNone).next();
    script.rows(s, left).next();
  }
  for (int t = 0; t < 3; ++t) script.rows(0, 1).next();
  for (int t = 0; t < 3; ++t) script.rows(3, 1).rows(4, 1).rows(0, 1).next();
  for (int t = 0; t < 3; ++t) {
    for (int s = 0; s < n; ++s) script.rows(s, 1);
    script.next();
  }
  script.rows(3, 3, LogitsOf::kAll).rows(5, 2);
  return script;
}

// A few rows of each sequence at once, as drafts (all rows scored) and as forced tokens (the last alone), so often in
// the same shape that steps are recorded and replayed.
Script few_rows(const std::vector<int>& contexts, const std::vector<int>& n_rows) {
  constexpr int kRounds = 7;
  std::vector<int> lengths;
  for (size_t s = 0; s < contexts.size(); ++s) lengths.push_back(contexts[s] + 2 * kRounds * n_rows[s]);
  Script script("few rows x " + std::to_string(contexts.size()), lengths);
  for (size_t s = 0; s < contexts.size(); ++s) script.rows(static_cast<int>(s), contexts[s]);
  for (const LogitsOf wanted : {LogitsOf::kAll, LogitsOf::kLast}) {
    for (int round = 0; round < kRounds; ++round) {
      script.next();
      for (size_t s = 0; s < contexts.size(); ++s) script.rows(static_cast<int>(s), n_rows[s], wanted);
    }
  }
  return script;
}

// Token by token over several borders of blocks, and of the window.
Script walk() {
  Script script("walk", {80, 200});
  script.rows(0, 5).rows(1, 120);
  for (int t = 0; t < 70; ++t) script.next().rows(0, 1).rows(1, 1);
  return script;
}

using StepLogits = std::vector<std::vector<float>>;  // of each step, (logit_rows, kVocab)

StepLogits run_script(Model& model, const Script& script) {
  StepLogits all;
  for (const Batch& batch : script.steps()) {
    const auto logits = model.run(batch).logits;
    all.emplace_back(logits.begin(), logits.end());
  }
  return all;
}

// The largest relative difference of a row of logits; names the row when it is beyond the tolerance.
double worst_row(const Script& script, const StepLogits& actual, const StepLogits& expected, double tolerance) {
  double worst = 0;
  for (size_t step = 0; step < expected.size(); ++step) {
    CHECK(actual[step].size() == expected[step].size());
    if (actual[step].size() != expected[step].size()) return INFINITY;
    for (size_t row = 0; row * kVocab < expected[step].size(); ++row) {
      const auto of = [&](const StepLogits& logits) { return std::span(logits[step]).subspan(row * kVocab, kVocab); };
      const double difference = relative_difference(of(actual), of(expected));
      if (difference > worst && difference > tolerance) {
        std::printf("     %s: step %zu of %zu rows, logit row %zu: %.2e\n", script.name().c_str(), step,
                    script.steps()[step].token_ids.size(), row, difference);
      }
      worst = std::max(worst, difference);
    }
  }
  return worst;
}

// Tokens picked on the device are the likeliest of the logits it gave for the same steps.
void check_greedy(Model& model, const Script& script, const StepLogits& logits) {
  if (model.max_top_logprobs() < 0) return;
  for (size_t step = 0; step < logits.size(); ++step) {
    Batch batch = script.steps()[step];
    std::vector<int32_t> likeliest;
    for (auto row = logits[step].begin(); row != logits[step].end(); row += kVocab) {
      likeliest.push_back(static_cast<int32_t>(std::max_element(row, row + kVocab) - row));
    }
    batch.sampling.resize(likeliest.size());
    CHECK(std::ranges::equal(model.run(batch).sampled, likeliest, {}, &SampledToken::token));
    if (likeliest.empty()) continue;
    // Told later, and some rows by a mask of one token.
    std::vector<RowSampling> rows(likeliest.size());
    std::vector<std::vector<uint32_t>> masks(rows.size(), std::vector<uint32_t>((kVocab + 31) / 32));
    for (size_t i = 0; i < rows.size(); i += 2) {
      likeliest[i] = static_cast<int32_t>((likeliest[i] + 7 * i + 1) % kVocab);
      masks[i][likeliest[i] / 32] = 1u << likeliest[i] % 32;
      rows[i].allowed = masks[i];
    }
    batch.sampling.clear();
    batch.samples_later = true;
    model.launch(batch);
    model.sample(rows);
    CHECK(std::ranges::equal(model.wait().sampled, likeliest, {}, &SampledToken::token));
  }
}

// Every subject and type over the scripts, against one run of the CPU.
void compare(const TinyDecoder& variant, std::span<const DType> dtypes, std::span<const Subject> subjects,
             const std::vector<Script>& scripts) {
  for (const DType dtype : dtypes) {
    std::vector<std::future<StepLogits>> references;
    for (const Script& script : scripts) {
      references.push_back(
          std::async(std::launch::async, [&] { return run_script(*load_reference(variant, dtype).model, script); }));
    }
    std::vector<StepLogits> expected;
    for (auto& reference : references) expected.push_back(reference.get());
    for (const Subject& subject : subjects) {
      LoadedModel gpu = load(variant, dtype, subject);
      const double tolerance = tolerance_of(dtype) + subject.tolerance;
      double worst = 0;
      for (size_t i = 0; i < scripts.size(); ++i) {
        const Watchdog watchdog(std::string(variant.name) + ", " + subject.name + ", " + scripts[i].name());
        const StepLogits actual = run_script(*gpu.model, scripts[i]);
        worst = std::max(worst, worst_row(scripts[i], actual, expected[i], tolerance));
        check_greedy(*gpu.model, scripts[i], actual);
      }
      std::printf("     %s %s, %s: %.2e\n", variant.name, name_of(dtype), subject.name, worst);
      CHECK_NEAR(worst, 0, tolerance);
    }
  }
}

constexpr DType kBothTypes[] = {DType::kF16, DType::kBF16};

void compare_fully(const TinyDecoder& variant) {
  if (!has_device()) return;
  std::vector<Script> scripts;
  for (const int n : {1, 2, 3, 5, 8, 9, 12, 16, 24, 33, 64}) scripts.push_back(mixed(n));
  scripts.push_back(long_contexts());
  scripts.push_back(walk());
  scripts.push_back(few_rows({700}, {9}));
  scripts.push_back(few_rows({15, 1, 200, 33}, {1, 5, 3, 16}));
  scripts.push_back(few_rows({40, 90, 5, 300, 64, 31, 17, 100, 80, 11}, {8, 9, 1, 7, 8, 16, 8, 8, 2, 8}));
  compare(variant, kBothTypes, kSubjects, scripts);
}

enum class Sampled { kGreedily, kLateByMasks };

// n sequences that decode; rows move from step to step, sequences leave, and one more joins with its prompt.
class Decoding {
 public:
  Decoding(Model& model, int n, Sampled how)
      : model_(model), n_(n), how_(how), answers_(n + 1), n_computed_(n + 1), rows_(n + 1) {
    tables_ = scattered_tables(std::vector<int>(n + 1, kPrompt + kSteps));
  }

  // With each step's tokens read before the next is launched, or fed forward on the device.
  std::vector<std::vector<int32_t>> run(bool fed_forward) {
    for (int t = 0; t < kSteps; ++t) {
      const std::vector<int> sequences = sequences_at(t);
      const bool has_unread = fed_forward && t > 0;
      model_.launch(make_batch(sequences, has_unread));
      if (has_unread) read(sequences_at(t - 1));
      if (how_ == Sampled::kLateByMasks) sample(sequences);
      if (!fed_forward) read(sequences);
    }
    if (fed_forward) read(sequences_at(kSteps - 1));
    return answers_;
  }

 private:
  static constexpr int kSteps = 24, kPrompt = 21, kJoins = 5, kLeave = 9;

  std::vector<int> sequences_at(int t) const {
    std::vector<int> sequences;
    for (int i = 0; i < n_; ++i) {
      const int s = (i + t) % n_;
      if (t < kLeave || s % 4 != 3) sequences.push_back(s);
    }
    if (t >= kJoins) sequences.push_back(n_);
    return sequences;
  }

  Batch make_batch(const std::vector<int>& sequences, bool fed_forward) {
    Batch batch;
    for (size_t i = 0; i < sequences.size(); ++i) {
      const int s = sequences[i];
      int& computed = n_computed_[s];
      const int n = computed == 0 ? kPrompt : 1;
      append_rows(batch, s, computed, computed + n, tables_[s], kVocab, LogitsOf::kLast);
      if (computed > 0) batch.token_ids.back() = fed_forward ? sampled_before(rows_[s]) : answers_[s].back();
      computed += n;
    }
    for (size_t i = 0; i < sequences.size(); ++i) rows_[sequences[i]] = static_cast<int>(i);
    if (how_ == Sampled::kGreedily) batch.sampling.resize(sequences.size());
    batch.samples_later = how_ == Sampled::kLateByMasks;
    return batch;
  }

  // Every third sequence is free; what the others may pick depends on their place in the answer, and nobody keeps it.
  static bool allows(int sequence, size_t place, int32_t token) {
    return sequence % 3 == 2 || (token + sequence) % 5 == static_cast<int32_t>(place % 5);
  }

  void sample(const std::vector<int>& sequences) {
    constexpr int kWords = (kVocab + 31) / 32;
    std::vector<RowSampling> rows(sequences.size());
    std::vector<uint32_t> masks(sequences.size() * kWords);
    for (size_t i = 0; i < sequences.size(); ++i) {
      const int s = sequences[i];
      const size_t place = answers_[s].size();
      if (s % 2 == 0) rows[i].temperature = 1;
      rows[i].u = static_cast<double>((7 * place + s) % 11) / 11;
      if (s % 3 == 2) continue;
      const std::span mask = std::span(masks).subspan(i * kWords, kWords);
      for (int32_t token = 0; token < kVocab; ++token) {
        if (allows(s, place, token)) mask[token / 32] |= 1u << token % 32;
      }
      rows[i].allowed = mask;
    }
    model_.sample(rows);
  }

  void read(const std::vector<int>& sequences) {
    const auto sampled = model_.wait().sampled;
    CHECK(sampled.size() == sequences.size());
    for (size_t i = 0; i < sampled.size(); ++i) {
      std::vector<int32_t>& answer = answers_[sequences[i]];
      if (how_ == Sampled::kLateByMasks) CHECK(allows(sequences[i], answer.size(), sampled[i].token));
      answer.push_back(sampled[i].token);
    }
  }

  Model& model_;
  const int n_;
  const Sampled how_;
  std::vector<std::vector<int32_t>> tables_, answers_;
  std::vector<int> n_computed_, rows_;  // rows_: logit row in the step launched last
};

void compare_fed_forward(const TinyDecoder& variant, DType dtype, const Subject& subject,
                         std::initializer_list<int> sizes) {
  LoadedModel gpu = load(variant, dtype, subject);
  CHECK(gpu.model->max_in_flight() >= 2);
  if (gpu.model->max_in_flight() < 2) return;
  for (const int n : sizes) {
    const Watchdog watchdog(std::string(variant.name) + ", " + subject.name + ", fed forward x " + std::to_string(n));
    for (const Sampled how : {Sampled::kGreedily, Sampled::kLateByMasks}) {
      const auto expected = Decoding(*gpu.model, n, how).run(false);
      CHECK(Decoding(*gpu.model, n, how).run(true) == expected);
      for (const auto& answer : expected) {
        CHECK(std::ranges::all_of(answer, [](int32_t token) { return token >= 0 && token < kVocab; }));
      }
    }
  }
}

}  // namespace

TEST(cuda_matches_cpu_llama_64) { compare_fully(kVariants[0]); }
TEST(cuda_matches_cpu_llama_128) { compare_fully(kVariants[1]); }
TEST(cuda_matches_cpu_mistral_64) { compare_fully(kVariants[2]); }
TEST(cuda_matches_cpu_mistral_128) { compare_fully(kVariants[3]); }
TEST(cuda_matches_cpu_qwen2) { compare_fully(kVariants[4]); }
TEST(cuda_matches_cpu_qwen3) { compare_fully(kVariants[5]); }
TEST(cuda_matches_cpu_odd_head) { compare_fully(kVariants[6]); }
TEST(cuda_matches_cpu_wide_group) { compare_fully(kVariants[7]); }

TEST(cuda_feeds_tokens_forward) {
  if (!has_device()) return;
  for (const int variant : {0, 1, 5, 6}) {
    for (const Subject& subject : kSubjects) {
      compare_fed_forward(kVariants[variant], DType::kF16, subject, {1, 2, 8, 9, 33, 64});
    }
  }
}

TEST(small_matches_cpu) {
  if (!has_device()) return;
  constexpr TinyDecoder kEverything{"everything", 256, 4, 2, 64, true, true, false, false, 24, 256, 2};
  constexpr TinyDecoder kWideHead{"wide head", 256, 4, 2, 128, false, false, true, true, 0, 256, 2};
  std::vector<Script> scripts;
  scripts.push_back(mixed(2));
  scripts.push_back(mixed(9));
  scripts.push_back(few_rows({330, 20}, {5, 2}));
  scripts.push_back(std::move(Script("spans", {600}).rows(0, 598).next().rows(0, 1).next().rows(0, 1)));
  compare(kEverything, std::span(kBothTypes).first(1), kSubjects, scripts);
  compare(kWideHead, std::span(kBothTypes).last(1), kSubjects, scripts);
}

// For racecheck, which takes seconds for what others do in milliseconds: prompts, decode and both together, two layers.
TEST(raced_steps) {
  if (!has_device()) return;
  constexpr TinyDecoder kTiny{"raced", 128, 2, 1, 64, false, false, false, true, 0, 128, 2};
  std::vector<Script> scripts;
  scripts.push_back(mixed(2));
  scripts.push_back(few_rows({70, 14}, {1, 5}));
  compare(kTiny, std::span(kBothTypes).first(1), std::span(kSubjects).first(2), scripts);
}

TEST(small_feeds_tokens_forward) {
  if (!has_device()) return;
  compare_fed_forward(kVariants[0], DType::kF16, kSubjects[0], {3, 10});
}

TEST(cuda_without_a_device_is_refused) {
#ifdef JSG_CUDA
  if (cuda::cuda_device_count() > 0) return;
#endif
  CHECK_THROWS(load(kVariants[0], DType::kF16, kSubjects[0]), "E_DEVICE_UNSUITABLE");
}

TEST_MAIN()
