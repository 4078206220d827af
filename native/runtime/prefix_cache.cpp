#include "runtime/prefix_cache.h"

#include <algorithm>
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
    : pool_(pool), blocks_(0, Hash{random_seed()}), nodes_(static_cast<size_t>(pool.n_blocks())) {}

size_t PrefixCache::Hash::operator()(const Key& key) const {
  uint64_t hash = mix64(seed ^ key.behind);
  for (const int32_t token : key.tokens) hash = mix64(hash ^ static_cast<uint32_t>(token));
  return hash;
}

PrefixCache::Key PrefixCache::key_of(CacheSalt salt, int32_t parent, std::span<const int32_t> tokens) {
  Key key{parent < 0 ? kRoot | salt : static_cast<uint64_t>(parent), {}};
  std::copy_n(tokens.begin(), kBlockSize, key.tokens.begin());
  return key;
}

int32_t PrefixCache::parent_of(const Key& key) {
  return (key.behind & kRoot) != 0 ? -1 : static_cast<int32_t>(key.behind);
}

void PrefixCache::find(CacheSalt salt, std::span<const int32_t> tokens, std::vector<int32_t>& found) const {
  found.clear();
  if (blocks_.empty()) return;
  int32_t parent = -1;
  for (; tokens.size() >= kBlockSize; tokens = tokens.subspan(kBlockSize)) {
    const auto at = blocks_.find(key_of(salt, parent, tokens));
    if (at == blocks_.end()) return;
    found.push_back(parent = at->second);
  }
}

int32_t PrefixCache::add(CacheSalt salt, int32_t parent, std::span<const int32_t> tokens, int32_t block) {
  const auto [at, is_new] = blocks_.try_emplace(key_of(salt, parent, tokens), block);
  if (!is_new) return at->second;
  if (parent >= 0) ++nodes_[parent].n_children;
  nodes_[block] = {&at->first, 0};
  pool_.keep(block);
  return block;
}

int32_t PrefixCache::allocate() {
  if (pool_.must_forget() && pool_.oldest_kept() >= 0) remove(pool_.oldest_kept());
  return pool_.allocate();
}

void PrefixCache::remove(int32_t block) {
  const Node node = nodes_[block];
  if (node.key == nullptr || node.n_children > 0) {
    throw Error("E_INTERNAL", "KV block " + std::to_string(block) + " has tokens behind it");
  }
  if (const int32_t parent = parent_of(*node.key); parent >= 0) --nodes_[parent].n_children;
  blocks_.erase(blocks_.find(*node.key));
  nodes_[block] = {};
  pool_.forget(block);
}

std::vector<PrefixCache::Entry> PrefixCache::entries() const {
  std::vector<Entry> entries;
  for (const int32_t block : pool_.kept_idle()) {
    const Key& key = *nodes_[block].key;
    entries.push_back({block, parent_of(key), key.behind & ~kRoot, key.tokens});
  }
  return entries;
}

void PrefixCache::clear() {
  while (pool_.oldest_kept() >= 0) remove(pool_.oldest_kept());
}

void PrefixCache::check_integrity() const {
  std::vector<int> n_children(nodes_.size(), 0);
  int n_idle = 0;
  for (const auto& [key, block] : blocks_) {
    const int32_t parent = parent_of(key);
    const bool is_known = nodes_.at(block).key == &key && (parent < 0 || nodes_.at(parent).key != nullptr);
    // A held block whose parent is not held could lose it.
    const bool is_safe = parent < 0 || pool_.ref_count(parent) >= pool_.ref_count(block);
    if (!is_known || !is_safe) throw Error("E_INTERNAL", "KV block " + std::to_string(block) + " has lost its prefix");
    if (parent >= 0) ++n_children[parent];
    n_idle += pool_.ref_count(block) == 0;
  }
  for (size_t block = 0; block < nodes_.size(); ++block) {
    if (nodes_[block].n_children != n_children[block]) throw Error("E_INTERNAL", "the prefix cache has miscounted");
  }
  if (n_idle != pool_.n_kept_idle()) throw Error("E_INTERNAL", "the KV pool keeps blocks that are not cached");
}

}  // namespace jsg
