// The tokens of a model as bytes, and how its tokenizer spells bytes in tokens. Immutable; any thread.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace jsg {

// As the tokenizer has them; src/model/vocabulary.ts makes it.
struct VocabularySpec {
  std::vector<std::string>
      tokens;                     // by id; empty: no text (special tokens and holes), never part of a constrained text
  int vocab_size = 0;             // of the model; at least tokens.size()
  std::vector<int32_t> stop_ids;  // end an answer whose grammar is complete
  std::vector<int32_t> merges;    // (n, 3): left, right, merged; in the order in which they apply
  std::vector<int32_t> byte_ids;  // (256): the token of one byte; -1: none
  bool starts_with_characters =
      false;  // a text is merged up from characters (those without a token: bytes), not from bytes
};

class Vocabulary {
 public:
  // Throws E_INVALID_REQUEST when an id is outside of the vocabulary.
  explicit Vocabulary(VocabularySpec spec);

  const VocabularySpec& spec() const { return spec_; }
  std::string_view bytes(int32_t token) const { return spec_.tokens[token]; }

  // The byte-pair encoding of `text` within one word, so to say: what splits a text before it is encoded is not known
  // here. A tokenizer that was trained with such a split has no merges across it. Empty where a byte has no token.
  std::vector<int32_t> encode(std::string_view text) const;

  // Tokens longer than `text` that begin with it: a range of by_bytes().
  std::span<const int32_t> extensions(std::string_view text) const;

 private:
  struct Merge {
    int32_t rank;
    int32_t merged;
  };
  static uint64_t pair(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  bool to_symbols(std::string_view text, std::vector<int32_t>& symbols) const;

  VocabularySpec spec_;
  std::unordered_map<uint64_t, Merge> merges_;
  std::unordered_map<std::string_view, int32_t> characters_;  // tokens of one character
  std::vector<int32_t> by_bytes_;                             // ids with text, in the order of their bytes
};

}  // namespace jsg
