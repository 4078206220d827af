#include "grammar/vocabulary.h"

#include <algorithm>
#include <numeric>

#include "error.h"

namespace jsg {
namespace {

size_t character_length(unsigned char first) { return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4; }

}  // namespace

Vocabulary::Vocabulary(VocabularySpec spec) : spec_(std::move(spec)) {
  const auto n = static_cast<int32_t>(spec_.tokens.size());
  const auto require = [](bool ok, const char* what) {
    if (!ok) throw Error("E_INVALID_REQUEST", std::string("vocabulary: ") + what);
  };
  const auto is_token = [&](int32_t id) { return id >= 0 && id < n; };
  require(n > 0 && spec_.vocab_size >= n, "more tokens than the model has");
  require(spec_.byte_ids.size() == 256, "byteIds must have 256 entries");
  require(spec_.merges.size() % 3 == 0, "merges must come in threes");
  require(std::all_of(spec_.merges.begin(), spec_.merges.end(), is_token), "a merge of an unknown token");
  require(
      std::all_of(spec_.byte_ids.begin(), spec_.byte_ids.end(), [&](int32_t id) { return id == -1 || is_token(id); }),
      "a byte with an unknown token");
  for (const int32_t id : spec_.stop_ids) require(id >= 0 && id < spec_.vocab_size, "an unknown stop id");

  merges_.reserve(spec_.merges.size() / 3);
  for (size_t i = 0; i < spec_.merges.size(); i += 3) {
    const auto rank = static_cast<int32_t>(i / 3);
    merges_.try_emplace(pair(spec_.merges[i], spec_.merges[i + 1]), Merge{rank, spec_.merges[i + 2]});
  }
  spec_.merges = {};
  for (int32_t id = 0; id < n; ++id) {
    const std::string_view text = bytes(id);
    if (text.empty()) continue;
    by_bytes_.push_back(id);
    if (text.size() == character_length(static_cast<unsigned char>(text[0]))) characters_.try_emplace(text, id);
  }
  std::sort(by_bytes_.begin(), by_bytes_.end(), [&](int32_t a, int32_t b) { return bytes(a) < bytes(b); });
}

bool Vocabulary::to_symbols(std::string_view text, std::vector<int32_t>& symbols) const {
  for (size_t i = 0; i < text.size();) {
    const size_t length = std::min(character_length(static_cast<unsigned char>(text[i])), text.size() - i);
    if (spec_.starts_with_characters) {
      const auto found = characters_.find(text.substr(i, length));
      if (found != characters_.end()) {
        symbols.push_back(found->second);
        i += length;
        continue;
      }
    }
    const size_t end = spec_.starts_with_characters ? i + length : i + 1;
    for (; i < end; ++i) {
      const int32_t id = spec_.byte_ids[static_cast<unsigned char>(text[i])];
      if (id < 0) return false;
      symbols.push_back(id);
    }
  }
  return true;
}

// Forced texts are short: the quadratic search is no loss.
std::vector<int32_t> Vocabulary::encode(std::string_view text) const {
  std::vector<int32_t> symbols;
  if (!to_symbols(text, symbols)) return {};
  for (;;) {
    size_t best = symbols.size();
    Merge merge{INT32_MAX, 0};
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = merges_.find(pair(symbols[i], symbols[i + 1]));
      if (found == merges_.end() || found->second.rank >= merge.rank) continue;
      merge = found->second;
      best = i;
    }
    if (best == symbols.size()) return symbols;
    symbols[best] = merge.merged;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

std::span<const int32_t> Vocabulary::extensions(std::string_view text) const {
  const auto first = std::upper_bound(by_bytes_.begin(), by_bytes_.end(), text,
                                      [&](std::string_view key, int32_t id) { return key < bytes(id); });
  const auto last =
      std::partition_point(first, by_bytes_.end(), [&](int32_t id) { return bytes(id).starts_with(text); });
  return {first, last};
}

}  // namespace jsg
