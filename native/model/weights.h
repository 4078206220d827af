// Tensors by name: in files, or made up for `--load-format dummy`.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "model/config.h"
#include "model/mapped_file.h"

namespace jsg {

// What the backend does with tensors.
enum class WeightUse : uint8_t {
  kInPlace,      // it computes from the memory of their views
  kCopied,       // it reads each once, by its view's source
  kCopiedTight,  // the same, and the page cache is to forget what has been read: it takes memory from the copy
};

class Weights {
 public:
  // Maps the files and checks every tensor's span and size. Throws E_IO_FAILED, E_MODEL_INVALID, E_OUT_OF_MEMORY.
  static std::unique_ptr<Weights> map_files(const std::vector<std::string>& files,
                                            const std::vector<TensorInfo>& tensors, WeightUse use);
  // Random numbers of a plausible scale, seeded by the tensor's name; in memory only where used in place.
  static std::unique_ptr<Weights> dummy(const std::vector<TensorInfo>& tensors, WeightUse use);
  ~Weights();

  // As their views are, of all tensors and of one that is there.
  uint64_t bytes() const { return bytes_; }
  uint64_t bytes(const std::string& name) const { return tensors_.at(name).bytes; }
  bool has(const std::string& name) const { return tensors_.contains(name); }
  // Valid as long as this is; of a tensor that is quantised on load the quantised one. Throws E_MODEL_INVALID when the
  // tensor is missing or has another shape.
  WeightView get(const std::string& name, std::span<const int64_t> shape) const;
  // A vector of parameters as fp32.
  std::vector<float> get_vector(const std::string& name, int64_t size) const;
  // Gives back the pages of a tensor that the backend has copied; a later read maps them again.
  void release(const std::string& name) const;

 private:
  struct Entry {
    TensorInfo info;
    WeightType type;      // of its view
    const uint8_t* data;  // null: not in memory as that
    std::unique_ptr<ByteSource> stored;
    std::unique_ptr<ByteSource> quantized;  // null: as stored
    uint64_t bytes;                         // of what its view shows
  };
  Weights() = default;
  void add(const TensorInfo& tensor, const uint8_t* data, std::unique_ptr<ByteSource> source);

  std::vector<std::unique_ptr<MappedFile>> files_;
  std::vector<std::span<uint8_t>> made_;  // mapped memory of dummy weights
  std::map<std::string, Entry> tensors_;
  uint64_t bytes_ = 0;
};

}  // namespace jsg
