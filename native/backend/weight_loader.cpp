#include "backend/weight_loader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "backend/dequant.h"

namespace jsg {
namespace {

// Elements converted at a time: few enough to stay in the cache between reading and converting.
constexpr int64_t kPiece = 64 * 1024;

// The most elements in whole blocks that are not more than `most`; at least one block.
int64_t whole_blocks(const WeightType& type, int64_t most) {
  return std::max<int64_t>(1, most / type.block_elems()) * type.block_elems();
}

// Elements [begin, begin + n) of `view` as `type`.
void read_as(const WeightView& view, int64_t begin, int64_t n, const WeightType& type, uint8_t* out) {
  const uint64_t first = view.type.bytes(begin), bytes = view.type.bytes(n);
  if (view.type == type) {
    if (view.source) {
      view.source->read(first, {out, bytes});
    } else {
      std::memcpy(out, view.data + first, bytes);
    }
  } else if (!view.source) {
    convert(view.type, view.data + first, n, type.dtype, out);
  } else {
    const int64_t piece = std::min(n, whole_blocks(view.type, kPiece));
    std::vector<uint8_t> stored(view.type.bytes(piece));
    for (int64_t at = 0; at < n; at += piece) {
      const int64_t count = std::min(piece, n - at);
      view.source->read(first + view.type.bytes(at), {stored.data(), view.type.bytes(count)});
      convert(view.type, stored.data(), count, type.dtype, out + type.bytes(at));
    }
  }
}

// The same as tiles of `format`; `begin` is where one begins.
void read_tiles(const WeightView& view, int64_t begin, int64_t n, const TileFormat& format, uint8_t* out) {
  const uint64_t row_bytes = view.type.bytes(view.cols);
  std::vector<uint8_t> stored;
  for (int64_t row = begin / view.cols, end = (begin + n) / view.cols; row < end; row += format.rows()) {
    const int64_t n_rows = std::min(format.rows(), end - row);
    const uint64_t first = static_cast<uint64_t>(row) * row_bytes, bytes = static_cast<uint64_t>(n_rows) * row_bytes;
    if (view.source) {
      stored.resize(bytes);
      view.source->read(first, stored);
    }
    format.pack(view.source ? stored.data() : view.data + first, n_rows, out);
    out += format.bytes();
  }
}

}  // namespace

uint64_t WeightLoader::Job::sent_bytes(int64_t n) const {
  if (!format) return type.bytes(n);
  const int64_t tile_elems = format->rows() * view.cols;
  return static_cast<uint64_t>((n + tile_elems - 1) / tile_elems) * format->bytes();
}

WeightLoader::WeightLoader(int n_threads, MakeLane make_lane) : make_lane_(std::move(make_lane)) {
  for (int i = 0; i < std::max(n_threads, 1); ++i) threads_.emplace_back([this] { work(); });
}

WeightLoader::~WeightLoader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WeightLoader::copy(const WeightView& view, const WeightType& type, void* target) {
  add({view, type, nullptr, static_cast<uint8_t*>(target), 0});
}

void WeightLoader::copy(const WeightView& view, std::shared_ptr<const TileFormat> format, void* target) {
  add({view, view.type, std::move(format), static_cast<uint8_t*>(target), 0});
}

void WeightLoader::add(Job job) {
  {
    const std::lock_guard lock(mutex_);
    missing_ += job.view.type.bytes(job.view.elems());
    jobs_.push_back(std::move(job));
  }
  changed_.notify_all();
}

uint64_t WeightLoader::wait(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  settled_.wait_for(lock, timeout, [this] { return missing_ == 0 || error_; });
  if (error_) std::rethrow_exception(error_);
  return missing_;
}

void WeightLoader::work() {
  try {
    run(*make_lane_());
  } catch (...) {
    {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      stop_ = true;
    }
    changed_.notify_all();
    settled_.notify_all();
  }
}

void WeightLoader::run(CopyLane& lane) {
  uint64_t last = 0, before_last = 0;  // bytes, as stored, of the sends that may not have arrived
  std::unique_lock lock(mutex_);
  auto arrived = [&](uint64_t bytes) {
    missing_ -= bytes;
    if (missing_ == 0) settled_.notify_all();
  };
  while (!stop_) {
    if (!jobs_.empty()) {
      const auto [job, n] = take();
      lock.unlock();
      uint8_t* buffer = lane.buffer();
      if (job.format) {
        read_tiles(job.view, job.begin, n, *job.format, buffer);
      } else {
        read_as(job.view, job.begin, n, job.type, buffer);
      }
      lane.send(job.target + job.sent_bytes(job.begin), job.sent_bytes(n));
      lock.lock();
      arrived(std::exchange(before_last, std::exchange(last, job.view.type.bytes(n))));
    } else if (last > 0) {
      lock.unlock();
      lane.flush();
      lock.lock();
      arrived(std::exchange(last, 0) + std::exchange(before_last, 0));
    } else {
      changed_.wait(lock);
    }
  }
}

WeightLoader::Chunk WeightLoader::take() {
  Job& job = jobs_.front();
  const int64_t left = job.view.elems() - job.begin;
  // Whole tiles, or whole blocks of what is read and of what is sent, which are the same or one of them is an element.
  int64_t n;
  if (job.format) {
    const int64_t n_tiles = std::max<int64_t>(1, kBufferBytes / job.format->bytes());
    n = std::min(left, n_tiles * job.format->rows() * job.view.cols);
  } else {
    const WeightType& larger = job.view.type.block_elems() > job.type.block_elems() ? job.view.type : job.type;
    const int64_t most = static_cast<int64_t>(kBufferBytes) / job.type.block_bytes() * job.type.block_elems();
    n = std::min(left, whole_blocks(larger, most));
  }
  const Chunk chunk{job, n};
  job.begin += n;
  if (n == left) jobs_.pop_front();
  return chunk;
}

}  // namespace jsg
