// Attention of the CUDA backend against the formula in double precision, for every way to store KV. Skipped, with a
// line, where there is no device or no CUDA in the build.
#include "check.h"
#include "cuda_device.h"
#ifdef JSG_CUDA
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "backend/cuda/attention.h"

using namespace jsg;
using namespace jsg::test;
using namespace jsg::cuda;

namespace {

constexpr KvFormat kFormats[] = {KvFormat::k16Bit, KvFormat::kE4M3, KvFormat::kE5M2, KvFormat::kInt8};
constexpr const char* kFormatNames[] = {"16 bits", "e4m3", "e5m2", "int8"};
constexpr float kEps = 1e-5f;

struct Variant {
  int n_heads, n_kv_heads, head_dim, window;
  bool interleaved, normed;
  int group() const { return n_heads / n_kv_heads; }
};

// --- formats, from their definitions ---

// Of a byte's value; NaN and infinities as the largest finite.
double decode_fp8(int byte, int mantissa_bits, int bias) {
  const int exponent = (byte & 0x7f) >> mantissa_bits, mantissa = byte & ((1 << mantissa_bits) - 1);
  const double fraction = std::ldexp(mantissa, -mantissa_bits);
  const double size = exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  return byte & 0x80 ? -size : size;
}
// All finite values that are not negative, in order of their bytes.
std::vector<double> fp8_values(KvFormat format) {
  const bool e4m3 = format == KvFormat::kE4M3;
  std::vector<double> values;
  for (int byte = 0; byte < (e4m3 ? 0x7f : 0x7c); ++byte)
    values.push_back(decode_fp8(byte, e4m3 ? 3 : 2, e4m3 ? 7 : 15));
  return values;
}
// Nearest, ties to the even byte, saturating.
double round_fp8(KvFormat format, double x) {
  static const std::vector<double> tables[] = {fp8_values(KvFormat::kE4M3), fp8_values(KvFormat::kE5M2)};
  const auto& values = tables[format == KvFormat::kE4M3 ? 0 : 1];
  const double size = std::min(std::fabs(x), values.back());
  const size_t above = std::lower_bound(values.begin(), values.end(), size) - values.begin();
  size_t best = above;
  if (above > 0) {
    const double up = values[above] - size, down = size - values[above - 1];
    if (down < up || (down == up && above % 2 == 1)) best = above - 1;
  }
  return std::copysign(values[best], x);
}

template <class T>
float rounded(float x) {
  return static_cast<float>(static_cast<T>(x));
}

// A head of K or V as the cache gives it back.
template <class T>
void store(KvFormat format, float* head, int head_dim) {
  float largest = 0;
  for (int i = 0; i < head_dim; ++i) {
    head[i] = rounded<T>(head[i]);
    largest = std::max(largest, std::fabs(head[i]));
  }
  const float scale = __half2float(__float2half(largest / 127));
  for (int i = 0; i < head_dim; ++i) {
    if (format == KvFormat::kE4M3 || format == KvFormat::kE5M2)
      head[i] = static_cast<float>(round_fp8(format, head[i]));
    if (format == KvFormat::kInt8) {
      const float q = scale > 0 ? std::nearbyint(head[i] * (1.0f / scale)) : 0;
      head[i] = std::clamp(q, -127.0f, 127.0f) * scale;
    }
  }
}

// --- the same rows for device and host ---

template <class T>
class Subject {
 public:
  static constexpr int kChunk = 256;  // rows of a prefill
  static constexpr int kPositions = 8192;

  Subject(const Variant& variant, KvFormat format, AttentionPath path, int n_blocks)
      : v_(variant), format_(format), launch_(make_launcher()), attention_(shape(), options(path), n_sms(), launch_) {
    attention_.make_cache(n_blocks);
    std::normal_distribution<float> normal(1.0f, 0.2f);
    for (int i = 0; i < v_.head_dim; ++i) norms_.push_back(normal(random_));
    normal = std::normal_distribution<float>();
    for (int i = 0; i < 100003; ++i) noise_.push_back(static_cast<T>(normal(random_)));
    upload(norm_, norms_);
    for (int i = 0; i < n_blocks; ++i) free_.push_back(i);
    std::shuffle(free_.begin(), free_.end(), random_);
    for (int position = 0; position < kPositions; ++position) {
      for (int pair = 0; pair < v_.head_dim / 2; ++pair) {
        const double angle = position * std::pow(10000.0, -2.0 * pair / v_.head_dim);
        angles_.push_back({static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))});
      }
    }
  }
  ~Subject() { (void)cudaStreamDestroy(launch_.stream); }
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  bool is_fast() const { return attention_.is_fast(); }
  uint64_t kv_bytes_per_token() const { return attention_.kv_bytes_per_token(); }

  struct Sequence {
    std::vector<int32_t> table;
    std::vector<float> k, v;  // (tokens, n_kv_heads, head_dim), as cached
    int n = 0;
  };
  struct Row {
    int sequence;            // -1: fills the batch up
    std::vector<T> q, k, v;  // of all heads, before norm and rotation
  };

  int add_sequence(int capacity) {
    sequences_.emplace_back();
    for (int i = 0; i < (capacity + kPage - 1) / kPage; ++i) {
      sequences_.back().table.push_back(free_.back());
      free_.pop_back();
    }
    return static_cast<int>(sequences_.size()) - 1;
  }
  // Leaves every block that is free full of values that are no numbers.
  void poison() {
    const int sequence = add_sequence(static_cast<int>(free_.size()) * kPage);
    const int n = static_cast<int>(sequences_.back().table.size()) * kPage;
    const Row row = random_row(sequence);
    for (int done = 0; done < n; done += kChunk) {
      std::vector<Row> rows;
      for (int i = done; i < std::min(n, done + kChunk); ++i) {
        rows.push_back(row);
        const float bad = i % 3 == 0 ? std::numeric_limits<float>::quiet_NaN() : std::numeric_limits<float>::infinity();
        std::fill(rows.back().k.begin(), rows.back().k.end(), static_cast<T>(bad));
        std::fill(rows.back().v.begin(), rows.back().v.end(), static_cast<T>(i % 2 == 0 ? bad : -bad));
      }
      (void)step(rows, 0);
    }
    for (const int32_t block : sequences_.back().table) free_.push_back(block);
    sequences_.pop_back();
  }

  Row random_row(int sequence) {
    const auto some = [&](int heads) {
      const size_t n = static_cast<size_t>(heads) * v_.head_dim, begin = random_() % (noise_.size() - n);
      return std::vector<T>(noise_.begin() + begin, noise_.begin() + begin + n);
    };
    return {sequence, some(v_.n_heads), some(v_.n_kv_heads), some(v_.n_kv_heads)};
  }
  void prefill(int sequence, int n) {
    for (int done = 0; done < n; done += kChunk) {
      std::vector<Row> rows;
      for (int i = done; i < std::min(n, done + kChunk); ++i) rows.push_back(random_row(sequence));
      (void)step(rows, 0);
    }
  }

  // Runs rows of which the first n_decode decode, the others are of one sequence. Returns (rows, n_heads * head_dim).
  std::vector<float> step(std::vector<Row> rows, int n_decode) {
    const int n = static_cast<int>(rows.size());
    return run(std::move(rows), [&](int row) { return row <= n_decode; },
               {n, n_decode, std::min(n, n_decode + 1), n > n_decode ? n - n_decode : 0, 1});
  }
  // Runs rows in tiles; neighbours of one sequence are a slice. `n_more` tiles fill up.
  std::vector<float> extend(std::vector<Row> rows, int n_more) {
    AttentionStep step{static_cast<int>(rows.size()), 0, 0, 0, 1, n_more};
    int n_before = 0;
    std::vector<bool> begins;
    tiles_host_.clear();
    for (int i = 0; i < step.n_rows; ++i) {
      begins.push_back(i == 0 || rows[i].sequence < 0 || rows[i].sequence != rows[i - 1].sequence);
      n_before = begins[i] ? 0 : n_before + 1;
      if (rows[i].sequence < 0) continue;
      if (n_before % attention_.tile_rows() == 0) tiles_host_.push_back({i, 0});
      ++tiles_host_.back().y;
    }
    step.n_tiles += static_cast<int>(tiles_host_.size());
    tiles_host_.resize(step.n_tiles, {0, 0});
    return run(std::move(rows), [&](int row) { return begins[row]; }, step);
  }

  // begins_slice(i): whether row i begins one.
  template <class Begins>
  std::vector<float> run(std::vector<Row> rows, Begins begins_slice, AttentionStep step) {
    const int n = static_cast<int>(rows.size());
    std::vector<int32_t> positions, sequences, tables, begin;
    std::vector<int2> slices;
    std::vector<float2> rotations;
    std::vector<T> qkv;
    int max_context = 1;
    for (int i = 0; i < n; ++i) {
      Row& row = rows[i];
      Sequence* sequence = row.sequence < 0 ? nullptr : &sequences_[row.sequence];
      const int position = sequence ? sequence->n++ : -1;
      max_context = std::max(max_context, position + 1);
      if (begins_slice(i)) {
        slices.push_back({i, 0});
        begin.push_back(static_cast<int32_t>(tables.size()));
        if (sequence) tables.insert(tables.end(), sequence->table.begin(), sequence->table.end());
      }
      ++slices.back().y;
      positions.push_back(position);
      sequences.push_back(static_cast<int32_t>(slices.size()) - 1);
      for (int j = 0; j < v_.head_dim / 2; ++j) rotations.push_back(rotation(std::max(position, 0), j));
      for (const auto* part : {&row.q, &row.k, &row.v}) qkv.insert(qkv.end(), part->begin(), part->end());
      if (sequence) append(*sequence, row);
    }
    upload(positions_, positions);
    upload(sequence_ids_, sequences);
    upload(slices_, slices);
    upload(tiles_, tiles_host_);
    upload(tables_, tables);
    upload(begin_, begin);
    upload(rotations_, rotations);
    upload(qkv_, qkv);
    const size_t width = static_cast<size_t>(v_.n_heads) * v_.head_dim;
    out_.grow(n * width);
    check(cudaMemsetAsync(out_.get(), 0x5a, n * width * sizeof(T), launch_.stream), "clearing");
    step.max_context = max_context;
    attention_.plan(step);
    const StepView view{positions_.get(), sequence_ids_.get(), slices_.get(), tables_.get(),
                        begin_.get(),     rotations_.get(),    tiles_.get()};
    const float* norm = v_.normed ? norm_.get() : nullptr;
    attention_.run(0, qkv_.get(), out_.get(), view, norm, norm);
    check(cudaStreamSynchronize(launch_.stream), "running attention");
    std::vector<T> result(n * width);
    check(cudaMemcpy(result.data(), out_.get(), result.size() * sizeof(T), cudaMemcpyDeviceToHost), "copying");
    return {result.begin(), result.end()};
  }

  // What the formula gives for the row that was the last but n_after of its sequence, head by head; scores at base e.
  std::vector<double> expected(const Row& row, int n_after = 0) const {
    const Sequence& sequence = sequences_[row.sequence];
    const int n = sequence.n - n_after, dim = v_.head_dim;
    const int first = v_.window > 0 ? std::max(0, n - v_.window) : 0;
    std::vector<float> q(row.q.begin(), row.q.end());
    std::vector<double> out(q.size()), scores(n);
    for (int head = 0; head < v_.n_heads; ++head) {
      float* x = &q[static_cast<size_t>(head) * dim];
      norm_rotate(x, n - 1);
      for (int i = 0; i < dim; ++i) x[i] = rounded<T>(x[i]);
      const int kv_head = head / v_.group();
      double top = -INFINITY, sum = 0;
      for (int t = first; t < n; ++t) {
        const float* k = &sequence.k[(static_cast<size_t>(t) * v_.n_kv_heads + kv_head) * dim];
        scores[t] = 0;
        for (int i = 0; i < dim; ++i) scores[t] += static_cast<double>(x[i]) * k[i];
        scores[t] /= std::sqrt(dim);
        top = std::max(top, scores[t]);
      }
      double* o = &out[static_cast<size_t>(head) * dim];
      for (int t = first; t < n; ++t) {
        const double p = std::exp(scores[t] - top);
        sum += p;
        const float* v = &sequence.v[(static_cast<size_t>(t) * v_.n_kv_heads + kv_head) * dim];
        for (int i = 0; i < dim; ++i) o[i] += p * v[i];
      }
      for (int i = 0; i < dim; ++i) o[i] /= sum;
    }
    return out;
  }

 private:
  static Launcher make_launcher() {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, 0), "reading the device's properties");
    Launcher launch{nullptr, properties.major >= 9};
    check(cudaStreamCreateWithFlags(&launch.stream, cudaStreamNonBlocking), "creating a stream");
    return launch;
  }
  static int n_sms() {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, 0), "reading the device's properties");
    return properties.multiProcessorCount;
  }
  DecoderShape shape() const {
    return {1, v_.n_heads * v_.head_dim, 0, v_.n_heads, v_.n_kv_heads, v_.head_dim, 0, v_.window, v_.interleaved, kEps};
  }
  CudaOptions options(AttentionPath path) const {
    CudaOptions options;
    options.kv_format = format_;
    options.attention = path;
    return options;
  }
  template <class U>
  static void upload(Memory<U>& memory, const std::vector<U>& host) {
    memory.grow(std::max<size_t>(host.size(), 1));
    copy_to_device(memory.get(), host.data(), host.size() * sizeof(U), "copying");
  }
  float2 rotation(int position, int pair) const {
    return angles_[static_cast<size_t>(position % kPositions) * (v_.head_dim / 2) + pair];
  }
  void norm_rotate(float* head, int position) const {
    const int dim = v_.head_dim;
    if (v_.normed) {
      float squares = 0;
      for (int i = 0; i < dim; ++i) squares += head[i] * head[i];
      const float factor = 1.0f / std::sqrt(squares / static_cast<float>(dim) + kEps);
      for (int i = 0; i < dim; ++i) head[i] *= factor * norms_[i];
    }
    for (int pair = 0; pair < dim / 2; ++pair) {
      float& a = head[v_.interleaved ? 2 * pair : pair];
      float& b = head[v_.interleaved ? 2 * pair + 1 : pair + dim / 2];
      const float2 r = rotation(position, pair);
      const float turned = a * r.x - b * r.y;
      b = a * r.y + b * r.x;
      a = turned;
    }
  }
  void append(Sequence& sequence, const Row& row) const {
    const size_t begin = sequence.k.size();
    sequence.k.insert(sequence.k.end(), row.k.begin(), row.k.end());
    sequence.v.insert(sequence.v.end(), row.v.begin(), row.v.end());
    for (int head = 0; head < v_.n_kv_heads; ++head) {
      float* k = &sequence.k[begin + static_cast<size_t>(head) * v_.head_dim];
      norm_rotate(k, sequence.n - 1);
      store<T>(format_, k, v_.head_dim);
      store<T>(format_, &sequence.v[begin + static_cast<size_t>(head) * v_.head_dim], v_.head_dim);
    }
  }

  const Variant v_;
  const KvFormat format_;
  const Launcher launch_;
  Attention<T> attention_;
  std::mt19937 random_{7};
  std::vector<float> norms_;
  std::vector<T> noise_;        // rows are cut from it
  std::vector<float2> angles_;  // (kPositions, head_dim / 2)
  std::vector<int32_t> free_;
  std::vector<Sequence> sequences_;
  Memory<int32_t> positions_, sequence_ids_, tables_, begin_;
  std::vector<int2> tiles_host_;
  Memory<int2> slices_, tiles_;
  Memory<float2> rotations_;
  Memory<float> norm_;
  Memory<T> qkv_, out_;
};

// ||a - b|| / ||b|| of the worst head.
double worst_head(std::span<const float> actual, std::span<const double> expected, int head_dim) {
  double worst = 0;
  for (size_t begin = 0; begin < expected.size(); begin += head_dim) {
    double difference = 0, size = 0;
    for (size_t i = begin; i < begin + head_dim; ++i) {
      difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
      size += expected[i] * expected[i];
    }
    const double error = std::sqrt(difference / size);
    worst = error <= worst ? worst : std::isnan(error) ? INFINITY : error;
  }
  return worst;
}

template <class T>
void decode_matches(const Variant& v, KvFormat format, AttentionPath path, std::vector<int> contexts) {
  constexpr int kSteps = 3;
  int n_blocks = 0;
  for (const int context : contexts) n_blocks += (context + kSteps + kPage - 1) / kPage;
  Subject<T> subject(v, format, path, n_blocks);
  CHECK(subject.is_fast() == (path == AttentionPath::kFast));
  subject.poison();
  for (const int context : contexts) subject.prefill(subject.add_sequence(context + kSteps), context);
  double worst = 0;
  const size_t width = static_cast<size_t>(v.n_heads) * v.head_dim;
  for (int step = 0; step < kSteps; ++step) {
    std::vector<typename Subject<T>::Row> rows;
    for (size_t s = 0; s < contexts.size(); ++s) rows.push_back(subject.random_row(static_cast<int>(s)));
    rows.push_back(subject.random_row(-1));
    const std::vector<float> actual = subject.step(rows, static_cast<int>(rows.size()));
    for (size_t s = 0; s < contexts.size(); ++s) {
      const double error =
          worst_head(std::span(actual).subspan(s * width, width), subject.expected(rows[s]), v.head_dim);
      if (error > worst) worst = error;
    }
    // A row that fills the batch up writes nothing.
    if (path == AttentionPath::kFast) {
      const float untouched = actual[contexts.size() * width];
      CHECK(std::all_of(actual.end() - static_cast<std::ptrdiff_t>(width), actual.end(),
                        [&](float x) { return x == untouched; }));
    }
  }
  // Operands of 11 bits (of 8: bf16) where nothing else rounds; the output is rounded to T in any case. A key of bf16
  // is often just between two of fp8, and falls to either side where host and device round its rotation differently.
  const double tolerance = std::is_same_v<T, __half> ? 2e-3 : format == KvFormat::kE5M2 ? 2e-2 : 1e-2;
  CHECK_NEAR(worst, 0, tolerance);
  std::printf("     %d/%d heads of %d, window %d, %s, %s%s: %.1e\n", v.n_heads, v.n_kv_heads, v.head_dim, v.window,
              std::is_same_v<T, __half> ? "fp16" : "bf16", kFormatNames[static_cast<int>(format)],
              path == AttentionPath::kFast ? "" : ", reference", worst);
}

// Rows of prompts over the cache of each format.
template <class T>
void prefill_matches(const Variant& v, KvFormat format, AttentionPath path) {
  Subject<T> subject(v, format, path, 25);
  subject.poison();
  const int sequence = subject.add_sequence(400);
  double worst = 0;
  for (const int n : {1, 30, 2, 129, 77}) {
    std::vector<typename Subject<T>::Row> rows;
    for (int i = 0; i < n; ++i) rows.push_back(subject.random_row(sequence));
    const std::vector<float> actual = subject.step(rows, 0);
    const size_t width = static_cast<size_t>(v.n_heads) * v.head_dim;
    worst = std::max(worst, worst_head(std::span(actual).last(width), subject.expected(rows.back()), v.head_dim));
  }
  const double tolerance = std::is_same_v<T, __half> ? 2e-3 : 1e-2;
  CHECK_NEAR(worst, 0, tolerance);
}

// So many rows at once behind each of the contexts.
template <class T>
void extend_matches(const Variant& v, KvFormat format, std::vector<int> contexts, std::vector<int> n_rows) {
  int n_blocks = 0;
  for (size_t s = 0; s < contexts.size(); ++s) n_blocks += (contexts[s] + 3 * n_rows[s] + kPage - 1) / kPage;
  Subject<T> subject(v, format, AttentionPath::kFast, n_blocks);
  subject.poison();
  for (size_t s = 0; s < contexts.size(); ++s) {
    subject.prefill(subject.add_sequence(contexts[s] + 3 * n_rows[s]), contexts[s]);
  }
  double worst = 0;
  const size_t width = static_cast<size_t>(v.n_heads) * v.head_dim;
  for (int step = 0; step < 3; ++step) {
    std::vector<typename Subject<T>::Row> rows;
    std::vector<int> n_after;
    for (size_t s = 0; s < contexts.size(); ++s) {
      for (int i = n_rows[s]; i > 0; --i) {
        rows.push_back(subject.random_row(static_cast<int>(s)));
        n_after.push_back(i - 1);
      }
    }
    rows.push_back(subject.random_row(-1));
    const std::vector<float> actual = subject.extend(rows, step);
    for (size_t i = 0; i < n_after.size(); ++i) {
      worst = std::max(worst, worst_head(std::span(actual).subspan(i * width, width),
                                         subject.expected(rows[i], n_after[i]), v.head_dim));
    }
    const float untouched = actual[n_after.size() * width];
    CHECK(std::all_of(actual.end() - static_cast<std::ptrdiff_t>(width), actual.end(),
                      [&](float x) { return x == untouched; }));
  }
  // As in decode_matches(); among so many rows there are keys of fp16, too, that are just between two of 8 bits.
  const double fp16 = format == KvFormat::k16Bit ? 2e-3 : 5e-3, bf16 = format == KvFormat::kE5M2 ? 2e-2 : 1e-2;
  CHECK_NEAR(worst, 0, (std::is_same_v<T, __half> ? fp16 : bf16));
  std::printf("     %d/%d heads of %d, window %d, %s, %s: %.1e\n", v.n_heads, v.n_kv_heads, v.head_dim, v.window,
              std::is_same_v<T, __half> ? "fp16" : "bf16", kFormatNames[static_cast<int>(format)], worst);
}

constexpr Variant kVariants[] = {
    {8, 2, 64, 0, false, false},  {8, 2, 128, 0, false, false}, {7, 1, 64, 1000, true, false},
    {8, 1, 128, 40, false, true}, {16, 1, 128, 0, true, false}, {18, 2, 64, 300, false, true},
    {3, 3, 64, 1, false, false},  {12, 1, 64, 0, false, false}, {2, 2, 128, 17, false, false},
};

template <class T>
void exact_bytes(KvFormat format, AttentionPath path) {
  const Variant v{4, 4, 64, 0, false, false};
  Subject<T> subject(v, format, path, 20);
  const bool is_int8 = format == KvFormat::kInt8;
  std::vector<double> values = is_int8 ? std::vector<double>{} : fp8_values(format);
  for (int i = 0; is_int8 && i < 128; ++i) values.push_back(0.125 * i);
  const size_t n = values.size();
  for (size_t i = 0; i < n; ++i) values.push_back(-values[i]);
  std::mt19937 random(3);
  std::shuffle(values.begin(), values.end(), random);
  values.resize(256);
  // Each head's scale is 1/8 for its largest is 127/8.
  for (int head = 0; is_int8 && head < 4; ++head) values[64 * head] = 127 * 0.125;
  const int sequence = subject.add_sequence(2);
  auto row = subject.random_row(sequence);
  for (int i = 0; i < 256; ++i) row.v[i] = static_cast<T>(static_cast<float>(values[i]));
  const auto own = subject.step({row}, 1);
  // Twice as many tokens with the same score: half of each.
  std::fill(row.q.begin(), row.q.end(), static_cast<T>(0.0f));
  std::fill(row.v.begin(), row.v.end(), static_cast<T>(0.0f));
  const auto cached = subject.step({row}, 1);
  for (int i = 0; i < 256; ++i) {
    CHECK(own[i] == values[i]);
    CHECK(cached[i] == values[i] / 2);
  }
}

// Values of all sizes, among them ties, subnormals and what saturates, are rounded as the format has it.
template <class T>
void exact_rounding(KvFormat format, AttentionPath path) {
  const Variant v{4, 4, 64, 0, false, false};
  Subject<T> subject(v, format, path, 20);
  std::mt19937 random(5);
  std::uniform_real_distribution<float> exponent(-20, 15.9f), sign(-1, 1);
  const std::vector<double> values = fp8_values(format);
  const auto tie = [&] {
    const size_t i = random() % (values.size() - 1);
    return static_cast<float>((values[i] + values[i + 1]) / 2);
  };
  for (int round = 0; round < 20; ++round) {
    const int sequence = subject.add_sequence(1);
    auto row = subject.random_row(sequence);
    for (int i = 0; i < 256; ++i) {
      const float x = i % 2 == 0 ? std::exp2(exponent(random)) : tie();
      row.v[i] = static_cast<T>(std::copysign(x, sign(random)));
    }
    const auto out = subject.step({row}, 1);
    for (int i = 0; i < 256; ++i) {
      CHECK(out[i] == rounded<T>(static_cast<float>(round_fp8(format, static_cast<float>(row.v[i])))));
    }
  }
}

}  // namespace

TEST(decode_matches_the_formula) {
  if (!has_device()) return;
  const std::vector<int> contexts = {0, 1, 14, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 900};
  for (const Variant& v : kVariants) {
    for (const KvFormat format : kFormats) {
      decode_matches<__half>(v, format, AttentionPath::kFast, contexts);
      decode_matches<__nv_bfloat16>(v, format, AttentionPath::kFast, contexts);
    }
    decode_matches<__half>(v, KvFormat::kInt8, AttentionPath::kReference, {0, 15, 130});
  }
  // Alone: spans share a sequence.
  for (const KvFormat format : kFormats) {
    for (const int context : {0, 100, 257, 700, 3000}) {
      decode_matches<__half>(kVariants[1], format, AttentionPath::kFast, {context});
      decode_matches<__half>(kVariants[4], format, AttentionPath::kFast, {context});
      decode_matches<__half>(kVariants[5], format, AttentionPath::kFast, {context});
    }
  }
}

TEST(prefill_matches_the_formula) {
  if (!has_device()) return;
  for (const Variant& v : kVariants) {
    for (const KvFormat format : kFormats) {
      prefill_matches<__half>(v, format, AttentionPath::kFast);
      prefill_matches<__nv_bfloat16>(v, format, AttentionPath::kFast);
      prefill_matches<__half>(v, format, AttentionPath::kReference);
    }
  }
}

TEST(extend_matches_the_formula) {
  if (!has_device()) return;
  const std::vector<int> contexts = {0, 1, 15, 16, 60, 63, 64, 127, 200, 257, 511, 900};
  const std::vector<int> n_rows = {1, 2, 3, 16, 5, 4, 9, 1, 7, 33, 8, 2};
  for (const Variant& v : kVariants) {
    for (const KvFormat format : kFormats) {
      extend_matches<__half>(v, format, contexts, n_rows);
      extend_matches<__nv_bfloat16>(v, format, contexts, n_rows);
    }
  }
  // Alone: spans share a sequence.
  for (const KvFormat format : kFormats) {
    for (const int context : {0, 100, 257, 700, 3000}) {
      for (const int n : {2, 5, 64}) {
        extend_matches<__half>(kVariants[1], format, {context}, {n});
        extend_matches<__half>(kVariants[5], format, {context}, {n});
        extend_matches<__half>(kVariants[8], format, {context}, {n});
      }
    }
  }
}

TEST(every_stored_value_comes_back) {
  if (!has_device()) return;
  for (const KvFormat format : {KvFormat::kE4M3, KvFormat::kE5M2, KvFormat::kInt8}) {
    for (const AttentionPath path : {AttentionPath::kFast, AttentionPath::kReference})
      exact_bytes<__half>(format, path);
    exact_bytes<__nv_bfloat16>(format, AttentionPath::kFast);
  }
}

TEST(values_are_rounded_to_nearest_and_saturate) {
  if (!has_device()) return;
  for (const KvFormat format : {KvFormat::kE4M3, KvFormat::kE5M2}) {
    for (const AttentionPath path : {AttentionPath::kFast, AttentionPath::kReference}) {
      exact_rounding<__half>(format, path);
    }
    exact_rounding<__nv_bfloat16>(format, AttentionPath::kFast);
  }
}

TEST(bytes_of_a_token) {
  if (!has_device()) return;
  const Variant v{8, 2, 128, 0, false, false};
  const uint64_t values = 2 * 2 * 128;
  const AttentionPath path = AttentionPath::kFast;
  CHECK((Subject<__half>(v, KvFormat::k16Bit, path, 1).kv_bytes_per_token() == 2 * values));
  CHECK((Subject<__half>(v, KvFormat::kE4M3, path, 1).kv_bytes_per_token() == values));
  CHECK((Subject<__half>(v, KvFormat::kE5M2, path, 1).kv_bytes_per_token() == values));
  CHECK((Subject<__half>(v, KvFormat::kInt8, path, 1).kv_bytes_per_token() == values + 2 * 2 * 2));
}
#else
TEST(needs_cuda) { std::printf("     skipped: no CUDA in this build\n"); }
#endif

TEST_MAIN()
