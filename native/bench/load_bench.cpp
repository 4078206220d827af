// Times loading, without Node: dummy weights, or a file of them.
//   load_bench [cpu|cuda] [8b|1b|135m] [fp16|bf16] [--as fp16|bf16] [--file PATH] [--cold]
// --as: what the device keeps, if not what is stored. --file: writes the weights there first, unless it is there.
// --cold: has the page cache forget the file before. Prints seconds, GB/s, and the peaks of this process's own memory
// and of the device's, sampled every few milliseconds, above what they were.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "bench/shapes.h"
#include "error.h"
#include "model/load.h"
#include "model/weights.h"

using namespace jsg;
using Clock = std::chrono::steady_clock;

namespace {

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }
double mebibytes(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// Memory that is this process's alone: no pages of files.
int64_t anonymous_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::atoll(line.c_str() + 8) * 1024;
  }
  return 0;
}

int64_t device_used_bytes() {
  const auto device = cuda_device_info();
  return device ? static_cast<int64_t>(device->total_bytes - device->free_bytes) : 0;
}

// Samples both while it lives.
class PeakWatch {
 public:
  ~PeakWatch() { stop(); }
  void stop() {
    done_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int64_t host() const { return host_ - host_before_; }
  int64_t device() const { return device_ - device_before_; }

 private:
  void watch() {
    while (!done_) {
      host_ = std::max(host_, anonymous_bytes());
      device_ = std::max(device_, device_used_bytes());
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
  }
  const int64_t host_before_ = anonymous_bytes(), device_before_ = device_used_bytes();
  int64_t host_ = 0, device_ = 0;
  std::atomic<bool> done_{false};
  std::thread thread_{[this] { watch(); }};
};

// One tensor after the other; sets their offsets.
void place_in_file(LoadOptions& options, const std::string& path) {
  const auto weights = Weights::dummy(options.tensors, WeightUse::kCopied);
  uint64_t offset = 0;
  for (TensorInfo& tensor : options.tensors) {
    tensor.offset = offset;
    offset += tensor.nbytes;
  }
  options.dummy = false;
  options.files = {path};
  if (std::filesystem::exists(path) && std::filesystem::file_size(path) == offset) return;
  const auto start = Clock::now();
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  std::atomic<bool> ok{fd >= 0};
  std::atomic<size_t> next{0};
  auto write_tensors = [&] {
    std::vector<uint8_t> part(size_t{4} << 20);
    for (size_t i = next++; ok && i < options.tensors.size(); i = next++) {
      const TensorInfo& tensor = options.tensors[i];
      const WeightView view = weights->get(tensor.name, tensor.shape);
      for (uint64_t at = 0; at < tensor.nbytes; at += part.size()) {
        const std::span<uint8_t> piece(part.data(), std::min<uint64_t>(part.size(), tensor.nbytes - at));
        view.source->read(at, piece);
        const off_t place = static_cast<off_t>(tensor.offset + at);
        if (pwrite(fd, piece.data(), piece.size(), place) != static_cast<ssize_t>(piece.size())) ok = false;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < std::thread::hardware_concurrency(); ++i) threads.emplace_back(write_tensors);
  }
  if (fd >= 0) close(fd);
  if (!ok) throw Error("E_IO_FAILED", "cannot write " + path);
  std::printf("wrote %s: %.2f GB in %.1f s\n", path.c_str(), static_cast<double>(offset) / 1e9, seconds_since(start));
}

void forget(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) {
    std::printf("the page cache may still hold %s\n", path.c_str());
  }
  if (fd >= 0) close(fd);
}

int run(int argc, char** argv) {
  const bench::Shape* shape = bench::find_shape("1b");
  DType stored = DType::kF16, kept = DType::kF32;
  bool cuda = false, cold = false;
  std::string path;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const bool is_type = arg == "fp16" || arg == "bf16";
    const DType type = arg == "bf16" ? DType::kBF16 : DType::kF16;
    if (arg == "cuda") cuda = true;
    if (arg == "--cold") cold = true;
    if (arg == "--file" && i + 1 < argc) path = argv[++i];
    if (is_type) (std::string(argv[i - 1]) == "--as" ? kept : stored) = type;
    if (const bench::Shape* found = bench::find_shape(arg)) shape = found;
  }
  LoadOptions options = bench::dummy_options(*shape, stored);
  if (kept != DType::kF32) options.activations = kept;
  options.backend = cuda ? BackendKind::kCuda : BackendKind::kCpu;
  options.max_total_tokens = 512;
  uint64_t bytes = 0;
  for (const TensorInfo& tensor : options.tensors) bytes += tensor.nbytes;
  if (!path.empty()) place_in_file(options, path);
  if (cold) forget(path);
  (void)device_used_bytes();  // the context is made here, not while the clock runs

  double last = 0;
  int n_reports = 0;
  bool monotonic = true;
  PeakWatch watch;
  const auto start = Clock::now();
  const LoadedModel loaded = load_model(options, [&](double fraction) {
    monotonic &= fraction >= last && fraction <= 1;
    last = fraction;
    ++n_reports;
  });
  const double seconds = seconds_since(start);
  watch.stop();
  std::printf(
      "%s %s%s on %s, %s%s: %.2f GB in %.2f s, %.1f GB/s; host peak %.0f MiB, device peak %.0f MiB; %d reports%s\n",
      shape->name, stored == DType::kF16 ? "fp16" : "bf16", options.activations == stored ? "" : " converted",
      loaded.isa.c_str(), path.empty() ? "made up" : "from a file", cold ? ", cold" : "",
      static_cast<double>(bytes) / 1e9, seconds, static_cast<double>(bytes) / seconds / 1e9, mebibytes(watch.host()),
      mebibytes(watch.device()), n_reports, monotonic && last == 1 ? "" : " IN DISORDER");
  return monotonic && last == 1 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    std::fprintf(stderr, "load_bench: %s: %s\n", error.code().c_str(), error.what());
    return 1;
  }
}
