#include "runtime/block_pool.h"

#include "check.h"
#include "error.h"

using jsg::BlockPool;

TEST(fresh_pool_hands_out_low_ids_first) {
  BlockPool pool(3);
  CHECK(pool.allocate() == 0);
  CHECK(pool.allocate() == 1);
  CHECK(pool.n_used() == 2);
  CHECK(pool.n_free() == 1);
}

TEST(a_freed_block_is_used_again_first) {
  BlockPool pool(8);
  const int32_t a = pool.allocate();
  const int32_t b = pool.allocate();
  pool.release(a);
  CHECK(pool.allocate() == a);
  pool.release(b);
  pool.release(a);
  CHECK(pool.allocate() == a);
  CHECK(pool.allocate() == b);
  pool.check_integrity();
}

TEST(the_last_release_frees) {
  BlockPool pool(1);
  const int32_t block = pool.allocate();
  pool.retain(block);
  CHECK(pool.ref_count(block) == 2);
  pool.release(block);
  CHECK(!pool.can_allocate(1));
  pool.release(block);
  CHECK(pool.can_allocate(1));
  CHECK(!pool.can_allocate(2));
  pool.check_integrity();
}

TEST(misuse_is_reported) {
  BlockPool pool(1);
  CHECK_THROWS(pool.release(0), "E_INTERNAL");
  CHECK_THROWS(pool.retain(0), "E_INTERNAL");
  pool.allocate();
  CHECK_THROWS(pool.allocate(), "E_INTERNAL");
  CHECK_THROWS(BlockPool(0), "E_INVALID_REQUEST");
}

TEST_MAIN()
