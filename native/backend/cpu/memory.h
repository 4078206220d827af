// Zeroed memory straight from the kernel: resident only where it is touched, in huge pages where it is large.
#pragma once
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "error.h"

namespace jsg::cpu {

class Memory {
 public:
  Memory() = default;
  explicit Memory(size_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) throw Error("E_OUT_OF_MEMORY", "cannot map " + std::to_string(bytes) + " bytes");
    (void)madvise(address, bytes, MADV_HUGEPAGE);
    data_ = static_cast<uint8_t*>(address);
  }
  ~Memory() {
    if (data_) munmap(data_, bytes_);
  }
  Memory(Memory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  uint8_t* data() const { return data_; }
  size_t bytes() const { return bytes_; }

  // Makes all of it resident now; a kernel before Linux 5.14 cannot, and does it page by page as it is written. False:
  // there is not so much memory.
  bool commit() const {
    constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, which headers of JetPack 5 lack
    return bytes_ == 0 || madvise(data_, bytes_, kPopulateWrite) == 0 || errno == EINVAL;
  }

 private:
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};

// Many pieces of memory side by side, freed together: a weight smaller than a huge page shares one with its neighbours.
class Arena {
 public:
  // Zeroed, aligned to a cache line.
  uint8_t* allocate(size_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    if (chunks_.empty() || chunks_.back().bytes() - used_ < bytes) {
      chunks_.emplace_back(std::max(bytes, kChunk));
      used_ = 0;
    }
    uint8_t* data = chunks_.back().data() + used_;
    used_ += bytes;
    return data;
  }

 private:
  static constexpr size_t kChunk = size_t{64} << 20;
  std::vector<Memory> chunks_;
  size_t used_ = 0;  // of the last chunk
};

}  // namespace jsg::cpu
