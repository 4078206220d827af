#include "backend/cpu/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>

namespace jsg::cpu {
namespace {

constexpr uint64_t kClosed = 0xffffffff;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  // A refusal (a core taken away meanwhile) leaves the thread where the scheduler puts it.
  (void)sched_setaffinity(0, sizeof set, &set);
}

// This process's cgroup directory for a controller ("" for v2), below /sys/fs/cgroup.
std::string cgroup_path(const std::string& controller) {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    if (names.find("," + controller + ",") != std::string::npos) return line.substr(second + 1);
  }
  return "/";
}

// Cores' worth of CPU time that the cgroup and its parents allow; 0: no limit.
double cgroup_quota() {
  double quota = 0;
  auto limit = [&](double runtime, double period) {
    if (runtime > 0 && period > 0 && (quota == 0 || runtime / period < quota)) quota = runtime / period;
  };
  for (std::string path = cgroup_path("");; path = path.substr(0, path.rfind('/'))) {
    std::ifstream file("/sys/fs/cgroup" + path + "/cpu.max");
    std::string runtime;
    double period = 0;
    if (file >> runtime >> period && runtime != "max") limit(std::atof(runtime.c_str()), period);
    if (path.empty() || path == "/") break;
  }
  for (std::string path = cgroup_path("cpu");; path = path.substr(0, path.rfind('/'))) {
    double runtime = 0, period = 0;
    std::ifstream("/sys/fs/cgroup/cpu" + path + "/cpu.cfs_quota_us") >> runtime;
    std::ifstream("/sys/fs/cgroup/cpu" + path + "/cpu.cfs_period_us") >> period;
    limit(runtime, period);
    if (path.empty() || path == "/") break;
  }
  return quota;
}

}  // namespace

std::vector<int> usable_cores() {
  std::vector<int> cores;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &set)) cores.push_back(core);
    }
  }
  if (cores.empty()) cores.push_back(0);
  const double quota = cgroup_quota();
  // A fraction of a core is worth a thread of its own only from a half upwards.
  if (quota > 0) cores.resize(std::min(cores.size(), static_cast<size_t>(std::max(1.0, quota + 0.5))));
  return cores;
}

ThreadPool::ThreadPool(int n_threads)
    : cores_(usable_cores()), n_threads_(n_threads > 0 ? n_threads : static_cast<int>(cores_.size())) {
  for (int i = 1; i < n_threads_; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  wake_.fetch_add(1);
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

// More threads than cores are left to the scheduler: pinned ones would wait for each other.
void ThreadPool::pin_caller() const {
  if (pinned()) pin(cores_[0]);
}

bool ThreadPool::take_chunk(int thread) {
  uint64_t cursor = cursor_.load(std::memory_order_acquire);
  for (;;) {
    const int64_t begin = static_cast<int64_t>(cursor & kClosed);
    const int64_t n = n_.load(std::memory_order_relaxed), chunk = chunk_.load(std::memory_order_relaxed);
    const Body body = body_.load(std::memory_order_relaxed);
    void* context = context_.load(std::memory_order_relaxed);
    if (begin >= n) return false;
    const int64_t end = std::min(begin + chunk, n);
    if (!cursor_.compare_exchange_weak(cursor, cursor + static_cast<uint64_t>(end - begin), std::memory_order_acq_rel,
                                       std::memory_order_acquire)) {
      continue;
    }
    body(context, begin, end, thread);
    done_.fetch_add(end - begin, std::memory_order_release);
    return true;
  }
}

void ThreadPool::dispatch(int64_t n, int64_t chunk, Body body, void* context) {
  const uint64_t generation = (cursor_.load(std::memory_order_relaxed) >> 32) + 1;
  cursor_.store(generation << 32 | kClosed, std::memory_order_seq_cst);
  body_.store(body, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  n_.store(n, std::memory_order_relaxed);
  chunk_.store(std::max<int64_t>(1, chunk), std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  cursor_.store(generation << 32, std::memory_order_seq_cst);
  if (sleeping_.load(std::memory_order_seq_cst) > 0) {
    wake_.fetch_add(1, std::memory_order_seq_cst);
    wake_.notify_all();
  }
  while (take_chunk(0)) {
  }
  for (int spins = 1; done_.load(std::memory_order_acquire) != n; ++spins) {
    pause();
    // The worker that is awaited may need this very core.
    if (spins % 1024 == 0) sched_yield();
  }
}

void ThreadPool::work(int thread) {
  if (pinned()) pin(cores_[thread]);
  using clock = std::chrono::steady_clock;
  constexpr auto kSpin = std::chrono::microseconds(200);
  auto idle_since = clock::now();
  for (int spins = 1;; ++spins) {
    if (take_chunk(thread)) {
      spins = 0;
      continue;
    }
    pause();
    if (spins % 256 != 0) continue;
    if (stop_.load(std::memory_order_relaxed)) return;
    if (spins == 256) idle_since = clock::now();
    if (clock::now() - idle_since < kSpin) {
      sched_yield();
      continue;
    }
    // Announce the sleep, then look once more: a loop started in between has either seen the announcement or is seen.
    const uint32_t ticket = wake_.load(std::memory_order_seq_cst);
    sleeping_.fetch_add(1, std::memory_order_seq_cst);
    if (!take_chunk(thread) && !stop_.load()) wake_.wait(ticket, std::memory_order_seq_cst);
    sleeping_.fetch_sub(1, std::memory_order_seq_cst);
    spins = 0;
  }
}

}  // namespace jsg::cpu
