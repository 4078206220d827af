// The decoder must give a sequence the same logits however its tokens are cut into steps, whoever shares the batch, and
// wherever its blocks lie. (That the logits are right is checked against transformers, in test/integration.)
#include <cstdlib>
#include <optional>
#include <utility>

#include "check.h"
#include "error.h"
#include "model/load.h"
#include "tiny_decoder.h"

using namespace jsg;
using namespace jsg::test;

namespace {

constexpr TinyDecoder tiny(const char* name, bool qkv_bias, bool qk_norm, bool interleaved, bool tied, int window) {
  return {name, 96, 6, 2, 20, qkv_bias, qk_norm, interleaved, tied, window, 160, 2, 300};
}
constexpr TinyDecoder kVariants[] = {
    tiny("llama", false, false, true, true, 0),
    tiny("mistral", false, false, false, false, 20),
    tiny("qwen2", true, false, false, true, 0),
    tiny("qwen3", false, true, false, false, 0),
};

LoadOptions options_for(const TinyDecoder& decoder) {
  LoadOptions options = tiny_options(decoder, DType::kF32, 40);
  options.n_threads = 2;
  return options;
}

// Appends rows [begin, end) of a sequence to the batch and asks for the logits of all of them.
void append(Batch& batch, int sequence, int begin, int end, const std::vector<int32_t>& table) {
  append_rows(batch, sequence, begin, end, table, 300, LogitsOf::kAll);
}

std::vector<float> run(Model& model, const Batch& batch) {
  const auto logits = model.run(batch).logits;
  return {logits.begin(), logits.end()};
}

}  // namespace

TEST(steps_batches_and_blocks_do_not_change_logits) {
  constexpr int kTokens = 75, kVocab = 300;
  for (const TinyDecoder& variant : kVariants) {
    LoadedModel loaded = load_model(options_for(variant), [](double) {});
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
      const std::span<const float> wanted(expected);
      const double difference = largest_difference(
          std::span(logits).subspan(3 * kVocab), wanted.subspan(static_cast<size_t>(cuts[i]) * kVocab, rows * kVocab));
      CHECK_NEAR(difference, 0, 2e-4);
    }
  }
}

TEST(every_instruction_set_agrees) {
  std::vector<float> reference;
  for (const std::string& isa : available_isas()) {
    setenv("JSG_ISA", isa.c_str(), 1);
    LoadedModel loaded = load_model(options_for(kVariants[0]), [](double) {});
    CHECK(loaded.isa == isa);
    const std::vector<int32_t> table = {0, 1, 2, 3};
    Batch batch;
    append(batch, 0, 0, 50, table);
    const std::vector<float> logits = run(*loaded.model, batch);
    if (reference.empty()) reference = logits;
    CHECK_NEAR(largest_difference(logits, reference), 0, 2e-4);
  }
  unsetenv("JSG_ISA");
}

TEST(split_contexts_merge_to_the_same_result) {
  // One decoding row over a long context is split among threads; a single thread does not split.
  std::vector<float> results[2];
  for (int threads : {1, 4}) {
    LoadOptions options = options_for(kVariants[0]);
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
  CHECK_NEAR(largest_difference(results[0], results[1]), 0, 2e-4);
}

TEST(weights_quantised_on_load_give_nearly_the_same_logits) {
  constexpr TinyDecoder kDecoder{"llama", 128, 4, 2, 32, false, false, false, true, 0, 256, 2, 300};
  std::vector<int32_t> blocks;
  for (int i = 0; i < 3; ++i) blocks.push_back(i);
  Batch batch;
  append(batch, 0, 0, 40, blocks);
  const auto logits_with = [&](std::optional<int> bits, int group, bool int8_activations) {
    LoadOptions options = tiny_options(kDecoder, DType::kBF16, 40);
    options.n_threads = 2;
    for (TensorInfo& tensor : options.tensors) {
      if (!bits || tensor.name.find("proj") == std::string::npos) continue;
      tensor.quantize = QuantizeOnLoad{*bits, group > 0 ? group : static_cast<int>(tensor.shape[1])};
      tensor.int8_activations = int8_activations;
    }
    LoadedModel loaded = load_model(options, [](double) {});
    return std::pair(run(*loaded.model, batch), loaded.weight_bytes);
  };
  const auto [exact, bytes] = logits_with({}, 0, false);
  const auto [int4, int4_bytes] = logits_with(4, 32, false);
  const auto [int8, int8_bytes] = logits_with(8, 0, false);
  const auto [int8_both, same_bytes] = logits_with(8, 0, true);
  const auto [head_too, brain_bytes] = logits_with(16, 0, false);
  CHECK(relative_difference(int8, exact) > 0 && relative_difference(int8, exact) < 0.04);
  CHECK(relative_difference(int8_both, exact) > relative_difference(int8, exact));
  CHECK(relative_difference(int8_both, exact) < 0.06);
  CHECK(relative_difference(int4, exact) > 0.06 && relative_difference(int4, exact) < 0.4);
  CHECK(head_too == exact && brain_bytes == bytes);
  CHECK(int4_bytes < int8_bytes && int8_bytes == same_bytes && int8_bytes < bytes);
}

TEST(faulty_models_are_refused) {
  LoadOptions missing = options_for(kVariants[0]);
  missing.tensors.pop_back();
  CHECK_THROWS(load_model(missing, [](double) {}), "E_MODEL_INVALID");
  LoadOptions shape = options_for(kVariants[0]);
  shape.tensors[0].shape = {96, 300};
  CHECK_THROWS(load_model(shape, [](double) {}), "E_MODEL_INVALID");
  LoadOptions size = options_for(kVariants[0]);
  size.tensors[0].nbytes -= 4;
  CHECK_THROWS(load_model(size, [](double) {}), "E_MODEL_INVALID");
  LoadOptions twice = options_for(kVariants[0]);
  twice.tensors.push_back(twice.tensors[0]);
  CHECK_THROWS(load_model(twice, [](double) {}), "E_MODEL_INVALID");
  LoadOptions file = options_for(kVariants[0]);
  file.dummy = false;
  file.files = {"/nonexistent"};
  CHECK_THROWS(load_model(file, [](double) {}), "E_IO_FAILED");
  LoadOptions past = options_for(kVariants[0]);
  past.dummy = false;
  past.files = {"/proc/self/exe"};
  past.tensors[0].offset = uint64_t{1} << 60;
  CHECK_THROWS(load_model(past, [](double) {}), "E_MODEL_INVALID");
  LoadOptions dims = options_for(kVariants[0]);
  dims.config.n_kv_heads = 4;
  CHECK_THROWS(load_model(dims, [](double) {}), "E_MODEL_INVALID");
}

TEST(ids_outside_the_vocabulary_are_refused) {
  LoadedModel loaded = load_model(options_for(kVariants[0]), [](double) {});
  const std::vector<int32_t> table = {0};
  Batch batch;
  append(batch, 0, 0, 1, table);
  batch.token_ids[0] = 300;
  CHECK_THROWS(loaded.model->run(batch), "E_INVALID_REQUEST");
}

TEST_MAIN()
