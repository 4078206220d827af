#include "runtime/block_pool.h"

#include <string>

#include "error.h"

namespace jsg {

BlockPool::BlockPool(int n_blocks) {
  if (n_blocks < 1) throw Error("E_INVALID_REQUEST", "the KV pool needs at least one block");
  blocks_.resize(n_blocks + 1);
  blocks_.back().previous = blocks_.back().next = n_blocks;
  free_.reserve(n_blocks);
  for (int32_t block = n_blocks - 1; block >= 0; --block) free_.push_back(block);
}

int32_t BlockPool::allocate() {
  if (free_.empty()) throw Error("E_INTERNAL", "the KV pool has no free block");
  const int32_t block = free_.back();
  free_.pop_back();
  blocks_[block].n_owners = 1;
  return block;
}

void BlockPool::retain(int32_t block) {
  const bool is_idle = ref_count(block) == 0;
  if (is_idle && !blocks_[block].is_kept) {
    throw Error("E_INTERNAL", "retained the free KV block " + std::to_string(block));
  }
  if (is_idle) {
    remove_idle(block);
  } else {
    ++n_extra_owners_;
  }
  ++blocks_[block].n_owners;
}

void BlockPool::release(int32_t block) {
  if (ref_count(block) == 0) throw Error("E_INTERNAL", "released the free KV block " + std::to_string(block));
  if (--blocks_[block].n_owners > 0) {
    --n_extra_owners_;
  } else if (blocks_[block].is_kept) {
    append_idle(block);
  } else {
    free_.push_back(block);
  }
}

void BlockPool::keep(int32_t block) {
  if (ref_count(block) == 0) throw Error("E_INTERNAL", "kept the free KV block " + std::to_string(block));
  blocks_[block].is_kept = true;
}

void BlockPool::forget(int32_t block) {
  if (!blocks_.at(block).is_kept) throw Error("E_INTERNAL", "forgot KV block " + std::to_string(block) + " twice");
  blocks_[block].is_kept = false;
  if (blocks_[block].n_owners > 0) return;
  remove_idle(block);
  free_.push_back(block);
}

std::vector<int32_t> BlockPool::kept_idle() const {
  std::vector<int32_t> kept;
  kept.reserve(static_cast<size_t>(n_kept_idle_));
  for (int32_t block = blocks_.back().previous; block != n_blocks(); block = blocks_[block].previous) {
    kept.push_back(block);
  }
  return kept;
}

void BlockPool::append_idle(int32_t block) {
  const int32_t head = n_blocks();
  const int32_t last = blocks_[head].previous;
  blocks_[block].previous = last;
  blocks_[block].next = head;
  blocks_[last].next = blocks_[head].previous = block;
  ++n_kept_idle_;
}

void BlockPool::remove_idle(int32_t block) {
  Block& removed = blocks_[block];
  blocks_[removed.previous].next = removed.next;
  blocks_[removed.next].previous = removed.previous;
  removed.previous = removed.next = -1;
  --n_kept_idle_;
}

void BlockPool::check_integrity() const {
  std::vector<bool> listed(n_blocks(), false);
  const auto list = [&](int32_t block) {
    if (listed.at(block)) throw Error("E_INTERNAL", "KV block " + std::to_string(block) + " is free twice");
    listed[block] = true;
  };
  for (const int32_t block : free_) list(block);
  int n_idle = 0;
  for (int32_t block = blocks_.back().next; block != n_blocks(); block = blocks_[block].next, ++n_idle) list(block);
  int n_extra = 0;
  for (int32_t block = 0; block < n_blocks(); ++block) {
    const int n_owners = ref_count(block);
    if (n_owners < 0 || listed[block] != (n_owners == 0)) {
      throw Error("E_INTERNAL", "KV block " + std::to_string(block) + " is neither used nor free");
    }
    if (n_owners > 1) n_extra += n_owners - 1;
  }
  if (n_idle != n_kept_idle_ || n_extra != n_extra_owners_) throw Error("E_INTERNAL", "the KV pool has miscounted");
}

}  // namespace jsg
