#include "model/weights.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "backend/dequant.h"
#include "error.h"
#include "model/dummy_weights.h"
#include "model/packed_source.h"
#include "model/quantize.h"

namespace jsg {
namespace {

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + ")";
}

// Bytes of a tensor, or E_MODEL_INVALID when its shape does not fit its dtype or overflows.
uint64_t expected_bytes(const TensorInfo& tensor) {
  const DTypeTraits& traits = dtype_traits(tensor.dtype);
  uint64_t elems = 1;
  for (int64_t dim : tensor.shape) {
    if (dim <= 0 || __builtin_mul_overflow(elems, static_cast<uint64_t>(dim), &elems) || elems > (uint64_t{1} << 48)) {
      throw Error("E_MODEL_INVALID", "tensor " + tensor.name + " has an impossible shape " + shape_text(tensor.shape));
    }
  }
  if (tensor.shape.empty() || tensor.shape.back() % traits.block_elems != 0) {
    throw Error("E_MODEL_INVALID", "tensor " + tensor.name + " " + shape_text(tensor.shape) +
                                       ": rows are not a multiple of " + std::to_string(traits.block_elems));
  }
  return elems / traits.block_elems * traits.block_bytes;
}

// What a tensor is to be quantised to must fit its rows.
void check_quantize(const TensorInfo& tensor) {
  const auto [bits, group_size] = *tensor.quantize;
  const bool fits = (bits == 4 || bits == 8 || bits == 16) && tensor.shape.size() == 2 && group_size > 0 &&
                    group_size % 32 == 0 && tensor.shape[1] % group_size == 0;
  if (!fits) {
    throw Error("E_MODEL_INVALID", "tensor " + tensor.name + " " + shape_text(tensor.shape) +
                                       " can't be quantised to " + std::to_string(bits) + " bits in groups of " +
                                       std::to_string(group_size));
  }
}

class FileSource final : public ByteSource {
 public:
  FileSource(const MappedFile& file, uint64_t offset, bool forget) : file_(file), offset_(offset), forget_(forget) {}
  void read(uint64_t begin, std::span<uint8_t> to) const override {
    file_.read(offset_ + begin, to);
    if (forget_) file_.forget(offset_ + begin, to.size());
  }

 private:
  const MappedFile& file_;
  const uint64_t offset_;
  const bool forget_;
};

std::span<uint8_t> map_memory(size_t bytes, const std::string& what) {
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) {
    throw Error("E_OUT_OF_MEMORY", "cannot map memory for " + what + ": " + std::strerror(errno));
  }
  return {static_cast<uint8_t*>(address), bytes};
}

// Reads all of `source`, on every core.
void read_in_parallel(const ByteSource& source, std::span<uint8_t> to) {
  constexpr size_t kPart = size_t{4} << 20;  // a multiple of every element's size
  const size_t n_parts = (to.size() + kPart - 1) / kPart;
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t part = next++; part < n_parts; part = next++) {
      source.read(part * kPart, to.subspan(part * kPart, std::min(kPart, to.size() - part * kPart)));
    }
  };
  std::vector<std::jthread> helpers;
  for (size_t i = 1; i < std::min<size_t>(std::thread::hardware_concurrency(), n_parts); ++i)
    helpers.emplace_back(work);
  work();
}

}  // namespace

void Weights::add(const TensorInfo& tensor, const uint8_t* data, std::unique_ptr<ByteSource> source) {
  WeightType type = tensor.packing ? tensor.packing->type() : WeightType(tensor.dtype);
  std::unique_ptr<ByteSource> quantized;
  if (tensor.quantize) {
    check_quantize(tensor);
    quantized = std::make_unique<QuantizingSource>(*source, type, *tensor.quantize);
    type = tensor.quantize->type();
    data = nullptr;
  }
  int64_t elems = 1;
  for (const int64_t dim : tensor.shape) elems *= dim;
  const uint64_t bytes = type.bytes(elems);
  Entry entry{tensor, type, data, std::move(source), std::move(quantized), bytes};
  if (!tensors_.emplace(tensor.name, std::move(entry)).second) {
    throw Error("E_MODEL_INVALID", "tensor " + tensor.name + " is given twice");
  }
  bytes_ += bytes;
}

std::unique_ptr<Weights> Weights::map_files(const std::vector<std::string>& files,
                                            const std::vector<TensorInfo>& tensors, WeightUse use) {
  std::unique_ptr<Weights> weights(new Weights);
  for (const std::string& path : files) weights->files_.push_back(std::make_unique<MappedFile>(path));
  for (const TensorInfo& tensor : tensors) {
    if (tensor.file < 0 || static_cast<size_t>(tensor.file) >= files.size()) {
      throw Error("E_MODEL_INVALID", "tensor " + tensor.name + " lies in no file");
    }
    if (tensor.packing) {
      weights->add(tensor, nullptr, make_packed_source(tensor, weights->files_));
      continue;
    }
    const MappedFile& file = *weights->files_[tensor.file];
    if (tensor.nbytes != expected_bytes(tensor) || tensor.offset > file.bytes() ||
        tensor.nbytes > file.bytes() - tensor.offset) {
      throw Error("E_MODEL_INVALID", "tensor " + tensor.name + " reaches past the end of " + files[tensor.file]);
    }
    weights->add(tensor, file.data() + tensor.offset,
                 std::make_unique<FileSource>(file, tensor.offset, use == WeightUse::kCopiedTight));
  }
  return weights;
}

std::unique_ptr<Weights> Weights::dummy(const std::vector<TensorInfo>& tensors, WeightUse use) {
  std::unique_ptr<Weights> weights(new Weights);
  for (const TensorInfo& tensor : tensors) {
    if (dtype_traits(tensor.dtype).block_elems > 1) {
      throw Error("E_MODEL_UNSUPPORTED",
                  "dummy weights come in F32, F16 and BF16, not " + std::string(dtype_traits(tensor.dtype).name));
    }
    if (tensor.nbytes != expected_bytes(tensor))
      throw Error("E_MODEL_INVALID", "tensor " + tensor.name + " has a wrong size");
    auto source = std::make_unique<DummySource>(tensor);
    const uint8_t* data = nullptr;
    if (use == WeightUse::kInPlace && !tensor.quantize) {
      weights->made_.push_back(map_memory(tensor.nbytes, tensor.name));
      read_in_parallel(*source, weights->made_.back());
      data = weights->made_.back().data();
    }
    weights->add(tensor, data, std::move(source));
  }
  return weights;
}

Weights::~Weights() {
  for (const std::span<uint8_t> memory : made_) munmap(memory.data(), memory.size());
}

WeightView Weights::get(const std::string& name, std::span<const int64_t> shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw Error("E_MODEL_INVALID", "tensor " + name + " is missing");
  const TensorInfo& info = found->second.info;
  if (!std::ranges::equal(info.shape, shape)) {
    throw Error("E_MODEL_INVALID",
                "tensor " + name + " has shape " + shape_text(info.shape) + ", expected " + shape_text(shape));
  }
  const auto& [_, type, data, stored, quantized, bytes] = found->second;
  const ByteSource* source = quantized ? quantized.get() : stored.get();
  return {type, shape.size() > 1 ? shape[0] : 1, shape.back(), data, source, info.int8_activations};
}

std::vector<float> Weights::get_vector(const std::string& name, int64_t size) const {
  const int64_t shape[] = {size};
  const WeightView view = get(name, shape);
  std::vector<uint8_t> stored(bytes(name));
  view.source->read(0, stored);
  std::vector<float> values(static_cast<size_t>(size));
  dequantize_row(view.type, stored.data(), size, values.data());
  return values;
}

void Weights::release(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end() || !found->second.data) return;
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(found->second.data) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(found->second.data) + found->second.info.nbytes) / page * page;
  if (end > begin) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace jsg
