#include "runtime/session.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "error.h"
#include "runtime/rng.h"

namespace jsg {
namespace {

constexpr uint64_t kRoot = uint64_t{1} << 63;

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw Error("E_IO_FAILED", path + ": " + what + ": " + std::strerror(errno));
}

class File {
 public:
  File(const std::string& path, int flags) : path_(path), fd_(open(path.c_str(), flags | O_CLOEXEC, 0600)) {
    if (fd_ < 0) fail(path_, "cannot be opened");
  }
  ~File() { close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  uint64_t size() const {
    struct stat status{};
    if (fstat(fd_, &status) != 0) fail(path_, "cannot be read");
    return static_cast<uint64_t>(status.st_size);
  }
  void write(std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno != EINTR) fail(path_, "cannot be written");
      if (n > 0) bytes = bytes.subspan(static_cast<size_t>(n));
    }
  }
  void read(uint64_t offset, std::span<uint8_t> bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = pread(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n == 0) throw Error("E_MODEL_INVALID", path_ + ": ends in the middle of a record");
      if (n < 0 && errno != EINTR) fail(path_, "cannot be read");
      if (n < 0) continue;
      bytes = bytes.subspan(static_cast<size_t>(n));
      offset += static_cast<uint64_t>(n);
    }
  }
  void sync() {
    if (fsync(fd_) != 0) fail(path_, "cannot be written");
  }

 private:
  const std::string path_;
  const int fd_;
};

// One record in memory.
class Record {
 public:
  explicit Record(size_t block_bytes) : bytes_(kFront + block_bytes + sizeof(uint64_t)) {}

  std::span<uint8_t> bytes() { return bytes_; }
  size_t size() const { return bytes_.size(); }
  uint8_t* kv() { return bytes_.data() + kFront; }
  uint64_t behind() const { return word(0); }
  std::array<int32_t, kBlockSize> tokens() const {
    std::array<int32_t, kBlockSize> tokens;
    std::memcpy(tokens.data(), bytes_.data() + sizeof(uint64_t), sizeof(tokens));
    return tokens;
  }
  void set(uint64_t behind, std::span<const int32_t> tokens) {
    std::memcpy(bytes_.data(), &behind, sizeof(behind));
    std::memcpy(bytes_.data() + sizeof(behind), tokens.data(), kBlockSize * sizeof(int32_t));
  }
  void seal() {
    const uint64_t sum = checksum();
    std::memcpy(bytes_.data() + end(), &sum, sizeof(sum));
  }
  bool is_sound() const { return word(end()) == checksum(); }

 private:
  static constexpr size_t kFront = sizeof(uint64_t) + kBlockSize * sizeof(int32_t);

  size_t end() const { return bytes_.size() - sizeof(uint64_t); }
  uint64_t word(size_t at) const {
    uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + at, std::min(sizeof(value), bytes_.size() - at));
    return value;
  }
  uint64_t checksum() const {
    uint64_t sum = end();
    for (size_t at = 0; at < end(); at += sizeof(uint64_t)) {
      uint64_t value = 0;
      std::memcpy(&value, bytes_.data() + at, std::min(sizeof(value), end() - at));
      sum = mix64(sum ^ value);
    }
    return sum;
  }

  std::vector<uint8_t> bytes_;
};

}  // namespace

int save_session(const std::string& path, std::span<const uint8_t> header, Model& model, const PrefixCache& cache) {
  File file(path, O_WRONLY | O_CREAT | O_EXCL);
  file.write(header);
  Record record(model.block_bytes());
  std::unordered_map<int32_t, uint64_t> numbers;  // of the records of blocks
  for (const PrefixCache::Entry& entry : cache.entries()) {
    record.set(entry.parent < 0 ? kRoot | entry.salt : numbers.at(entry.parent), entry.tokens);
    model.read_block(entry.block, record.kv());
    record.seal();
    file.write(record.bytes());
    numbers.emplace(entry.block, numbers.size());
  }
  file.sync();
  return static_cast<int>(numbers.size());
}

int load_session(const std::string& path, uint64_t offset, Model& model, BlockPool& pool, PrefixCache& cache) {
  const File file(path, O_RDONLY);
  Record record(model.block_bytes());
  const uint64_t n_bytes = file.size() - std::min(file.size(), offset), n_records = n_bytes / record.size();
  std::vector<int32_t> blocks;  // of the records
  // From the last: as sequences do, and so the first record counts as the one used last.
  const auto release = [&] {
    for (size_t i = blocks.size(); i > 0; --i) pool.release(blocks[i - 1]);
  };
  try {
    if (n_bytes % record.size() != 0) throw Error("E_MODEL_INVALID", path + ": ends in the middle of a record");
    while (blocks.size() < n_records && pool.can_allocate(1)) {
      file.read(offset + blocks.size() * record.size(), record.bytes());
      const uint64_t behind = record.behind();
      const auto tokens = record.tokens();
      const bool is_root = (behind & kRoot) != 0;
      const bool is_sound = record.is_sound() && (is_root || behind < blocks.size()) &&
                            std::all_of(tokens.begin(), tokens.end(),
                                        [&](int32_t token) { return token >= 0 && token < model.vocab_size(); });
      if (!is_sound) {
        throw Error("E_MODEL_INVALID", path + ": record " + std::to_string(blocks.size()) + " is damaged");
      }
      const int32_t block = cache.allocate();
      blocks.push_back(block);
      model.write_block(block, record.kv());
      if (cache.add(behind & ~kRoot, is_root ? -1 : blocks[behind], tokens, block) != block) {
        throw Error("E_MODEL_INVALID", path + ": record " + std::to_string(blocks.size() - 1) + " is there twice");
      }
    }
  } catch (...) {
    release();
    cache.clear();
    throw;
  }
  release();
  return static_cast<int>(blocks.size());
}

}  // namespace jsg
