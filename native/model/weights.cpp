#include "model/weights.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <random>

#include "backend/dequant.h"
#include "error.h"

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

uint8_t* map(size_t bytes, int fd, const std::string& what) {
  const int protection = fd < 0 ? PROT_READ | PROT_WRITE : PROT_READ;
  const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* address = mmap(nullptr, bytes, protection, flags, fd, 0);
  if (address == MAP_FAILED) {
    throw Error(errno == ENOMEM ? "E_OUT_OF_MEMORY" : "E_IO_FAILED",
                "cannot map " + what + ": " + std::strerror(errno));
  }
  return static_cast<uint8_t*>(address);
}

// 2^20 values of a normal distribution, cut and repeated: as good as fresh ones for timing, and far quicker to make.
std::vector<float> random_values(const std::string& name, size_t count, float scale) {
  std::mt19937 generator(static_cast<uint32_t>(std::hash<std::string>{}(name)));
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> values(std::min<size_t>(count, size_t{1} << 20));
  for (float& value : values) value = normal(generator);
  return values;
}

uint16_t to_bf16(float value) { return static_cast<uint16_t>((std::bit_cast<uint32_t>(value) + 0x8000) >> 16); }

uint16_t to_f16(float value) {  // of magnitudes a normal distribution gives; tiny ones become 0
  const uint32_t bits = std::bit_cast<uint32_t>(value), magnitude = bits & 0x7fffffff;
  if (magnitude < 0x38800000) return 0;
  return static_cast<uint16_t>(((bits >> 16) & 0x8000) | ((magnitude - 0x38000000 + 0x1000) >> 13));
}

void fill_dummy(const TensorInfo& tensor, uint8_t* data) {
  const size_t elem_bytes = dtype_traits(tensor.dtype).block_bytes;
  const size_t count = tensor.nbytes / elem_bytes;
  const bool is_norm = tensor.shape.size() == 1 && tensor.name.find("norm") != std::string::npos;
  const float scale = 1.0f / std::sqrt(static_cast<float>(tensor.shape.back()));
  std::vector<float> values = is_norm ? std::vector<float>(count, 1.0f) : random_values(tensor.name, count, scale);
  std::vector<uint8_t> pattern(values.size() * elem_bytes);
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t narrow = tensor.dtype == DType::kF16 ? to_f16(values[i]) : to_bf16(values[i]);
    if (elem_bytes == 2) {
      std::memcpy(pattern.data() + 2 * i, &narrow, 2);
    } else {
      std::memcpy(pattern.data() + 4 * i, &values[i], 4);
    }
  }
  for (size_t at = 0; at < tensor.nbytes; at += pattern.size()) {
    std::memcpy(data + at, pattern.data(), std::min(pattern.size(), static_cast<size_t>(tensor.nbytes) - at));
  }
}

}  // namespace

void Weights::add(const TensorInfo& tensor, const uint8_t* data) {
  if (!tensors_.emplace(tensor.name, Entry{tensor, data}).second) {
    throw Error("E_MODEL_INVALID", "tensor " + tensor.name + " is given twice");
  }
}

std::unique_ptr<Weights> Weights::map_files(const std::vector<std::string>& files,
                                            const std::vector<TensorInfo>& tensors) {
  std::unique_ptr<Weights> weights(new Weights);
  for (const std::string& path : files) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw Error("E_IO_FAILED", "cannot open " + path + ": " + std::strerror(errno));
    struct stat status {};
    try {
      if (fstat(fd, &status) != 0 || status.st_size <= 0) throw Error("E_MODEL_INVALID", path + " is empty");
      weights->mappings_.push_back(
          {map(static_cast<size_t>(status.st_size), fd, path), static_cast<size_t>(status.st_size)});
    } catch (...) {
      close(fd);
      throw;
    }
    close(fd);
  }
  for (const TensorInfo& tensor : tensors) {
    if (tensor.file < 0 || static_cast<size_t>(tensor.file) >= files.size()) {
      throw Error("E_MODEL_INVALID", "tensor " + tensor.name + " lies in no file");
    }
    const Mapping& mapping = weights->mappings_[tensor.file];
    if (tensor.nbytes != expected_bytes(tensor) || tensor.offset > mapping.bytes ||
        tensor.nbytes > mapping.bytes - tensor.offset) {
      throw Error("E_MODEL_INVALID", "tensor " + tensor.name + " reaches past the end of " + files[tensor.file]);
    }
    weights->add(tensor, mapping.data + tensor.offset);
  }
  return weights;
}

std::unique_ptr<Weights> Weights::dummy(const std::vector<TensorInfo>& tensors) {
  std::unique_ptr<Weights> weights(new Weights);
  for (const TensorInfo& tensor : tensors) {
    if (dtype_traits(tensor.dtype).block_elems > 1) {
      throw Error("E_MODEL_UNSUPPORTED",
                  "dummy weights come in F32, F16 and BF16, not " + std::string(dtype_traits(tensor.dtype).name));
    }
    if (tensor.nbytes != expected_bytes(tensor))
      throw Error("E_MODEL_INVALID", "tensor " + tensor.name + " has a wrong size");
    uint8_t* data = map(tensor.nbytes, -1, tensor.name);
    weights->mappings_.push_back({data, tensor.nbytes});
    fill_dummy(tensor, data);
    weights->add(tensor, data);
  }
  return weights;
}

Weights::~Weights() {
  for (const Mapping& mapping : mappings_) munmap(mapping.data, mapping.bytes);
}

WeightView Weights::get(const std::string& name, std::span<const int64_t> shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw Error("E_MODEL_INVALID", "tensor " + name + " is missing");
  const TensorInfo& info = found->second.info;
  if (!std::ranges::equal(info.shape, shape)) {
    throw Error("E_MODEL_INVALID",
                "tensor " + name + " has shape " + shape_text(info.shape) + ", expected " + shape_text(shape));
  }
  return {info.dtype, shape.size() > 1 ? shape[0] : 1, shape.back(), found->second.data};
}

std::vector<float> Weights::get_vector(const std::string& name, int64_t size) const {
  const int64_t shape[] = {size};
  const WeightView view = get(name, shape);
  std::vector<float> values(static_cast<size_t>(size));
  dequantize_row(view.dtype, view.data, size, values.data());
  return values;
}

void Weights::release(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return;
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(found->second.data) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(found->second.data) + found->second.info.nbytes) / page * page;
  if (end > begin) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace jsg
