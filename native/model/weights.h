// Tensors by name: mapped from their files, or made up for `--load-format dummy`.
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

namespace jsg {

class Weights {
 public:
  // Maps the files and checks every tensor's span and size. Throws E_IO_FAILED, E_MODEL_INVALID, E_OUT_OF_MEMORY.
  static std::unique_ptr<Weights> map_files(const std::vector<std::string>& files,
                                            const std::vector<TensorInfo>& tensors);
  // Random numbers of a plausible scale, seeded by the tensor's name.
  static std::unique_ptr<Weights> dummy(const std::vector<TensorInfo>& tensors);
  ~Weights();

  bool has(const std::string& name) const { return tensors_.contains(name); }
  // Throws E_MODEL_INVALID when the tensor is missing or has another shape.
  WeightView get(const std::string& name, std::span<const int64_t> shape) const;
  // A vector of parameters as fp32.
  std::vector<float> get_vector(const std::string& name, int64_t size) const;
  // Gives back the pages of a tensor that the backend has copied; a later read maps them again.
  void release(const std::string& name) const;

 private:
  struct Mapping {
    uint8_t* data;
    size_t bytes;
  };
  struct Entry {
    TensorInfo info;
    const uint8_t* data;
  };
  Weights() = default;
  void add(const TensorInfo& tensor, const uint8_t* data);

  std::vector<Mapping> mappings_;
  std::map<std::string, Entry> tensors_;
};

}  // namespace jsg
