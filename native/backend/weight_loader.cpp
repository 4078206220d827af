#include "backend/weight_loader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "backend/dequant.h"

namespace jsg {
namespace {

// Elements converted at a time: few enough to stay in the cache between reading and converting.
constexpr int64_t kPiece = 64 * 1024;

uint64_t stored_bytes(DType dtype, int64_t elems) {
  const DTypeTraits& traits = dtype_traits(dtype);
  return static_cast<uint64_t>(elems / traits.block_elems) * traits.block_bytes;
}

// Elements [begin, begin + n) of `view` as `type`.
void read_as(const WeightView& view, int64_t begin, int64_t n, DType type, uint8_t* out) {
  const uint64_t first = stored_bytes(view.dtype, begin), bytes = stored_bytes(view.dtype, n);
  if (!view.source) {
    convert(view.dtype, view.data + first, n, type, out);
  } else if (view.dtype == type) {
    view.source->read(first, {out, bytes});
  } else {
    const uint64_t elem_bytes = stored_bytes(type, 1);
    std::vector<uint8_t> stored(stored_bytes(view.dtype, std::min(n, kPiece)));
    for (int64_t at = 0; at < n; at += kPiece) {
      const int64_t count = std::min(kPiece, n - at);
      view.source->read(first + stored_bytes(view.dtype, at), {stored.data(), stored_bytes(view.dtype, count)});
      convert(view.dtype, stored.data(), count, type, out + at * elem_bytes);
    }
  }
}

}  // namespace

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

void WeightLoader::copy(const WeightView& view, DType type, void* target) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({view, type, static_cast<uint8_t*>(target), 0});
    missing_ += stored_bytes(view.dtype, view.elems());
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
      const uint64_t elem_bytes = stored_bytes(job.type, 1);
      uint8_t* buffer = lane.buffer();
      read_as(job.view, job.begin, n, job.type, buffer);
      lane.send(job.target + job.begin * elem_bytes, n * elem_bytes);
      lock.lock();
      arrived(std::exchange(before_last, std::exchange(last, stored_bytes(job.view.dtype, n))));
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
  const int64_t n = std::min<int64_t>(left, kBufferBytes / stored_bytes(job.type, 1));
  const Chunk chunk{job, n};
  job.begin += n;
  if (n == left) jobs_.pop_front();
  return chunk;
}

}  // namespace jsg
