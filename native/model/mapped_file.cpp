#include "model/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "error.h"

namespace jsg {

MappedFile::MappedFile(const std::string& path) : path_(path), fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_ < 0) throw Error("E_IO_FAILED", "cannot open " + path + ": " + std::strerror(errno));
  struct stat status {};
  const bool is_empty = fstat(fd_, &status) != 0 || status.st_size <= 0;
  bytes_ = is_empty ? 0 : static_cast<uint64_t>(status.st_size);
  void* address = is_empty ? MAP_FAILED : mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, fd_, 0);
  if (address == MAP_FAILED) {
    const int reason = errno;
    close(fd_);
    if (is_empty) throw Error("E_MODEL_INVALID", path + " is empty");
    throw Error(reason == ENOMEM ? "E_OUT_OF_MEMORY" : "E_IO_FAILED",
                "cannot map " + path + ": " + std::strerror(reason));
  }
  data_ = static_cast<uint8_t*>(address);
}

MappedFile::~MappedFile() {
  munmap(data_, bytes_);
  close(fd_);
}

void MappedFile::read(uint64_t begin, std::span<uint8_t> to) const {
  size_t done = 0;
  while (done < to.size()) {
    const ssize_t n = pread(fd_, to.data() + done, to.size() - done, static_cast<off_t>(begin + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Error("E_IO_FAILED", "cannot read " + path_ + ": " + std::strerror(errno));
    if (n == 0) throw Error("E_IO_FAILED", path_ + " has become shorter while it was read");
    done += static_cast<size_t>(n);
  }
}

void MappedFile::forget(uint64_t begin, uint64_t bytes) const {
  (void)posix_fadvise(fd_, static_cast<off_t>(begin), static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
}

}  // namespace jsg
