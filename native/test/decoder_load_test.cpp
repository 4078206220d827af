// Loading a decoder whose backend copies weights elsewhere, as a GPU's does.
#include <cstring>

#include "backend/weight_loader.h"
#include "check.h"
#include "error.h"
#include "model/decoder.h"
#include "tiny_decoder.h"

using namespace jsg;
using namespace jsg::test;

namespace {

class MemoryLane final : public CopyLane {
 public:
  uint8_t* buffer() override { return data_.data(); }
  void send(void* target, size_t bytes) override { std::memcpy(target, data_.data(), bytes); }
  void flush() override {}

 private:
  std::vector<uint8_t> data_ = std::vector<uint8_t>(WeightLoader::kBufferBytes);
};

struct CopiedTable final : Table {
  std::vector<uint16_t> data;
  std::vector<float> values;
};
struct CopiedLinear final : Linear {
  std::vector<uint16_t> data;
};

// Keeps weights as fp16, and a vector as fp32 as well; computes nothing.
class CopyBackend final : public Backend {
 public:
  explicit CopyBackend(bool* is_complete) : is_complete_(is_complete) {}

  std::unique_ptr<Linear> make_linear(std::span<const WeightView> stacked, std::vector<float>) override {
    auto linear = std::make_unique<CopiedLinear>();
    for (const WeightView& view : stacked) linear->data.resize(linear->data.size() + view.elems());
    uint16_t* target = linear->data.data();
    for (const WeightView& view : stacked) {
      CHECK(view.data == nullptr);  // no host copy
      loader_.copy(view, DType::kF16, target);
      target += view.elems();
    }
    return linear;
  }
  std::unique_ptr<Table> make_table(const WeightView& view) override {
    auto table = std::make_unique<CopiedTable>();
    table->data.resize(view.elems());
    loader_.copy(view, DType::kF16, table->data.data());
    if (view.rows == 1) {
      table->values.resize(view.elems());
      loader_.copy(view, DType::kF32, table->values.data());
      norms_.push_back(&table->values);
    }
    return table;
  }
  uint64_t await_weights(std::chrono::milliseconds timeout) override { return loader_.wait(timeout); }
  void make_kv_cache(int) override {
    for (const std::vector<float>* norm : norms_) CHECK(*norm == std::vector<float>(norm->size(), 1.0f));
    *is_complete_ = loader_.wait(std::chrono::milliseconds(0)) == 0;
  }
  uint64_t kv_bytes_per_token() const override { return 0; }
  void read_block(int32_t, uint8_t*) override {}
  void write_block(int32_t, const uint8_t*) override {}
  void begin_step(const Batch&, std::span<const float>, std::span<const float>) override {}
  void embed(const Table&, const Table&) override {}
  void qkv(const Linear&) override {}
  void attention(int, const Table*, const Table*) override {}
  void output(const Linear&, const Table&) override {}
  void gate_up(const Linear&) override {}
  void down(const Linear&, const Table&) override {}
  void logits(const Linear&) override {}
  StepOutput wait() override { return {}; }

 private:
  WeightLoader loader_{2, [] { return std::make_unique<MemoryLane>(); }};
  std::vector<const std::vector<float>*> norms_;
  bool* is_complete_;
};

// Tens of MB: loading takes long enough to be watched, and given up.
constexpr TinyDecoder kDecoders[] = {
    {"tied", 512, 8, 4, 64, false, true, false, true, 0, 2048, 6, 8000},
    {"untied, with biases", 512, 8, 4, 64, true, false, false, false, 0, 2048, 6, 8000},
};

Decoder load(const TinyDecoder& tiny, bool* is_complete, const std::function<void(double)>& progress) {
  const LoadOptions options = tiny_options(tiny, DType::kBF16, 4);
  return Decoder(options.config, Weights::dummy(options.tensors, WeightUse::kCopied),
                 std::make_unique<CopyBackend>(is_complete), 4, progress);
}

}  // namespace

TEST(progress_goes_up_to_one_and_all_weights_are_there) {
  for (const TinyDecoder& tiny : kDecoders) {
    double last = 0;
    bool is_complete = false;
    const Decoder decoder = load(tiny, &is_complete, [&](double fraction) {
      CHECK(fraction >= last && fraction <= 1);
      last = fraction;
    });
    CHECK(last == 1);
    CHECK(is_complete);
  }
}

TEST(loading_can_be_given_up_at_any_point) {
  for (const TinyDecoder& tiny : kDecoders) {
    for (int patience = 0; patience < 8; ++patience) {
      int n_reports = 0;
      bool is_complete = false;
      CHECK_THROWS(load(tiny, &is_complete,
                        [&](double) {
                          if (n_reports++ == patience) throw Error("E_UNAVAILABLE", "enough");
                        }),
                   "E_UNAVAILABLE");
    }
  }
}

TEST_MAIN()
