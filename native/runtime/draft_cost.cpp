#include "runtime/draft_cost.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace jsg {
namespace {

constexpr double kLearningRate = 1.0 / 8;  // of plain times
constexpr double kMemory = 0.95;           // a step's share of the sums after the next one
// A step that took longer was held up by something else.
constexpr double kMostTimes = 2;
// Until it is known, and as strongly as two steps that were measured: what a row costs beside a single one.
constexpr double kPriorPerRow = 0.25, kPriorWeight = 1, kPriorRows[] = {1, 8};
constexpr double kLeastPerRow = 0.005;
// Drafts that promise less than this are not worth being wrong about.
constexpr double kLeastGain = 1.05;
constexpr int kRounds = 4;

}  // namespace

void DraftCost::observe(int n_sequences, int n_drafts, double us) {
  if (n_sequences < 1 || us <= 0) return;
  double& plain = plain_us_[std::min(n_sequences, kMaxSequences)];
  if (n_drafts == 0) {
    plain += plain == 0 ? us : kLearningRate * (std::min(us, kMostTimes * plain) - plain);
    return;
  }
  const double before = plain_us(n_sequences);
  if (before == 0) return;
  const RelativeCost cost = of(n_sequences);
  const double expected = before * (1 + cost.fixed + cost.per_row * n_drafts);
  const double more = std::min(us, kMostTimes * expected) - before;
  for (double* sum : {&n_, &x_, &xx_, &y_, &xy_}) *sum *= kMemory;
  n_ += 1;
  x_ += n_drafts;
  xx_ += static_cast<double>(n_drafts) * n_drafts;
  y_ += more;
  xy_ += more * n_drafts;
}

// That of the nearest number of sequences which has been seen; 0: none has.
double DraftCost::plain_us(int n_sequences) const {
  const int wanted = std::min(n_sequences, kMaxSequences);
  for (int distance = 0; distance <= kMaxSequences; ++distance) {
    if (wanted >= distance && plain_us_[wanted - distance] > 0) return plain_us_[wanted - distance];
    if (wanted + distance <= kMaxSequences && plain_us_[wanted + distance] > 0) return plain_us_[wanted + distance];
  }
  return 0;
}

// Least squares over what was measured and what was expected beforehand.
RelativeCost DraftCost::of(int n_sequences) const {
  const double plain = plain_us(n_sequences), prior = kPriorPerRow / (1 + kPriorPerRow * (n_sequences - 1));
  if (plain == 0) return {0, prior};
  double n = n_, x = x_, xx = xx_, y = y_, xy = xy_;
  for (const double rows : kPriorRows) {
    const double more = plain * prior * rows;
    n += kPriorWeight;
    x += kPriorWeight * rows;
    xx += kPriorWeight * rows * rows;
    y += kPriorWeight * more;
    xy += kPriorWeight * more * rows;
  }
  const double slope = (n * xy - x * y) / (n * xx - x * x);
  const double per_row = std::max(slope, kLeastPerRow * plain);
  return {std::max((y - per_row * x) / n, 0.0) / plain, per_row / plain};
}

// The most of tokens / time is where each draft is taken whose chance is above its time times that most: found by
// beginning with the rate without drafts (Dinkelbach 1967).
void choose_drafts(std::span<const std::vector<float>> chances, const RelativeCost& cost, std::span<int> counts) {
  const double n_sequences = static_cast<double>(chances.size());
  double rate = n_sequences;
  for (int round = 0; round < kRounds; ++round) {
    const double least = cost.per_row * rate;
    double n_tokens = n_sequences;
    int n_drafts = 0;
    for (size_t i = 0; i < chances.size(); ++i) {
      counts[i] = 0;
      for (const float chance : chances[i]) {
        if (chance <= least) break;
        n_tokens += chance;
        ++counts[i];
      }
      n_drafts += counts[i];
    }
    if (n_drafts == 0) return;
    rate = n_tokens / (1 + cost.fixed + cost.per_row * n_drafts);
    if (rate <= n_sequences) break;
  }
  if (rate < n_sequences * kLeastGain) std::fill(counts.begin(), counts.end(), 0);
}

}  // namespace jsg
