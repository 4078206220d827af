#include "runtime/token_counts.h"

#include <algorithm>

namespace jsg {

TokenCounts::TokenCounts(std::span<const int32_t> prompt, size_t capacity) {
  std::vector<int32_t> sorted(prompt.begin(), prompt.end());
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  entries_.reserve(std::max(capacity, sorted.size()));
  for (const int32_t token : sorted) entries_.push_back({token, 0});
}

void TokenCounts::add_generated(int32_t token) {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), token,
                                   [](const Entry& entry, int32_t value) { return entry.token < value; });
  if (at != entries_.end() && at->token == token) {
    ++at->n_generated;
  } else {
    entries_.insert(at, {token, 1});
  }
}

}  // namespace jsg
