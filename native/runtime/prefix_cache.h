// Which blocks hold the KV of which tokens, so that a sequence whose beginning has been computed before goes on from
// there.
//
// A radix tree in which each node is one full block: its parent holds the tokens before, since KV depends on all of
// them. Every tenant (`salt`) has roots of its own, so nobody finds, or can time, what another one has sent. Tokens are
// compared, not only their hashes.
//
// Whoever holds a block holds its ancestors too, and releases them after it. So among the blocks that nobody holds,
// which the pool keeps in the order of their release, the oldest is a leaf: giving that away first is eviction by least
// recent use, and never cuts a path.
//
// Pure bookkeeping, in memory that is all taken at the start: nodes that came and went one by one would lie among
// whatever else the process allocates, and keep its pages.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "model/model.h"
#include "runtime/block_pool.h"

namespace jsg {

// Which prefixes a request may share: those of the same salt, below 2^53.
using CacheSalt = uint64_t;

class PrefixCache {
 public:
  explicit PrefixCache(BlockPool& pool);

  int n_blocks() const { return n_cached_; }

  // Blocks of the longest prefix that is cached, whole blocks of kBlockSize tokens, in order. They have no new owner
  // yet.
  void find(CacheSalt salt, std::span<const int32_t> tokens, std::vector<int32_t>& found) const;
  // Adds a used block that holds `tokens` (kBlockSize) behind the cached block `parent` (-1: in front). Returns the
  // block that has them from now on: another one, where they were there already.
  int32_t add(CacheSalt salt, int32_t parent, std::span<const int32_t> tokens, int32_t block);
  // A block for new tokens, with one owner: a free one, else the one that nobody has used for longest. Ask
  // BlockPool::can_allocate() first.
  int32_t allocate();
  // What is in it and held by nobody: parents before their children, the most recently used paths first.
  struct Entry {
    int32_t block;
    int32_t parent;  // block in front; -1: none
    CacheSalt salt;  // of one without a parent
    std::span<const int32_t> tokens;
  };
  std::vector<Entry> entries() const;
  // Forgets all; no block is held by anyone.
  void clear();

  // Throws E_INTERNAL unless all nodes have parents and the pool knows of them.
  void check_integrity() const;

 private:
  struct Key {
    uint64_t behind;  // block id of the parent; or the salt, marked as a root
    std::array<int32_t, kBlockSize> tokens;
    bool operator==(const Key&) const = default;
  };
  struct Node {
    Key key{};
    int n_children = 0;
    int32_t next = -1;  // block in the same bucket; -1: the last one
    bool is_cached = false;
  };
  static Key key_of(CacheSalt salt, int32_t parent, std::span<const int32_t> tokens);
  static int32_t parent_of(const Key& key);
  // The bucket in which `key` is, if it is cached.
  size_t bucket_of(const Key& key) const;
  // The block that holds `key`; -1: it is not cached.
  int32_t find(const Key& key) const;
  void remove(int32_t block);

  BlockPool& pool_;
  uint64_t seed_;                 // of the hash, anew in each process: nobody can choose tokens that collide
  std::vector<Node> nodes_;       // (n_blocks of the pool)
  std::vector<int32_t> buckets_;  // (the next power of two): first block; -1: empty
  int n_cached_ = 0;
};

}  // namespace jsg
