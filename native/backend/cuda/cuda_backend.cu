#include "backend/cuda/cuda_backend.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "backend/cuda/attention.h"
#include "backend/cuda/copy_lane.h"
#include "backend/cuda/cublas.h"
#include "backend/cuda/device_memory.h"
#include "backend/cuda/int8_products.h"
#include "backend/cuda/kernels/elementwise.cuh"
#include "backend/cuda/kernels/embed.cuh"
#include "backend/cuda/launch.h"
#include "backend/cuda/prefill_products.h"
#include "backend/cuda/products.h"
#include "backend/cuda/sampler.h"
#include "backend/cuda/step_buffers.h"
#include "backend/cuda/tensors.h"

namespace jsg::cuda {
namespace {

// Sizes that decode steps are filled up to, so that few graphs are recorded. Products of 1 to 8, to 16, 32, 48 and 64
// rows take the same time.
constexpr int kBuckets[] = {1, 2, 4, 8, 16, 24, 32, 48, 64};

int bucket(int n_rows) { return *std::lower_bound(std::begin(kBuckets), std::end(kBuckets), n_rows); }

cudaDeviceProp device_properties() {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "reading the device's properties");
  return properties;
}

cudaStream_t make_stream() {
  cudaStream_t stream;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
  return stream;
}

template <class T>
class CudaBackend final : public Backend {
 public:
  CudaBackend(const DecoderShape& shape, const CudaOptions& options)
      : shape_(shape),
        options_(options),
        properties_(device_properties()),
        launch_{make_stream(), properties_.major >= 9},
        cublas_(Cublas::open(launch_.stream)),
        attention_(shape, options, properties_.multiProcessorCount, launch_),
        fused_products_(properties_, launch_),
        prefill_products_(properties_, launch_),
        int8_products_(launch_),
        sampler_(shape.vocab, launch_.dependent),
        buffers_(shape.head_dim / 2) {
    if (!cublas_) {
      throw Error("E_DEVICE_UNSUITABLE",
                  "libcublas was not found: install CUDA's cuBLAS, or name its folder in LD_LIBRARY_PATH");
    }
    for (Slot& slot : slots_) check(cudaEventCreateWithFlags(&slot.done, cudaEventDisableTiming), "creating an event");
  }
  ~CudaBackend() override {
    (void)cudaStreamSynchronize(launch_.stream);
    destroy_graphs();
    for (Slot& slot : slots_) (void)cudaEventDestroy(slot.done);
    cublas_.reset();
    (void)cudaStreamDestroy(launch_.stream);
  }

  // --- memory ---

  std::unique_ptr<Linear> make_linear(std::span<const WeightView> stacked, std::vector<float> bias) override {
    auto linear = std::make_unique<DeviceLinear<T>>();
    linear->in_features = stacked[0].cols;
    for (const WeightView& view : stacked) linear->out_features += view.rows;
    linear->bytes = static_cast<uint64_t>(linear->out_features) * linear->in_features * sizeof(T);
    const auto shared = stacked.size() == 1 ? tables_.find(identity(stacked[0])) : tables_.end();
    if (const auto tiles = CodeTiles::of(stacked, storage_type<T>())) {
      load_codes(*linear, *tiles, stacked);
    } else if (shared != tables_.end()) {
      linear->data = shared->second;  // a head tied to the embedding
    } else {
      linear->data = std::make_shared<Memory<T>>(static_cast<size_t>(linear->out_features) * linear->in_features);
      T* target = linear->data->get();
      for (const WeightView& view : stacked) {
        loader().copy(view, storage_type<T>(), target);
        target += static_cast<size_t>(view.rows) * view.cols;
      }
    }
    if (!bias.empty()) {
      linear->bias.grow(bias.size());
      copy_to_device(linear->bias.get(), bias.data(), bias.size() * sizeof(float), "copying a bias");
    }
    return linear;
  }

  std::unique_ptr<Table> make_table(const WeightView& view) override {
    auto table = std::make_unique<DeviceTable<T>>();
    table->rows = view.rows;
    table->cols = view.cols;
    table->data = std::make_shared<Memory<T>>(static_cast<size_t>(view.rows) * view.cols);
    loader().copy(view, storage_type<T>(), table->data->get());
    if (view.rows == 1) {
      table->values.grow(static_cast<size_t>(view.cols));
      loader().copy(view, DType::kF32, table->values.get());
    } else {
      tables_[identity(view)] = table->data;
    }
    return table;
  }

  uint64_t await_weights(std::chrono::milliseconds timeout) override { return loader_ ? loader_->wait(timeout) : 0; }

  void make_kv_cache(int n_blocks) override {
    loader_.reset();  // its work is done: what it staged in becomes free
    attention_.make_cache(n_blocks);
  }
  uint64_t kv_bytes_per_token() const override { return attention_.kv_bytes_per_token(); }
  void read_block(int32_t block, uint8_t* to) override { attention_.read_block(block, to); }
  void write_block(int32_t block, const uint8_t* from) override { attention_.write_block(block, from); }

  // --- one step ---

  int max_in_flight() const override { return kSlots; }
  int max_top_logprobs() const override { return DeviceSampler::kMaxTopLogprobs; }
  std::vector<int> recorded_rows() const override {
    if (!options_.use_graphs || !attention_.is_fast()) return {};
    return {std::begin(kBuckets), std::end(kBuckets)};
  }
  int n_recorded() const override {
    return static_cast<int>(std::ranges::count_if(graphs_, [](const auto& entry) { return entry.second != nullptr; }));
  }

  void begin_step(const Batch& batch, std::span<const float> cos, std::span<const float> sin) override {
    batch_ = &batch;
    slot_ = static_cast<int>(n_launched_ % kSlots);
    const int n_batch = static_cast<int>(batch.token_ids.size());
    AttentionStep step{n_batch, 0, static_cast<int>(batch.slices.size()), 0, 1};
    int n_tiles = 0;
    const int tile_rows = attention_.tile_rows();
    for (const SequenceSlice& slice : batch.slices) {
      if (slice.n_rows == 1 && slice.first_row == step.n_decode) {
        ++step.n_decode;
      } else {
        step.max_slice_rows = std::max(step.max_slice_rows, slice.n_rows);
      }
      step.max_context = std::max(step.max_context, slice.context_len);
      n_tiles += (slice.n_rows + tile_rows - 1) / tile_rows;
    }
    const bool is_short = n_batch <= kMaxFusedRows || step.max_slice_rows <= kShortSlice;
    if (attention_.is_fast() && step.n_decode < n_batch && is_short) {
      step.n_tiles = n_tiles;
      step.n_decode = 0;
    }
    int8_rows_ = options_.int8_prompts && n_batch > kMaxFusedRows;
    many_rows_ = n_batch > kMaxFusedRows && !int8_rows_ && attention_.is_fast() && prefill_products_.can_run(n_batch);
    fused_ = many_rows_ || (n_batch <= kMaxFusedRows && attention_.is_fast());
    n_logits_ = static_cast<int>(batch.logit_rows.size());
    gathers_logits_ = n_logits_ != n_batch;
    const bool records = fused_ && !many_rows_ && options_.use_graphs && n_logits_ > 0;
    if (records) fill_up(step);
    n_rows_ = step.n_rows;
    bool moved = attention_.plan(step);
    moved |= reserve();
    moved |= buffers_.upload(batch, step, tile_rows, cos, sin, slot_, launch_.stream);
    if (moved || graphs_.size() >= kMostGraphs) drop_graphs();

    key_ = {slot_, n_rows_, step.n_tiles, gathers_logits_ ? n_logits_ : 0, attention_.spans()};
    const auto recorded = records ? graphs_.try_emplace(key_, nullptr) : std::pair(graphs_.end(), false);
    replaying_ = records && recorded.first->second != nullptr;
    // There are many kinds of steps with tiles: one that comes once is not worth a recording.
    recording_ = records && !replaying_ && (step.n_tiles == 0 || !recorded.second);
    slots_[slot_].graph = replaying_;
    if (recording_)
      check(cudaStreamBeginCapture(launch_.stream, cudaStreamCaptureModeThreadLocal), "recording a graph");
  }

  void embed(const Table& table, const Table& norm) override {
    if (replaying_) return;
    ProductArgs<T> as_plain{};
    as_plain.n = n_rows_;
    as_plain.out_features = shape_.hidden;
    n_squares_ = squares_of(as_plain);
    launch_(
        embed_kernel<T>, dim3(n_rows_), kEmbedThreads, 0,
        EmbedArgs<T>{data(table), buffers_.ids(), sampler_.tokens(), data(norm), shape_.hidden, fused_ ? n_squares_ : 0,
                     shape_.eps, x_.get(), h_.get(), squares_.get(), best_.get(), std::min(n_rows_, kMaxFusedRows)});
  }

  void qkv(const Linear& weight) override {
    if (replaying_) return;
    if (fused_) {
      ProductArgs<T> args = normed(weight, h_.get());
      args.out = qkv_.get();
      run_product(Epilogue::kStore, args);
      return;
    }
    const auto& linear = static_cast<const DeviceLinear<T>&>(weight);
    if (takes_int8(linear)) {
      ProductArgs<T> args = plain(weight, h_.get());
      args.out = qkv_.get();
      int8_products_.run(Epilogue::kStore, args);
      return;
    }
    dense_product(linear, h_.get(), n_rows_, qkv_.get(), element_type<T>(), false);
    if (!linear.bias.get()) return;
    launch_(add_bias_kernel<T>, dim3(n_rows_), kRowThreads, 0, qkv_.get(), static_cast<const float*>(linear.bias.get()),
            static_cast<int>(linear.out_features));
  }

  void attention(int layer, const Table* q_norm, const Table* k_norm) override {
    if (replaying_) return;
    attention_.run(layer, qkv_.get(), attended_.get(), buffers_.view(), q_norm ? values(*q_norm) : nullptr,
                   k_norm ? values(*k_norm) : nullptr);
  }

  void output(const Linear& weight, const Table& next_norm) override {
    add_product(weight, attended_.get(), next_norm);
  }

  void gate_up(const Linear& weight) override {
    if (replaying_) return;
    if (fused_) {
      ProductArgs<T> args = normed(weight, h_.get());
      args.out = activated_.get();
      run_product(Epilogue::kSilu, args);
      return;
    }
    const auto& linear = static_cast<const DeviceLinear<T>&>(weight);
    if (takes_int8(linear)) {
      ProductArgs<T> args = plain(weight, h_.get());
      args.out = activated_.get();
      int8_products_.run(Epilogue::kSilu, args);
      return;
    }
    dense_product(linear, h_.get(), n_rows_, gate_up_.get(), element_type<T>(), false);
    const int per_block = kRowThreads * 8;
    launch_(silu_mul_kernel<T>, dim3((shape_.intermediate + per_block - 1) / per_block, n_rows_), kRowThreads, 0,
            gate_up_.get(), shape_.intermediate, activated_.get());
  }

  void down(const Linear& weight, const Table& next_norm) override { add_product(weight, activated_.get(), next_norm); }

  void logits(const Linear& head) override {
    if (!replaying_ && n_logits_ > 0) head_product(head);
    if (recording_) end_recording();
    if (recording_ || replaying_) check(cudaGraphLaunch(graphs_.at(key_), launch_.stream), "launching a graph");
    Slot& slot = slots_[slot_];
    ++n_launched_;
    slot.sampled = batch_->samples_later || !batch_->sampling.empty();
    if (batch_->samples_later) return;
    slot.n_logits = slot.sampled ? 0 : batch_->logit_rows.size() * shape_.vocab;
    if (slot.sampled) {
      sample(batch_->sampling);
      return;
    }
    if (slot.n_logits > 0) {
      slot.logits.grow(slot.n_logits);
      check(cudaMemcpyAsync(slot.logits.get(), logits_.get(), slot.n_logits * sizeof(float), cudaMemcpyDeviceToHost,
                            launch_.stream),
            "copying logits");
    }
    check(cudaEventRecord(slot.done, launch_.stream), "launching a step");
  }

  void sample(std::span<const RowSampling> rows) override {
    sampler_.launch(launch_.stream, logits_.get(), n_logits_ <= kMaxFusedRows ? best_.get() : nullptr, rows, slot_);
    check(cudaEventRecord(slots_[slot_].done, launch_.stream), "launching a step");
  }

  StepOutput wait() override {
    const int index = static_cast<int>(n_waited_++ % kSlots);
    Slot& slot = slots_[index];
    check(cudaEventSynchronize(slot.done), "running a step");
    if (slot.sampled) return {{}, sampler_.result(index), slot.graph};
    return {{slot.logits.get(), slot.n_logits}, {}, slot.graph};
  }

 private:
  static constexpr int kSlots = StepBuffers::kSlots;
  static_assert(kSlots == DeviceSampler::kSlots);

  struct Slot {
    cudaEvent_t done = nullptr;
    bool sampled = false, graph = false;
    size_t n_logits = 0;
    Memory<float, Place::kPinnedHost> logits;
  };

  static const T* data(const Table& table) { return static_cast<const DeviceTable<T>&>(table).data->get(); }
  static const float* values(const Table& table) { return static_cast<const DeviceTable<T>&>(table).values.get(); }

  // What makes two views the same tensor.
  static const void* identity(const WeightView& view) {
    return view.source ? static_cast<const void*>(view.source) : view.data;
  }

  WeightLoader& loader() {
    if (!loader_) loader_ = make_weight_loader(properties_.integrated != 0);
    return *loader_;
  }

  void load_codes(DeviceLinear<T>& linear, const CodeTiles& tiles, std::span<const WeightView> stacked) {
    auto tiles_of = [](int64_t rows) { return static_cast<uint64_t>((rows + kTileRows - 1) / kTileRows); };
    linear.bytes = tiles_of(linear.out_features) * tiles.bytes();
    linear.codes.grow(linear.bytes);
    linear.codes_view = tiles.view();
    linear.codes_view.data = linear.codes.get();
    uint8_t* target = linear.codes.get();
    const auto format = std::make_shared<const CodeTiles>(tiles);
    for (const WeightView& view : stacked) {
      loader().copy(view, format, target);
      target += tiles_of(view.rows) * tiles.bytes();
    }
  }

  // Buffers for the step's rows. True when one that recorded graphs hold has moved.
  bool reserve() {
    // In steps of kMaxFusedRows: seldom moved.
    auto rounded = [](int n) {
      return static_cast<size_t>((std::max(n, 1) + kMaxFusedRows - 1) / kMaxFusedRows * kMaxFusedRows);
    };
    const size_t rows = rounded(n_rows_), logit_rows = rounded(n_logits_);
    bool moved = x_.grow(rows * shape_.hidden);
    moved |= h_.grow(rows * shape_.hidden);
    moved |= qkv_.grow(rows * shape_.qkv_dim());
    moved |= attended_.grow(rows * shape_.n_heads * shape_.head_dim);
    moved |= activated_.grow(rows * shape_.intermediate);
    const size_t fused_rows = many_rows_ ? rows : kMaxFusedRows;
    const int squares_tile = many_rows_ ? PrefillProducts<T>::kLeastSquaresTile : kSquaresTile;
    moved |= squares_.grow(fused_rows * ((shape_.hidden + squares_tile - 1) / squares_tile));
    moved |= logits_.grow(logit_rows * shape_.vocab);
    moved |= best_.grow(kMaxFusedRows);
    moved |= final_.grow(logit_rows * shape_.hidden);
    moved |= final_squares_.grow(squares_.bytes() / sizeof(float));
    if (!fused_) gate_up_.grow(rows * 2 * shape_.intermediate);  // only prompts use it
    return moved;
  }

  // To sizes of which there are few. Where only some rows' logits are wanted, those of one, or of as many as rows.
  void fill_up(AttentionStep& step) {
    const int n_rows = bucket(step.n_rows);
    if (step.n_tiles > 0) {
      const int least = (n_rows + attention_.tile_rows() - 1) / attention_.tile_rows();
      step.n_tiles = step.n_tiles <= least ? least : n_rows;
    } else {
      step.n_decode = n_rows;
    }
    if (!gathers_logits_ || n_logits_ > 1) n_logits_ = n_rows;
    step.n_rows = step.n_slices = n_rows;
  }

  void destroy_graphs() {
    for (auto& [key, graph] : graphs_) {
      if (graph) (void)cudaGraphExecDestroy(graph);
    }
    graphs_.clear();
  }
  void drop_graphs() {
    if (graphs_.empty()) return;
    check(cudaStreamSynchronize(launch_.stream), "running a step");
    destroy_graphs();
  }

  void end_recording() {
    cudaGraph_t graph;
    check(cudaStreamEndCapture(launch_.stream, &graph), "recording a graph");
    cudaGraphExec_t exec;
    const cudaError_t status = cudaGraphInstantiate(&exec, graph, 0);
    (void)cudaGraphDestroy(graph);
    check(status, "instantiating a graph");
    graphs_[key_] = exec;
  }

  // Arguments of a fused product; `normed`: of h, which still has to be scaled by 1 / rms.
  ProductArgs<T> plain(const Linear& linear, const T* x) const {
    const auto& weight = static_cast<const DeviceLinear<T>&>(linear);
    ProductArgs<T> args{};
    if (weight.data) args.weight = weight.data->get();
    args.codes = weight.codes_view;
    args.x = x;
    args.bias = weight.bias.get();
    args.n = n_rows_;
    args.in_features = static_cast<int>(linear.in_features);
    args.out_features = static_cast<int>(linear.out_features);
    args.eps = shape_.eps;
    return args;
  }
  ProductArgs<T> normed(const Linear& linear, const T* x) const {
    ProductArgs<T> args = plain(linear, x);
    args.squares = squares_.get();
    args.n_squares = n_squares_;
    return args;
  }
  void run_product(Epilogue epilogue, ProductArgs<T> args) {
    if (many_rows_) {
      if (!args.weight) args.weight = expanded(args.codes, 0, args.out_features, args.in_features);
      prefill_products_.run(epilogue, args);
    } else {
      fused_products_.run(epilogue, args);
    }
  }
  bool takes_int8(const DeviceLinear<T>& weight) const { return int8_rows_ && weight.codes_view.bits > 0; }
  // Rows [first, first + n_rows) of a weight of codes as plain ones, until the next call; `first` begins a tile.
  const T* expanded(const CodesView& codes, int64_t first, int64_t n_rows, int64_t in_features) {
    expanded_.grow(static_cast<size_t>(n_rows * in_features));
    CodesView part = codes;
    part.data += first / kTileRows * codes.tile_bytes;
    fused_products_.of_codes().expand(part, static_cast<int>(n_rows), static_cast<int>(in_features), expanded_.get());
    return expanded_.get();
  }
  // Sums of squares of a row that a product which adds to x leaves.
  int squares_of(const ProductArgs<T>& args) const {
    const int tile =
        many_rows_ ? prefill_products_.squares_tile(n_rows_, shape_.hidden) : fused_products_.squares_tile(args);
    return (shape_.hidden + tile - 1) / tile;
  }

  // out (n, out_features) = x W^T (no bias), by cuBLAS; of codes so many features at a time as little memory holds.
  void dense_product(const DeviceLinear<T>& weight, const T* x, int n, void* out, ElementType type, bool accumulate) {
    const int out_features = static_cast<int>(weight.out_features), in_features = static_cast<int>(weight.in_features);
    const int at_once = kExpandedElems / in_features / kTileRows * kTileRows;
    const int step = weight.data ? out_features : std::max(at_once, kTileRows);
    for (int first = 0; first < out_features; first += step) {
      const int n_rows = std::min(step, out_features - first);
      const T* rows = weight.data ? weight.data->get() : expanded(weight.codes_view, first, n_rows, in_features);
      cublas_->product(rows, x, element_type<T>(), static_cast<uint8_t*>(out) + first * bytes_of(type), type, n_rows, n,
                       in_features, out_features, accumulate);
    }
  }

  // x += W from; h for the next product
  void add_product(const Linear& linear, const T* from, const Table& next_norm) {
    if (replaying_) return;
    if (fused_) {
      ProductArgs<T> args = plain(linear, from);
      args.residual = x_.get();
      args.next_norm = data(next_norm);
      args.next_x = h_.get();
      args.next_squares = squares_.get();
      run_product(Epilogue::kResidual, args);
      n_squares_ = squares_of(args);
      last_norm_ = data(next_norm);
      return;
    }
    const auto& weight = static_cast<const DeviceLinear<T>&>(linear);
    if (takes_int8(weight)) {
      ProductArgs<T> args = plain(linear, from);
      args.residual = x_.get();
      int8_products_.run(Epilogue::kResidual, args);
    } else {
      dense_product(weight, from, n_rows_, x_.get(), ElementType::kF32, true);
    }
    launch_(add_norm_kernel<T>, dim3(n_rows_), kRowThreads, 0, x_.get(), static_cast<const T*>(nullptr),
            data(next_norm), shape_.hidden, shape_.eps, h_.get());
  }

  void head_product(const Linear& head) {
    // cuBLAS wants whole norms.
    if (fused_ && n_logits_ > kMaxFusedRows) {
      launch_(add_norm_kernel<T>, dim3(n_rows_), kRowThreads, 0, x_.get(), static_cast<const T*>(nullptr), last_norm_,
              shape_.hidden, shape_.eps, h_.get());
    }
    const T* rows = h_.get();
    const float* squares = squares_.get();
    if (gathers_logits_) {
      launch_(gather_rows_kernel<T>, dim3(n_logits_), kEmbedThreads, 0, buffers_.logit_rows(), h_.get(), shape_.hidden,
              final_.get(), squares_.get(), fused_ ? n_squares_ : 0, final_squares_.get());
      rows = final_.get();
      squares = final_squares_.get();
    }
    const auto& linear = static_cast<const DeviceLinear<T>&>(head);
    if (n_logits_ > kMaxFusedRows && linear.data) {
      dense_product(linear, rows, n_logits_, logits_.get(), ElementType::kF32, false);
      return;
    }
    const bool whole_norms = !fused_ || n_logits_ > kMaxFusedRows;
    ProductArgs<T> args = whole_norms ? plain(head, rows) : normed(head, rows);
    if (!whole_norms) args.squares = squares;
    args.best = best_.get();
    // Of codes, any number of rows: a plain copy of a whole head would be too large.
    for (int first = 0; first < n_logits_; first += kMaxFusedRows) {
      args.n = std::min(n_logits_ - first, kMaxFusedRows);
      args.x = rows + static_cast<size_t>(first) * shape_.hidden;
      args.logits = logits_.get() + static_cast<size_t>(first) * shape_.vocab;
      fused_products_.run(Epilogue::kLogits, args);
    }
  }

  static constexpr int kShortSlice = 16;  // rows up to which a sequence's context is better split than its rows
  static constexpr size_t kMostGraphs = 512;
  static constexpr int kExpandedElems = 32 << 20;  // 64 MiB
  static constexpr int kSquaresTile = 16;          // the least of FusedProducts::squares_tile()

  const DecoderShape shape_;
  const CudaOptions options_;
  const cudaDeviceProp properties_;
  const Launcher launch_;
  std::unique_ptr<Cublas> cublas_;
  Attention<T> attention_;
  FusedProducts<T> fused_products_;
  PrefillProducts<T> prefill_products_;
  Int8Products<T> int8_products_;
  DeviceSampler sampler_;
  std::map<const void*, std::shared_ptr<Memory<T>>> tables_;  // by identity()

  StepBuffers buffers_;
  Slot slots_[kSlots];
  uint64_t n_launched_ = 0, n_waited_ = 0;

  // Of the step that is being launched.
  const Batch* batch_ = nullptr;
  int slot_ = 0, n_rows_ = 0, n_logits_ = 0;
  bool gathers_logits_ = false;             // of some rows
  bool fused_ = false, many_rows_ = false;  // many: fused by prefill_products_
  bool int8_rows_ = false;                  // codes are multiplied by int8_products_
  const T* last_norm_ = nullptr;            // that h has been multiplied by
  int n_squares_ = 0;                       // of a row of h, as left by whoever wrote it
  bool replaying_ = false, recording_ = false;
  struct GraphKey {
    int slot, n_rows, n_tiles;
    int n_gathered;  // logit rows; 0: all rows'
    int n_spans;
    auto operator<=>(const GraphKey&) const = default;
  };
  GraphKey key_{};
  std::map<GraphKey, cudaGraphExec_t> graphs_;  // null: such a step has been seen

  Memory<float> x_, squares_, final_squares_, logits_;
  Memory<uint64_t> best_;
  Memory<T> h_, final_, qkv_, attended_, gate_up_, activated_;
  Memory<T> expanded_;  // only prompts use it

  std::unique_ptr<WeightLoader> loader_;  // until all weights have been made
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(const DecoderShape& shape, const CudaOptions& options) {
  if (options.precision == Precision::kBF16) return std::make_unique<CudaBackend<__nv_bfloat16>>(shape, options);
  return std::make_unique<CudaBackend<__half>>(shape, options);
}

}  // namespace jsg::cuda
