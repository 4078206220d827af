#include "runtime/prefix_cache.h"

#include <algorithm>
#include <bit>
#include <random>
#include <string>

#include "error.h"
#include "runtime/rng.h"

namespace jsg {
namespace {

constexpr uint64_t kRoot = uint64_t{1} << 63;

uint64_t random_seed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

}  // namespace

PrefixCache::PrefixCache(BlockPool& pool)
    : pool_(pool),
      seed_(random_seed()),
      nodes_(static_cast<size_t>(pool.n_blocks())),
      buckets_(std::bit_ceil(nodes_.size()), -1) {}

size_t PrefixCache::bucket_of(const Key& key) const {
  uint64_t hash = mix64(seed_ ^ key.behind);
  for (const int32_t token : key.tokens) hash = mix64(hash ^ static_cast<uint32_t>(token));
  return hash & (buckets_.size() - 1);
}

PrefixCache::Key PrefixCache::key_of(CacheSalt salt, int32_t parent, std::span<const int32_t> tokens) {
  Key key{parent < 0 ? kRoot | salt : static_cast<uint64_t>(parent), {}};
  std::copy_n(tokens.begin(), kBlockSize, key.tokens.begin());
  return key;
}

int32_t PrefixCache::parent_of(const Key& key) {
  return (key.behind & kRoot) != 0 ? -1 : static_cast<int32_t>(key.behind);
}

int32_t PrefixCache::find(const Key& key) const {
  int32_t block = buckets_[bucket_of(key)];
  while (block >= 0 && nodes_[block].key != key) block = nodes_[block].next;
  return block;
}

void PrefixCache::find(CacheSalt salt, std::span<const int32_t> tokens, std::vector<int32_t>& found) const {
  found.clear();
  int32_t parent = -1;
  for (; tokens.size() >= kBlockSize; tokens = tokens.subspan(kBlockSize)) {
    parent = find(key_of(salt, parent, tokens));
    if (parent < 0) return;
    found.push_back(parent);
  }
}

int32_t PrefixCache::add(CacheSalt salt, int32_t parent, std::span<const int32_t> tokens, int32_t block) {
  const Key key = key_of(salt, parent, tokens);
  if (const int32_t known = find(key); known >= 0) return known;
  if (parent >= 0) ++nodes_[parent].n_children;
  int32_t& first = buckets_[bucket_of(key)];
  nodes_[block] = {key, 0, first, true};
  first = block;
  ++n_cached_;
  pool_.keep(block);
  return block;
}

int32_t PrefixCache::allocate() {
  if (pool_.must_forget() && pool_.oldest_kept() >= 0) remove(pool_.oldest_kept());
  return pool_.allocate();
}

void PrefixCache::remove(int32_t block) {
  Node& node = nodes_[block];
  if (!node.is_cached || node.n_children > 0) {
    throw Error("E_INTERNAL", "KV block " + std::to_string(block) + " has tokens behind it");
  }
  if (const int32_t parent = parent_of(node.key); parent >= 0) --nodes_[parent].n_children;
  int32_t* link = &buckets_[bucket_of(node.key)];
  while (*link != block) link = &nodes_[*link].next;
  *link = node.next;
  node = {};
  --n_cached_;
  pool_.forget(block);
}

std::vector<PrefixCache::Entry> PrefixCache::entries() const {
  std::vector<Entry> entries;
  for (const int32_t block : pool_.kept_idle()) {
    const Key& key = nodes_[block].key;
    entries.push_back({block, parent_of(key), key.behind & ~kRoot, key.tokens});
  }
  return entries;
}

void PrefixCache::clear() {
  while (pool_.oldest_kept() >= 0) remove(pool_.oldest_kept());
}

void PrefixCache::check_integrity() const {
  std::vector<int> n_children(nodes_.size(), 0);
  int n_idle = 0, n_cached = 0;
  for (int32_t block = 0; block < pool_.n_blocks(); ++block) {
    if (!nodes_[block].is_cached) continue;
    const int32_t parent = parent_of(nodes_[block].key);
    // A held block whose parent is not held could lose it.
    const bool is_safe =
        parent < 0 || (nodes_.at(parent).is_cached && pool_.ref_count(parent) >= pool_.ref_count(block));
    if (!is_safe || find(nodes_[block].key) != block) {
      throw Error("E_INTERNAL", "KV block " + std::to_string(block) + " has lost its prefix");
    }
    if (parent >= 0) ++n_children[parent];
    n_idle += pool_.ref_count(block) == 0;
    ++n_cached;
  }
  for (size_t block = 0; block < nodes_.size(); ++block) {
    if (nodes_[block].n_children != n_children[block]) throw Error("E_INTERNAL", "the prefix cache has miscounted");
  }
  if (n_cached != n_cached_) throw Error("E_INTERNAL", "the prefix cache has miscounted its blocks");
  if (n_idle != pool_.n_kept_idle()) throw Error("E_INTERNAL", "the KV pool keeps blocks that are not cached");
}

}  // namespace jsg
