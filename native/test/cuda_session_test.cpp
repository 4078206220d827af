// Blocks of the device's KV cache as bytes, in every format: written into another cache, a sequence goes on from them
// as if it had computed them there. Skipped, with a line, where there is no device or no CUDA in the build.
#include "check.h"
#include "cuda_device.h"
#include "model/load.h"
#include "session_server.h"
#include "tiny_decoder.h"

#ifdef JSG_CUDA
using namespace jsg;
using namespace jsg::test;

namespace {

constexpr int kBlocks = 64, kVocab = 1000;
constexpr TinyDecoder kDecoder = {"llama", 512, 8, 2, 64, false, false, false, false, 0};

std::unique_ptr<Model> load(KvDType kv_dtype, bool reference_attention) {
  LoadOptions options = tiny_options(kDecoder, DType::kF16, kBlocks);
  options.backend = BackendKind::kCuda;
  options.kv_dtype = kv_dtype;
  options.reference_attention = reference_attention;
  options.max_rows = 64 + 4;
  options.max_running = 4;
  return load_model(options, [](double) {}).model;
}

}  // namespace

TEST(a_session_goes_on_on_the_device) {
  if (!has_device()) return;
  for (const KvDType kv_dtype : {KvDType::kF16, KvDType::kFp8E4M3, KvDType::kFp8E5M2, KvDType::kInt8}) {
    for (const bool reference_attention : {false, true}) {
      const TemporaryFile file;
      Server old_one(load(kv_dtype, reference_attention), kBlocks),
          new_one(load(kv_dtype, reference_attention), kBlocks);
      for (int sequence = 1; sequence <= 3; ++sequence) old_one.ask(prompt_of(sequence, 150, kVocab));
      CHECK(old_one.save(file) == 3 * 10);
      CHECK(new_one.load(file) == 3 * 10);
      for (int sequence = 3; sequence >= 1; --sequence) {
        // Both compute the same: what lies behind the cached prefix.
        const auto expected = old_one.ask(prompt_of(sequence, 150, kVocab));
        const auto answer = new_one.ask(prompt_of(sequence, 150, kVocab));
        CHECK(answer.n_cached == 144 && expected.n_cached == 144);
        CHECK(answer.tokens == expected.tokens);
        CHECK(answer.logprobs == expected.logprobs);
      }
    }
  }
}
#else
TEST(a_session_goes_on_on_the_device) { jsg::test::has_device(); }
#endif

TEST_MAIN()
