#include "backend/cpu/thread_pool.h"

#include <atomic>
#include <thread>

#include "check.h"

using namespace jsg::cpu;

TEST(every_index_is_visited_once) {
  for (int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    CHECK(pool.size() == threads);
    for (int round = 0; round < 3000; ++round) {
      const int64_t n = round % 97, chunk = 1 + round % 5;
      std::vector<std::atomic<int>> visits(n);
      pool.run(n, chunk, [&](int64_t begin, int64_t end, int thread) {
        CHECK(thread >= 0 && thread < threads);
        for (int64_t i = begin; i < end; ++i) visits[i].fetch_add(1);
      });
      for (const auto& count : visits) CHECK(count.load() == 1);
    }
  }
}

TEST(sleeping_workers_wake_up) {
  ThreadPool pool(3);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(round % 3));
    std::atomic<int64_t> sum{0};
    pool.run(1000, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) sum.fetch_add(i);
    });
    CHECK(sum.load() == 499500);
  }
}

TEST(at_least_one_core_is_usable) { CHECK(!usable_cores().empty()); }

TEST_MAIN()
