#include "backend/cuda/cuda_backend.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

#include "backend/cpu/dequant.h"
#include "backend/cuda/cublas.h"
#include "backend/cuda/device_memory.h"
#include "backend/cuda/kernels/attention_decode.cuh"
#include "backend/cuda/kernels/attention_prefill.cuh"
#include "backend/cuda/kernels/attention_reference.cuh"
#include "backend/cuda/kernels/elementwise.cuh"
#include "backend/cuda/kernels/gemv.cuh"

namespace jsg::cuda {
namespace {

// Batches up to this size are decoded by a recorded graph.
constexpr int kMaxGraphRows = 64;
constexpr int kMaxSpans = 32;
constexpr int kGemvWarps = 16;
constexpr int kGemvStages = 2;

template <class T>
constexpr ElementType element_type() {
  return std::is_same_v<T, __half> ? ElementType::kF16 : ElementType::kBF16;
}

template <class T>
constexpr DType storage_type() {
  return std::is_same_v<T, __half> ? DType::kF16 : DType::kBF16;
}

template <class T>
struct DeviceTable final : Table {
  std::shared_ptr<Memory<T>> data;
  Memory<float> values;  // of a single row, as fp32
};

template <class T>
struct DeviceLinear final : Linear {
  std::shared_ptr<Memory<T>> data;  // (out_features, in_features)
  Memory<float> bias;
};

template <class T>
class CudaBackend final : public Backend {
 public:
  CudaBackend(const DecoderShape& shape, const CudaOptions& options) : shape_(shape), options_(options) {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, 0), "reading the device's properties");
    n_sms_ = properties.multiProcessorCount;
    dependent_launch_ = properties.major >= 9;
    cublas_ = Cublas::open(stream_);
    if (!cublas_) {
      (void)cudaStreamDestroy(stream_);
      throw Error("E_DEVICE_UNSUITABLE",
                  "libcublas was not found: install CUDA's cuBLAS, or name its folder in LD_LIBRARY_PATH");
    }
    n_tiles_ = (shape.hidden + kTileRows - 1) / kTileRows;
    const bool has_kernels =
        (shape.head_dim == 64 || shape.head_dim == 128) && shape.n_heads / shape.n_kv_heads <= kMaxGroup;
    fast_attention_ = options.attention == AttentionPath::kFast && has_kernels;
  }
  ~CudaBackend() override {
    for (auto& [key, graph] : graphs_) (void)cudaGraphExecDestroy(graph);
    cublas_.reset();
    (void)cudaStreamDestroy(stream_);
  }

  // --- memory ---

  std::unique_ptr<Linear> make_linear(std::span<const WeightView> stacked, std::vector<float> bias) override {
    auto linear = std::make_unique<DeviceLinear<T>>();
    linear->in_features = stacked[0].cols;
    for (const WeightView& view : stacked) linear->out_features += view.rows;
    linear->bytes = static_cast<uint64_t>(linear->out_features) * linear->in_features * sizeof(T);
    const auto shared = stacked.size() == 1 ? tables_.find(stacked[0].data) : tables_.end();
    if (shared != tables_.end()) {
      linear->data = shared->second;  // a head tied to the embedding
    } else {
      linear->data = std::make_shared<Memory<T>>(static_cast<size_t>(linear->out_features) * linear->in_features);
      T* target = linear->data->get();
      for (const WeightView& view : stacked) {
        upload(view, target);
        target += static_cast<size_t>(view.rows) * view.cols;
      }
    }
    if (!bias.empty()) {
      linear->bias.grow(bias.size());
      check(cudaMemcpy(linear->bias.get(), bias.data(), bias.size() * sizeof(float), cudaMemcpyHostToDevice),
            "copying a bias");
    }
    return linear;
  }

  std::unique_ptr<Table> make_table(const WeightView& view) override {
    auto table = std::make_unique<DeviceTable<T>>();
    table->rows = view.rows;
    table->cols = view.cols;
    table->data = std::make_shared<Memory<T>>(static_cast<size_t>(view.rows) * view.cols);
    upload(view, table->data->get());
    if (view.rows == 1) {
      std::vector<float> values(view.cols);
      cpu::dequantize_row(view.dtype, view.data, view.cols, values.data());
      table->values.grow(values.size());
      check(cudaMemcpy(table->values.get(), values.data(), values.size() * sizeof(float), cudaMemcpyHostToDevice),
            "copying a norm");
    } else {
      tables_[view.data] = table->data;
    }
    return table;
  }

  void make_kv_cache(int n_blocks) override {
    layer_elems_ = static_cast<size_t>(n_blocks) * shape_.n_kv_heads * 2 * kPage * shape_.head_dim;
    cache_.grow(layer_elems_ * shape_.n_layers);
    check(cudaMemset(cache_.get(), 0, cache_.bytes()), "clearing the KV cache");
  }

  uint64_t kv_bytes_per_token() const override {
    return static_cast<uint64_t>(shape_.n_layers) * shape_.n_kv_heads * 2 * shape_.head_dim * sizeof(T);
  }

  // --- one step ---

  void begin_step(const Batch& batch, std::span<const float> cos, std::span<const float> sin) override {
    batch_ = &batch;
    n_rows_ = static_cast<int>(batch.token_ids.size());
    const int n_slices = static_cast<int>(batch.slices.size());
    n_decode_ = 0;  // rows that decode come first
    max_context_ = 0;
    int max_blocks = 1;
    for (const SequenceSlice& slice : batch.slices) {
      if (slice.n_rows == 1 && slice.first_row == n_decode_) ++n_decode_;
      max_context_ = std::max(max_context_, slice.context_len);
      max_blocks = std::max(max_blocks, (slice.context_len + kPage - 1) / kPage);
    }
    int stride = 64;
    while (stride < max_blocks) stride *= 2;
    table_stride_ = stride;
    spans_ = 1;
    while (spans_ < kMaxSpans && spans_ * kShortestSpan < max_context_ &&
           spans_ * n_decode_ * shape_.n_kv_heads < 2 * n_sms_) {
      spans_ *= 2;
    }
    max_slice_rows_ = 0;
    for (int i = n_decode_; i < n_slices; ++i) max_slice_rows_ = std::max(max_slice_rows_, batch.slices[i].n_rows);
    reserve(n_rows_, n_slices, static_cast<int>(batch.logit_rows.size()));
    upload_step(cos, sin);

    is_decode_ =
        n_decode_ == n_rows_ && n_rows_ <= kMaxGraphRows && static_cast<int>(batch.logit_rows.size()) == n_rows_;
    fused_ = is_decode_ && n_rows_ <= kMaxGemvRows && fast_attention_;
    replaying_ = capturing_ = false;
    if (is_decode_ && fast_attention_ && options_.use_graphs) {
      key_ = {n_rows_, spans_, table_stride_, batch.greedy};
      replaying_ = graphs_.contains(key_);
      capturing_ = !replaying_;
      if (capturing_) check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "recording a graph");
    }
  }

  void embed(const Table& table, const Table& norm) override {
    if (replaying_) return;
    launch(embed_kernel<T>, dim3(n_rows_), kRowThreads, data(table), ids_, data(norm), shape_.hidden, x_.get(),
           h_.get(), squares_.get());
    if (!fused_) normalize(norm);
  }

  void qkv(const Linear& weight) override { product(weight, h_.get(), qkv_.get()); }

  void attention(int layer, const Table* q_norm, const Table* k_norm) override {
    if (replaying_) return;
    const KvCache<T> cache{cache_.get() + layer * layer_elems_, shape_.n_kv_heads, shape_.head_dim};
    const AttentionDims dims{shape_.n_heads,        shape_.n_kv_heads,       shape_.head_dim,
                             shape_.sliding_window, shape_.rope_interleaved, shape_.eps};
    const StepView step{positions_, sequences_, tables_device_, table_stride_, rotations_.get()};
    const float* q_weight = q_norm ? values(*q_norm) : nullptr;
    const float* k_weight = k_norm ? values(*k_norm) : nullptr;
    const int n_fast = fast_attention_ ? n_decode_ : 0;
    if (n_fast > 0) {
      const DecodeAttentionArgs<T> args{qkv_.get(), attended_.get(), cache,          step,           dims,
                                        q_weight,   k_weight,        partial_.get(), finished_.get()};
      const dim3 grid(spans_, shape_.n_kv_heads, n_fast);
      if (shape_.head_dim == 64) {
        launch(attention_decode_kernel<T, 64>, grid, kDecodeWarps * kWarp, args);
      } else {
        launch(attention_decode_kernel<T, 128>, grid, kDecodeWarps * kWarp, args);
      }
    }
    if (n_fast == n_rows_) return;
    launch(rope_append_kernel<T>, dim3(n_rows_ - n_fast), kRowThreads,
           RopeAppendArgs<T>{qkv_.get(), cache, step, dims, q_weight, k_weight, n_fast});
    const PrefillAttentionArgs<T> args{qkv_.get(), attended_.get(), cache, step, dims, slices_, n_fast};
    if (!fast_attention_) {
      launch(attention_reference_kernel<T>, dim3(n_rows_, shape_.n_heads), kReferenceThreads, args, scores_.get(),
             max_context_);
      return;
    }
    constexpr int kRowsPerBlock = kPrefillWarps * kPrefillRows;
    const dim3 grid((max_slice_rows_ + kRowsPerBlock - 1) / kRowsPerBlock, shape_.n_heads,
                    batch_->slices.size() - n_fast);
    if (shape_.head_dim == 64) {
      launch(attention_prefill_kernel<T, 64>, grid, kPrefillWarps * kWarp, args);
    } else {
      launch(attention_prefill_kernel<T, 128>, grid, kPrefillWarps * kWarp, args);
    }
  }

  void output(const Linear& weight, const Table& next_norm) override {
    add_product(weight, attended_.get(), next_norm);
  }

  void gate_up(const Linear& weight) override {
    if (replaying_) return;
    if (fused_) {
      GemvArgs<T> args = normed(weight, h_.get());
      args.out = activated_.get();
      launch_gemv<Epilogue::kSilu>(args, shape_.intermediate);
      return;
    }
    product(weight, h_.get(), gate_up_.get());
    const int per_block = kRowThreads * 8;
    launch(silu_mul_kernel<T>, dim3((shape_.intermediate + per_block - 1) / per_block, n_rows_), kRowThreads,
           gate_up_.get(), shape_.intermediate, activated_.get());
  }

  void down(const Linear& weight, const Table& next_norm) override { add_product(weight, activated_.get(), next_norm); }

  std::span<float> logits(const Linear& head) override {
    const int n = static_cast<int>(batch_->logit_rows.size());
    const size_t count = static_cast<size_t>(n) * shape_.vocab;
    if (!replaying_ && n > 0) {
      const auto& weight = static_cast<const DeviceLinear<T>&>(head);
      if (fused_) {
        GemvArgs<T> args = normed(head, h_.get());
        args.logits = logits_.get();
        launch_gemv<Epilogue::kLogits>(args, shape_.vocab);
      } else {
        const T* rows = h_.get();
        if (n != n_rows_) {  // gather the wanted rows
          for (int i = 0; i < n; ++i) {
            check(cudaMemcpyAsync(final_.get() + static_cast<size_t>(i) * shape_.hidden,
                                  h_.get() + static_cast<size_t>(batch_->logit_rows[i]) * shape_.hidden,
                                  shape_.hidden * sizeof(T), cudaMemcpyDeviceToDevice, stream_),
                  "gathering rows");
          }
          rows = final_.get();
        }
        dense_product(weight, rows, n, logits_.get(), ElementType::kF32, false);
      }
      if (batch_->greedy) {
        launch(argmax_kernel, dim3(n), kArgmaxThreads, static_cast<const float*>(logits_.get()), shape_.vocab,
               picked_.get());
        check(cudaMemcpyAsync(host_picked_.get(), picked_.get(), n * sizeof(int32_t), cudaMemcpyDeviceToHost, stream_),
              "copying tokens");
      } else {
        check(
            cudaMemcpyAsync(host_logits_.get(), logits_.get(), count * sizeof(float), cudaMemcpyDeviceToHost, stream_),
            "copying logits");
      }
    }
    if (capturing_) {
      cudaGraph_t graph;
      check(cudaStreamEndCapture(stream_, &graph), "recording a graph");
      cudaGraphExec_t exec;
      const cudaError_t status = cudaGraphInstantiate(&exec, graph, 0);
      (void)cudaGraphDestroy(graph);
      check(status, "instantiating a graph");
      graphs_[key_] = exec;
    }
    if (capturing_ || replaying_) check(cudaGraphLaunch(graphs_.at(key_), stream_), "launching a graph");
    check(cudaStreamSynchronize(stream_), "running a step");
    n_picked_ = batch_->greedy ? n : 0;
    return batch_->greedy ? std::span<float>() : std::span<float>(host_logits_.get(), count);
  }

  std::span<const int32_t> greedy_tokens() const override { return {host_picked_.get(), n_picked_}; }

 private:
  static const T* data(const Table& table) { return static_cast<const DeviceTable<T>&>(table).data->get(); }
  static const float* values(const Table& table) { return static_cast<const DeviceTable<T>&>(table).values.get(); }

  template <class... Params, class... Args>
  void launch(void (*kernel)(Params...), dim3 grid, int threads, Args... args) {
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = dim3(threads);
    config.stream = stream_;
    cudaLaunchAttribute attribute;
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    config.attrs = &attribute;
    config.numAttrs = dependent_launch_ ? 1 : 0;
    check(cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...), "launching a kernel");
  }

  // rows * cols elements in T at `target`.
  void upload(const WeightView& view, T* target) {
    const size_t row_elems = static_cast<size_t>(view.cols);
    if (view.dtype == storage_type<T>()) {
      check(
          cudaMemcpy(target, view.data, static_cast<size_t>(view.rows) * row_elems * sizeof(T), cudaMemcpyHostToDevice),
          "copying weights");
      return;
    }
    const DTypeTraits& traits = dtype_traits(view.dtype);
    const size_t row_bytes = row_elems / traits.block_elems * traits.block_bytes;
    const int64_t chunk = std::max<int64_t>(1, (int64_t{4} << 20) / view.cols);
    std::vector<float> row(row_elems);
    std::vector<T> converted(static_cast<size_t>(std::min(chunk, view.rows)) * row_elems);
    for (int64_t first = 0; first < view.rows; first += chunk) {
      const int64_t n = std::min(chunk, view.rows - first);
      for (int64_t r = 0; r < n; ++r) {
        cpu::dequantize_row(view.dtype, view.data + static_cast<size_t>(first + r) * row_bytes, view.cols, row.data());
        for (size_t i = 0; i < row_elems; ++i) converted[r * row_elems + i] = static_cast<T>(row[i]);
      }
      check(cudaMemcpy(target + static_cast<size_t>(first) * row_elems, converted.data(), n * row_elems * sizeof(T),
                       cudaMemcpyHostToDevice),
            "copying weights");
    }
  }

  // Buffers for a step; graphs hold their addresses, so growing drops the graphs.
  void reserve(int n_rows, int n_slices, int n_logits) {
    // In steps of kMaxGraphRows: seldom moved, and every part of the step aligned.
    auto rounded = [](int n) {
      return static_cast<size_t>((std::max(n, 1) + kMaxGraphRows - 1) / kMaxGraphRows * kMaxGraphRows);
    };
    const size_t rows = std::max(rounded(n_rows), place_.rows), slices = std::max(rounded(n_slices), place_.slices);
    const size_t logit_rows = rounded(n_logits);
    const int group = shape_.n_heads / shape_.n_kv_heads;
    bool moved = x_.grow(rows * shape_.hidden);
    moved |= h_.grow(rows * shape_.hidden);
    moved |= final_.grow(logit_rows * shape_.hidden);
    moved |= squares_.grow(rows * n_tiles_);
    moved |= qkv_.grow(rows * shape_.qkv_dim());
    moved |= attended_.grow(rows * shape_.n_heads * shape_.head_dim);
    moved |= gate_up_.grow(rows * 2 * shape_.intermediate);
    moved |= activated_.grow(rows * shape_.intermediate);
    moved |= logits_.grow(logit_rows * shape_.vocab);
    moved |= host_logits_.grow(logit_rows * shape_.vocab);
    moved |= picked_.grow(logit_rows);
    moved |= host_picked_.grow(logit_rows);
    moved |= rotations_.grow(rows * shape_.head_dim / 2);
    moved |= host_rotations_.grow(rows * shape_.head_dim / 2);
    const size_t ints = 3 * rows + 2 * slices + slices * table_stride_;
    moved |= step_.grow(ints);
    moved |= host_step_.grow(ints);
    moved |= partial_.grow(rows * shape_.n_kv_heads * kMaxSpans * group * (shape_.head_dim + 2));
    if (finished_.grow(rows * shape_.n_kv_heads)) {
      moved = true;
      check(cudaMemset(finished_.get(), 0, finished_.bytes()), "clearing counters");
    }
    if (!fast_attention_) moved |= scores_.grow(rows * shape_.n_heads * static_cast<size_t>(max_context_));
    if (!moved) return;
    for (auto& [key, graph] : graphs_) (void)cudaGraphExecDestroy(graph);
    graphs_.clear();
    // Fixed places of the step's parts, so that a graph finds them again.
    ids_ = step_.get();
    positions_ = ids_ + rows;
    sequences_ = positions_ + rows;
    slices_ = reinterpret_cast<int2*>(sequences_ + rows);
    tables_device_ = reinterpret_cast<int32_t*>(slices_ + slices);
    place_ = {rows, slices};
  }

  void upload_step(std::span<const float> cos, std::span<const float> sin) {
    int32_t* host = host_step_.get();
    int32_t* positions = host + place_.rows;
    int32_t* sequences = positions + place_.rows;
    int32_t* slices = sequences + place_.rows;
    int32_t* tables = slices + 2 * place_.slices;
    std::memcpy(host, batch_->token_ids.data(), n_rows_ * sizeof(int32_t));
    std::memcpy(positions, batch_->positions.data(), n_rows_ * sizeof(int32_t));
    size_t i = 0;
    for (const SequenceSlice& slice : batch_->slices) {
      for (int row = 0; row < slice.n_rows; ++row) sequences[slice.first_row + row] = static_cast<int32_t>(i);
      slices[2 * i] = slice.first_row;
      slices[2 * i + 1] = slice.n_rows;
      std::memcpy(tables + i * table_stride_, slice.block_table,
                  (slice.context_len + kPage - 1) / kPage * sizeof(int32_t));
      ++i;
    }
    const size_t ints = 3 * place_.rows + 2 * place_.slices + i * table_stride_;
    check(cudaMemcpyAsync(step_.get(), host, ints * sizeof(int32_t), cudaMemcpyHostToDevice, stream_),
          "copying the step");
    float2* rotations = host_rotations_.get();
    for (size_t j = 0; j < cos.size(); ++j) rotations[j] = {cos[j], sin[j]};
    check(cudaMemcpyAsync(rotations_.get(), rotations, cos.size() * sizeof(float2), cudaMemcpyHostToDevice, stream_),
          "copying the step");
  }

  void normalize(const Table& norm) {
    launch(add_norm_kernel<T>, dim3(n_rows_), kRowThreads, x_.get(), static_cast<const T*>(nullptr), data(norm),
           shape_.hidden, shape_.eps, h_.get());
  }

  // Arguments of a decode product; `normed`: of h, which still has to be scaled by 1 / rms.
  GemvArgs<T> plain(const Linear& linear, const T* x) const {
    const auto& weight = static_cast<const DeviceLinear<T>&>(linear);
    GemvArgs<T> args{};
    args.weight = weight.data->get();
    args.x = x;
    args.bias = weight.bias.get();
    args.n = n_rows_;
    args.in_features = static_cast<int>(linear.in_features);
    args.out_features = static_cast<int>(linear.out_features);
    args.eps = shape_.eps;
    return args;
  }
  GemvArgs<T> normed(const Linear& linear, const T* x) const {
    GemvArgs<T> args = plain(linear, x);
    args.squares = squares_.get();
    args.n_squares = n_tiles_;
    return args;
  }
  template <Epilogue kEpilogue>
  void launch_gemv(const GemvArgs<T>& args, int features) {
    const int tiles = (features + kTileRows - 1) / kTileRows;
    launch(gemv_kernel<T, kEpilogue, kGemvWarps, kGemvStages>, dim3(std::min(tiles, 2 * n_sms_)), kGemvWarps * kWarp,
           args);
  }

  // out (n, out_features) = x W^T (no bias), by cuBLAS.
  void dense_product(const DeviceLinear<T>& weight, const T* x, int n, void* out, ElementType type, bool accumulate) {
    cublas_->product(weight.data->get(), x, element_type<T>(), out, type, static_cast<int>(weight.out_features), n,
                     static_cast<int>(weight.in_features), accumulate);
  }

  void product(const Linear& linear, const T* x, T* out) {
    if (replaying_) return;
    const auto& weight = static_cast<const DeviceLinear<T>&>(linear);
    if (fused_) {
      GemvArgs<T> args = normed(linear, x);
      args.out = out;
      launch_gemv<Epilogue::kStore>(args, args.out_features);
      return;
    }
    dense_product(weight, x, n_rows_, out, element_type<T>(), false);
    if (weight.bias.get()) {
      launch(add_bias_kernel<T>, dim3(n_rows_), kRowThreads, out, static_cast<const float*>(weight.bias.get()),
             static_cast<int>(weight.out_features));
    }
  }

  // x += W from; h for the next product
  void add_product(const Linear& linear, const T* from, const Table& next_norm) {
    if (replaying_) return;
    if (fused_) {
      GemvArgs<T> args = plain(linear, from);
      args.residual = x_.get();
      args.next_norm = data(next_norm);
      args.next_x = h_.get();
      args.next_squares = squares_.get();
      launch_gemv<Epilogue::kResidual>(args, shape_.hidden);
      return;
    }
    dense_product(static_cast<const DeviceLinear<T>&>(linear), from, n_rows_, x_.get(), ElementType::kF32, true);
    normalize(next_norm);
  }

  const DecoderShape shape_;
  const CudaOptions options_;
  cudaStream_t stream_ = nullptr;
  std::unique_ptr<Cublas> cublas_;
  int n_sms_ = 1, n_tiles_ = 1;
  bool dependent_launch_ = false, fast_attention_ = false;
  std::map<const uint8_t*, std::shared_ptr<Memory<T>>> tables_;  // by where they were mapped
  Memory<T> cache_;
  size_t layer_elems_ = 0;

  // Of the current step.
  const Batch* batch_ = nullptr;
  int n_rows_ = 0, n_decode_ = 0, max_context_ = 0, max_slice_rows_ = 0, table_stride_ = 64, spans_ = 1;
  bool is_decode_ = false, fused_ = false, replaying_ = false, capturing_ = false;
  using GraphKey = std::tuple<int, int, int, bool>;  // rows, spans, table stride, greedy
  GraphKey key_;
  std::map<GraphKey, cudaGraphExec_t> graphs_;

  Memory<int32_t> step_;
  Memory<int32_t, Place::kPinnedHost> host_step_;
  struct {
    size_t rows, slices;
  } place_{};
  int32_t *ids_ = nullptr, *positions_ = nullptr, *sequences_ = nullptr, *tables_device_ = nullptr;
  int2* slices_ = nullptr;
  Memory<float2> rotations_;
  Memory<float2, Place::kPinnedHost> host_rotations_;
  Memory<float> x_, squares_, logits_, partial_, scores_;
  Memory<float, Place::kPinnedHost> host_logits_;
  Memory<int32_t> picked_;
  Memory<int32_t, Place::kPinnedHost> host_picked_;
  size_t n_picked_ = 0;
  Memory<T> h_, final_, qkv_, attended_, gate_up_, activated_;
  Memory<uint32_t> finished_;
};

}  // namespace

int cuda_device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

CudaDevice cuda_device() {
  cudaDeviceProp properties;
  if (cuda_device_count() == 0 || cudaGetDeviceProperties(&properties, 0) != cudaSuccess) {
    throw Error("E_DEVICE_UNSUITABLE", "no CUDA device can be used");
  }
  size_t free_bytes = 0, total_bytes = 0;
  check(cudaMemGetInfo(&free_bytes, &total_bytes), "reading the device's memory");
  return {properties.name, properties.major * 10 + properties.minor, properties.integrated != 0, total_bytes,
          free_bytes};
}

std::unique_ptr<Backend> make_cuda_backend(const DecoderShape& shape, const CudaOptions& options) {
  if (options.precision == Precision::kBF16) return std::make_unique<CudaBackend<__nv_bfloat16>>(shape, options);
  return std::make_unique<CudaBackend<__half>>(shape, options);
}

}  // namespace jsg::cuda
