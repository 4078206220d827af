#include "backend/cpu/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>

namespace jsg::cpu {
namespace {

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

ThreadPool::ThreadPool(int n_threads) : cores_(usable_cores()) {
  const int n = n_threads > 0 ? n_threads : static_cast<int>(cores_.size());
  for (int i = 1; i < n; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

// More threads than cores are left to the scheduler: pinned ones would wait for each other.
void ThreadPool::pin_caller() const {
  if (size() <= static_cast<int>(cores_.size())) pin(cores_[0]);
}

void ThreadPool::take_chunks(int thread) {
  for (int64_t begin; (begin = next_.fetch_add(chunk_, std::memory_order_relaxed)) < n_;) {
    body_(context_, begin, std::min(begin + chunk_, n_), thread);
  }
}

void ThreadPool::dispatch(int64_t n, int64_t chunk, Body body, void* context) {
  body_ = body;
  context_ = context;
  n_ = n;
  chunk_ = std::max<int64_t>(1, chunk);
  next_.store(0, std::memory_order_relaxed);
  busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_seq_cst);
  if (sleeping_.load(std::memory_order_seq_cst) > 0) generation_.notify_all();
  take_chunks(0);
  for (int spins = 0; busy_.load(std::memory_order_acquire) != 0; ++spins) {
    pause();
    // The worker that is awaited may need this very core.
    if (spins % 1024 == 1023) sched_yield();
  }
}

void ThreadPool::work(int thread) {
  if (size() <= static_cast<int>(cores_.size())) pin(cores_[thread]);
  uint32_t seen = 0;
  for (;;) {
    using clock = std::chrono::steady_clock;
    constexpr auto kSpin = std::chrono::microseconds(200);
    const auto start = clock::now();
    for (int spins = 1; generation_.load(std::memory_order_acquire) == seen; ++spins) {
      pause();
      if (spins % 256 != 0) continue;
      if (clock::now() - start < kSpin) {
        sched_yield();
        continue;
      }
      sleeping_.fetch_add(1, std::memory_order_seq_cst);
      generation_.wait(seen, std::memory_order_seq_cst);
      sleeping_.fetch_sub(1, std::memory_order_seq_cst);
    }
    ++seen;
    if (stop_.load()) return;
    take_chunks(thread);
    busy_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace jsg::cpu
