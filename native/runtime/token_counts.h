// Which tokens a sequence has seen, for the penalties: kept only for sequences that ask for one.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "model/model.h"

namespace jsg {

class TokenCounts {
 public:
  using Entry = SeenToken;

  // `capacity`: distinct tokens to expect, so that add_generated() never allocates.
  TokenCounts(std::span<const int32_t> prompt, size_t capacity);
  TokenCounts() = default;

  void add_generated(int32_t token);
  // Distinct tokens of prompt and answer, ascending.
  std::span<const Entry> entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

}  // namespace jsg
