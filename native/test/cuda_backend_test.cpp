// The CUDA backend against the CPU backend: the same decoder, the same weights. Skipped, with a line, where there is no
// device or no CUDA in the build.
#include <algorithm>
#include <random>

#include "check.h"
#include "error.h"
#include "model/load.h"
#ifdef JSG_CUDA
#include "backend/cuda/cuda_backend.h"
#endif

using namespace jsg;

namespace {

bool has_device() {
#ifdef JSG_CUDA
  if (cuda::cuda_device_count() > 0) return true;
#endif
  std::printf("     skipped: no CUDA device\n");
  return false;
}

struct Variant {
  const char* name;
  int hidden, heads, kv_heads, head_dim;
  bool qkv_bias, qk_norm, interleaved, tied;
  int window;
};
constexpr Variant kVariants[] = {
    {"llama-64", 256, 4, 1, 64, false, false, true, true, 0},
    {"llama-128", 512, 8, 2, 128, false, false, false, false, 0},
    {"mistral", 256, 4, 2, 64, false, false, false, false, 40},
    {"qwen2", 448, 7, 1, 64, true, false, false, true, 0},
    {"qwen3", 256, 4, 4, 128, false, true, false, false, 0},
    {"odd-head", 160, 5, 1, 32, false, true, true, false, 24},
    {"wide-group", 576, 18, 2, 64, false, false, false, true, 0},
};

TensorInfo tensor(const std::string& name, std::vector<int64_t> shape, DType dtype) {
  uint64_t bytes = dtype == DType::kF32 ? 4 : 2;
  for (int64_t dim : shape) bytes *= static_cast<uint64_t>(dim);
  return {name, dtype, std::move(shape), 0, 0, bytes};
}

LoadOptions options_for(const Variant& v, DType dtype) {
  LoadOptions options;
  options.dummy = true;
  options.kv_dtype = KvDType::kF32;
  options.max_total_tokens = 200 * kBlockSize;
  options.activations = dtype;
  ModelConfig& c = options.config;
  c = {3, v.hidden, 384, v.heads, v.kv_heads, v.head_dim, 1000, 1e-5f, 10000.0};
  c.rope_interleaved = v.interleaved;
  c.sliding_window = v.window;
  c.tied_embeddings = v.tied;
  c.qkv_bias = v.qkv_bias;
  c.qk_norm = v.qk_norm;
  auto& t = options.tensors;
  auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    t.push_back(tensor(name, std::move(shape), dtype));
  };
  add("model.embed_tokens.weight", {1000, v.hidden});
  add("model.norm.weight", {v.hidden});
  if (!v.tied) add("lm_head.weight", {1000, v.hidden});
  const int64_t q = v.heads * v.head_dim, kv = v.kv_heads * v.head_dim;
  for (int i = 0; i < 3; ++i) {
    const std::string p = "model.layers." + std::to_string(i) + ".", a = p + "self_attn.", m = p + "mlp.";
    add(p + "input_layernorm.weight", {v.hidden});
    add(p + "post_attention_layernorm.weight", {v.hidden});
    if (v.qk_norm) add(a + "q_norm.weight", {v.head_dim});
    if (v.qk_norm) add(a + "k_norm.weight", {v.head_dim});
    for (auto [name, rows] : {std::pair{"q_proj", q}, {"k_proj", kv}, {"v_proj", kv}}) {
      add(a + name + ".weight", {rows, v.hidden});
      if (v.qkv_bias) add(a + name + ".bias", {rows});
    }
    add(a + "o_proj.weight", {v.hidden, q});
    add(m + "gate_proj.weight", {384, v.hidden});
    add(m + "up_proj.weight", {384, v.hidden});
    add(m + "down_proj.weight", {v.hidden, 384});
  }
  return options;
}

// A batch built up as a scheduler would.
struct Steps {
  std::vector<std::vector<int32_t>> tables;
  Batch batch;
  explicit Steps(int n) {
    for (int s = 0; s < n; ++s) {
      tables.emplace_back();
      for (int i = 0; i < 20; ++i) tables.back().push_back((i * n + s) % 200);
    }
  }
  void add(int sequence, int begin, int end) {
    const int first = static_cast<int>(batch.token_ids.size());
    for (int position = begin; position < end; ++position) {
      batch.token_ids.push_back((position * 37 + sequence * 101 + position * position * 3) % 1000);
      batch.positions.push_back(position);
    }
    batch.logit_rows.push_back(static_cast<int32_t>(batch.token_ids.size()) - 1);
    batch.slices.push_back({first, end - begin, end, tables[sequence].data()});
  }
};

// ||a - b|| / ||b||
double relative(std::span<const float> a, std::span<const float> b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    size += static_cast<double>(b[i]) * b[i];
  }
  return a.size() == b.size() ? std::sqrt(difference / size) : INFINITY;
}

// Runs both models through prefills (whole, in chunks, mixed with decode) and decodes of 1 to 40 sequences, and
// compares every step's logits.
void compare(const Variant& variant, DType dtype, bool reference, bool graphs) {
  LoadOptions options = options_for(variant, dtype);
  LoadedModel cpu = load_model(options, [](double) {});
  options.backend = BackendKind::kCuda;
  options.reference_attention = reference;
  options.use_graphs = graphs;
  LoadedModel gpu = load_model(options, [](double) {});
  const double tolerance = dtype == DType::kF16 ? 4e-3 : 3e-2;
  double worst = 0;
  auto step = [&](Steps& steps) {
    const auto expected = cpu.model->run(steps.batch).logits;
    const auto actual = gpu.model->run(steps.batch).logits;
    worst = std::max(worst, relative(actual, expected));
    // Picked on the device: the same tokens as from the logits it gave.
    std::vector<int32_t> best;
    for (auto row = actual.begin(); row != actual.end(); row += 1000) {
      best.push_back(static_cast<int32_t>(std::max_element(row, row + 1000) - row));
    }
    steps.batch.sampling.resize(best.size());
    const auto sampled = gpu.model->run(steps.batch).sampled;
    CHECK(std::ranges::equal(sampled, best, {}, &SampledToken::token));
    steps.batch = {};
  };
  for (int n : {1, 3, 8, 9}) {
    Steps steps(n);
    for (int s = 0; s < n; ++s) steps.add(s, 0, 40 + 7 * s);
    step(steps);
    for (int t = 0; t < 3; ++t) {
      for (int s = 0; s < n; ++s) steps.add(s, 40 + 7 * s + t, 41 + 7 * s + t);
      step(steps);
    }
    steps.add(0, 43, 44);  // decode beside a chunk that continues another prompt
    if (n > 1) steps.add(1, 50, 111);
    step(steps);
  }
  {
    Steps steps(1);  // a context longer than one span of the decode kernel
    steps.add(0, 0, 300);
    step(steps);
    steps.add(0, 300, 301);
    step(steps);
  }
  CHECK_NEAR(worst, 0, tolerance);
  std::printf("     %s %s%s%s: %.2e\n", variant.name, dtype == DType::kF16 ? "fp16" : "bf16",
              reference ? " reference" : "", graphs ? "" : " without graphs", worst);
}

}  // namespace

TEST(cuda_matches_cpu) {
  if (!has_device()) return;
  for (const Variant& variant : kVariants) {
    compare(variant, DType::kF16, false, true);
    compare(variant, DType::kBF16, false, true);
    compare(variant, DType::kF16, true, true);
  }
  compare(kVariants[0], DType::kF16, false, false);
}

TEST(cuda_without_a_device_is_refused) {
#ifdef JSG_CUDA
  if (cuda::cuda_device_count() > 0) return;
#endif
  LoadOptions options = options_for(kVariants[0], DType::kF16);
  options.backend = BackendKind::kCuda;
  CHECK_THROWS(load_model(options, [](double) {}), "E_DEVICE_UNSUITABLE");
}

TEST_MAIN()
