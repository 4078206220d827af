// Where the last tokens of a text have come before: the match finder behind prompt lookup. As in LZ77, the places of
// each pair of tokens form a chain, newest first. Pure bookkeeping; a token takes constant time and 8 to 16 bytes.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace jsg {

class NgramIndex {
 public:
  // `length` tokens before `next` are the last ones of the text, in order. None: length 0.
  struct Match {
    int next = 0;
    int length = 0;
  };
  static constexpr int kLeastLength = 2;

  // Longer matches than `max_length` are not told apart.
  explicit NgramIndex(int max_length) : max_length_(max_length) {}

  // Takes in what has been added to the text since the last call, and finds the longest match of its end; of equals the
  // one whose `next` is nearest to `near`, or without that (-1) the newest. Only some of the newest places are looked
  // at where the last two tokens have come often.
  Match extend(std::span<const int32_t> text, int near = -1);

 private:
  void insert(std::span<const int32_t> text, int position);
  void grow(std::span<const int32_t> text);
  int32_t& head(std::span<const int32_t> text, int position);
  int match_length(std::span<const int32_t> text, int end, int other_end) const;

  const int max_length_;
  std::vector<int32_t> heads_;     // by hash, of 2^n: the last place of a pair, by its second token; -1: none
  std::vector<int32_t> previous_;  // (text): the place before in the same chain
};

}  // namespace jsg
