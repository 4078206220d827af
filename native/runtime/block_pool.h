// The KV cache as a pool of equal blocks: who may write where. Pure bookkeeping; the bytes live in the model's backend.
#pragma once
#include <cstdint>
#include <vector>

namespace jsg {

class BlockPool {
 public:
  explicit BlockPool(int n_blocks);

  int n_blocks() const { return static_cast<int>(ref_counts_.size()); }
  int n_free() const { return static_cast<int>(free_.size()); }
  int n_used() const { return n_blocks() - n_free(); }

  bool can_allocate(int n) const { return n <= n_free(); }
  // A free block, now with one reference: the one freed last (low ids first in a fresh pool), so that a server under
  // light load keeps touching the same few pages. Throws E_INTERNAL when none is free: ask can_allocate() first.
  int32_t allocate();
  // One more, one less owner of a used block; the last release frees it. Throw E_INTERNAL on a free block.
  void retain(int32_t block);
  void release(int32_t block);
  int ref_count(int32_t block) const { return ref_counts_.at(block); }

  // Throws E_INTERNAL unless every block is either used or on the free list exactly once.
  void check_integrity() const;

 private:
  std::vector<int32_t> ref_counts_;  // (n_blocks), 0: free
  std::vector<int32_t> free_;        // a stack
};

}  // namespace jsg
