#include "runtime/block_pool.h"

#include <string>

#include "error.h"

namespace jsg {

BlockPool::BlockPool(int n_blocks) {
  if (n_blocks < 1) throw Error("E_INVALID_REQUEST", "the KV pool needs at least one block");
  ref_counts_.assign(n_blocks, 0);
  free_.reserve(n_blocks);
  for (int32_t block = n_blocks - 1; block >= 0; --block) free_.push_back(block);
}

int32_t BlockPool::allocate() {
  if (free_.empty()) throw Error("E_INTERNAL", "the KV pool has no free block");
  const int32_t block = free_.back();
  free_.pop_back();
  ref_counts_[block] = 1;
  return block;
}

void BlockPool::retain(int32_t block) {
  if (ref_count(block) == 0) throw Error("E_INTERNAL", "retained the free KV block " + std::to_string(block));
  ++ref_counts_[block];
}

void BlockPool::release(int32_t block) {
  if (ref_count(block) == 0) throw Error("E_INTERNAL", "released the free KV block " + std::to_string(block));
  if (--ref_counts_[block] == 0) free_.push_back(block);
}

void BlockPool::check_integrity() const {
  std::vector<bool> listed(ref_counts_.size(), false);
  for (const int32_t block : free_) {
    if (listed.at(block)) throw Error("E_INTERNAL", "KV block " + std::to_string(block) + " is free twice");
    listed[block] = true;
  }
  for (size_t block = 0; block < ref_counts_.size(); ++block) {
    if (ref_counts_[block] < 0 || listed[block] != (ref_counts_[block] == 0)) {
      throw Error("E_INTERNAL", "KV block " + std::to_string(block) + " is neither used nor free");
    }
  }
}

}  // namespace jsg
