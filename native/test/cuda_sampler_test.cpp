// Sampling on the device against the host's Sampler, row by row: the same token, unless `u` lies within rounding of the
// boundary between two, which is then checked. Skipped, with a line, where there is no device or no CUDA in the build.
#include "check.h"
#include "cuda_device.h"
#include "error.h"

#ifdef JSG_CUDA
#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <random>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/device_memory.h"
#include "backend/cuda/sampler.h"
#include "runtime/sampler.h"

using namespace jsg;
using namespace jsg::test;
using cuda::DeviceSampler;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// A row of logits and how it is sampled, with what the spans point to.
struct Row {
  std::vector<float> logits;
  RowSampling sampling;
  std::vector<SeenToken> seen;
  std::vector<LogitBias> bias;
  std::vector<int32_t> masked;
  std::vector<uint32_t> allowed;

  RowSampling described() const {
    RowSampling out = sampling;
    out.seen = seen;
    out.logit_bias = bias;
    out.masked = masked;
    out.allowed = allowed;
    return out;
  }
};

// What a row gave, held by value.
struct Outcome {
  int32_t token = -1;
  float logprob = kNaN;
  std::vector<TopLogprob> top;

  explicit Outcome(const SampledToken& sampled)
      : token(sampled.token), logprob(sampled.logprob), top(sampled.top.begin(), sampled.top.end()) {}
};

class Device {
 public:
  explicit Device(int vocab) : vocab_(vocab), sampler_(vocab, cuda::cuda_device().sm >= 90) {
    cuda::check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
  }
  Device(const Device&) = delete;
  ~Device() { (void)cudaStreamDestroy(stream_); }

  void launch(const std::vector<Row>& rows, const std::vector<uint64_t>& best = {}) {
    std::vector<RowSampling> described;
    for (const Row& row : rows) described.push_back(row.described());
    cuda::check(cudaStreamSynchronize(stream_), "waiting before the logits are written over");
    logits_.grow(rows.size() * vocab_);
    for (size_t i = 0; i < rows.size(); ++i) {
      cuda::copy_to_device(logits_.get() + i * vocab_, rows[i].logits.data(), vocab_ * sizeof(float), "copying logits");
    }
    if (!best.empty()) {
      best_.grow(best.size());
      cuda::copy_to_device(best_.get(), best.data(), best.size() * sizeof(uint64_t), "copying maxima");
    }
    sampler_.launch(stream_, logits_.get(), best.empty() ? nullptr : best_.get(), described, next_slot_);
    next_slot_ = 1 - next_slot_;
  }
  // Of the launch before, or the one before that.
  std::vector<Outcome> wait(int launches_ago = 1) {
    cuda::check(cudaStreamSynchronize(stream_), "sampling");
    std::vector<Outcome> outcomes;
    for (const SampledToken& sampled : sampler_.result(launches_ago == 1 ? 1 - next_slot_ : next_slot_)) {
      outcomes.emplace_back(sampled);
    }
    return outcomes;
  }
  std::vector<Outcome> sample(const std::vector<Row>& rows, const std::vector<uint64_t>& best = {}) {
    launch(rows, best);
    return wait();
  }
  std::vector<int32_t> tokens(size_t n) {
    std::vector<int32_t> out(n);
    cuda::check(cudaMemcpy(out.data(), sampler_.tokens(), n * sizeof(int32_t), cudaMemcpyDeviceToHost), "reading ids");
    return out;
  }

 private:
  int vocab_;
  DeviceSampler sampler_;
  cudaStream_t stream_ = nullptr;
  cuda::Memory<float> logits_;
  cuda::Memory<uint64_t> best_;
  int next_slot_ = 0;
};

// The logits after bias, penalties and masks.
std::vector<float> adjusted(const Row& row) {
  std::vector<float> x = row.logits;
  for (const LogitBias& bias : row.bias) x[bias.token] += bias.value;
  for (const SeenToken& seen : row.seen) {
    const RowSampling& s = row.sampling;
    x[seen.token] = x[seen.token] > 0 ? x[seen.token] / s.repetition_penalty : x[seen.token] * s.repetition_penalty;
    if (seen.n_generated > 0) x[seen.token] -= s.frequency_penalty * seen.n_generated + s.presence_penalty;
  }
  for (const int32_t token : row.masked) {
    if (token >= 0 && token < static_cast<int32_t>(x.size())) x[token] = kMaskedLogit;
  }
  if (!row.allowed.empty()) mask_disallowed(x, row.allowed);
  return x;
}

// Whether u falls on `token`, or within 1e-5 of the total mass beside it, when top_p and min_p are taken as exact up to
// `slack`. In double precision, by sorting everything.
bool falls_on(const std::vector<float>& x, const RowSampling& s, int32_t token, double slack) {
  std::vector<int32_t> order(x.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return x[a] > x[b]; });
  const double max = x[order[0]];
  const auto weight = [&](int32_t id) { return std::exp((x[id] - max) / s.temperature); };
  if (s.top_k > 0 && static_cast<size_t>(s.top_k) < order.size()) order.resize(s.top_k);
  if (s.top_p < 1) {
    double total = 0;
    for (const int32_t id : order) total += weight(id);
    double sum = 0;
    size_t kept = 0;
    while (kept < order.size() && (kept == 0 || sum < s.top_p * (1 + slack) * total)) sum += weight(order[kept++]);
    order.resize(kept);
  }
  while (order.size() > 1 && weight(order.back()) < s.min_p * (1 + slack)) order.pop_back();
  std::sort(order.begin(), order.end());
  double total = 0, before = 0, at = -1;
  for (const int32_t id : order) {
    if (id == token) before = total, at = weight(id);
    total += weight(id);
  }
  const double tolerance = 1e-5 * total, target = s.u * total;
  return at >= 0 && target >= before - tolerance && target <= before + at + tolerance;
}

// Compares a batch with the oracle. Returns the rows whose token differed from the host's within rounding.
int compare(Device& device, Sampler& oracle, const std::vector<Row>& rows, const char* name) {
  int n_rounded = 0;
  const std::vector<Outcome> outcomes = device.sample(rows);
  CHECK(outcomes.size() == rows.size());
  const std::vector<int32_t> tokens = device.tokens(rows.size());
  for (size_t i = 0; i < rows.size() && i < outcomes.size(); ++i) {
    const Row& row = rows[i];
    std::optional<Outcome> expected;
    std::vector<float> logits = row.logits;
    try {
      expected.emplace(oracle.sample(logits, row.described()));
    } catch (const Error&) {
      expected.emplace(SampledToken{-1, kNaN, {}});
    }
    const Outcome& actual = outcomes[i];
    CHECK(tokens[i] == actual.token);
    const RowSampling& s = row.sampling;
    if (actual.token != expected->token) {
      bool is_rounding = s.temperature >= kMinTemperature && actual.token >= 0 && expected->token >= 0;
      if (is_rounding) {
        const std::vector<float> x = adjusted(row);
        is_rounding = falls_on(x, s, actual.token, 0) || falls_on(x, s, actual.token, 2e-6) ||
                      falls_on(x, s, actual.token, -2e-6);
      }
      ++n_rounded;
      if (!is_rounding) {
        std::printf(
            "%s: row %zu of vocab %zu: token %d, expected %d (temperature %g, top_k %d, top_p %.9g, min_p %g, "
            "u %.17g, %zu seen, %zu biased, %zu masked, %zu words of mask)\n",
            name, i, row.logits.size(), actual.token, expected->token, s.temperature, s.top_k, s.top_p, s.min_p, s.u,
            row.seen.size(), row.bias.size(), row.masked.size(), row.allowed.size());
      }
      CHECK(is_rounding);
      continue;
    }
    CHECK(std::isnan(actual.logprob) == std::isnan(expected->logprob));
    const bool is_same = actual.logprob == expected->logprob;  // -inf too
    if (!is_same && !std::isnan(expected->logprob)) CHECK_NEAR(actual.logprob, expected->logprob, 1e-4);
    CHECK(actual.top.size() == expected->top.size());
    for (size_t j = 0; j < std::min(actual.top.size(), expected->top.size()); ++j) {
      CHECK(actual.top[j].token == expected->top[j].token);
      if (actual.top[j].logprob == expected->top[j].logprob) continue;  // -inf too
      CHECK_NEAR(actual.top[j].logprob, expected->top[j].logprob, 1e-4);
    }
  }
  return n_rounded;
}

// --- distributions ---

using Random = std::mt19937;

float normal(Random& random, float deviation) { return std::normal_distribution<float>(0, deviation)(random); }
template <class T>
T one_of(Random& random, std::initializer_list<T> choices) {
  return *(choices.begin() + random() % choices.size());
}

enum class Shape {
  kNormal,
  kPeaked,
  kFlat,
  kEqual,
  kTies,
  kTwoLevels,
  kSparse,
  kZipf,
  kSorted,
  kFar,
  kUniform,
  kZeros
};
constexpr int kShapes = 12;

std::vector<float> make_logits(Random& random, int vocab, Shape shape) {
  std::vector<float> x(vocab);
  const float far = shape == Shape::kFar ? one_of(random, {-300.0f, 1e4f}) : 0;
  for (int i = 0; i < vocab; ++i) {
    switch (shape) {
      case Shape::kNormal:
        x[i] = normal(random, 1.5f);
        break;
      case Shape::kPeaked:
        x[i] = normal(random, 4) + (random() % 4096 == 0 ? 12.0f : 0.0f);
        break;
      case Shape::kFlat:
        x[i] = normal(random, 1e-3f);
        break;
      case Shape::kEqual:
        x[i] = 0.37f;
        break;
      case Shape::kTies:
        x[i] = std::round(normal(random, 1) * 2) / 2;
        break;
      case Shape::kTwoLevels:
        x[i] = random() % 3 == 0 ? 1.5f : -0.25f;
        break;
      case Shape::kSparse:
        x[i] = random() % 10 == 0 ? normal(random, 2) : -kInfinity;
        break;
      case Shape::kZipf:
        x[i] = 20 - 1.3f * std::log(static_cast<float>(1 + random() % vocab));
        break;
      case Shape::kSorted:
        x[i] = 8.0f * static_cast<float>(i) / static_cast<float>(vocab);
        break;
      case Shape::kFar:
        x[i] = far + normal(random, 2);
        break;
      case Shape::kUniform:
        x[i] = std::uniform_real_distribution<float>(-10, 10)(random);
        break;
      case Shape::kZeros:
        x[i] = random() % 2 == 0 ? 0.0f : -0.0f;
        break;
    }
  }
  return x;
}

double make_u(Random& random) {
  switch (random() % 32) {
    case 0:
      return 0;
    case 1:
      return 1 - 0x1p-53;
    default:
      return std::uniform_real_distribution<double>(0, 1)(random);
  }
}

std::vector<SeenToken> make_seen(Random& random, int vocab, int n) {
  std::map<int32_t, int32_t> counts;
  for (int i = 0; i < n; ++i) counts[static_cast<int32_t>(random() % vocab)] += static_cast<int>(random() % 3);
  std::vector<SeenToken> seen;
  for (const auto& [token, count] : counts) seen.push_back({token, count});
  return seen;
}

void make_adjustments(Random& random, Row& row) {
  const int vocab = static_cast<int>(row.logits.size());
  if (random() % 2) {
    row.seen = make_seen(random, vocab, one_of(random, {1, 20, 400}));
    row.sampling.repetition_penalty = one_of(random, {1.0f, 1.3f, 0.8f});
    row.sampling.frequency_penalty = one_of(random, {0.0f, 0.5f, -0.7f});
    row.sampling.presence_penalty = one_of(random, {0.0f, 1.1f});
  }
  if (random() % 2) {
    const int n = one_of(random, {1, 3, 300});
    for (int i = 0; i < n; ++i) {
      row.bias.push_back(
          {static_cast<int32_t>(random() % vocab), one_of(random, {100.0f, -100.0f, 0.3f, 2.5f, 1e-3f})});
    }
  }
  if (random() % 2) {
    const auto best = std::max_element(row.logits.begin(), row.logits.end()) - row.logits.begin();
    row.masked = {static_cast<int32_t>(best), static_cast<int32_t>(random() % vocab), -1, vocab};
  }
}

// What a grammar allows: a few tokens, all but a few, or as many as not; at least one.
void make_mask(Random& random, Row& row) {
  const int vocab = static_cast<int>(row.logits.size());
  const bool most = random() % 3 == 0;
  row.allowed.assign((vocab + 31) / 32, most ? ~0u : 0u);
  const int n = one_of(random, {1, 2, 40, vocab / 2 + 1});
  for (int i = 0; i < n; ++i) {
    const int token = static_cast<int>(random() % vocab);
    if (most) {
      row.allowed[token / 32] &= ~(1u << token % 32);
    } else {
      row.allowed[token / 32] |= 1u << token % 32;
    }
  }
  row.allowed[0] |= 1;
}

Row random_row(Random& random, int vocab) {
  Row row;
  row.logits = make_logits(random, vocab, static_cast<Shape>(random() % kShapes));
  RowSampling& s = row.sampling;
  s.u = make_u(random);
  s.temperature = one_of(random, {0.0f, 0.2f, 0.7f, 1.0f, 1.0f, 1.5f, 30.0f});
  if (random() % 2) s.top_k = one_of(random, {1, 2, 5, 50, 50, 300, 1500, 5000, vocab - 1, vocab, vocab + 1});
  if (random() % 2) s.top_p = one_of(random, {0.9f, 0.9f, 0.5f, 0.99f, 0.999f, 0.999999f, 1e-4f, 0.0f});
  if (random() % 3 == 0) s.min_p = one_of(random, {0.05f, 0.5f, 1.0f, 1e-6f});
  if (random() % 3 == 0) s.top_logprobs = one_of(random, {0, 1, 5, 20, DeviceSampler::kMaxTopLogprobs});
  if (random() % 4 == 0) make_adjustments(random, row);
  if (random() % 3 == 0) make_mask(random, row);
  switch (random() % 64) {
    case 0:
      row.logits[random() % vocab] = kNaN;
      break;
    case 1:
      row.logits[random() % vocab] = kInfinity;
      break;
    case 2:
      std::fill(row.logits.begin(), row.logits.end(), -kInfinity);
      break;
    default:
      break;
  }
  return row;
}

uint64_t packed(float logit, uint32_t id) {
  const uint32_t bits = std::bit_cast<uint32_t>(logit);
  return static_cast<uint64_t>(bits >> 31 ? ~bits : bits | 0x80000000u) << 32 | (0xffffffffu - id);
}

}  // namespace

TEST(random_rows_get_the_host_samplers_tokens) {
  if (!has_device()) return;
  struct Size {
    int vocab, n_rows, n_batches;
  };
  for (const auto [vocab, n_rows, n_batches] : {Size{2, 64, 4},
                                                {7, 128, 4},
                                                {100, 512, 8},
                                                {1000, 300, 8},
                                                {4096, 100, 4},
                                                {5003, 67, 4},
                                                {32000, 64, 6},
                                                {128256, 32, 12},
                                                {151936, 32, 6},
                                                {151655, 16, 4},
                                                {262144, 8, 6}}) {
    Random random(vocab);
    Device device(vocab);
    Sampler oracle(vocab);
    int n_rounded = 0;
    for (int batch = 0; batch < n_batches; ++batch) {
      std::vector<Row> rows;
      for (int i = 0; i < n_rows; ++i) rows.push_back(random_row(random, vocab));
      n_rounded += compare(device, oracle, rows, "random");
    }
    std::printf("     vocab %d: %d rows, %d within rounding of a boundary\n", vocab, n_rows * n_batches, n_rounded);
    // Also counted: tokens of different logits whose weights are equal, which the host ranks by their ids.
    CHECK(n_rounded <= n_rows * n_batches / (vocab <= 5003 ? 100 : 10));
  }
}

TEST(every_shape_with_every_filter) {
  if (!has_device()) return;
  const int vocab = 128256;
  Random random(17);
  Device device(vocab);
  Sampler oracle(vocab);
  for (int shape = 0; shape < kShapes; ++shape) {
    std::vector<Row> rows;
    const std::vector<float> logits = make_logits(random, vocab, static_cast<Shape>(shape));
    for (const int top_k : {0, 50, 1200, 20000}) {
      for (const float top_p : {1.0f, 0.9f, 0.999999f}) {
        for (const float min_p : {0.0f, 0.1f}) {
          Row& row = rows.emplace_back();
          row.logits = logits;
          row.sampling.temperature = 0.8f;
          row.sampling.top_k = top_k;
          row.sampling.top_p = top_p;
          row.sampling.min_p = min_p;
          row.sampling.u = make_u(random);
        }
      }
    }
    compare(device, oracle, rows, "shape");
  }
}

TEST(greedy_takes_the_lowest_of_equals_with_and_without_the_maxima) {
  if (!has_device()) return;
  const int vocab = 9001;
  Random random(3);
  Device device(vocab);
  std::vector<Row> rows(40);
  std::vector<uint64_t> best;
  std::vector<int32_t> expected;
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].logits = make_logits(random, vocab, Shape::kTies);
    const auto at = std::max_element(rows[i].logits.begin(), rows[i].logits.end());
    expected.push_back(static_cast<int32_t>(at - rows[i].logits.begin()));
    best.push_back(packed(*at, expected.back()));
  }
  rows[5].logits[8999] = kNaN;
  best[5] = ~uint64_t{0};
  expected[5] = -1;
  const auto check = [&](const std::vector<Outcome>& outcomes) {
    for (size_t i = 0; i < rows.size(); ++i) CHECK(outcomes[i].token == expected[i]);
    CHECK(device.tokens(rows.size()) == expected);
  };
  check(device.sample(rows));
  check(device.sample(rows, best));
  // Plain rows go by `best` alone, the others by the logits.
  best[7] = packed(3.0f, 1234);
  expected[7] = 1234;
  best[9] = packed(3.0f, 4321);
  rows[9].sampling.top_logprobs = 0;
  check(device.sample(rows, best));
}

TEST(an_unseen_row_counts_as_a_token_seen) {
  if (!has_device()) return;
  const int vocab = 5000, n = 48;
  Random random(5);
  Device device(vocab);
  Sampler oracle(vocab);
  std::vector<Row> before(n);
  for (Row& row : before) row.logits = make_logits(random, vocab, Shape::kPeaked);
  device.launch(before);
  std::vector<Row> rows(n), complete;
  for (int i = 0; i < n; ++i) {
    Row& row = rows[i];
    row.sampling.unseen_row = (i * 7 + 3) % n;
    const std::vector<float>& source = before[row.sampling.unseen_row].logits;
    const auto token = static_cast<int32_t>(std::max_element(source.begin(), source.end()) - source.begin());
    // The token leads here too, so that whether it is penalised shows.
    row.logits = make_logits(random, vocab, Shape::kNormal);
    row.logits[token] = *std::max_element(row.logits.begin(), row.logits.end()) + 1;
    row.seen = make_seen(random, vocab, 30);
    std::erase_if(row.seen, [&](const SeenToken& seen) { return seen.token == token; });
    if (i % 3 != 0) row.seen.push_back({token, i % 3 - 1});
    std::sort(row.seen.begin(), row.seen.end(), [](auto& a, auto& b) { return a.token < b.token; });
    if (i % 8 == 7) row.seen.clear();
    row.sampling.repetition_penalty = 1.2f;
    row.sampling.frequency_penalty = 0.6f;
    row.sampling.presence_penalty = 0.9f;
    row.sampling.temperature = i % 2 ? 0.9f : 0.0f;
    row.sampling.u = make_u(random);
    row.sampling.top_logprobs = i % 5 == 0 ? 3 : -1;
    Row& all = complete.emplace_back(row);
    all.sampling.unseen_row = -1;
    const auto at = std::find_if(all.seen.begin(), all.seen.end(), [&](auto& seen) { return seen.token >= token; });
    if (at != all.seen.end() && at->token == token) {
      ++at->n_generated;
    } else {
      all.seen.insert(at, {token, 1});
    }
  }
  device.launch(rows);
  const std::vector<Outcome> outcomes = device.wait();
  CHECK(device.wait(2).size() == static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) {
    std::vector<float> logits = complete[i].logits;
    const Outcome expected(oracle.sample(logits, complete[i].described()));
    CHECK(outcomes[i].token == expected.token);
    CHECK(outcomes[i].top.size() == expected.top.size());
    if (!expected.top.empty()) CHECK_NEAR(outcomes[i].logprob, expected.logprob, 1e-4);
  }
}

TEST(two_steps_in_flight_keep_their_results_apart) {
  if (!has_device()) return;
  const int vocab = 700;
  Random random(8);
  Device device(vocab);
  Sampler oracle(vocab);
  std::vector<Row> first, second;
  for (int i = 0; i < 20; ++i) first.push_back(random_row(random, vocab));
  for (int i = 0; i < 90; ++i) second.push_back(random_row(random, vocab));
  device.launch(first);
  device.launch(second);
  const std::vector<Outcome> a = device.wait(2), b = device.wait(1);
  CHECK(a.size() == first.size() && b.size() == second.size());
  const std::vector<Outcome> again = device.sample(first);
  for (size_t i = 0; i < a.size(); ++i) CHECK(a[i].token == again[i].token);
  // A row's token does not depend on the rows beside it.
  for (size_t i = 0; i < b.size(); ++i) CHECK(device.sample({second[i]})[0].token == b[i].token);
}

TEST(draws_follow_the_distribution) {
  if (!has_device()) return;
  const int vocab = 60;
  Random random(11);
  Device device(vocab);
  const std::vector<float> logits = make_logits(random, vocab, Shape::kNormal);
  for (const auto& [top_k, top_p, min_p] :
       {std::tuple{0, 1.0f, 0.0f}, {20, 1.0f, 0.0f}, {0, 0.8f, 0.0f}, {30, 0.9f, 0.02f}}) {
    std::vector<double> counts(vocab);
    RowSampling sampling;
    sampling.temperature = 0.9f;
    sampling.top_k = top_k;
    sampling.top_p = top_p;
    sampling.min_p = min_p;
    const int n_draws = 64 * 512;
    for (int batch = 0; batch < 64; ++batch) {
      std::vector<Row> rows(512);
      for (Row& row : rows) {
        row.logits = logits;
        row.sampling = sampling;
        row.sampling.u = std::uniform_real_distribution<double>(0, 1)(random);
      }
      for (const Outcome& outcome : device.sample(rows)) ++counts[outcome.token];
    }
    // The probabilities, by asking where u changes the token on the host.
    Sampler oracle(vocab);
    std::vector<double> expected(vocab);
    const int n_steps = 200000;
    for (int i = 0; i < n_steps; ++i) {
      std::vector<float> copy = logits;
      sampling.u = (i + 0.5) / n_steps;
      expected[oracle.sample(copy, sampling).token] += static_cast<double>(n_draws) / n_steps;
    }
    double chi_square = 0;
    int n_kept = 0;
    for (int token = 0; token < vocab; ++token) {
      if (expected[token] == 0) {
        CHECK(counts[token] == 0);
        continue;
      }
      ++n_kept;
      chi_square += (counts[token] - expected[token]) * (counts[token] - expected[token]) / expected[token];
    }
    CHECK(n_kept > 5);
    CHECK_NEAR(chi_square, n_kept - 1, 4.5 * std::sqrt(2.0 * (n_kept - 1)));
  }
}

TEST(what_it_cannot_do_is_refused) {
  if (!has_device()) return;
  CHECK_THROWS(DeviceSampler(DeviceSampler::kMaxVocab + 1, false), "E_DEVICE_UNSUITABLE");
  Device device(10);
  Row row;
  row.logits.assign(10, 0.0f);
  CHECK_THROWS(device.launch({}), "E_RUNTIME_FAILED");
  CHECK_THROWS(device.launch(std::vector<Row>(DeviceSampler::kMaxRows + 1, row)), "E_RUNTIME_FAILED");
  row.sampling.top_logprobs = DeviceSampler::kMaxTopLogprobs + 1;
  CHECK_THROWS(device.launch({row}), "E_RUNTIME_FAILED");
  row.sampling.top_logprobs = DeviceSampler::kMaxTopLogprobs;
  CHECK(device.sample({row})[0].top.size() == 10);
}

#else
TEST(sampling_on_the_device) { std::printf("     skipped: built without CUDA\n"); }
#endif

TEST_MAIN()
