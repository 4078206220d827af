#include "runtime/step_pacer.h"

#include <algorithm>

#include "model/model.h"

namespace jsg {
namespace {

// Before anything is known.
constexpr int kFirstRows = kBlockSize / 2;
// Prompt rows of a step without decodes that tell what a row costs: fewer are mostly the cost of a step.
constexpr int kTellingRows = 4 * kBlockSize;
// A figure moves an estimate by a share of their distance, which counts as `kFar` at most: so estimates follow the
// typical step, not the mean, since single ones may be held up by anything.
constexpr double kShare = 0.4, kFar = 1.5;
// What a step costs without prompts rises by less: a request that arrives is read and tokenised on the same cores,
// which holds up the last steps before its own, and then there are none to learn from until its prompt is done.
constexpr double kShareUp = 0.05;
// A step that took no more of what it may take can have twice the rows, however much of its time was theirs; a little
// over half, since on a GPU the first rows cost nothing beside the weights.
constexpr double kRoomForTwice = 0.55;

void update(double& estimate, double figure, double share_up = kShare) {
  if (estimate == 0) {
    estimate = figure;
  } else {
    const double share = figure > estimate ? share_up : kShare;
    estimate += share * (std::clamp(figure, estimate / kFar, estimate * kFar) - estimate);
  }
}

}  // namespace

StepPacer::StepPacer(int max_running, int max_rows, double cost)
    : max_rows_(max_rows), cost_(cost), decode_us_(static_cast<size_t>(max_running) + 1, 0.0) {}

int StepPacer::prompt_rows(int n_decodes) const {
  if (n_decodes == 0 || cost_ == 0) return max_rows_;
  const double step_us = decode_us(n_decodes);
  if (step_us == 0 || row_us_ == 0) return std::min(kFirstRows, max_rows_);
  const double spare_us = allowed_us(step_us) - step_us;
  // Compared as they are: a price near 0 would give more than an int holds.
  return std::min(max_rows_, static_cast<int>(std::clamp<double>(spare_us / row_us_, kMinRows, max_rows_ + kMinRows)));
}

void StepPacer::observe(int n_decodes, int n_prompt_rows, double elapsed_us) {
  if (n_decodes > 0 && n_prompt_rows == 0) {
    update(decode_us_.at(n_decodes), elapsed_us, kShareUp);
  } else if (n_decodes == 0 && n_prompt_rows >= kTellingRows && row_us_ == 0) {
    row_us_ = elapsed_us / n_prompt_rows;
  } else if (const double step_us = decode_us(n_decodes); step_us > 0 && n_prompt_rows > 0) {
    const double row_us = std::max(elapsed_us - step_us, 1.0) / n_prompt_rows;
    if (row_us_ > 0 && elapsed_us < kRoomForTwice * allowed_us(step_us)) {
      // Nor is it a reason for fewer: part of its price was that of having rows at all.
      row_us_ = std::clamp(row_us, row_us_ / 2, row_us_);
    } else {
      update(row_us_, row_us);
    }
  }
}

// Of a step beside decodes that take `step_us` alone.
double StepPacer::allowed_us(double step_us) const { return std::max(cost_ * step_us, kUnnoticedUs); }

// Of the nearest number of sequences that has been seen, rather fewer than more: 0 where there is none.
double StepPacer::decode_us(int n_decodes) const {
  const int n = static_cast<int>(decode_us_.size());
  if (n_decodes == 0) return 0;
  for (int distance = 0; distance < n; ++distance) {
    const int fewer = n_decodes - distance, more = n_decodes + distance;
    if (fewer > 0 && decode_us_[fewer] > 0) return decode_us_[fewer];
    if (more < n && decode_us_[more] > 0) return decode_us_[more];
  }
  return 0;
}

}  // namespace jsg
