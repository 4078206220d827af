#include "model/warm_up.h"

#include <algorithm>
#include <chrono>
#include <numeric>

namespace jsg {
namespace {

// Decode steps are recorded for contexts of up to this many tokens, and of twice as many; longer ones when they come.
constexpr int kShortContext = 256;
// Prompts are run in all sizes up to this, in powers of two: products of few rows take other kernels than those of
// many, and the first prompt beside streams comes by a few rows at a time.
constexpr int kMostSmallRows = 512;

void run_prompt(Decoder& decoder, int n_rows, std::span<const int32_t> blocks) {
  Batch batch;
  batch.token_ids.resize(n_rows, 0);
  batch.positions.resize(n_rows);
  std::iota(batch.positions.begin(), batch.positions.end(), 0);
  batch.slices.push_back({0, n_rows, n_rows, blocks.data()});
  batch.logit_rows.push_back(n_rows - 1);
  if (decoder.max_top_logprobs() >= 0) batch.sampling.resize(1);
  decoder.run(batch);
}

// All rows end in the same block, whose content nobody reads.
void run_decode(Decoder& decoder, int n_rows, int context_len, std::span<const int32_t> blocks) {
  Batch batch;
  for (int row = 0; row < n_rows; ++row) {
    batch.token_ids.push_back(0);
    batch.positions.push_back(context_len - 1);
    batch.slices.push_back({row, 1, context_len, blocks.data()});
    batch.logit_rows.push_back(row);
  }
  if (decoder.max_top_logprobs() >= 0) batch.sampling.resize(n_rows);
  // Each step in flight has a recording of its own.
  for (int i = 0; i < decoder.max_in_flight(); ++i) decoder.run(batch);
}

}  // namespace

WarmUp warm_up(Decoder& decoder, int n_blocks, int max_rows, int max_running) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<int> sizes = decoder.backend().recorded_rows();
  if (sizes.empty() || max_rows < 1 || max_running < 1) return {};
  std::vector<int32_t> blocks((std::max(max_rows, 2 * kShortContext) + kBlockSize - 1) / kBlockSize);
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<int32_t>(i) % n_blocks;
  run_prompt(decoder, max_rows, blocks);
  for (int n_rows = kBlockSize; n_rows < max_rows && n_rows <= kMostSmallRows; n_rows *= 2) {
    run_prompt(decoder, n_rows, blocks);
  }
  for (const int size : sizes) {
    for (const int context_len : {kShortContext, 2 * kShortContext}) run_decode(decoder, size, context_len, blocks);
    if (size >= max_running) break;
  }
  return {decoder.backend().n_recorded(),
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
}

}  // namespace jsg
