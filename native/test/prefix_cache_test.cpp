#include "runtime/prefix_cache.h"

#include <algorithm>
#include <random>

#include "check.h"
#include "error.h"

using namespace jsg;

namespace {

// What the scheduler does with a cache: holds the blocks of a path and lets go of them from its end.
struct Tenant {
  Tenant(BlockPool& p, PrefixCache& c, CacheSalt s) : pool(p), cache(c), salt(s) {}

  std::vector<int32_t> find(const std::vector<int32_t>& tokens) const {
    std::vector<int32_t> found;
    cache.find(salt, tokens, found);
    return found;
  }
  // Takes up what is cached of `tokens` (whole blocks) and computes the rest.
  std::vector<int32_t> hold(const std::vector<int32_t>& tokens) {
    std::vector<int32_t> path = find(tokens);
    for (const int32_t block : path) pool.retain(block);
    for (size_t at = path.size() * kBlockSize; at + kBlockSize <= tokens.size(); at += kBlockSize) {
      const int32_t block = cache.allocate();
      CHECK(cache.add(salt, path.empty() ? -1 : path.back(), std::span(tokens).subspan(at, kBlockSize), block) ==
            block);
      path.push_back(block);
    }
    return path;
  }
  void release(const std::vector<int32_t>& path) {
    for (size_t i = path.size(); i > 0; --i) pool.release(path[i - 1]);
  }
  void visit(const std::vector<int32_t>& tokens) { release(hold(tokens)); }

  BlockPool& pool;
  PrefixCache& cache;
  CacheSalt salt;
};

// `n_blocks` of tokens; those from block `fork` on are of branch `branch`.
std::vector<int32_t> text(int n_blocks, int fork = 1000, int branch = 0) {
  std::vector<int32_t> tokens;
  for (int i = 0; i < n_blocks * kBlockSize; ++i) tokens.push_back(i / kBlockSize < fork ? i : 1000 * branch + i);
  return tokens;
}

}  // namespace

TEST(the_longest_prefix_of_whole_blocks_is_found) {
  BlockPool pool(16);
  PrefixCache cache(pool);
  Tenant tenant(pool, cache, 1);
  const auto path = tenant.hold(text(4));
  tenant.release(path);
  CHECK(tenant.find(text(4)) == path);
  CHECK(tenant.find(text(6)) == path);
  auto partial = text(2);
  partial.insert(partial.end(), 15, 7);
  CHECK(tenant.find(partial) == std::vector<int32_t>(path.begin(), path.begin() + 2));
  auto shifted = text(4);
  std::rotate(shifted.begin(), shifted.begin() + 1, shifted.end());
  CHECK(tenant.find(shifted).empty());
  CHECK(tenant.find({}).empty());
  // The same tokens behind others are another node.
  CHECK(tenant.find(text(4, 1, 3)) == std::vector<int32_t>(path.begin(), path.begin() + 1));
}

TEST(tenants_share_nothing) {
  BlockPool pool(16);
  PrefixCache cache(pool);
  Tenant one(pool, cache, 1), other(pool, cache, 2), anyone(pool, cache, 0);
  one.visit(text(4));
  CHECK(other.find(text(4)).empty());
  CHECK(anyone.find(text(4)).empty());
  other.visit(text(4));
  CHECK(cache.n_blocks() == 8);
  CHECK(one.find(text(4)) != other.find(text(4)));
}

TEST(the_same_tokens_have_one_block) {
  BlockPool pool(4);
  PrefixCache cache(pool);
  const auto tokens = text(1);
  const int32_t first = cache.allocate(), second = cache.allocate();
  CHECK(cache.add(0, -1, tokens, first) == first);
  CHECK(cache.add(0, -1, tokens, second) == first);
  pool.release(second);
  pool.release(first);
  CHECK(pool.n_free() == 4 && pool.n_kept_idle() == 1);
  cache.check_integrity();
}

TEST(blocks_that_nobody_holds_are_room_and_the_longest_unused_leaf_goes_first) {
  BlockPool pool(8);
  PrefixCache cache(pool);
  Tenant tenant(pool, cache, 0);
  tenant.visit(text(4, 2, 1));  // trunk 0, 1; branch 1
  tenant.visit(text(4, 2, 2));  // the trunk is used again
  CHECK(pool.n_kept_idle() == 6 && pool.can_allocate(8));
  // Two blocks were never used, then branch 1 goes, from its end.
  std::vector<int32_t> held;
  const auto take = [&](int n) {
    for (int i = 0; i < n; ++i) held.push_back(cache.allocate());
    cache.check_integrity();
    pool.check_integrity();
  };
  take(3);
  CHECK(tenant.find(text(4, 2, 1)).size() == 3);
  take(1);
  CHECK(tenant.find(text(4, 2, 1)).size() == 2);
  CHECK(tenant.find(text(4, 2, 2)).size() == 4);
  take(4);
  CHECK(cache.n_blocks() == 0);
  CHECK(!pool.can_allocate(1));
  CHECK_THROWS(cache.allocate(), "E_INTERNAL");
}

TEST(what_is_held_is_never_given_away) {
  BlockPool pool(6);
  PrefixCache cache(pool);
  Tenant tenant(pool, cache, 0);
  const auto held = tenant.hold(text(3));
  tenant.visit(text(5, 3, 1));
  CHECK(pool.n_free() == 3);
  for (int i = 0; i < 3; ++i) cache.allocate();
  CHECK(!pool.can_allocate(1));
  CHECK(tenant.find(text(5, 3, 1)) == held);
}

TEST(clearing_forgets_all) {
  BlockPool pool(8);
  PrefixCache cache(pool);
  Tenant tenant(pool, cache, 0);
  tenant.visit(text(5));
  cache.clear();
  CHECK(tenant.find(text(5)).empty());
  CHECK(cache.n_blocks() == 0 && pool.n_kept_idle() == 0 && pool.n_free() == 8);
  cache.check_integrity();
  pool.check_integrity();
}

// Against a pool of many sizes: holders come and go, and what is found is what was put there.
TEST(random_walks_keep_the_tree_whole) {
  for (int seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
    BlockPool pool(pick(8, 40));
    PrefixCache cache(pool);
    std::vector<std::vector<int32_t>> content(static_cast<size_t>(pool.n_blocks()));  // what each block holds
    std::vector<std::vector<int32_t>> held;
    for (int step = 0; step < 400; ++step) {
      if (!held.empty() && pick(0, 1) == 0) {
        std::swap(held[static_cast<size_t>(pick(0, static_cast<int>(held.size()) - 1))], held.back());
        Tenant(pool, cache, 0).release(held.back());
        held.pop_back();
      } else if (const auto tokens = text(pick(1, 8), pick(0, 4), pick(0, 3));
                 pool.can_allocate(static_cast<int>(tokens.size()) / kBlockSize)) {
        Tenant tenant(pool, cache, static_cast<CacheSalt>(pick(0, 1)));
        const size_t n_found = tenant.find(tokens).size();
        const auto path = tenant.hold(tokens);
        for (size_t i = 0; i < path.size(); ++i) {
          const std::vector<int32_t> block(tokens.begin() + static_cast<std::ptrdiff_t>(i * kBlockSize),
                                           tokens.begin() + static_cast<std::ptrdiff_t>((i + 1) * kBlockSize));
          if (i < n_found) CHECK(content[path[i]] == block);
          content[path[i]] = block;
        }
        held.push_back(path);
      }
      cache.check_integrity();
      pool.check_integrity();
    }
  }
}

TEST_MAIN()
