#include "runtime/ngram_index.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "runtime/rng.h"

namespace jsg {
namespace {

constexpr int kMaxCandidates = 16;
constexpr size_t kLeastHeads = 256;

}  // namespace

NgramIndex::Match NgramIndex::extend(std::span<const int32_t> text, int near) {
  const int end = static_cast<int>(text.size());
  // The place of the newest pair is no match of itself, and so put in after the search.
  for (int position = static_cast<int>(previous_.size()); position + 1 < end; ++position) insert(text, position);
  Match best;
  if (end < kLeastLength) return best;
  if (heads_.empty()) grow(text);
  int32_t place = static_cast<int>(previous_.size()) == end ? previous_.back() : head(text, end - 1);
  for (int i = 0; i < kMaxCandidates && place >= 0; ++i, place = previous_[place]) {
    const int length = match_length(text, end, place + 1);
    if (length < kLeastLength || length < best.length) continue;
    const bool is_nearer = near >= 0 && std::abs(place + 1 - near) < std::abs(best.next - near);
    if (length > best.length || is_nearer) best = {place + 1, length};
    if (best.length == max_length_ && near < 0) break;
  }
  if (static_cast<int>(previous_.size()) < end) insert(text, end - 1);
  return best;
}

void NgramIndex::insert(std::span<const int32_t> text, int position) {
  previous_.push_back(-1);
  if (position + 1 < kLeastLength) return;
  if (previous_.size() > heads_.size()) grow(text);
  if (int32_t& last = head(text, position); last != position) previous_[position] = std::exchange(last, position);
}

// Twice as many chains; those that are there are made anew.
void NgramIndex::grow(std::span<const int32_t> text) {
  heads_.assign(std::max(kLeastHeads, 2 * heads_.size()), -1);
  const int n = static_cast<int>(previous_.size());
  for (int position = 1; position < n; ++position) previous_[position] = std::exchange(head(text, position), position);
}

int32_t& NgramIndex::head(std::span<const int32_t> text, int position) {
  const uint64_t pair =
      static_cast<uint64_t>(static_cast<uint32_t>(text[position - 1])) << 32 | static_cast<uint32_t>(text[position]);
  return heads_[mix64(pair) & (heads_.size() - 1)];
}

// Tokens before `end` that are equal to those before `other_end`, up to max_length_.
int NgramIndex::match_length(std::span<const int32_t> text, int end, int other_end) const {
  const int most = std::min(other_end, max_length_);
  int length = 0;
  while (length < most && text[end - 1 - length] == text[other_end - 1 - length]) ++length;
  return length;
}

}  // namespace jsg
