// A file of weights: mapped, for backends that compute from it in place, and read, for those that copy it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace jsg {

class MappedFile {
 public:
  // Throws E_IO_FAILED, E_OUT_OF_MEMORY, E_MODEL_INVALID (an empty file).
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const uint8_t* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }
  // Copies bytes [begin, begin + to.size()) without touching the mapping: pages of the file don't count as this
  // process's. From any thread. Throws E_IO_FAILED.
  void read(uint64_t begin, std::span<uint8_t> to) const;
  // Lets the page cache forget the part. A hint; pages that somebody else has mapped stay.
  void forget(uint64_t begin, uint64_t bytes) const;

 private:
  const std::string path_;
  int fd_ = -1;
  uint8_t* data_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace jsg
