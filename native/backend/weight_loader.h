// Weights on their way to a device: read, converted and copied by several threads, a bounded part of them at a time.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "backend/backend.h"

namespace jsg {

// One thread's way to the device: two buffers of WeightLoader::kBufferBytes, one being filled while the other is sent.
class CopyLane {
 public:
  virtual ~CopyLane() = default;
  // The buffer to fill next. All that was sent before the last send has arrived when this returns.
  virtual uint8_t* buffer() = 0;
  // Starts to copy the first `bytes` of that buffer to `target`.
  virtual void send(void* target, size_t bytes) = 0;
  // Waits until all that was sent has arrived.
  virtual void flush() = 0;
};

// An order of its own in which a device keeps a weight, a tile of rows at a time.
class TileFormat {
 public:
  virtual ~TileFormat() = default;
  virtual int64_t rows() const = 0;    // of a tile
  virtual uint64_t bytes() const = 0;  // of a tile
  // Makes a tile of up to rows() rows, as stored. Called from any thread.
  virtual void pack(const uint8_t* stored, int64_t n_rows, uint8_t* tile) const = 0;
};

class WeightLoader {
 public:
  static constexpr size_t kBufferBytes = size_t{4} << 20;
  using MakeLane = std::function<std::unique_ptr<CopyLane>()>;

  // Each of the threads calls `make_lane` once. Host memory: n_threads * 2 * kBufferBytes, and little more.
  WeightLoader(int n_threads, MakeLane make_lane);
  // What has not been sent by now is not sent any more.
  ~WeightLoader();
  WeightLoader(const WeightLoader&) = delete;
  WeightLoader& operator=(const WeightLoader&) = delete;

  // Queues the elements of `view`, as `type` (a plain one, or the view's own), for `target` on the device. The view's
  // memory and source must stay until wait() returns 0.
  void copy(const WeightView& view, const WeightType& type, void* target);
  // The same, as tiles of `format`.
  void copy(const WeightView& view, std::shared_ptr<const TileFormat> format, void* target);
  // Waits until all that was queued has arrived, or for `timeout`; returns the bytes, as stored, still to come. Throws
  // the first error of a thread; nothing more is copied then.
  uint64_t wait(std::chrono::milliseconds timeout);

 private:
  struct Job {
    WeightView view;
    WeightType type;
    std::shared_ptr<const TileFormat> format;  // instead of `type`
    uint8_t* target;
    int64_t begin;  // first element that no thread has taken

    // What `n` elements become.
    uint64_t sent_bytes(int64_t n) const;
  };
  // What fits in one buffer.
  struct Chunk {
    Job job;
    int64_t n;  // elements from job.begin
  };
  void add(Job job);
  void work();
  void run(CopyLane& lane);
  Chunk take();

  const MakeLane make_lane_;
  std::mutex mutex_;  // over all that follows
  std::condition_variable changed_,
      settled_;  // there is work, or none to come; nothing is missing, or an error is there
  std::deque<Job> jobs_;
  uint64_t missing_ = 0;
  bool stop_ = false;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;
};

}  // namespace jsg
