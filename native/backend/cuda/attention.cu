#include "backend/cuda/attention.h"

#include <algorithm>

#include "backend/cuda/decode_attention.h"
#include "backend/cuda/extend_attention.h"
#include "backend/cuda/kernels/attention_reference.cuh"
#include "backend/cuda/kernels/rope_append.cuh"
#include "backend/cuda/prefill_attention.h"

namespace jsg::cuda {
namespace {

// Without clusters, spans are merged through global memory: more of them may be had, but they cost more.
constexpr int kMaxSpans = 32, kLeastPages = 16;
constexpr int kLongSpan = 1024;  // tokens

}  // namespace

template <class T>
Attention<T>::Attention(const DecoderShape& shape, const CudaOptions& options, int n_sms, const Launcher& launch)
    : shape_(shape), format_(options.kv_format), launch_(launch), n_sms_(n_sms) {
  fast_ = options.attention == AttentionPath::kFast && has_prefill_attention(shape.head_dim) &&
          has_decode_attention(shape.head_dim, shape.n_heads / shape.n_kv_heads);
}

template <class T>
void Attention<T>::make_cache(int n_blocks) {
  layer_bytes_ = static_cast<size_t>(n_blocks) * block_bytes();
  cache_.grow(layer_bytes_ * shape_.n_layers);
  check(cudaMemsetAsync(cache_.get(), 0, cache_.bytes(), launch_.stream), "clearing the KV cache");
}

template <class T>
uint64_t Attention<T>::kv_bytes_per_token() const {
  return static_cast<uint64_t>(shape_.n_layers) * shape_.n_kv_heads * page_bytes() / kPage;
}

// Layer by layer: one copy in two dimensions has a largest pitch, which a layer of a large cache exceeds.
template <class T>
void Attention<T>::read_block(int32_t block, uint8_t* to) const {
  const size_t bytes = block_bytes();
  check(cudaStreamSynchronize(launch_.stream), "waiting for a step");
  for (int layer = 0; layer < shape_.n_layers; ++layer) {
    const uint8_t* from = cache_.get() + layer * layer_bytes_ + static_cast<size_t>(block) * bytes;
    check(cudaMemcpy(to + layer * bytes, from, bytes, cudaMemcpyDeviceToHost), "reading KV");
  }
}

template <class T>
void Attention<T>::write_block(int32_t block, const uint8_t* from) {
  const size_t bytes = block_bytes();
  check(cudaStreamSynchronize(launch_.stream), "waiting for a step");
  for (int layer = 0; layer < shape_.n_layers; ++layer) {
    uint8_t* to = cache_.get() + layer * layer_bytes_ + static_cast<size_t>(block) * bytes;
    check(cudaMemcpy(to, from + layer * bytes, bytes, cudaMemcpyHostToDevice), "writing KV");
  }
  // They may have returned before the bytes arrived, and the stream of steps does not wait for that.
  check(cudaStreamSynchronize(cudaStreamLegacy), "writing KV");
}

template <class T>
int Attention<T>::tile_rows() const {
  return extend_rows(shape_.n_heads / shape_.n_kv_heads);
}

template <class T>
int Attention<T>::value_offset() const {
  if (format_ == KvFormat::k16Bit) return kPage * shape_.head_dim * static_cast<int>(sizeof(T));
  return kPage * ((shape_.head_dim + 31) / 32 * 32);
}

template <class T>
int Attention<T>::page_bytes() const {
  const int scales = format_ == KvFormat::kInt8 ? 2 * kPage * static_cast<int>(sizeof(__half)) : 0;
  return 2 * value_offset() + scales;
}

template <class T>
bool Attention<T>::plan(const AttentionStep& step) {
  step_ = step;
  if (!fast_) {
    return scores_.grow(static_cast<size_t>(step.n_rows) * shape_.n_heads * static_cast<size_t>(step.max_context));
  }
  const int group = shape_.n_heads / shape_.n_kv_heads;
  const int units = (step.n_tiles > 0 ? step.n_tiles : step.n_decode) * shape_.n_kv_heads;
  const bool in_cluster = launch_.dependent;  // both need sm >= 90
  least_pages_ = in_cluster ? kDecodeWarps : kLeastPages;
  const int max_spans = in_cluster ? kMaxCluster : kMaxSpans;
  // So many that the blocks fill the GPU at once; and of long contexts no block takes much longer than others.
  const auto wants_more = [&] {
    const bool has_room = 2 * spans_ * units <= 3 * n_sms_;
    return has_room || (spans_ < 4 && step.max_context > spans_ * kLongSpan);
  };
  spans_ = 1;
  while (spans_ < max_spans && spans_ * least_pages_ * kPage < step.max_context && wants_more()) {
    spans_ *= 2;
  }
  if (in_cluster) return false;
  const int n_queries = step.n_tiles > 0 ? group * tile_rows() : group;
  bool moved = partial_.grow(static_cast<size_t>(units) * spans_ * partial_size(n_queries, shape_.head_dim));
  if (finished_.grow(units)) {
    moved = true;
    check(cudaMemsetAsync(finished_.get(), 0, finished_.bytes(), launch_.stream), "clearing counters");
  }
  return moved;
}

template <class T>
void Attention<T>::run(int layer, T* qkv, T* out, const StepView& view, const float* q_norm,
                       const float* k_norm) const {
  const KvCache<T> cache{
      cache_.get() + layer * layer_bytes_, shape_.n_kv_heads, shape_.head_dim, format_, page_bytes(), value_offset()};
  const AttentionDims dims{shape_.n_heads,        shape_.n_kv_heads,       shape_.head_dim,
                           shape_.sliding_window, shape_.rope_interleaved, shape_.eps};
  const SpanScratch scratch{partial_.get(), finished_.get()};
  if (step_.n_tiles > 0) {
    append_rows(launch_, RopeAppendArgs<T>{qkv, cache, view, dims, q_norm, k_norm, 0}, step_.n_rows);
    const ExtendAttentionArgs<T> args{qkv, out, cache, view, dims, least_pages_, scratch};
    extend_attention(launch_, args, step_.n_tiles, spans_);
    return;
  }
  const int n_fast = fast_ ? step_.n_decode : 0;
  if (n_fast > 0) {
    const DecodeAttentionArgs<T> args{qkv, out, cache, view, dims, q_norm, k_norm, least_pages_, scratch};
    decode_attention(launch_, args, n_fast, spans_);
  }
  if (n_fast == step_.n_rows) return;
  const RopeAppendArgs<T> append{qkv, cache, view, dims, q_norm, k_norm, n_fast};
  const PrefillAttentionArgs<T> args{qkv, out, cache, view, dims, n_fast, step_.n_rows};
  if (!fast_) {
    append_rows(launch_, append, step_.n_rows);
    launch_(attention_reference_kernel<T>, dim3(step_.n_rows, shape_.n_heads), kReferenceThreads, 0, args,
            scores_.get(), step_.max_context);
    return;
  }
  prefill_append(launch_, append, step_.n_slices - n_fast, step_.n_rows - n_fast, step_.max_slice_rows);
  prefill_attention(launch_, args, step_.n_slices - n_fast, step_.max_slice_rows);
}

template class Attention<__half>;
template class Attention<__nv_bfloat16>;

}  // namespace jsg::cuda
