// Weights on their way to a device, with plain memory in the device's place.
#include "backend/weight_loader.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>

#include "backend/dequant.h"
#include "check.h"
#include "error.h"
#include "model/dummy_weights.h"
#include "model/weights.h"

using namespace jsg;
using namespace std::chrono_literals;

namespace {

// Sends late: a buffer is copied when it is asked for again, as if the device were slow.
class LateLane final : public CopyLane {
 public:
  uint8_t* buffer() override {
    deliver(slots_[current_]);
    return slots_[current_].data.data();
  }
  void send(void* target, size_t bytes) override {
    slots_[current_].target = target;
    slots_[current_].bytes = bytes;
    current_ = 1 - current_;
  }
  void flush() override {
    for (Slot& slot : slots_) deliver(slot);
  }

 private:
  struct Slot {
    std::vector<uint8_t> data = std::vector<uint8_t>(WeightLoader::kBufferBytes);
    void* target = nullptr;
    size_t bytes = 0;
  };
  static void deliver(Slot& slot) {
    if (slot.target) std::memcpy(slot.target, slot.data.data(), slot.bytes);
    slot.target = nullptr;
  }
  Slot slots_[2];
  int current_ = 0;
};

// Takes everything and keeps nothing.
class VoidLane final : public CopyLane {
 public:
  uint8_t* buffer() override { return data_.data(); }
  void send(void*, size_t) override {}
  void flush() override {}

 private:
  std::vector<uint8_t> data_ = std::vector<uint8_t>(WeightLoader::kBufferBytes);
};

template <class Lane>
WeightLoader::MakeLane make() {
  return [] { return std::make_unique<Lane>(); };
}

std::vector<uint8_t> random_bytes(size_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<uint8_t> data(n);
  for (uint8_t& byte : data) byte = static_cast<uint8_t>(generator() & 0x3f);  // finite in every type
  return data;
}

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::vector<uint8_t> data) : data_(std::move(data)) {}
  void read(uint64_t begin, std::span<uint8_t> to) const override {
    CHECK(begin + to.size() <= data_.size());
    std::memcpy(to.data(), data_.data() + begin, to.size());
  }
  const std::vector<uint8_t>& data() const { return data_; }

 private:
  std::vector<uint8_t> data_;
};

class FailingSource final : public ByteSource {
 public:
  void read(uint64_t, std::span<uint8_t>) const override { throw Error("E_IO_FAILED", "the disk is gone"); }
};

// Holds every reader until it is opened.
class GatedSource final : public ByteSource {
 public:
  void read(uint64_t, std::span<uint8_t> to) const override {
    open_.wait(false);
    std::fill(to.begin(), to.end(), uint8_t{7});
  }
  void open() {
    open_ = true;
    open_.notify_all();
  }

 private:
  std::atomic<bool> open_{false};
};

// Tiles of 3 rows with a byte of their number of rows in front; rows lie last to first, and what is missing is 0xee.
class ReversedRows final : public TileFormat {
 public:
  explicit ReversedRows(uint64_t row_bytes) : row_bytes_(row_bytes) {}
  int64_t rows() const override { return 3; }
  uint64_t bytes() const override { return 1 + 3 * row_bytes_; }
  void pack(const uint8_t* stored, int64_t n_rows, uint8_t* tile) const override {
    std::memset(tile, 0xee, bytes());
    tile[0] = static_cast<uint8_t>(n_rows);
    for (int64_t i = 0; i < n_rows; ++i)
      std::memcpy(tile + 1 + (2 - i) * row_bytes_, stored + i * row_bytes_, row_bytes_);
  }

 private:
  const uint64_t row_bytes_;
};

void finish(WeightLoader& loader) {
  while (loader.wait(100ms) > 0) continue;
}

size_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return static_cast<size_t>(std::atoll(line.c_str() + 6)) * 1024;
  }
  return 0;
}

TensorInfo tensor(const std::string& name, DType dtype, std::vector<int64_t> shape, uint64_t offset = 0) {
  const DTypeTraits& traits = dtype_traits(dtype);
  uint64_t elems = 1;
  for (const int64_t dim : shape) elems *= static_cast<uint64_t>(dim);
  return {name, dtype, std::move(shape), 0, offset, elems / traits.block_elems * traits.block_bytes};
}

}  // namespace

TEST(every_type_arrives_as_every_type) {
  const struct {
    DType dtype;
    int64_t rows, cols;
  } stored[] = {{DType::kF16, 1, 1},       {DType::kF16, 2100, 1025},  {DType::kBF16, 2048, 1024}, {DType::kF32, 3, 7},
                {DType::kF32, 1500, 2049}, {DType::kQ4_K, 1111, 2048}, {DType::kQ8_0, 5, 96}};
  for (const int n_threads : {1, 3}) {
    WeightLoader loader(n_threads, make<LateLane>());
    std::vector<std::unique_ptr<MemorySource>> sources;
    struct Case {
      WeightView view;
      DType type;
      const uint8_t* data;
      std::vector<uint8_t> out;
    };
    std::vector<Case> cases;
    for (const auto& s : stored) {
      const TensorInfo info = tensor("w", s.dtype, {s.rows, s.cols});
      sources.push_back(std::make_unique<MemorySource>(random_bytes(info.nbytes, 5)));
      const uint8_t* data = sources.back()->data().data();
      for (const DType type : {DType::kF16, DType::kBF16, DType::kF32}) {
        const size_t bytes = static_cast<size_t>(s.rows * s.cols) * dtype_traits(type).block_bytes;
        // A guard behind: nothing may be written past the end.
        cases.push_back({{s.dtype, s.rows, s.cols, data}, type, data, std::vector<uint8_t>(bytes + 16, 0xee)});
        cases.push_back({{s.dtype, s.rows, s.cols, nullptr, sources.back().get()},
                         type,
                         data,
                         std::vector<uint8_t>(bytes + 16, 0xee)});
      }
    }
    for (Case& c : cases) loader.copy(c.view, c.type, c.out.data());
    finish(loader);
    for (const Case& c : cases) {
      std::vector<uint8_t> expected(c.out.size(), 0xee);
      convert(c.view.type, c.data, c.view.elems(), c.type, expected.data());
      CHECK(c.out == expected);
    }
  }
}

TEST(tiles_are_made_of_whole_rows_on_the_way) {
  // A tile alone in a buffer, many, and a last one that is not full; from memory and from a source.
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{7, 400000}, {5000, 640}, {2, 32}}) {
    const MemorySource source(random_bytes(static_cast<size_t>(2 * rows * cols), 3));
    const uint64_t row_bytes = static_cast<uint64_t>(cols) * 2;
    const auto format = std::make_shared<const ReversedRows>(row_bytes);
    std::vector<uint8_t> expected;
    for (int64_t row = 0; row < rows; row += 3) {
      expected.resize(expected.size() + format->bytes());
      format->pack(source.data().data() + row * row_bytes, std::min<int64_t>(3, rows - row),
                   expected.data() + expected.size() - format->bytes());
    }
    for (const bool in_memory : {false, true}) {
      std::vector<uint8_t> target(expected.size());
      const WeightView view{DType::kF16, rows, cols, source.data().data(), in_memory ? nullptr : &source};
      WeightLoader loader(3, make<LateLane>());
      loader.copy(view, format, target.data());
      finish(loader);
      CHECK(target == expected);
    }
  }
}

TEST(a_loader_can_be_used_again_after_all_has_arrived) {
  WeightLoader loader(2, make<LateLane>());
  CHECK(loader.wait(0ms) == 0);
  for (const uint8_t value : {uint8_t{1}, uint8_t{2}}) {
    const std::vector<uint8_t> data(4000, value);
    std::vector<uint8_t> out(4000);
    loader.copy({DType::kF16, 2, 1000, data.data()}, DType::kF16, out.data());
    finish(loader);
    CHECK(out == data);
  }
}

TEST(wait_tells_what_is_missing) {
  GatedSource source;
  std::vector<uint8_t> out(2000);
  WeightLoader loader(2, make<LateLane>());
  loader.copy({DType::kF16, 1, 1000, nullptr, &source}, DType::kF16, out.data());
  CHECK(loader.wait(0ms) == 2000);
  CHECK(loader.wait(5ms) == 2000);
  source.open();
  finish(loader);
  CHECK(out == std::vector<uint8_t>(2000, 7));
}

TEST(what_goes_wrong_is_thrown_by_wait) {
  std::vector<uint8_t> out(2000);
  const FailingSource source;
  WeightLoader loader(3, make<LateLane>());
  loader.copy({DType::kF16, 1, 1000, nullptr, &source}, DType::kF16, out.data());
  CHECK_THROWS(loader.wait(10s), "E_IO_FAILED");
  CHECK_THROWS(loader.wait(10s), "E_IO_FAILED");

  WeightLoader without_memory(
      2, []() -> std::unique_ptr<CopyLane> { throw Error("E_OUT_OF_MEMORY", "no pinned memory"); });
  without_memory.copy({DType::kF16, 1, 1000, out.data()}, DType::kF16, out.data());
  CHECK_THROWS(without_memory.wait(10s), "E_OUT_OF_MEMORY");
}

TEST(a_loader_can_be_given_up) {
  const DummySource source(tensor("w", DType::kF16, {1 << 16, 1 << 14}));  // 2 GiB: seconds of work
  uint8_t target = 0;
  WeightLoader loader(2, make<VoidLane>());
  loader.copy({DType::kF16, 1 << 16, 1 << 14, nullptr, &source}, DType::kF16, &target);
  CHECK(loader.wait(1ms) > 0);
}

TEST(host_memory_does_not_grow_with_the_weights) {
  const DummySource source(tensor("w", DType::kBF16, {1 << 14, 1 << 14}));  // 512 MiB
  uint8_t target = 0;
  std::ofstream("/proc/self/clear_refs") << 5;  // forgets the peak of the tests before
  const size_t before = peak_resident_bytes();
  WeightLoader loader(4, make<VoidLane>());
  for (const DType type : {DType::kBF16, DType::kF16}) {
    loader.copy({DType::kBF16, 1 << 14, 1 << 14, nullptr, &source}, type, &target);
  }
  finish(loader);
  CHECK(peak_resident_bytes() - before < (size_t{48} << 20));
}

TEST(dummy_weights_do_not_depend_on_who_reads_them) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const TensorInfo info = tensor("model.layers.0.mlp.up_proj.weight", dtype, {3000, 1000});
    const uint64_t elem_bytes = dtype_traits(dtype).block_bytes;
    const DummySource source(info);
    std::vector<uint8_t> whole(info.nbytes), parts(info.nbytes);
    source.read(0, whole);
    for (uint64_t at = 0; at < info.nbytes; at += 12347 * elem_bytes) {
      source.read(at, std::span(parts).subspan(at, std::min(12347 * elem_bytes, info.nbytes - at)));
    }
    CHECK(whole == parts);
    const auto in_place = Weights::dummy({info}, WeightUse::kInPlace),
               copied = Weights::dummy({info}, WeightUse::kCopied);
    CHECK(std::memcmp(in_place->get(info.name, info.shape).data, whole.data(), whole.size()) == 0);
    CHECK(copied->get(info.name, info.shape).data == nullptr);
    copied->get(info.name, info.shape).source->read(0, parts);
    CHECK(whole == parts);
  }
}

TEST(dummy_weights_look_like_weights) {
  const int64_t rows = 1000, cols = 2500;
  auto values = [&](const std::string& name, std::vector<int64_t> shape) {
    const TensorInfo info = tensor(name, DType::kF32, std::move(shape));
    std::vector<float> out(info.nbytes / 4);
    DummySource(info).read(0, {reinterpret_cast<uint8_t*>(out.data()), info.nbytes});
    return out;
  };
  const std::vector<float> weights = values("a.weight", {rows, cols}), others = values("b.weight", {rows, cols});
  double sum = 0, squares = 0, products = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    sum += weights[i];
    squares += static_cast<double>(weights[i]) * weights[i];
    products += static_cast<double>(weights[i]) * others[i];
  }
  const auto n = static_cast<double>(weights.size());
  CHECK_NEAR(sum / n, 0.0, 1e-4);
  CHECK_NEAR(std::sqrt(squares / n), 1 / std::sqrt(static_cast<double>(cols)), 1e-4);
  CHECK_NEAR(products / squares, 0.0, 0.005);  // of two names: not correlated
  CHECK(values("model.norm.weight", {64}) == std::vector<float>(64, 1.0f));
}

TEST(files_are_read_in_parts_and_a_shortened_one_is_an_error) {
  char path[] = "/tmp/jsg_weights_XXXXXX";
  const int fd = mkstemp(path);
  CHECK(fd >= 0);
  const std::vector<uint8_t> data = random_bytes(3 << 20, 9);
  CHECK(write(fd, data.data(), data.size()) == static_cast<ssize_t>(data.size()));
  const TensorInfo info = tensor("w", DType::kF16, {1024, 1024}, 100'001);
  for (const WeightUse use : {WeightUse::kInPlace, WeightUse::kCopied, WeightUse::kCopiedTight}) {
    const auto weights = Weights::map_files({path}, {info}, use);
    std::vector<uint8_t> out(info.nbytes);
    WeightLoader loader(2, make<LateLane>());
    loader.copy(weights->get("w", info.shape), DType::kF16, out.data());
    finish(loader);
    CHECK(std::memcmp(out.data(), data.data() + info.offset, info.nbytes) == 0);
    CHECK(weights->bytes() == info.nbytes && weights->bytes("w") == info.nbytes);
  }
  const auto weights = Weights::map_files({path}, {info}, WeightUse::kCopied);
  CHECK(ftruncate(fd, 1 << 20) == 0);
  std::vector<uint8_t> out(info.nbytes);
  WeightLoader loader(2, make<LateLane>());
  loader.copy(weights->get("w", info.shape), DType::kF16, out.data());
  CHECK_THROWS(loader.wait(10s), "E_IO_FAILED");
  CHECK_THROWS(Weights::map_files({path}, {info}, WeightUse::kCopied), "E_MODEL_INVALID");
  CHECK(ftruncate(fd, 0) == 0);
  CHECK_THROWS(Weights::map_files({path}, {info}, WeightUse::kCopied), "E_MODEL_INVALID");
  close(fd);
  unlink(path);
  CHECK_THROWS(Weights::map_files({path}, {info}, WeightUse::kCopied), "E_IO_FAILED");
}

TEST_MAIN()
