// The KV cache as a pool of equal blocks: who may write where. Pure bookkeeping; the bytes live in the model's backend.
//
// A block has owners, or is idle. What an idle block holds is worth nothing, unless keep() said otherwise: then it
// waits in a list, oldest first, from which it is taken up again or, when nothing else is free, given away.
#pragma once
#include <cstdint>
#include <vector>

namespace jsg {

class BlockPool {
 public:
  explicit BlockPool(int n_blocks);

  int n_blocks() const { return static_cast<int>(blocks_.size()) - 1; }
  // Blocks without an owner, kept ones included.
  int n_free() const { return static_cast<int>(free_.size()) + n_kept_idle_; }
  int n_used() const { return n_blocks() - n_free(); }
  // Blocks without an owner whose content is kept.
  int n_kept_idle() const { return n_kept_idle_; }
  // Owners of all blocks beyond the first of each.
  int n_extra_owners() const { return n_extra_owners_; }

  bool can_allocate(int n) const { return n <= n_free(); }
  // A free block, now with one owner: the one freed last (low ids first in a fresh pool), so that a server under
  // light load keeps touching the same few pages. Throws E_INTERNAL when none is free but kept ones: ask
  // can_allocate() first, and forget() the oldest_kept() while must_forget().
  int32_t allocate();
  bool must_forget() const { return free_.empty(); }
  // One more, one less owner of a block; the last release makes it idle. Throw E_INTERNAL on an idle block, except that
  // a kept one can be retained.
  void retain(int32_t block);
  void release(int32_t block);
  int ref_count(int32_t block) const { return blocks_.at(block).n_owners; }

  // The content of a used block outlives its owners.
  void keep(int32_t block);
  // It no longer does: an idle block is free for any use.
  void forget(int32_t block);
  // The idle kept block that was released first; -1: there is none.
  int32_t oldest_kept() const { return n_kept_idle_ > 0 ? blocks_.back().next : -1; }
  // Those blocks, the one that was released last first.
  std::vector<int32_t> kept_idle() const;

  // Throws E_INTERNAL unless every block is exactly one of used, on the free list and in the list of idle kept ones.
  void check_integrity() const;

 private:
  struct Block {
    int32_t n_owners = 0;
    bool is_kept = false;
    int32_t previous = -1, next = -1;  // in the ring of idle kept blocks
  };
  void append_idle(int32_t block);
  void remove_idle(int32_t block);

  std::vector<Block> blocks_;  // (n_blocks), and the head of the ring
  std::vector<int32_t> free_;  // a stack
  int n_kept_idle_ = 0;
  int n_extra_owners_ = 0;
};

}  // namespace jsg
