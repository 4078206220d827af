#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace jsg {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

bool has_adjustments(const RowSampling& row) {
  return !row.logit_bias.empty() || !row.seen.empty() || !row.masked.empty() || !row.allowed.empty();
}

void adjust(std::span<float> logits, const RowSampling& row) {
  for (const LogitBias& bias : row.logit_bias) logits[bias.token] += bias.value;
  for (const auto& [token, n_generated] : row.seen) {
    float& logit = logits[token];
    logit = logit > 0 ? logit / row.repetition_penalty : logit * row.repetition_penalty;
    if (n_generated == 0) continue;
    logit -= row.frequency_penalty * static_cast<float>(n_generated) + row.presence_penalty;
  }
  // A request may name stop ids that the model does not have.
  for (const int32_t token : row.masked) {
    if (token >= 0 && static_cast<size_t>(token) < logits.size()) logits[token] = kMaskedLogit;
  }
  if (!row.allowed.empty()) mask_disallowed(logits, row.allowed);
}

}  // namespace

Sampler::Sampler(int vocab_size)
    : raw_logits_(vocab_size), weights_(vocab_size), chunk_sums_((vocab_size + kChunk - 1) / kChunk) {}

SampledToken Sampler::sample(std::span<float> logits, const RowSampling& row) {
  const bool adjusts = has_adjustments(row);
  const bool wants_logprobs = row.top_logprobs >= 0;
  std::span<const float> raw = logits;
  if (adjusts && wants_logprobs) {
    std::copy(logits.begin(), logits.end(), raw_logits_.begin());
    raw = raw_logits_;
  }
  if (adjusts) adjust(logits, row);
  const int32_t token = row.temperature < kMinTemperature ? find_best(logits).token : draw(logits, row);
  if (!wants_logprobs) return {token, kNaN, {}};
  return score(raw, token, row.top_logprobs);
}

SampledToken Sampler::score(std::span<const float> logits, int32_t token, int n_top) {
  const float max = find_best(logits).score;
  const double log_sum = max + std::log(sum_exp(logits, max, 1.0f));
  top_.clear();
  if (n_top > 0) {
    gather_top(logits, std::min<size_t>(n_top, logits.size()), candidates_);
    std::sort(candidates_.begin(), candidates_.end(), ranks_before);
    for (const Candidate& candidate : candidates_) {
      top_.push_back({candidate.token, static_cast<float>(candidate.score - log_sum)});
    }
  }
  return {token, static_cast<float>(logits[token] - log_sum), top_};
}

int32_t Sampler::draw(std::span<const float> logits, const RowSampling& row) {
  const float max = find_best(logits).score;
  const bool limits_k = row.top_k > 0 && static_cast<size_t>(row.top_k) < logits.size();
  if (!limits_k && row.top_p >= 1 && row.min_p <= 0) {
    return draw_from_all(logits, max, 1 / row.temperature, row.u);
  }
  gather_candidates(logits, max, row);
  return draw_from_candidates(row.u);
}

int32_t Sampler::draw_from_all(std::span<const float> logits, float max, float scale, double u) {
  exp_chunks(logits, max, scale, weights_, chunk_sums_);
  double total = 0;
  for (const double sum : chunk_sums_) total += sum;
  double left = u * total;
  size_t chunk = 0;
  while (chunk + 1 < chunk_sums_.size() && left >= chunk_sums_[chunk]) left -= chunk_sums_[chunk++];
  // The chunk's own sum was rounded differently: should the walk run past its end, the last token with any weight is
  // it.
  const size_t begin = chunk * kChunk;
  const size_t end = std::min(begin + kChunk, logits.size());
  int32_t last = -1;
  for (size_t i = begin; i < end; ++i) {
    if (weights_[i] == 0) continue;
    last = static_cast<int32_t>(i);
    if (left < weights_[i]) return last;
    left -= weights_[i];
  }
  return last >= 0 ? last : find_best(logits).token;
}

int32_t Sampler::draw_from_candidates(double u) const {
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.score;
  double left = u * total;
  // By rounding the walk may run past its end: then the last token with any weight is it.
  int32_t last = candidates_.back().token;
  for (const Candidate& candidate : candidates_) {
    if (candidate.score == 0) continue;
    last = candidate.token;
    if (left < candidate.score) break;
    left -= candidate.score;
  }
  return last;
}

// Each filter keeps a prefix of the tokens in rank, so none needs the vocabulary sorted. Leaves weights in candidates_.
void Sampler::gather_candidates(std::span<const float> logits, float max, const RowSampling& row) {
  const float scale = 1 / row.temperature;
  double total = 0;
  if (row.top_k > 0 && static_cast<size_t>(row.top_k) < logits.size()) {
    gather_top(logits, row.top_k, candidates_);
  } else {
    // Tokens each less likely than (1 - top_p) / vocab_size add up to less than 1 - top_p: none of them is in the
    // nucleus.
    double least = row.min_p;
    if (row.top_p < 1) {
      total = sum_exp(logits, max, scale);
      least = std::max(least, (1.0 - row.top_p) / static_cast<double>(logits.size()) * total);
    }
    // A little lower, against rounding: what should not have passed is caught by the exact filters below.
    const double threshold = max + std::log(std::min(least, 1.0)) / scale - 1e-3 * (1 / scale + std::fabs(max) * 1e-3);
    gather_from(logits, static_cast<float>(threshold), candidates_);
  }
  for (Candidate& candidate : candidates_) candidate.score = exp_negative((candidate.score - max) * scale);
  if (total == 0) {
    for (const Candidate& candidate : candidates_) total += candidate.score;
  }
  if (row.top_p < 1) keep_nucleus(row.top_p * total);
  if (row.min_p > 0) {
    std::erase_if(candidates_, [&](const Candidate& candidate) { return candidate.score < row.min_p; });
  }
}

// Keeps the shortest prefix in rank whose weights reach `mass`, at least one token: by bisection, summing only the half
// that is still open, so the work is linear.
void Sampler::keep_nucleus(double mass) {
  selection_ = candidates_;
  auto first = selection_.begin();
  auto last = selection_.end();
  double before = 0;  // weights in front of `first`
  while (last - first > 1) {
    const auto middle = first + (last - first) / 2;
    std::nth_element(first, middle, last, ranks_before);
    double left = 0;
    for (auto at = first; at != middle; ++at) left += at->score;
    if (before + left >= mass) {
      last = middle;
    } else {
      before += left;
      first = middle;
    }
  }
  const Candidate end = *first;
  std::erase_if(candidates_, [&](const Candidate& candidate) { return ranks_before(end, candidate); });
}

}  // namespace jsg
