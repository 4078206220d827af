// Decoders whose weights become int4 and int8 codes on the device, against the CPU backend over the same numbers in
// fp32. Skipped, with a line, where there is no device or no CUDA in the build.
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <vector>

#include "backend/dequant.h"
#include "check.h"
#include "cuda_device.h"
#include "model/dummy_weights.h"
#include "model/quantize.h"
#include "tiny_decoder.h"
#ifdef JSG_CUDA
#include "backend/cuda/cuda_backend.h"
#endif

#ifdef JSG_CUDA
using namespace jsg;
using namespace jsg::cuda;
using namespace jsg::test;

namespace {

constexpr int kPoolBlocks = 200;
constexpr TinyDecoder kDecoders[] = {
    // name, hidden, heads, kv_heads, head_dim, qkv_bias, qk_norm, interleaved, tied, window
    {"llama", 512, 8, 2, 64, false, false, false, false, 0},
    {"qwen2", 448, 7, 1, 64, true, false, false, false, 0},
    {"smollm", 576, 9, 3, 64, false, false, false, false, 0, 1536, 2},
    {"odd", 160, 5, 1, 32, false, true, true, false, 0},
    {"wide", 2304, 36, 4, 64, false, false, false, false, 0, 384, 2},
};

LoadOptions quantized_options(const TinyDecoder& d, DType dtype, const QuantizeOnLoad& linears,
                              const QuantizeOnLoad& head) {
  LoadOptions options = tiny_options(d, dtype, kPoolBlocks);
  for (TensorInfo& tensor : options.tensors) {
    const bool is_head = tensor.name == "lm_head.weight";
    if (!is_head && tensor.name.find("proj.weight") == std::string::npos) continue;
    QuantizeOnLoad how = is_head ? head : linears;
    if (how.group_size == 0) how.group_size = static_cast<int>(tensor.shape[1]);
    if (tensor.shape[1] % how.group_size == 0) tensor.quantize = how;  // others stay plain, as TorchAO leaves them
  }
  return options;
}

// The same numbers as fp32 in a file, for the CPU backend: its own products of codes quantise activations.
class PlainCopy {
 public:
  explicit PlainCopy(const LoadOptions& options) : options_(options) {
    path_ = std::filesystem::temp_directory_path() / ("jsg-codes-test-" + std::to_string(getpid()));
    std::ofstream file(path_, std::ios::binary);
    uint64_t offset = 0;
    for (TensorInfo& tensor : options_.tensors) {
      const DummySource made(tensor);
      const int64_t n = static_cast<int64_t>(tensor.nbytes) / dtype_traits(tensor.dtype).block_bytes;
      const WeightType type = tensor.quantize ? tensor.quantize->type() : WeightType(tensor.dtype);
      std::vector<uint8_t> stored(type.bytes(n));
      if (tensor.quantize) {
        QuantizingSource(made, tensor.dtype, *tensor.quantize).read(0, stored);
      } else {
        made.read(0, stored);
      }
      std::vector<float> values(static_cast<size_t>(n));
      dequantize_row(type, stored.data(), n, values.data());
      file.write(reinterpret_cast<const char*>(values.data()), n * 4);
      tensor = {tensor.name, DType::kF32, tensor.shape, 0, offset, static_cast<uint64_t>(n) * 4};
      offset += tensor.nbytes;
    }
    options_.dummy = false;
    options_.files = {path_};
  }
  ~PlainCopy() { std::filesystem::remove(path_); }
  const LoadOptions& options() const { return options_; }

 private:
  LoadOptions options_;
  std::filesystem::path path_;
};

// Prompts of all sequences, steps that decode, and the prompts' rows scored.
std::vector<Batch> steps_of(int n, int prompt, const std::vector<std::vector<int32_t>>& tables, int vocab) {
  std::vector<Batch> steps(3);
  for (int s = 0; s < n; ++s) append_rows(steps[0], s, 0, prompt, tables[s], vocab, LogitsOf::kLast);
  for (int t = 1; t < 3; ++t) {
    for (int s = 0; s < n; ++s) append_rows(steps[t], s, prompt + t - 1, prompt + t, tables[s], vocab, LogitsOf::kLast);
  }
  steps.emplace_back();
  append_rows(steps.back(), 0, prompt + 2, prompt + 82, tables[0], vocab, LogitsOf::kAll);
  return steps;
}

enum class Way { kPlain, kReferenceAttention, kInt8Prompts };

void compare_decoders(const TinyDecoder& d, DType dtype, const QuantizeOnLoad& linears, const QuantizeOnLoad& head,
                      Way way = Way::kPlain) {
  LoadOptions options = quantized_options(d, dtype, linears, head);
  const PlainCopy copy(options);
  LoadedModel cpu = load_model(copy.options(), [](double) {});
  options.backend = BackendKind::kCuda;
  options.kv_dtype = KvDType::kF16;
  options.reference_attention = way == Way::kReferenceAttention;
  options.int8_prompts = way == Way::kInt8Prompts;
  LoadedModel gpu = load_model(options, [](double) {});
  struct Prompts {
    int n, tokens;
  };
  double worst = 0, worst_of_few = 0;
  for (const Prompts& p : {Prompts{1, 3}, {5, 2}, {8, 4}, {9, 7}, {17, 3}, {33, 9}, {64, 2}, {2, 520}}) {
    std::vector<std::vector<int32_t>> tables(p.n);
    int taken = 0;
    for (auto& table : tables) {
      table.resize((p.tokens + 2 + (&table == tables.data() ? 80 : 0) + kBlockSize - 1) / kBlockSize);
      for (int32_t& block : table) block = taken++ * 7 % kPoolBlocks;
    }
    for (const Batch& batch : steps_of(p.n, p.tokens, tables, d.vocab)) {
      const auto expected = cpu.model->run(batch).logits;
      const auto actual = gpu.model->run(batch).logits;
      const double difference = relative_difference(actual, expected);
      const bool few = p.n * p.tokens <= 64 && batch.token_ids.size() <= 64;
      double& so_far = few && way == Way::kInt8Prompts ? worst_of_few : worst;
      if (!(difference <= so_far)) so_far = difference;
    }
  }
  std::printf("     %s %s, int%d-%d, head int%d: %.2e, %.2e\n", d.name, dtype == DType::kF16 ? "fp16" : "bf16",
              linears.bits, linears.group_size, head.bits, worst, worst_of_few);
  const double of_16_bits = dtype == DType::kF16 ? 6e-3 : 5e-2;
  CHECK_NEAR(worst_of_few, 0, of_16_bits);
  CHECK_NEAR(worst, 0, way == Way::kInt8Prompts ? 5e-2 : of_16_bits);
  if (way == Way::kInt8Prompts && dtype == DType::kF16) CHECK(worst > 2 * worst_of_few);
}

}  // namespace

TEST(codes_in_decoders) {
  if (!has_device()) return;
  constexpr DType kF16 = DType::kF16, kBF16 = DType::kBF16;
  const auto& [llama, qwen2, smollm, odd, wide] = kDecoders;
  compare_decoders(llama, kF16, {4, 128}, {8, 0});
  compare_decoders(llama, kBF16, {4, 256}, {4, 128});
  compare_decoders(llama, kBF16, {8, 0}, {8, 32});
  compare_decoders(qwen2, kF16, {4, 64}, {4, 32});
  compare_decoders(qwen2, kBF16, {8, 32}, {8, 0});
  compare_decoders(smollm, kF16, {4, 32}, {8, 0});
  compare_decoders(smollm, kBF16, {4, 128}, {4, 64});  // of which some tensors have no such groups
  compare_decoders(odd, kF16, {4, 32}, {4, 32});
  compare_decoders(odd, kF16, {8, 0}, {8, 0});
  // Codes and plain weights in turn (rows of 384 have no such groups) where plain ones go over to gemm at other sizes.
  compare_decoders(wide, kF16, {4, 256}, {8, 0});
  compare_decoders(wide, kBF16, {4, 128}, {4, 128});
  compare_decoders(llama, kF16, {4, 128}, {8, 0}, Way::kReferenceAttention);
}
TEST(int8_prompts_in_decoders) {
  if (!has_device()) return;
  constexpr DType kF16 = DType::kF16, kBF16 = DType::kBF16;
  const auto& [llama, qwen2, smollm, odd, wide] = kDecoders;
  compare_decoders(llama, kF16, {4, 128}, {8, 0}, Way::kInt8Prompts);
  compare_decoders(llama, kBF16, {8, 0}, {4, 128}, Way::kInt8Prompts);
  compare_decoders(qwen2, kF16, {4, 64}, {4, 32}, Way::kInt8Prompts);
  compare_decoders(smollm, kF16, {4, 32}, {8, 0}, Way::kInt8Prompts);
  compare_decoders(odd, kF16, {8, 0}, {8, 0}, Way::kInt8Prompts);
  compare_decoders(wide, kBF16, {4, 256}, {4, 128}, Way::kInt8Prompts);  // of which some tensors stay plain
}
#else
TEST(codes_in_decoders) { std::printf("     skipped: built without CUDA\n"); }
#endif

TEST_MAIN()
