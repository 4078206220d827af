// What rows of drafts cost beside rows that would be computed anyway, as measured, and how many are worth it.
#pragma once
#include <array>
#include <span>
#include <vector>

namespace jsg {

// Of a step with drafts, in times of the same step without: 1 + fixed + per_row * drafts.
struct RelativeCost {
  double fixed;
  double per_row;
};

// Follows the times of the steps in which nothing but decoding goes on.
class DraftCost {
 public:
  // A step of n_sequences and n_drafts rows of drafts beside theirs took `us`.
  void observe(int n_sequences, int n_drafts, double us);
  RelativeCost of(int n_sequences) const;

 private:
  static constexpr int kMaxSequences = 64;  // that are told apart
  double plain_us(int n_sequences) const;

  std::array<double, kMaxSequences + 1> plain_us_{};  // moving averages, by n_sequences; 0: not seen yet
  // Moving sums over steps with drafts, of 1, x, x^2, y, xy: x drafts took y us more.
  double n_ = 0, x_ = 0, xx_ = 0, y_ = 0, xy_ = 0;
};

// How many drafts of each sequence a step should compute to make the most tokens in its time; none where that gains
// next to nothing. `chances`: of each sequence that decodes, falling; `counts` has as many.
void choose_drafts(std::span<const std::vector<float>> chances, const RelativeCost& cost, std::span<int> counts);

}  // namespace jsg
