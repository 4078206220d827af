#include "backend/cuda/attention.h"

#include <algorithm>

#include "backend/cuda/kernels/attention_decode.cuh"
#include "backend/cuda/kernels/attention_reference.cuh"
#include "backend/cuda/kernels/rope_append.cuh"
#include "backend/cuda/prefill_attention.h"

namespace jsg::cuda {
namespace {

constexpr int kMaxSpans = 32;

}  // namespace

template <class T>
Attention<T>::Attention(const DecoderShape& shape, const CudaOptions& options, int n_sms, const Launcher& launch)
    : shape_(shape), format_(options.kv_format), launch_(launch), n_sms_(n_sms) {
  const bool has_kernels = (shape.head_dim == 64 || shape.head_dim == 128) &&
                           shape.n_heads / shape.n_kv_heads <= kMaxGroup && format_ == KvFormat::k16Bit;
  fast_ = options.attention == AttentionPath::kFast && has_kernels;
}

template <class T>
void Attention<T>::make_cache(int n_blocks) {
  layer_bytes_ = static_cast<size_t>(n_blocks) * shape_.n_kv_heads * page_bytes();
  cache_.grow(layer_bytes_ * shape_.n_layers);
  check(cudaMemset(cache_.get(), 0, cache_.bytes()), "clearing the KV cache");
}

template <class T>
uint64_t Attention<T>::kv_bytes_per_token() const {
  return static_cast<uint64_t>(shape_.n_layers) * shape_.n_kv_heads * page_bytes() / kPage;
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
  spans_ = 1;
  while (spans_ < kMaxSpans && spans_ * kShortestSpan < step.max_context &&
         spans_ * step.n_decode * shape_.n_kv_heads < 2 * n_sms_) {
    spans_ *= 2;
  }
  const size_t units = static_cast<size_t>(step.n_decode) * shape_.n_kv_heads;
  const int group = shape_.n_heads / shape_.n_kv_heads;
  bool moved = partial_.grow(units * spans_ * group * (shape_.head_dim + 2));
  if (finished_.grow(units)) {
    moved = true;
    check(cudaMemset(finished_.get(), 0, finished_.bytes()), "clearing counters");
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
  const int n_fast = fast_ ? step_.n_decode : 0;
  if (n_fast > 0) {
    const DecodeAttentionArgs<T> args{qkv, out, cache, view, dims, q_norm, k_norm, partial_.get(), finished_.get()};
    const dim3 grid(spans_, shape_.n_kv_heads, n_fast);
    auto* kernel = shape_.head_dim == 64 ? attention_decode_kernel<T, 64> : attention_decode_kernel<T, 128>;
    launch_(kernel, grid, kDecodeWarps * kWarp, 0, args);
  }
  if (n_fast == step_.n_rows) return;
  const RopeAppendArgs<T> append{qkv, cache, view, dims, q_norm, k_norm, n_fast};
  const PrefillAttentionArgs<T> args{qkv, out, cache, view, dims, n_fast, step_.n_rows};
  if (!fast_) {
    launch_(rope_append_kernel<T>, dim3(step_.n_rows), kRopeThreads, 0, append);
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
