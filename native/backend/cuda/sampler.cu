#include "backend/cuda/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "backend/cuda/device_memory.h"
#include "backend/cuda/kernels/sampling_draw.cuh"
#include "backend/cuda/kernels/sampling_rows.cuh"
#include "backend/cuda/launch.h"

namespace jsg::cuda {
namespace {

static_assert(DeviceSampler::kMaxRows == SamplingResults::kMaxRows);
static_assert(DeviceSampler::kMaxTopLogprobs == SamplingResults::kMaxTop);
static_assert(DeviceSampler::kMaxVocab == kMaxTiles * kTile);
static_assert(sizeof(SamplingEntry) == sizeof(LogitBias) && sizeof(SamplingEntry) == sizeof(SeenToken));

// Which kernels a batch needs.
struct Needs {
  bool scan = false, adjust = false, narrow = false, cut = false, draw = false, restore = false, score = false;
  bool mask = false, unmask = false;

  void add(const SamplingRow& row, bool has_best) {
    const bool adjusts = row.adjusts(), scores = row.top_logprobs >= 0;
    scan |= !(row.plain && has_best);
    adjust |= adjusts;
    narrow |= row.top_k == 0 && row.top_p < 1;
    cut |= row.limits();
    draw |= row.filters();
    restore |= adjusts && scores;
    score |= scores;
    mask |= row.first_mask >= 0;
    unmask |= row.first_mask >= 0 && scores;
  }
};

SamplingRow describe(const RowSampling& row, int vocab_size, uint32_t first_entry, int32_t first_mask) {
  SamplingRow out{};
  out.plain = row.is_plain_greedy();
  out.u = row.u;
  out.scale = row.temperature < kMinTemperature ? 0 : 1 / row.temperature;
  const bool draws = out.scale > 0;  // filters change nothing about the likeliest token
  out.top_k = draws && row.top_k > 0 && row.top_k < vocab_size ? row.top_k : 0;
  out.top_p = draws ? row.top_p : 1;
  out.min_p = draws ? row.min_p : 0;
  out.repetition_penalty = row.repetition_penalty;
  out.frequency_penalty = row.frequency_penalty;
  out.presence_penalty = row.presence_penalty;
  out.unseen_row = row.unseen_row;
  out.top_logprobs = static_cast<int16_t>(row.top_logprobs);
  out.first_mask = row.allowed.empty() ? -1 : first_mask;
  out.n_bias = static_cast<int32_t>(row.logit_bias.size());
  out.n_seen = static_cast<int32_t>(row.seen.size());
  out.n_masked = static_cast<int32_t>(row.masked.size());
  out.first_entry = first_entry;
  return out;
}

size_t count_entries(const RowSampling& row) { return row.logit_bias.size() + row.seen.size() + row.masked.size(); }

// Bias (a token's values together, in their order), tokens seen, masked tokens. Returns the end.
SamplingEntry* write_entries(const RowSampling& row, SamplingEntry* out) {
  const auto by_token = [](const auto& a, const auto& b) { return a.token < b.token; };
  SamplingEntry* const bias = out;
  for (const LogitBias& entry : row.logit_bias) *out++ = {entry.token, {.value = entry.value}};
  if (!std::is_sorted(bias, out, by_token)) std::stable_sort(bias, out, by_token);
  for (const SeenToken& entry : row.seen) *out++ = {entry.token, {.n_generated = entry.n_generated}};
  for (const int32_t token : row.masked) *out++ = {token, {.n_generated = 0}};
  return out;
}

}  // namespace

struct DeviceSampler::Slot {
  Memory<uint4, Place::kPinnedHost> host;  // rows, then entries, then masks
  Memory<uint4> device;                    // the same
  Memory<SamplingResults, Place::kPinnedHost> results{1};
  std::vector<int> n_top;  // of each row: RowSampling::top_logprobs
  std::vector<SampledToken> sampled;
};

struct DeviceSampler::Scratch {
  Memory<RowState> states;
  Memory<TileSummary> tiles;
  Memory<float> group_max;
  Memory<float> list;
  Memory<int32_t> list_ids;
  Memory<Amount> histogram;
  Memory<UnseenToken> unseen;
  Memory<float> saved, unmasked;
  Memory<int32_t> tokens{kMaxRows};
  int n_rows = 0;
};

DeviceSampler::DeviceSampler(int vocab_size, bool dependent_launch)
    : vocab_size_(vocab_size), dependent_launch_(dependent_launch), scratch_(std::make_unique<Scratch>()) {
  if (vocab_size > kMaxVocab) {
    throw Error("E_DEVICE_UNSUITABLE", "the CUDA backend samples from at most " + std::to_string(kMaxVocab) +
                                           " tokens, and this model has " + std::to_string(vocab_size));
  }
  check(cudaMemset(scratch_->tokens.get(), 0, scratch_->tokens.bytes()), "clearing tokens");
  check(cudaStreamSynchronize(cudaStreamLegacy), "clearing tokens");  // before any stream that would not wait for it
  for (auto& slot : slots_) slot = std::make_unique<Slot>();
}

DeviceSampler::~DeviceSampler() = default;

const int32_t* DeviceSampler::tokens() const { return scratch_->tokens.get(); }

void DeviceSampler::reserve(cudaStream_t stream, int n_rows, size_t n_entries) {
  Scratch& s = *scratch_;
  s.saved.grow(std::bit_ceil(std::max<size_t>(n_entries, 1024)));
  if (n_rows <= s.n_rows) return;
  const size_t rows = std::bit_ceil(static_cast<size_t>(std::max(n_rows, 32)));
  const size_t n_tiles = (vocab_size_ + kTile - 1) / kTile;
  s.states.grow(rows);
  s.tiles.grow(rows * n_tiles);
  s.group_max.grow(rows * n_tiles * kGroupsPerTile);
  s.list.grow(rows * kMaxListed);
  s.list_ids.grow(rows * kMaxListed);
  s.histogram.grow(rows * kBins);
  s.unseen.grow(rows);
  check(cudaMemsetAsync(s.states.get(), 0, s.states.bytes(), stream), "clearing the sampler's state");
  check(cudaMemsetAsync(s.histogram.get(), 0, s.histogram.bytes(), stream), "clearing the sampler's histograms");
  s.n_rows = static_cast<int>(rows);
}

void DeviceSampler::launch(cudaStream_t stream, float* logits, const uint64_t* best, std::span<const RowSampling> rows,
                           int slot_index) {
  const int n = static_cast<int>(rows.size());
  if (n < 1 || n > kMaxRows) throw Error("E_RUNTIME_FAILED", "CUDA: cannot sample " + std::to_string(n) + " rows");
  Slot& slot = *slots_[slot_index];
  size_t n_entries = 0;
  for (const RowSampling& row : rows) n_entries += count_entries(row);
  reserve(stream, n, n_entries);

  const size_t row_bytes = (n * sizeof(SamplingRow) + sizeof(uint4) - 1) / sizeof(uint4) * sizeof(uint4);
  const size_t mask_begin = (row_bytes + n_entries * sizeof(SamplingEntry) + sizeof(uint4) - 1) / sizeof(uint4);
  const size_t mask_units = (vocab_size_ + 127) / 128;
  const size_t n_masks = std::count_if(rows.begin(), rows.end(), [](const auto& row) { return !row.allowed.empty(); });
  const size_t n_units = mask_begin + n_masks * mask_units;
  const size_t capacity = std::bit_ceil(std::max<size_t>(n_units, 8192));
  slot.host.grow(capacity);
  slot.device.grow(capacity);
  auto* const row_out = reinterpret_cast<SamplingRow*>(slot.host.get());
  auto* const entries = reinterpret_cast<SamplingEntry*>(reinterpret_cast<char*>(slot.host.get()) + row_bytes);
  SamplingEntry* entry_out = entries;
  uint4* const masks = slot.host.get() + mask_begin;
  size_t next_mask = 0;
  Needs needs;
  bool all_greedy = true;
  slot.n_top.clear();
  for (int i = 0; i < n; ++i) {
    if (rows[i].top_logprobs > kMaxTopLogprobs) {
      throw Error("E_RUNTIME_FAILED", "CUDA: at most " + std::to_string(kMaxTopLogprobs) + " top_logprobs");
    }
    row_out[i] =
        describe(rows[i], vocab_size_, static_cast<uint32_t>(entry_out - entries), static_cast<int32_t>(next_mask));
    if (!rows[i].allowed.empty()) {
      const size_t n_words = std::min<size_t>(rows[i].allowed.size(), mask_units * 4);
      auto* const words = reinterpret_cast<uint32_t*>(masks + next_mask);
      std::copy_n(rows[i].allowed.begin(), n_words, words);
      std::fill_n(words + n_words, mask_units * 4 - n_words, 0u);
      next_mask += mask_units;
    }
    entry_out = write_entries(rows[i], entry_out);
    needs.add(row_out[i], best != nullptr);
    all_greedy &= row_out[i].plain != 0;
    slot.n_top.push_back(rows[i].top_logprobs);
  }

  Scratch& s = *scratch_;
  if (needs.unmask) s.unmasked.grow(std::bit_ceil(static_cast<size_t>(n)) * vocab_size_);
  auto* const device_rows = reinterpret_cast<SamplingRow*>(slot.device.get());
  const SamplingView view{
      .logits = logits,
      .best = reinterpret_cast<const Packed*>(best),
      .rows = device_rows,
      .entries = reinterpret_cast<const SamplingEntry*>(reinterpret_cast<const char*>(slot.device.get()) + row_bytes),
      .masks = slot.device.get() + mask_begin,
      .unmasked = s.unmasked.get(),
      .saved = s.saved.get(),
      .unseen = s.unseen.get(),
      .states = s.states.get(),
      .tiles = s.tiles.get(),
      .group_max = s.group_max.get(),
      .list = s.list.get(),
      .list_ids = s.list_ids.get(),
      .histogram = s.histogram.get(),
      .tokens = s.tokens.get(),
      .results = slot.results.get(),
      .n_rows = n,
      .vocab = vocab_size_,
      .n_tiles = (vocab_size_ + kTile - 1) / kTile,
  };
  const Launcher launcher{.stream = stream, .dependent = dependent_launch_};
  const auto run = [&](auto* kernel, dim3 grid, auto... args) { launcher(kernel, grid, kSamplingThreads, 0, args...); };
  const dim3 tiles(view.n_tiles, n);
  if (!needs.scan) {
    run(greedy_kernel, dim3((n + kSamplingThreads - 1) / kSamplingThreads), view);
    return;
  }
  if (all_greedy) {
    run(scan_kernel<true>, tiles, view);
    return;
  }
  const int n_blocks = std::clamp(static_cast<int>(n_units / kSamplingThreads), 1, 64);
  run(fetch_kernel, dim3(n_blocks), slot.host.get(), slot.device.get(), static_cast<int>(n_units));
  if (needs.adjust) run(adjust_kernel, dim3(n), view);
  if (needs.mask) run(mask_kernel, tiles, view);
  run(scan_kernel<false>, tiles, view);
  if (needs.narrow) run(narrow_kernel, tiles, view);
  if (needs.cut) run(cut_kernel, tiles, view);
  if (needs.draw) run(draw_kernel, tiles, view);
  if (needs.unmask) run(unmask_kernel, tiles, view);
  if (needs.restore) run(restore_kernel, dim3(n), view);
  if (needs.score) run(score_kernel, tiles, view);
}

std::span<const SampledToken> DeviceSampler::result(int slot_index) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  Slot& slot = *slots_[slot_index];
  const SamplingResults& results = *slot.results.get();
  slot.sampled.clear();
  for (size_t i = 0; i < slot.n_top.size(); ++i) {
    const int32_t token = results.tokens[i];
    if (token < 0 || slot.n_top[i] < 0) {
      slot.sampled.push_back({token, kNaN, {}});
      continue;
    }
    const size_t n_top = std::min(slot.n_top[i], vocab_size_);
    slot.sampled.push_back({token, results.logprobs[i], {results.top[i], n_top}});
  }
  return slot.sampled;
}

}  // namespace jsg::cuda
