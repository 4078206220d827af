// The decoder must give a sequence the same logits however its tokens are cut into steps, whoever shares the batch, and
// wherever its blocks lie. (That the logits are right is checked against transformers, in test/integration.)
#include <algorithm>
#include <cstdlib>

#include "check.h"
#include "error.h"
#include "model/load.h"

using namespace jsg;

namespace {

struct Variant {
  const char* name;
  bool qkv_bias, qk_norm, interleaved, tied;
  int window;
};
constexpr Variant kVariants[] = {
    {"llama", false, false, true, true, 0},
    {"mistral", false, false, false, false, 20},
    {"qwen2", true, false, false, true, 0},
    {"qwen3", false, true, false, false, 0},
};

TensorInfo tensor(const std::string& name, std::vector<int64_t> shape) {
  uint64_t bytes = 4;
  for (int64_t dim : shape) bytes *= static_cast<uint64_t>(dim);
  return {name, DType::kF32, std::move(shape), 0, 0, bytes};
}

LoadOptions tiny(const Variant& v) {
  LoadOptions options;
  options.dummy = true;
  options.kv_dtype = KvDType::kF32;
  options.max_total_tokens = 40 * kBlockSize;
  options.n_threads = 2;
  ModelConfig& c = options.config;
  c = {2, 96, 160, 6, 2, 20, 300, 1e-5f, 10000.0};
  c.rope_interleaved = v.interleaved;
  c.sliding_window = v.window;
  c.tied_embeddings = v.tied;
  c.qkv_bias = v.qkv_bias;
  c.qk_norm = v.qk_norm;
  auto& t = options.tensors;
  t.push_back(tensor("model.embed_tokens.weight", {300, 96}));
  t.push_back(tensor("model.norm.weight", {96}));
  if (!v.tied) t.push_back(tensor("lm_head.weight", {300, 96}));
  for (int i = 0; i < 2; ++i) {
    const std::string p = "model.layers." + std::to_string(i) + ".", a = p + "self_attn.", m = p + "mlp.";
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"})
      t.push_back(tensor(p + norm + ".weight", {96}));
    if (v.qk_norm) {
      for (const char* norm : {"q_norm", "k_norm"}) t.push_back(tensor(a + norm + ".weight", {20}));
    }
    for (auto [name, rows] : {std::pair{"q_proj", 120}, {"k_proj", 40}, {"v_proj", 40}}) {
      t.push_back(tensor(a + name + ".weight", {rows, 96}));
      if (v.qkv_bias) t.push_back(tensor(a + name + ".bias", {rows}));
    }
    t.push_back(tensor(a + "o_proj.weight", {96, 120}));
    t.push_back(tensor(m + "gate_proj.weight", {160, 96}));
    t.push_back(tensor(m + "up_proj.weight", {160, 96}));
    t.push_back(tensor(m + "down_proj.weight", {96, 160}));
  }
  return options;
}

int token_at(int sequence, int position) { return (position * 37 + sequence * 101 + position * position * 3) % 300; }

// Appends rows [begin, end) of a sequence to the batch and asks for the logits of all of them.
void append(Batch& batch, int sequence, int begin, int end, const std::vector<int32_t>& table) {
  const int first = static_cast<int>(batch.token_ids.size());
  for (int position = begin; position < end; ++position) {
    batch.logit_rows.push_back(static_cast<int32_t>(batch.token_ids.size()));
    batch.token_ids.push_back(token_at(sequence, position));
    batch.positions.push_back(position);
  }
  batch.slices.push_back({first, end - begin, end, table.data()});
}

std::vector<float> run(Model& model, const Batch& batch) {
  const auto logits = model.run(batch).logits;
  return {logits.begin(), logits.end()};
}

double difference(const std::vector<float>& a, size_t a_at, const std::vector<float>& b, size_t b_at, size_t n) {
  double worst = 0;
  for (size_t i = 0; i < n; ++i)
    worst = std::max(worst, std::fabs(static_cast<double>(a.at(a_at + i)) - b.at(b_at + i)));
  return worst;
}

}  // namespace

TEST(steps_batches_and_blocks_do_not_change_logits) {
  constexpr int kTokens = 75, kVocab = 300;
  for (const Variant& variant : kVariants) {
    LoadedModel loaded = load_model(tiny(variant), [](double) {});
    Model& model = *loaded.model;
    std::vector<int32_t> low, high;
    for (int i = 0; i < 5; ++i) {
      low.push_back(i);
      high.push_back(39 - 2 * i);
    }
    Batch whole;
    append(whole, 0, 0, kTokens, low);
    const std::vector<float> expected = run(model, whole);
    float largest = 0;
    for (float value : expected) largest = std::max(largest, std::fabs(value));
    CHECK(largest > 0.5f);  // otherwise nothing is compared

    // In chunks that cut blocks, the last tokens one by one, beside another sequence.
    const int cuts[] = {0, 7, 30, 33, 64, 70, 71, 72, 73, 74, 75};
    for (size_t i = 0; i + 1 < std::size(cuts); ++i) {
      Batch batch;
      append(batch, 1, 3 * static_cast<int>(i), 3 * static_cast<int>(i) + 3, low);
      append(batch, 0, cuts[i], cuts[i + 1], high);
      const std::vector<float> logits = run(model, batch);
      const size_t rows = static_cast<size_t>(cuts[i + 1] - cuts[i]);
      CHECK_NEAR(difference(logits, 3 * kVocab, expected, static_cast<size_t>(cuts[i]) * kVocab, rows * kVocab), 0,
                 2e-4);
    }
  }
}

TEST(every_instruction_set_agrees) {
  std::vector<float> reference;
  for (const std::string& isa : available_isas()) {
    setenv("JSG_ISA", isa.c_str(), 1);
    LoadedModel loaded = load_model(tiny(kVariants[0]), [](double) {});
    CHECK(loaded.isa == isa);
    const std::vector<int32_t> table = {0, 1, 2, 3};
    Batch batch;
    append(batch, 0, 0, 50, table);
    const std::vector<float> logits = run(*loaded.model, batch);
    if (reference.empty()) reference = logits;
    CHECK_NEAR(difference(logits, 0, reference, 0, logits.size()), 0, 2e-4);
  }
  unsetenv("JSG_ISA");
}

TEST(split_contexts_merge_to_the_same_result) {
  // One decoding row over a long context is split among threads; a single thread does not split.
  std::vector<float> results[2];
  for (int threads : {1, 4}) {
    LoadOptions options = tiny(kVariants[0]);
    options.n_threads = threads;
    LoadedModel loaded = load_model(options, [](double) {});
    std::vector<int32_t> table(40);
    for (int i = 0; i < 40; ++i) table[i] = i;
    Batch prompt, next;
    append(prompt, 0, 0, 620, table);
    run(*loaded.model, prompt);
    append(next, 0, 620, 621, table);
    results[threads > 1] = run(*loaded.model, next);
  }
  CHECK_NEAR(difference(results[0], 0, results[1], 0, results[0].size()), 0, 2e-4);
}

TEST(faulty_models_are_refused) {
  LoadOptions missing = tiny(kVariants[0]);
  missing.tensors.pop_back();
  CHECK_THROWS(load_model(missing, [](double) {}), "E_MODEL_INVALID");
  LoadOptions shape = tiny(kVariants[0]);
  shape.tensors[0].shape = {96, 300};
  CHECK_THROWS(load_model(shape, [](double) {}), "E_MODEL_INVALID");
  LoadOptions size = tiny(kVariants[0]);
  size.tensors[0].nbytes -= 4;
  CHECK_THROWS(load_model(size, [](double) {}), "E_MODEL_INVALID");
  LoadOptions twice = tiny(kVariants[0]);
  twice.tensors.push_back(twice.tensors[0]);
  CHECK_THROWS(load_model(twice, [](double) {}), "E_MODEL_INVALID");
  LoadOptions file = tiny(kVariants[0]);
  file.dummy = false;
  file.files = {"/nonexistent"};
  CHECK_THROWS(load_model(file, [](double) {}), "E_IO_FAILED");
  LoadOptions past = tiny(kVariants[0]);
  past.dummy = false;
  past.files = {"/proc/self/exe"};
  past.tensors[0].offset = uint64_t{1} << 60;
  CHECK_THROWS(load_model(past, [](double) {}), "E_MODEL_INVALID");
  LoadOptions dims = tiny(kVariants[0]);
  dims.config.n_kv_heads = 4;
  CHECK_THROWS(load_model(dims, [](double) {}), "E_MODEL_INVALID");
}

TEST(ids_outside_the_vocabulary_are_refused) {
  LoadedModel loaded = load_model(tiny(kVariants[0]), [](double) {});
  const std::vector<int32_t> table = {0};
  Batch batch;
  append(batch, 0, 0, 1, table);
  batch.token_ids[0] = 300;
  CHECK_THROWS(loaded.model->run(batch), "E_INVALID_REQUEST");
}

TEST_MAIN()
